"""Rows in which values are missing: what one look at all of them tells, and some ways to read them.

A value that is missing is NaN. A row is seen if it has any value, and complete if it has all.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from fastgmm.sources.base import Chunk, RowSource, survey
from fastgmm.sources.reader import RowReader, rows_per_scan
from fastgmm.sources.selected import BLOCK, SelectedRows

_MOST_PATTERNS = 1 << 14
"""Distinct patterns that are remembered; if there are more, chunks find their own."""


class MissingTally(NamedTuple):
    """What one look at all rows tells of values that are missing.

    Parameters
    ----------
    seen_ends, complete_ends : ndarray of int
        How many rows are seen, and how many complete, up to the end of each block of rows.
    weight : ndarray of shape (d,)
        Of the rows that have a value, by feature, divided by the source's scale of weights.
    means, variances : ndarray of shape (d,)
        Of the values that there are, with their weights. NaN for a feature without any.
    patterns : ndarray of bool, shape (patterns, d), or None
        Which features are observed, in every way that occurs in seen rows; None if there are very
        many.
    """

    seen_ends: np.ndarray
    complete_ends: np.ndarray
    weight: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    patterns: np.ndarray | None

    @property
    def n_seen(self) -> int:
        """How many rows are seen."""
        return int(self.seen_ends[-1])

    @property
    def n_complete(self) -> int:
        """How many rows are complete."""
        return int(self.complete_ends[-1])

    @classmethod
    def of(cls, source: RowSource) -> "MissingTally":
        """Tally of a source that allows missing values."""
        source = source.scaled()
        d, n_blocks = source.n_features, -(-source.n_rows // BLOCK)
        ends = np.zeros((2, n_blocks), np.int64)
        moments = np.zeros((3, d))
        patterns: np.ndarray | None = np.zeros((0, d), bool)
        step = max(rows_per_scan(d) // BLOCK, 1) * BLOCK
        for first, counts, of_piece, new in survey(_look, source, step):
            ends[:, first : first + counts.shape[1]] += counts
            moments = _merged(moments, of_piece)
            patterns = _united(patterns, new)
        weight, means, squares = moments
        with np.errstate(invalid="ignore"):
            variances = squares / weight
        means = np.where(weight > 0, means, np.nan)
        seen, complete = np.cumsum(ends, axis=1)
        return cls(seen, complete, weight, means, variances, patterns)


class _Look(NamedTuple):
    """What is missing of a piece of the rows.

    Parameters
    ----------
    first : int
        Number of its first block of rows.
    counts : ndarray of int, shape (2, blocks)
        Rows that are seen, and complete.
    moments : ndarray of shape (3, d)
    patterns : ndarray of bool or None
    """

    first: int
    counts: np.ndarray
    moments: np.ndarray
    patterns: np.ndarray | None


def _look(chunk: Chunk) -> _Look:
    observed = ~np.isnan(chunk.rows)
    n_observed = observed.sum(axis=1)
    blocks = (chunk.start % BLOCK + np.arange(len(observed))) // BLOCK
    counts = [
        np.bincount(blocks[chosen], minlength=blocks[-1] + 1)
        for chosen in (n_observed > 0, n_observed == observed.shape[1])
    ]
    moments = _moments(chunk.rows, observed, chunk.weights)
    patterns = distinct_patterns(observed[n_observed > 0])[0]
    return _Look(chunk.start // BLOCK, np.stack(counts), moments, _if_few(patterns))


def _if_few(patterns: np.ndarray) -> np.ndarray | None:
    return None if len(patterns) > _MOST_PATTERNS else patterns


def _united(patterns: np.ndarray | None, others: np.ndarray | None) -> np.ndarray | None:
    """Patterns of both; None if there are very many."""
    if patterns is None or others is None:
        return None
    return _if_few(distinct_patterns(np.concatenate([patterns, others]))[0])


def has_value(chunk: Chunk) -> np.ndarray:
    """Which rows of a chunk have any value."""
    return ~np.isnan(chunk.rows).all(axis=1)


def is_complete(chunk: Chunk) -> np.ndarray:
    """Which rows of a chunk have all values."""
    return ~np.isnan(chunk.rows).any(axis=1)


def distinct_patterns(observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of a mask, and the number of that which every row holds.

    They are in order of the number of features that are observed, then of these themselves.

    Parameters
    ----------
    observed : ndarray of bool, shape (n, d)

    Returns
    -------
    patterns : ndarray of bool, shape (patterns, d)
    numbers : ndarray of int, shape (n,)
    """
    n, d = observed.shape
    counts = observed.sum(axis=1, dtype=np.uint64)
    if d <= 48:  # count and features fit in one number
        keys = observed @ (np.uint64(1) << np.arange(d, dtype=np.uint64))
        keys |= counts << np.uint64(48)
    else:
        packed = np.concatenate(
            [counts.astype(">u8").view(np.uint8).reshape(n, 8), np.packbits(observed, axis=1)],
            axis=1,
        )
        keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}")[:, 0]
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    return observed[first], numbers.reshape(n)


