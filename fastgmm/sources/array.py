"""Rows of an array: in memory, in a .npy file, or in a numpy.memmap."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources.base import RowSource
from fastgmm.sources.checks import check_distinct, check_number_type
from fastgmm.sources.kinds import Kind, Request, has_suffix
from fastgmm.sources.reader import RowReader
from fastgmm.sources.stamp import Stamp
from fastgmm.sources.stored_rows import StoredRows
from fastgmm.sources.weighted import WithWeights
from fastgmm.sources.weights import NO_WEIGHTS

_READ_AHEAD_BYTES = 1 << 26
_WEIGHT_ROWS = 1 << 16


class ArrayReader(RowReader):
    """Rows of a two-dimensional array.

    Parameters
    ----------
    array : ndarray or StoredRows, of shape (n, d)
    columns : sequence of int, optional
        Which to take, in this order; all but `weight` by default.
    weight : int, optional
        A column of weights.
    exclude : sequence of int, optional
        Columns that are no features.
    name : str, optional
    stamp : Stamp, optional
        Of the file that an array in memory shows.
    names : list of str, optional
        Of the features.

    Raises
    ------
    ValueError
        If it is no such array, or has no such column.
    """

    def __init__(
        self,
        array: np.ndarray | StoredRows,
        columns: Sequence[int] | None = None,
        weight: int | None = None,
        exclude: Sequence[int] = (),
        *,
        name: str = "The array",
        stamp: Stamp | None = None,
        names: list[str] | None = None,
    ):
        self.name = name
        if array.ndim != 2:
            raise ValueError(
                f"{name} has {array.ndim} dimension{'s' * (array.ndim != 1)}, but rows and columns "
                "are needed."
            )
        self._array, self._stamp = array, stamp
        self.dtype = check_number_type(array.dtype, name)
        self.n_rows, n_columns = array.shape
        self.weighted, self._weight = weight is not None, 0
        if weight is not None:
            (self._weight,) = array_columns([weight], n_columns, name)
        chosen = array_features(columns, weight, exclude, n_columns, name)
        self.n_features, self.feature_names = len(chosen), names
        self.columns = chosen if names is None else names
        # A slice makes views where a list would make copies.
        first, end = chosen[0], chosen[0] + len(chosen)
        in_a_run = isinstance(chosen, range) or chosen == list(range(first, end))
        self._columns = slice(first, end) if in_a_run else chosen
        in_memory = isinstance(array, np.ndarray) and stamp is None and array.flags.aligned
        self.is_at_hand = in_memory and in_a_run and array.dtype == self.dtype
        if isinstance(array, StoredRows) and array.fetches:
            row_bytes = max(n_columns * array.dtype.itemsize, 1)
            self.read_ahead_rows = max(_READ_AHEAD_BYTES // row_bytes, 1)
            # Of pages that are in memory already, the calls are all there is to pay for.
            self.read_ahead_step = self.read_ahead_rows // 8

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if self._stamp is not None:
            self._stamp.check()
        rows = self._array[start:stop]
        weights = NO_WEIGHTS
        if self.weighted:
            weights = rows[:, self._weight].astype(np.float64)
        if isinstance(self._columns, slice):
            return rows[:, self._columns], weights
        return rows.take(self._columns, axis=1), weights  # in C order, unlike rows[:, list]

    def weights(self) -> Iterator[np.ndarray]:
        for start in range(0, self.n_rows, _WEIGHT_ROWS):
            rows = self._array[start : start + _WEIGHT_ROWS]
            yield rows[:, self._weight].astype(np.float64)

    def locate(self, row: int) -> tuple[str, int]:
        return self.name, row

    def prefetch(self, start: int, stop: int) -> None:
        if isinstance(self._array, StoredRows):
            self._array.prefetch(start, stop)

    def check_unchanged(self) -> None:
        if isinstance(self._array, StoredRows):
            self._array.check_unchanged()


def array_source(
    X: np.ndarray, sample_weight: np.ndarray | None = None, dtype: np.dtype | None = None
) -> RowSource:
    """Rows of an array in memory that has been checked; it is not copied as a whole.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    sample_weight : ndarray of shape (n,), optional
    dtype : dtype, optional
        Of the chunks, float64 or float32; they are converted one by one.
    """
    reader: RowReader = ArrayReader(X)
    if sample_weight is not None:
        reader = WithWeights(reader, sample_weight)
    return RowSource(reader, dtype, checked=True)


def _columns_of(request: Request) -> tuple[Any, Any, Any]:
    return request.columns, request.weight, request.exclude


def _npy(path: Path, request: Request) -> ArrayReader:
    rows = StoredRows.of_npy(path)
    return ArrayReader(rows, *_columns_of(request), name=str(path))


def _memmap(array: np.memmap, request: Request) -> ArrayReader:
    """Reader of a memory map, which reads the file itself where that holds the same."""
    if array.filename is None:
        rows = np.asarray(array)
        return ArrayReader(rows, *_columns_of(request), name="The memory map")
    name = str(array.filename)
    # A slice of a memory map keeps its file name but not always its offset: then the file is known,
    # but not where the rows are in it.
    whole = array.ndim == 2 and not isinstance(array.base, np.ndarray)
    if whole and array.mode == "r":
        stored = StoredRows.of_map(array, Stamp.of(name))
        return ArrayReader(stored, *_columns_of(request), name=name)
    stamp = Stamp.of(name, written=array.mode != "r")
    rows = np.asarray(array)
    return ArrayReader(rows, *_columns_of(request), name=name, stamp=stamp)


def _array(array: np.ndarray, request: Request) -> ArrayReader:
    # A mask is passed over, as by scikit-learn.
    return ArrayReader(np.asarray(array), *_columns_of(request))


NPY = Kind(lambda thing: has_suffix(thing, ".npy"), _npy, "a .npy file", has_names=False)
MEMMAP = Kind(lambda thing: isinstance(thing, np.memmap), _memmap, has_names=False)
ARRAY = Kind(lambda thing: isinstance(thing, np.ndarray), _array, has_names=False)


def array_features(
    columns: Sequence[int] | None,
    weight: int | None,
    exclude: Sequence[int],
    n_columns: int,
    name: str,
) -> Sequence[int]:
    """Numbers of the columns that are features: all but those that are none, by default.

    A range if these are all; a prediction of a row has no time to look at every number.

    Raises
    ------
    ValueError
        If there is none, or a number is no column.
    """
    others = [*exclude, *([] if weight is None or columns is not None else [weight])]
    others = array_columns(others, n_columns, name)
    whole = range(n_columns)
    chosen = whole if columns is None else array_columns(columns, n_columns, name)
    features = [column for column in chosen if column not in others] if others else chosen
    if not features:
        raise ValueError(f"{name} has no columns of features.")
    return features


def array_columns(columns: Sequence[int], n_columns: int, name: str) -> list[int]:
    """Check numbers of columns.

    Raises
    ------
    ValueError
        If one is no integer in range, or comes twice.
    """
    checked = []
    for column in columns:
        if isinstance(column, bool) or not isinstance(column, (int, np.integer)):
            raise ValueError(
                f"{name} has no names of columns: choose them by number, not by {column!r}."
            )
        if not -n_columns <= column < n_columns:
            raise ValueError(f"{name} has {n_columns} columns, so none has the number {column}.")
        checked.append(int(column) % n_columns)
    check_distinct(checked, name)
    return checked
