"""Weights that stand beside the rows."""

from collections.abc import Iterator

import numpy as np

from fastgmm.sources.checks import check_number_type
from fastgmm.sources.reader import RowReader, rows_per_scan


class WithWeights(RowReader):
    """The rows of a reader with weights from an array.

    Parameters
    ----------
    reader : RowReader
        Without weights, unless these replace them.
    weights : array of shape (n,)
        Read anew each time, so that it may be a memory map.
    replacing : bool, optional
        Whether they may take the place of weights that the reader has.

    Raises
    ------
    ValueError
        If they are not as many as the rows, or no numbers.
    """

    def __init__(self, reader: RowReader, weights: np.ndarray, *, replacing: bool = False):
        if reader.weighted and not replacing:
            raise ValueError(f"{reader.name} has weights already.")
        if weights.shape != (reader.n_rows,):
            raise ValueError(
                f"{reader.name} has {reader.n_rows} rows, but the weights have the shape of "
                f"{weights.shape}."
            )
        check_number_type(weights.dtype, "The array of weights")
        self._reader, self._weights = reader, weights
        self.wrapped = reader
        self._resemble(reader)
        self.weighted, self.is_at_hand = True, reader.is_at_hand

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        rows, _ = self._reader.read(start, stop)
        return rows, self._weights[start:stop].astype(np.float64, copy=False)

    def weights(self) -> Iterator[np.ndarray]:
        step = rows_per_scan(1)
        for start in range(0, self.n_rows, step):
            yield self._weights[start : start + step].astype(np.float64, copy=False)

    def locate(self, row: int) -> tuple[str, int]:
        return self._reader.locate(row)

    def prefetch(self, start: int, stop: int) -> None:
        self._reader.prefetch(start, stop)

    def check_unchanged(self) -> None:
        self._reader.check_unchanged()
