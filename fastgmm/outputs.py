"""Predictions that are written to a file chunk by chunk, as they are made."""

import contextlib
import errno
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from fastgmm.files.atomic import check_writable, errors_of, replacing
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parquet import is_parquet

OPEN_FILE = "the output"
"""What errors call a file that was given open."""

_ROWS_PER_GROUP = 1 << 17

_WRITERS = {
    ".parquet": ("pyarrow.parquet", "Writing Parquet", "ParquetWriter"),
    ".csv": ("pyarrow.csv", "Writing CSV", "CSVWriter"),
}
"""Module of a writer of tables, what to say it is for, and its name."""


class RowOutput(Protocol):
    """Takes values for rows, in any order and from any thread."""

    def write(self, start: int, stop: int, values: np.ndarray) -> None:
        """Take the values of rows start to stop."""
        ...


@contextlib.contextmanager
def open_output(
    path: str | os.PathLike | BinaryIO,
    n_rows: int,
    columns: str | Sequence[str],
    dtype: np.dtype,
) -> Iterator[RowOutput]:
    """A file to write predictions to; it appears, whole, at the end of the context.

    If the context ends by an exception, what was at the path before stays.

    Parameters
    ----------
    path : path or binary file
        Ending in ``.npy``, ``.parquet`` or ``.csv``. To a file that is open already, such as the
        standard output, CSV is written.
    n_rows : int
    columns : str or sequence of str
        What Parquet and CSV call the column of one number per row, or those of a matrix.
    dtype : dtype

    Raises
    ------
    ValueError
        If the path has another ending.
    OSError
        If the file cannot be written.
    ImportError
        If pyarrow is needed and missing.
    """
    names = [columns] if isinstance(columns, str) else columns
    if not isinstance(path, (str, os.PathLike)):
        if not hasattr(path, "write"):
            raise TypeError(f"out should be the path of a file, but got a {type(path).__name__}.")
        with _table_output(".csv", path, names, dtype, OPEN_FILE) as output:
            yield output
        return
    suffix = output_suffix(path)
    check_writable(path)
    with replacing(path) as temporary:
        if suffix == ".npy":
            shape = (n_rows,) if isinstance(columns, str) else (n_rows, len(columns))
            with open(temporary, "r+b") as file:
                yield _NpyOutput(file, shape, dtype, path)
        else:
            with _table_output(suffix, temporary, names, dtype, path) as output:
                yield output


def overwrites(path: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> bool:
    """Whether a file to be written is one that is read; of folders, any Parquet file in them.

    Parameters
    ----------
    path : path
    inputs : iterable of path
    """
    # Path.resolve raises a RuntimeError for a loop of links.
    target = Path(os.path.realpath(path))
    written = [target, *(target.parents if is_parquet(target) else [])]
    return any(
        _is_same(place, Path(os.path.realpath(other)))
        for other in inputs
        for place in written
        if place == target or os.path.isdir(other)
    )


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder; names may differ in their case."""
    try:
        return path == other or os.path.samefile(path, other)
    except OSError:  # one of them is not there, or cannot be looked at
        return False


def output_suffix(path: str | os.PathLike) -> str:
    """The ending of a path that predictions are to be written to, checked.

    Raises
    ------
    ValueError
        If no such file can be written.
    ImportError
        If pyarrow is needed for it and missing.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".npy", *_WRITERS):
        raise ValueError(
            f"Rows are written to .npy, .parquet and .csv files, not to {os.fspath(path)}."
        )
    if suffix in _WRITERS:
        import_optional(*_WRITERS[suffix][:2])
    return suffix


class _NpyOutput:
    """Every chunk goes to its place in the file at once."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype, path: str | os.PathLike):
        self._path = path
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        with errors_of(path):
            file.flush()
        self._descriptor, self._seeking = file.fileno(), threading.Lock()
        self._begin = file.tell()
        self._row_bytes = dtype.itemsize * int(np.prod(shape[1:]))
        self._dtype = dtype
        self._allocate(shape[0] * self._row_bytes)

    def write(self, start: int, stop: int, values: np.ndarray) -> None:
        data = np.ascontiguousarray(values, dtype=self._dtype).reshape(-1).view(np.uint8).data
        place = self._begin + start * self._row_bytes
        with errors_of(self._path):
            while len(data):
                n_written = self._write_at(place, data)
                data, place = data[n_written:], place + n_written

    def _write_at(self, place: int, data: Any) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, data, place)
        with self._seeking:  # Windows has one place for all threads
            os.lseek(self._descriptor, place, os.SEEK_SET)
            return os.write(self._descriptor, data)

    def _allocate(self, n_bytes: int) -> None:
        """Take the space now: a disk that is too small then shows before the work."""
        if not n_bytes or not hasattr(os, "posix_fallocate"):
            return
        try:
            with errors_of(self._path):
                os.posix_fallocate(self._descriptor, self._begin, n_bytes)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
                raise


class _TableOutput:
    """Chunks wait until those before them are there, and then for a row group of some size."""

    def __init__(self, writer: Any, schema: Any, path: str | os.PathLike):
        self._writer = writer
        self._schema = schema
        self._path = path
        self._lock = threading.Lock()
        self._waiting: dict[int, np.ndarray] = {}
        self._group: list[np.ndarray] = []
        self._next = 0

    def write(self, start: int, stop: int, values: np.ndarray) -> None:
        with self._lock:
            self._waiting[start] = values
            while self._next in self._waiting:
                chunk = self._waiting.pop(self._next)
                self._next += len(chunk)
                self._group.append(chunk)
                if sum(map(len, self._group)) >= _ROWS_PER_GROUP:
                    self._write_group()

    def finish(self) -> None:
        """Write what is left."""
        with self._lock:
            if self._group:
                self._write_group()

    def _write_group(self) -> None:
        rows = np.concatenate(self._group)
        self._group = []
        matrix = rows.reshape(len(rows), -1)
        arrow = import_optional("pyarrow", "Writing tables")
        arrays = [arrow.array(np.ascontiguousarray(column)) for column in matrix.T]
        with errors_of(self._path):
            self._writer.write_table(arrow.Table.from_arrays(arrays, schema=self._schema))


@contextlib.contextmanager
def _table_output(
    suffix: str,
    file: Path | BinaryIO,
    columns: Sequence[str],
    dtype: np.dtype,
    path: str | os.PathLike,
) -> Iterator[_TableOutput]:
    arrow = import_optional("pyarrow", "Writing tables")
    module, purpose, name = _WRITERS[suffix]
    schema = arrow.schema([(column, arrow.from_numpy_dtype(dtype)) for column in columns])
    with getattr(import_optional(module, purpose), name)(file, schema) as writer:
        output = _TableOutput(writer, schema, path)
        yield output
        output.finish()
