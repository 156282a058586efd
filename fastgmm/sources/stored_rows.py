"""Rows of numbers that lie in a file one after the other."""

import os
import threading
import weakref
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fastgmm.sources.stamp import Stamp

_ERROR_NOT_ENOUGH_MEMORY = 8  # of winerror.h


class StoredRows:
    """A two-dimensional array in a file, of which slices of rows are read.

    A memory map would save the copy; but when a mapped file is cut short, the next look at it
    kills the process.

    Parameters
    ----------
    file : Stamp or binary file
        A file without a name stays open; one that has a name is opened for every read.
    dtype : dtype
    shape : tuple of int
    offset : int, optional
        Bytes before the first number.
    fortran_order : bool, optional
        Whether the columns lie one after the other, not the rows.
    """

    def __init__(
        self,
        file: Stamp | BinaryIO,
        dtype: np.dtype,
        shape: tuple[int, ...],
        offset: int = 0,
        fortran_order: bool = False,
    ):
        self._file, self._offset, self._by_columns = file, offset, fortran_order
        self.dtype, self.shape, self.ndim = dtype, shape, len(shape)
        self._seeking = threading.Lock()
        if not isinstance(file, Stamp):
            weakref.finalize(self, file.close)

    @classmethod
    def of_npy(cls, path: Path) -> "StoredRows":
        """The array of a .npy file.

        Raises
        ------
        ValueError
            If the file is no whole .npy file of numbers.
        """
        stamp = Stamp.of(path)
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except OSError as error:
            # How Windows refuses to map more than the file holds; elsewhere that is a ValueError.
            if getattr(error, "winerror", None) != _ERROR_NOT_ENOUGH_MEMORY:
                raise
            raise ValueError(f"{path} is not a whole .npy file of numbers: it is cut off") from None
        except Exception as error:  # whatever the parser meets in a file that is something else
            raise ValueError(f"{path} is not a whole .npy file of numbers: {error}") from None
        return cls.of_map(array, stamp)

    @classmethod
    def of_map(cls, array: np.memmap, stamp: Stamp) -> "StoredRows":
        """The array of a whole memory map, which goes on living without it."""
        by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
        return cls(stamp, array.dtype, array.shape, array.offset, by_columns)

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        n_rows, n_columns = max(stop - start, 0), self.shape[1]
        size = self.dtype.itemsize
        if not n_rows:
            return np.empty((0, n_columns), self.dtype)
        if not self._by_columns:
            found = np.empty((n_rows, n_columns), self.dtype)
            self._fill([(found, start * n_columns * size)])
            return found
        columns = np.empty((n_columns, n_rows), self.dtype)
        places = [(self.shape[0] * column + start) * size for column in range(n_columns)]
        self._fill(list(zip(columns, places, strict=True)))
        return columns.T

    def check_unchanged(self) -> None:
        """Raise ValueError if the file is no longer what it was."""
        if isinstance(self._file, Stamp):
            self._file.check()

    @property
    def fetches(self) -> bool:
        """Whether the system can be asked for rows beforehand."""
        return isinstance(self._file, Stamp) and hasattr(os, "posix_fadvise")

    def prefetch(self, start: int, stop: int) -> None:
        """Have the system read rows start to stop; of columns, there would be many places."""
        if self._by_columns or not isinstance(self._file, Stamp):
            return
        row_bytes = self.shape[1] * self.dtype.itemsize
        with open(self._file.path, "rb", buffering=0) as file:
            os.posix_fadvise(
                file.fileno(),
                self._offset + start * row_bytes,
                (stop - start) * row_bytes,
                os.POSIX_FADV_WILLNEED,
            )

    def _fill(self, wanted: list[tuple[np.ndarray, int]]) -> None:
        """Fill arrays with what stands at places after the offset."""
        if not isinstance(self._file, Stamp):
            for array, place in wanted:
                self._read_at(self._file, array, place)
            return
        self._file.check()
        with open(self._file.path, "rb", buffering=0) as file:
            for array, place in wanted:
                self._read_at(file, array, place)
            # Afterwards, for what changes meanwhile counts, too.
            self._file.check(file.fileno())

    def _read_at(self, file: BinaryIO, array: np.ndarray, place: int) -> None:
        data = array.reshape(-1).view(np.uint8).data
        place += self._offset
        while len(data):
            if hasattr(os, "preadv"):
                n_read = os.preadv(file.fileno(), [data], place)
            else:
                with self._seeking:  # one place for all threads
                    file.seek(place)
                    n_read = file.readinto(data)  # type: ignore[attr-defined]
            if not n_read:
                assert isinstance(self._file, Stamp)
                raise self._file.changed()
            data, place = data[n_read:], place + n_read
