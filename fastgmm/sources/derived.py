"""Readers made of other readers: with weights of their own, without absent rows, and so on."""

from collections.abc import Callable, Iterator

import numpy as np

from fastgmm.sources.base import RowSource
from fastgmm.sources.checks import check_number_type
from fastgmm.sources.reader import ReaderSource, RowReader, rows_per_scan, scan
from fastgmm.sources.sampling import is_weighted


class _Derived(RowReader):
    """A reader that answers what another does, where a subclass knows nothing else.

    Parameters
    ----------
    reader : RowReader
    """

    def __init__(self, reader: RowReader):
        self._reader = reader
        self.name, self.n_rows, self.dtype = reader.name, reader.n_rows, reader.dtype
        self.n_features, self.feature_names = reader.n_features, reader.feature_names
        self.weighted = reader.weighted
        self.read_ahead_rows = reader.read_ahead_rows
        self.read_ahead_step = reader.read_ahead_step

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self._reader.read(start, stop)

    def weights(self) -> Iterator[np.ndarray]:
        return self._reader.weights()

    def locate(self, row: int) -> tuple[str, int]:
        return self._reader.locate(row)

    def column_label(self, feature: int) -> str:
        return self._reader.column_label(feature)

    def prefetch(self, start: int, stop: int) -> None:
        self._reader.prefetch(start, stop)


class WithWeights(_Derived):
    """The rows of a reader with weights from an array.

    Parameters
    ----------
    reader : RowReader
        Without weights.
    weights : array of shape (n,)
        Read anew each time, so that it may be a memory map.

    Raises
    ------
    ValueError
        If they are not as many as the rows, or no numbers.
    """

    def __init__(self, reader: RowReader, weights: np.ndarray):
        if weights.shape != (reader.n_rows,):
            raise ValueError(
                f"{reader.name} has {reader.n_rows} rows, but the weights have the shape of "
                f"{weights.shape}."
            )
        check_number_type(weights.dtype, "The array of weights")
        super().__init__(reader)
        self._weights, self.weighted = weights, True

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        rows, _ = self._reader.read(start, stop)
        return rows, self._weights[start:stop].astype(np.float64)

    def weights(self) -> Iterator[np.ndarray]:
        step = rows_per_scan(1)
        for start in range(0, self.n_rows, step):
            yield self._weights[start : start + step].astype(np.float64)


class CountedRows(_Derived):
    """The rows of a reader, counted as they are read.

    Parameters
    ----------
    reader : RowReader
    count : callable
        Called with the number of rows of every read, from any thread.
    """

    def __init__(self, reader: RowReader, count: Callable[[int], None]):
        super().__init__(reader)
        self._count = count

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        rows = super().read(start, stop)
        self._count(stop - start)
        return rows


class SourceReader(RowReader):
    """The rows of any `RowSource`.

    Parameters
    ----------
    source : RowSource
    """

    def __init__(self, source: RowSource):
        self._source = source
        self.name = f"The {type(source).__name__}"
        self.n_rows, self.n_features, self.dtype = source.n_rows, source.n_features, source.dtype
        self.weighted = is_weighted(source)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        chunk = self._source.read(start, stop)
        return chunk.rows, chunk.weights * self._source.weight_scale

    def weights(self) -> Iterator[np.ndarray]:
        for chunk in scan(self._source):
            yield chunk.weights * self._source.weight_scale


class PresentRows(_Derived):
    """The rows of a weighted reader whose weight is not zero.

    A row of weight 0 is as good as absent; leaving such rows out makes the grid of chunks, and so
    the bits of a result, those of the data without them.

    Parameters
    ----------
    reader : RowReader
        With weights.
    """

    _BLOCK = 4096

    def __init__(self, reader: RowReader):
        super().__init__(reader)
        self._ends = np.cumsum(self._counts())
        self.n_rows = int(self._ends[-1])

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

    def _span(self, start: int, stop: int) -> tuple[int, int, int]:
        """Rows of the reader that hold rows start to stop, and how many present ones to skip."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._ends, stop - 1, side="right"))
        skip = start - (int(self._ends[first - 1]) if first else 0)
        return first * self._BLOCK, min((last + 1) * self._BLOCK, self._reader.n_rows), skip

    def _counts(self) -> np.ndarray:
        """Present rows in every block of rows."""
        counts = np.zeros(-(-self._reader.n_rows // self._BLOCK), dtype=np.int64)
        start = 0
        for weights in self._reader.weights():
            offset = start % self._BLOCK
            found = np.bincount((offset + np.flatnonzero(weights)) // self._BLOCK)
            first = start // self._BLOCK
            counts[first : first + len(found)] += found
            start += len(weights)
        return counts


def present_mask(source: ReaderSource) -> np.ndarray:
    """Which rows have another weight than 0."""
    return np.concatenate([weights != 0 for weights in source.reader.weights()])


def present_rows(source: ReaderSource) -> ReaderSource:
    """The same source without its rows of weight 0."""
    if source.n_absent == 0:
        return source
    return ReaderSource(PresentRows(source.reader), source.dtype)
