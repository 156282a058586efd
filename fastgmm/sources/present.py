"""Rows of weight 0: they are counted when a source is opened, and left out when it is read."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgmm.sources.checks import check_weights, weights_in_range
from fastgmm.sources.reader import RowReader
from fastgmm.sources.selected import BLOCK, SelectedRows
from fastgmm.sources.weights import WeightScale, sum_of


class WeightTally(NamedTuple):
    """What one look at all weights tells.

    Parameters
    ----------
    scale : WeightScale
        Of the rows that do not weigh 0.
    ends : ndarray of int
        How many of these there are up to the end of each block of rows.
    """

    scale: WeightScale
    ends: np.ndarray

    @property
    def n_present(self) -> int:
        """How many rows do not weigh 0."""
        return int(self.ends[-1])

    @classmethod
    def of(cls, reader: RowReader) -> "WeightTally":
        """Tally of a reader's weights.

        Raises
        ------
        ValueError
            If a weight is negative or not finite, or all are 0.
        """
        counts = np.zeros(-(-reader.n_rows // BLOCK), dtype=np.int64)
        scale = WeightScale.of(_present_weights(reader, counts))
        if scale is None:
            raise _no_weight(reader)
        return cls(scale, np.cumsum(counts))

    @classmethod
    def of_sums(cls, counts: np.ndarray, sums: Iterable[float]) -> "WeightTally":
        """The same of what is known of blocks.

        Parameters
        ----------
        counts : ndarray of int
            Of rows that do not weigh 0, by block of rows; there are some.
        sums : iterable of float
            See `WeightScale.of_sums`.
        """
        scale = WeightScale.of_sums(int(counts.sum()), sums)
        assert scale is not None
        return cls(scale, np.cumsum(counts))


class PresentCounts(NamedTuple):
    """Rows of a piece that do not weigh 0, by block.

    Parameters
    ----------
    first : int
        Number of the first block.
    counts : ndarray of int
    bad : (int, float) or None
        The first row whose weight is out of range, and the weight.
    """

    first: int
    counts: np.ndarray
    bad: tuple[int, float] | None

    @classmethod
    def of(cls, chunk: Any) -> "PresentCounts":
        """Counts of a chunk."""
        start, weights = chunk.start, chunk.weights
        bad = np.flatnonzero(~weights_in_range(weights))[:1].tolist()
        counts = np.bincount((start % BLOCK + np.flatnonzero(weights)) // BLOCK)
        at = (start + bad[0], float(weights[bad[0]])) if bad else None
        return cls(start // BLOCK, counts, at)

    @staticmethod
    def together(pieces: Iterable["PresentCounts"], reader: RowReader) -> np.ndarray:
        """Counts by block of all rows of a reader.

        Raises
        ------
        ValueError
            If a weight is negative or not finite, or all are 0.
        """
        total = np.zeros(-(-reader.n_rows // BLOCK), dtype=np.int64)
        for first, counts, bad in pieces:
            if bad is not None:
                check_weights(np.array(bad[1:]), bad[0], reader.locate)
            total[first : first + len(counts)] += counts
        if not total.any():
            raise _no_weight(reader)
        return total


def sum_of_weights(chunk: Any) -> float:
    """Sum of the weights of a chunk."""
    return sum_of(chunk.weights)


def _no_weight(reader: RowReader) -> ValueError:
    return ValueError(f"{reader.name}: sample weights must contain at least one non-zero number.")


def _present_weights(reader: RowReader, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Weights that are not 0; adds up how many there are in every block."""
    start = 0
    for weights in reader.weights():
        check_weights(weights, start, reader.locate)
        present = np.flatnonzero(weights)
        found = np.bincount((start % BLOCK + present) // BLOCK)
        first = start // BLOCK
        counts[first : first + len(found)] += found
        start += len(weights)
        yield weights if len(present) == len(weights) else weights[present]


class PresentRows(SelectedRows):
    """The rows of a weighted reader whose weight is not zero.

    Parameters
    ----------
    reader : RowReader
    ends : ndarray of int
        Of a `WeightTally`.
    """

    def _selected(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.flatnonzero(weights)

    def weights(self) -> Iterator[np.ndarray]:
        for weights in self._reader.weights():
            yield weights[weights != 0]
