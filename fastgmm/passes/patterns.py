"""Rows in order of what is missing of them: patterns, batches of these, groups of rows."""

import itertools
from typing import NamedTuple

import numpy as np

from fastgmm.sources.base import Chunk
from fastgmm.sources.missing import distinct_patterns
from fastgmm.sources.weights import NO_WEIGHTS

_MOST_NUMBERS = 1 << 20
"""Numbers of the matrices that a batch may make: 8 MB."""

_MOST_ROWS = 1 << 14
"""Rows of a group that are worked on in one call; threads share those of a larger one."""

_MOST_BITS = 16
"""Features whose patterns are looked up in a table of all."""


class Batch(NamedTuple):
    """Patterns with equally many features that are observed, to be worked on together.

    Parameters
    ----------
    first : int
        Number of the first of them, among all patterns.
    observed : ndarray of int, shape (m, p)
        Features.
    missing : ndarray of int, shape (m, d - p)
    """

    first: int
    observed: np.ndarray
    missing: np.ndarray


class Group(NamedTuple):
    """Rows whose patterns are of one batch.

    Parameters
    ----------
    places : ndarray of int, shape (n,)
        Of the rows, in their chunk: in order of their patterns.
    rows : ndarray of shape (n, p)
        What is observed of them.
    weights : ndarray of shape (n,), or (0,) when every row weighs 1
    offsets : ndarray of int, shape (m + 1,)
        Pattern i of the batch has the rows offsets[i] to offsets[i + 1].
    labels : ndarray of int32, shape (n,), or None
        Components that the rows are known to be of, if they are.
    first : int
        Number of the first of these patterns, in the batch.
    """

    places: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray | None = None
    first: int = 0

    @property
    def n_patterns(self) -> int:
        """How many patterns there are, some of them perhaps without rows."""
        return len(self.offsets) - 1

    def in_pieces(self) -> "list[Group]":
        """The rows in pieces that are not too large, each with its own patterns alone."""
        n = len(self.rows)
        if n <= _MOST_ROWS:
            return [self]
        n_pieces = -(-n // _MOST_ROWS)
        ends = [n * i // n_pieces for i in range(n_pieces + 1)]
        return [self._piece(start, stop) for start, stop in itertools.pairwise(ends)]

    def _piece(self, start: int, stop: int) -> "Group":
        first = int(np.searchsorted(self.offsets, start, side="right")) - 1
        end = int(np.searchsorted(self.offsets, stop))
        return Group(
            self.places[start:stop],
            self.rows[start:stop],
            self.weights[start:stop],
            np.clip(self.offsets[first : end + 1], start, stop) - start,
            None if self.labels is None else self.labels[start:stop],
            self.first + first,
        )


def batches_of(patterns: np.ndarray, n_components: int) -> list[Batch]:
    """Batches of patterns, as `distinct_patterns` orders them; of those that observe anything.

    Parameters
    ----------
    patterns : ndarray of bool, shape (patterns, d)
    n_components : int
    """
    d = patterns.shape[1]
    most = max(_MOST_NUMBERS // (n_components * d * d), 1)
    counts = patterns.sum(axis=1)
    batches = []
    for p in range(1, d + 1):
        begin, end = np.searchsorted(counts, [p, p + 1]).tolist()
        for first in range(begin, end, most):
            some = patterns[first : min(first + most, end)]
            m = len(some)
            observed, missing = (np.ascontiguousarray(np.nonzero(x)[1]) for x in (some, ~some))
            batches.append(Batch(first, observed.reshape(m, p), missing.reshape(m, d - p)))
    return batches


def patterns_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct patterns of rows, and the number of that of every row."""
    return distinct_patterns(~np.isnan(rows))


class KnownPatterns:
    """Patterns that all rows have one of.

    Parameters
    ----------
    patterns : ndarray of bool, shape (patterns, d)
    """

    def __init__(self, patterns: np.ndarray):
        self._d = patterns.shape[1]
        if self._d <= _MOST_BITS:  # a number of all that there might be
            self._bits = np.int32(1) << np.arange(self._d, dtype=np.int32)
            self._table = np.full(1 << self._d, -1, dtype=np.int32)
            self._table[patterns @ self._bits] = np.arange(len(patterns))
        else:
            self._by_bytes = {pattern.tobytes(): i for i, pattern in enumerate(patterns)}

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Number of the pattern of every row; -1 for one that is not known."""
        if self._d <= _MOST_BITS:
            return self._table[~np.isnan(rows) @ self._bits]
        patterns, numbers = patterns_of(rows)
        known = [self._by_bytes.get(pattern.tobytes(), -1) for pattern in patterns]
        return np.array(known)[numbers]


def groups_of(
    chunk: Chunk, numbers: np.ndarray, batches: list[Batch], labels: np.ndarray | None = None
) -> list[Group]:
    """The rows of a chunk by batch: a group for each.

    Parameters
    ----------
    chunk : Chunk
    numbers : ndarray of int, shape (rows,)
        Of the rows' patterns.
    batches : list of Batch
    labels : ndarray of int32, shape (rows,), optional
        See `Group`.
    """
    n, d = chunk.rows.shape
    # NumPy sorts numbers of 16 bits several times as fast.
    small = numbers.astype(np.uint16) if n and numbers.max() < 1 << 16 else numbers
    order = np.argsort(small, kind="stable")
    ordered = numbers[order]
    flat = np.ascontiguousarray(chunk.rows).reshape(-1)
    groups = []
    for first, observed, _ in batches:
        offsets = np.searchsorted(ordered, np.arange(first, first + len(observed) + 1))
        places = order[offsets[0] : offsets[-1]]
        columns = observed[ordered[offsets[0] : offsets[-1]] - first]
        rows = flat.take(places[:, np.newaxis] * d + columns)
        weights = chunk.weights[places] if len(chunk.weights) else NO_WEIGHTS
        known = None if labels is None else labels[places]
        groups.append(Group(places, rows, weights, offsets - offsets[0], known))
    return groups
