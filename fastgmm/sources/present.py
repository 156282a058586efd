"""Rows of weight 0: they are counted when a source is opened, and left out when it is read."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastgmm.sources.checks import check_weights
from fastgmm.sources.reader import RowReader
from fastgmm.sources.weights import WeightScale

_BLOCK = 4096
"""Rows that are counted together."""


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
        counts = np.zeros(-(-reader.n_rows // _BLOCK), dtype=np.int64)
        scale = WeightScale.of(_present_weights(reader, counts))
        if scale is None:
            raise ValueError(
                f"{reader.name}: sample weights must contain at least one non-zero number."
            )
        return cls(scale, np.cumsum(counts))


def _present_weights(reader: RowReader, counts: np.ndarray) -> Iterator[np.ndarray]:
    """Weights that are not 0; adds up how many there are in every block."""
    start = 0
    for weights in reader.weights():
        check_weights(weights, start, reader.locate)
        present = np.flatnonzero(weights)
        found = np.bincount((start % _BLOCK + present) // _BLOCK)
        first = start // _BLOCK
        counts[first : first + len(found)] += found
        start += len(weights)
        yield weights if len(present) == len(weights) else weights[present]


class PresentRows(RowReader):
    """The rows of a weighted reader whose weight is not zero.

    Parameters
    ----------
    reader : RowReader
    tally : WeightTally
        Of its weights.
    """

    def __init__(self, reader: RowReader, tally: WeightTally):
        self._reader, self._ends = reader, tally.ends
        self.name, self.n_rows, self.dtype = reader.name, tally.n_present, reader.dtype
        self.n_features, self.columns = reader.n_features, reader.columns
        self.feature_names, self.weighted = reader.feature_names, True
        self.read_ahead_rows = reader.read_ahead_rows
        self.read_ahead_step = reader.read_ahead_step

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if start == stop:
            return self._reader.read(0, 0)
        begin, end, skip = self._span(start, stop)
        rows, weights = self._reader.read(begin, end)
        present = np.flatnonzero(weights)[skip : skip + stop - start]
        return rows[present], weights[present]

    def weights(self) -> Iterator[np.ndarray]:
        for weights in self._reader.weights():
            yield weights[weights != 0]

    def locate(self, row: int) -> tuple[str, int]:
        begin, end, skip = self._span(row, row + 1)
        weights = self._reader.read(begin, end)[1]
        return self._reader.locate(begin + int(np.flatnonzero(weights)[skip]))

    def prefetch(self, start: int, stop: int) -> None:
        begin, end, _ = self._span(start, stop)
        self._reader.prefetch(begin, end)

    def check_unchanged(self) -> None:
        self._reader.check_unchanged()

    def _span(self, start: int, stop: int) -> tuple[int, int, int]:
        """Rows of the reader that hold rows start to stop, and how many present ones to skip."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._ends, stop - 1, side="right"))
        skip = start - (int(self._ends[first - 1]) if first else 0)
        return first * _BLOCK, min((last + 1) * _BLOCK, self._reader.n_rows), skip
