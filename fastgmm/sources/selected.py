"""Some of a reader's rows: counted by block once, and told again when a block is read."""

from abc import abstractmethod

import numpy as np

from fastgmm.sources.reader import RowReader

BLOCK = 4096
"""Rows that are counted together."""


class SelectedRows(RowReader):
    """The rows of a reader that are selected by what they hold.

    Parameters
    ----------
    reader : RowReader
    ends : ndarray of int
        How many selected rows there are up to the end of each block of rows.
    """

    def __init__(self, reader: RowReader, ends: np.ndarray):
        self._reader, self._ends = reader, ends
        self.wrapped = reader
        self._resemble(reader)
        self.n_rows = int(ends[-1])

    @abstractmethod
    def _selected(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The numbers of the selected ones among some rows."""

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if start == stop:
            return self._reader.read(0, 0)
        begin, end, skip = self.span(start, stop)
        rows, weights = self._reader.read(begin, end)
        chosen = self._selected(rows, weights)[skip : skip + stop - start]
        return rows[chosen], weights[chosen] if self.weighted else weights

    def locate(self, row: int) -> tuple[str, int]:
        begin, end, skip = self.span(row, row + 1)
        chosen = self._selected(*self._reader.read(begin, end))
        return self._reader.locate(begin + int(chosen[skip]))

    def prefetch(self, start: int, stop: int) -> None:
        begin, end, _ = self.span(start, stop)
        self._reader.prefetch(begin, end)

    def check_unchanged(self) -> None:
        self._reader.check_unchanged()

    def span(self, start: int, stop: int) -> tuple[int, int, int]:
        """Rows of the reader that hold rows start to stop, and how many selected ones to skip."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._ends, stop - 1, side="right"))
        skip = start - (int(self._ends[first - 1]) if first else 0)
        return first * BLOCK, min((last + 1) * BLOCK, self._reader.n_rows), skip
