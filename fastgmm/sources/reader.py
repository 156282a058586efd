"""What a kind of storage supplies, and the source that is made of it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from fastgmm.sources.base import Chunk, RowSource
from fastgmm.sources.checks import check_weights, describe_bad_value, is_finite
from fastgmm.sources.read_ahead import ReadAhead
from fastgmm.sources.weights import WeightScale

SCAN_BYTES = 1 << 23
"""Size of the pieces that all rows are read in, outside of a fit."""

_REMEMBERED_ROWS = 256
"""Rows of a read from which on it is remembered that they are in order."""


class RowReader(ABC):
    """Reads rows, and weights as they stand, from one kind of storage.

    Every method but `__init__` may be called from several threads at once.

    Attributes
    ----------
    name : str
        What to call the storage in errors.
    n_rows, n_features : int
    dtype : dtype
        Of the rows, float64 or float32.
    feature_names : list of str or None
    weighted : bool
    read_ahead_rows : int
        How many rows to call `prefetch` for, beyond those that are read; 0 for never.
    read_ahead_step : int
        By how many rows reading should have moved on before it is called again.
    """

    name: str
    n_rows: int
    n_features: int
    dtype: np.dtype
    feature_names: list[str] | None = None
    weighted: bool = False
    read_ahead_rows: int = 0
    read_ahead_step: int = 0

    @abstractmethod
    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows start to stop, of any number type, and their weights, or none of length 0."""

    @abstractmethod
    def weights(self) -> Iterator[np.ndarray]:
        """Weights of all rows as float64, in pieces."""

    def locate(self, row: int) -> tuple[str, int]:
        """The file that holds a row, and the row's number in it."""
        return self.name, row

    def column_label(self, feature: int) -> str:
        """What errors call the column of a feature."""
        return str(feature) if self.feature_names is None else repr(self.feature_names[feature])

    def prefetch(self, start: int, stop: int) -> None:
        """Make that rows start to stop will be read fast; called in the background."""
        raise NotImplementedError


class ReaderSource:
    """Rows of a `RowReader` as a `RowSource`: converted, checked, with scaled weights.

    Rows are checked for NaN and infinity when they are first read; where the storage can use it,
    the rows that follow are read ahead in the background.

    Parameters
    ----------
    reader : RowReader
    dtype : dtype, optional
        float64 or float32; the reader's own by default.

    Attributes
    ----------
    reader : RowReader
    n_rows, n_features : int
    dtype : dtype
    total_weight : float
        Sum of the scaled weights.
    weight_scale : float
        What they were divided by.
    n_absent : int
        Rows of weight 0.
    feature_names : list of str or None

    Raises
    ------
    ValueError
        If there is no row, or weights are out of range.
    """

    def __init__(self, reader: RowReader, dtype: np.dtype | None = None):
        if reader.n_rows == 0:
            raise ValueError(f"{reader.name} has no rows.")
        self.reader = reader
        self.n_rows, self.n_features = reader.n_rows, reader.n_features
        self.dtype = reader.dtype if dtype is None else np.dtype(dtype)
        self.feature_names = reader.feature_names
        self.total_weight, self.weight_scale, self.n_absent = float(self.n_rows), 1.0, 0
        self._scale: WeightScale | None = None
        if reader.weighted:
            self._scale = WeightScale.of(self._checked_weights())
            self.total_weight, self.weight_scale = self._scale.total, self._scale.divisor
        self._checked: set[tuple[int, int]] = set()
        self._ahead = ReadAhead(
            reader.prefetch, self.n_rows, reader.read_ahead_rows, reader.read_ahead_step
        )

    def __repr__(self) -> str:
        weighted = ", weighted" if self.reader.weighted else ""
        return (
            f"<rows of {self.reader.name}: {self.n_rows} x {self.n_features}, {self.dtype}"
            f"{weighted}>"
        )

    def read(self, start: int, stop: int) -> Chunk:
        """Rows start to stop.

        Raises
        ------
        ValueError
            If a value is NaN, null or infinite; the text says where the first such value stands.
        """
        self._ahead.announce(start, stop)
        rows, weights = self.reader.read(start, stop)
        rows = self._converted(rows)
        if (start, stop) not in self._checked:
            if not is_finite(rows):
                self._raise_first_bad_value()
            if stop - start >= _REMEMBERED_ROWS:
                self._checked.add((start, stop))
        if self._scale is not None:
            weights = self._scale.apply(weights)
        return Chunk(start, stop, rows, weights)

    def astype(self, dtype: np.dtype) -> "ReaderSource":
        """The same rows in float64 or float32."""
        return self if self.dtype == dtype else ReaderSource(self.reader, dtype)

    def _converted(self, rows: np.ndarray) -> np.ndarray:
        # A number too large for float32 becomes infinite, which the check then finds.
        with np.errstate(over="ignore"):
            rows = rows.astype(self.dtype, copy=False)
        # Kernels are compiled for plain, aligned arrays.
        return rows if rows.flags.aligned else rows.copy()

    def _checked_weights(self) -> Iterator[np.ndarray]:
        """Weights as the reader has them; counts the rows of weight 0."""
        start, largest = 0, 0.0
        for weights in self.reader.weights():
            check_weights(weights, start, self.reader.locate)
            self.n_absent += len(weights) - int(np.count_nonzero(weights))
            largest = max(largest, float(weights.max(initial=0.0)))
            start += len(weights)
            yield weights
        if largest == 0:
            raise ValueError(
                f"{self.reader.name}: sample weights must contain at least one non-zero number."
            )

    def _raise_first_bad_value(self) -> None:
        """Look for the first bad value from row 0 on, so that the error is always the same."""
        step = rows_per_scan(self.n_features)
        for start in range(0, self.n_rows, step):
            stop = min(start + step, self.n_rows)
            rows = self._converted(self.reader.read(start, stop)[0])
            if not is_finite(rows):
                raise ValueError(
                    describe_bad_value(rows, start, self.reader.locate, self.reader.column_label)
                )


def rows_per_scan(n_features: int) -> int:
    """Rows to read at a time when all are gone through once."""
    return max(SCAN_BYTES // (8 * n_features), 1)


def scan(source: RowSource) -> Iterator[Chunk]:
    """All rows of a source, in order, in pieces of a few megabytes."""
    step = rows_per_scan(source.n_features)
    for start in range(0, source.n_rows, step):
        yield source.read(start, min(start + step, source.n_rows))
