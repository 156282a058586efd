"""Rows of an array on disk: a .npy file or a numpy.memmap; or of one in memory."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastgmm.sources.checks import check_distinct, check_number_type
from fastgmm.sources.reader import RowReader
from fastgmm.sources.weights import NO_WEIGHTS

_READ_AHEAD_BYTES = 1 << 26
_WEIGHT_ROWS = 1 << 16
_ERROR_NOT_ENOUGH_MEMORY = 8  # of winerror.h


class ArrayReader(RowReader):
    """Rows of a two-dimensional array.

    Parameters
    ----------
    array : ndarray of shape (n, d)
    columns : sequence of int, optional
        Which to take, in this order; all but `weight` by default.
    weight : int, optional
        A column of weights.
    name : str, optional
    path : Path, optional
        File that a memory map shows, to be read ahead.
    offset : int, optional
        Where in the file the array begins.

    Raises
    ------
    ValueError
        If it is no such array, or has no such column.
    """

    def __init__(
        self,
        array: np.ndarray,
        columns: Sequence[int] | None = None,
        weight: int | None = None,
        *,
        name: str = "The array",
        path: Path | None = None,
        offset: int = 0,
    ):
        self.name = name
        if array.ndim != 2:
            raise ValueError(
                f"{name} has {array.ndim} dimension{'s' * (array.ndim != 1)}, but rows and columns "
                "are needed."
            )
        self.dtype = check_number_type(array.dtype, name)
        self._array = array
        self._weights: np.ndarray | None = None
        if weight is not None:
            (weight,) = array_columns([weight], array.shape[1], name)
            self._weights = array[:, weight]
            if columns is None:
                columns = [column for column in range(array.shape[1]) if column != weight]
        self.weighted = self._weights is not None
        chosen = list(range(array.shape[1]))
        if columns is not None:
            chosen = array_columns(columns, array.shape[1], name)
        self.n_features = len(chosen)
        if not chosen:
            raise ValueError(f"{name} has no columns of features.")
        self._numbers = chosen
        # A slice makes views where a list would make copies.
        neighbours = chosen == list(range(chosen[0], chosen[0] + len(chosen)))
        self._columns = slice(chosen[0], chosen[0] + len(chosen)) if neighbours else chosen
        self.n_rows = len(array)
        self._path, self._offset = path, offset
        self._row_bytes = array.strides[0] if array.flags.c_contiguous else 0
        if path is not None and self._row_bytes and hasattr(os, "posix_fadvise"):
            self.read_ahead_rows = max(_READ_AHEAD_BYTES // self._row_bytes, 1)
            # Of pages that are in memory already, the calls are all there is to pay for.
            self.read_ahead_step = self.read_ahead_rows // 8

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._array[start:stop]
        if isinstance(self._columns, slice):
            rows = rows[:, self._columns]
        else:
            rows = rows.take(self._columns, axis=1)  # in C order, unlike rows[:, list]
        if self._weights is None:
            return rows, NO_WEIGHTS
        return rows, self._weights[start:stop].astype(np.float64)

    def weights(self) -> Iterator[np.ndarray]:
        assert self._weights is not None
        for start in range(0, self.n_rows, _WEIGHT_ROWS):
            yield self._weights[start : start + _WEIGHT_ROWS].astype(np.float64)

    def column_label(self, feature: int) -> str:
        return str(self._numbers[feature])

    def prefetch(self, start: int, stop: int) -> None:
        assert self._path is not None
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.posix_fadvise(
                descriptor,
                self._offset + start * self._row_bytes,
                (stop - start) * self._row_bytes,
                os.POSIX_FADV_WILLNEED,
            )
        finally:
            os.close(descriptor)


def memmap_reader(
    array: np.memmap,
    columns: Sequence[int] | None = None,
    weight: int | None = None,
) -> ArrayReader:
    """Reader of a memory map."""
    # A slice of a memory map keeps its file name but not always its offset: then the file is known,
    # but not where the rows are in it.
    whole = array.filename is not None and not isinstance(array.base, np.ndarray)
    return ArrayReader(
        np.asarray(array),
        columns,
        weight,
        name="The memory map" if array.filename is None else str(array.filename),
        path=Path(str(array.filename)) if whole else None,
        offset=array.offset if whole else 0,
    )


def npy_reader(
    path: Path,
    columns: Sequence[int] | None = None,
    weight: int | None = None,
) -> ArrayReader:
    """Reader of a .npy file, which is mapped, not loaded.

    Raises
    ------
    ValueError
        If the file is no whole .npy file, or holds anything but rows of numbers.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        # How Windows refuses to map more than the file holds; elsewhere that is a ValueError.
        if getattr(error, "winerror", None) != _ERROR_NOT_ENOUGH_MEMORY:
            raise
        raise ValueError(f"{path} is not a whole .npy file of numbers: it is cut off") from None
    except Exception as error:  # whatever the parser meets in a file that is something else
        raise ValueError(f"{path} is not a whole .npy file of numbers: {error}") from None
    return memmap_reader(array, columns, weight)


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
