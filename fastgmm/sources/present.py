"""Rows of weight 0: they are counted when a source is opened, and left out when it is read."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastgmm.sources.checks import check_weights
from fastgmm.sources.reader import RowReader
from fastgmm.sources.selected import BLOCK, SelectedRows
from fastgmm.sources.weights import WeightScale


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
    tally : WeightTally
        Of its weights.
    """

    def __init__(self, reader: RowReader, tally: WeightTally):
        super().__init__(reader, tally.ends)

    def _selected(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return np.flatnonzero(weights)

    def weights(self) -> Iterator[np.ndarray]:
        for weights in self._reader.weights():
            yield weights[weights != 0]