def _moments(rows: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weight, mean and sum of squares about it (3, d) of the values that there are."""
    values = np.where(observed, rows, 0.0).astype(np.float64, copy=False)
    share = observed * (weights[:, np.newaxis] if len(weights) else 1.0)
    weight = share.sum(axis=0)
    means = (share * values).sum(axis=0) / np.where(weight > 0, weight, 1.0)
    return np.stack([weight, means, (share * (values - means) ** 2).sum(axis=0)])


def _merged(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Moments of the rows of both (Chan, Golub and LeVeque 1979)."""
    total = one[0] + other[0]
    share = other[0] / np.where(total > 0, total, 1.0)
    shift = other[1] - one[1]
    return np.stack([total, one[1] + share * shift, one[2] + other[2] + one[0] * share * shift**2])


class ObservedRows(SelectedRows):
    """The rows of a reader that have values enough.

    Parameters
    ----------
    reader : RowReader
    ends : ndarray of int
        How many of them there are up to the end of each block of rows.
    enough : callable
        `numpy.any` or `numpy.all`, of which features are observed.
    """

    def __init__(self, reader: RowReader, ends: np.ndarray, enough: Callable[..., np.ndarray]):
        super().__init__(reader, ends)
        self._enough = enough

    def _selected(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.flatnonzero(self._enough(~np.isnan(rows), axis=1))

    def weights(self) -> Iterator[np.ndarray]:
        # Which rows they are of cannot be told without reading these.
        step = rows_per_scan(self.n_features)
        for start in range(0, self.n_rows if self.weighted else 0, step):
            yield self.read(start, min(start + step, self.n_rows))[1]


class FilledRows(RowReader):
    """The rows of a reader, with a number for each feature where a value is missing.

    Parameters
    ----------
    reader : RowReader
    values : ndarray of shape (d,)
    """

    def __init__(self, reader: RowReader, values: np.ndarray):
        self._reader, self._values = reader, values
        self.wrapped = reader
        self._resemble(reader)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        rows, weights = self._reader.read(start, stop)
        return filled(rows, self._values), weights

    def weights(self) -> Iterator[np.ndarray]:
        return self._reader.weights()

    def locate(self, row: int) -> tuple[str, int]:
        return self._reader.locate(row)

    def prefetch(self, start: int, stop: int) -> None:
        self._reader.prefetch(start, stop)

    def check_unchanged(self) -> None:
        self._reader.check_unchanged()


def filled(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Rows with a number for each feature (d,) where a value is missing, in their own type."""
    return np.where(np.isnan(rows), values.astype(rows.dtype), rows)


def seen_rows(source: RowSource, tally: MissingTally) -> RowSource:
    """The source without rows that have no value."""
    if tally.n_seen == source.n_rows:
        return source
    return source.with_reader(ObservedRows(source.reader, tally.seen_ends, np.any), missing=True)


def complete_rows(source: RowSource, tally: MissingTally) -> RowSource:
    """Those rows of a source that have all values."""
    return source.with_reader(
        ObservedRows(source.reader, tally.complete_ends, np.all), missing=False
    )


def filled_rows(source: RowSource, tally: MissingTally) -> RowSource:
    """The source with the means of the features where values are missing."""
    return source.with_reader(FilledRows(source.reader, tally.means), missing=False)
