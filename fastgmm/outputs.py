"""Predictions that are written to a file chunk by chunk, as they are made."""

import contextlib
import csv
import errno
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from fastgmm.files.atomic import check_writable, errors_of, replacing
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parquet import is_parquet

OPEN_FILE = "the output"
"""What errors call a file that was given open."""

_ROWS_PER_GROUP = 1 << 17


class Beside(NamedTuple):
    """A file to write, and columns that stand in it before the predictions.

    Parameters
    ----------
    path : path or binary file
        See `open_output`; no .npy file.
    schema : pyarrow.Schema
        Of the columns.
    batches : iterator of pyarrow.RecordBatch
        Their values, for all rows in order.
    """

    path: Any
    schema: Any
    batches: Iterator[Any]


class RowOutput(Protocol):
    """Takes values for rows, in any order and from any thread."""

    def write(self, start: int, stop: int, values: np.ndarray) -> None:
        """Take the values of rows start to stop."""
        ...


@contextlib.contextmanager
def open_output(
    path: str | os.PathLike | BinaryIO | Beside,
    n_rows: int,
    columns: str | Sequence[str],
    dtype: np.dtype,
) -> Iterator[RowOutput]:
    """A file to write predictions to; it appears, whole, at the end of the context.

    If the context ends by an exception, what was at the path before stays.

    Parameters
    ----------
    path : path, binary file or Beside
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
    beside = path if isinstance(path, Beside) else None
    path = path.path if isinstance(path, Beside) else path
    if not isinstance(path, (str, os.PathLike)):
        if not hasattr(path, "write"):
            raise TypeError(f"out should be the path of a file, but got a {type(path).__name__}.")
        with _table_output(".csv", path, names, dtype, OPEN_FILE, beside) as output:
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
            with _table_output(suffix, temporary, names, dtype, path, beside) as output:
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
    if suffix not in (".npy", *TABLES):
        *others, last = ".npy", *TABLES
        kinds = f"{', '.join(others)} and {last}"
        raise ValueError(f"Rows are written to {kinds} files, not to {os.fspath(path)}.")
    if suffix in TABLES:
        TABLES[suffix].imported()
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

    def __init__(self, writer: Any, schema: Any, path: str | os.PathLike, beside: Beside | None):
        self._writer = writer
        self._schema = schema
        self._path = path
        self._beside = None if beside is None else _Batches(beside)
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
        arrays = [] if self._beside is None else self._beside.take(len(rows))
        arrays += [arrow.array(np.ascontiguousarray(column)) for column in matrix.T]
        with errors_of(self._path):
            self._writer.write_table(arrow.Table.from_arrays(arrays, schema=self._schema))


class _Batches:
    """Record batches, from which columns of any numbers of rows are taken.

    Parameters
    ----------
    beside : Beside
    """

    def __init__(self, beside: Beside):
        self._schema, self._batches = beside.schema, beside.batches
        self._left: Any = None

    def take(self, n_rows: int) -> list[Any]:
        """The columns of the next rows.

        Raises
        ------
        ValueError
            If there are fewer rows.
        """
        arrow = import_optional("pyarrow", "Writing tables")
        parts, n_taken = [], 0
        while n_taken < n_rows:
            if self._left is None or not self._left.num_rows:
                self._left = next(self._batches, None)
                if self._left is None:
                    raise ValueError("There are fewer rows to keep than predictions.")
            parts.append(self._left.slice(0, n_rows - n_taken))
            self._left = self._left.slice(parts[-1].num_rows)
            n_taken += parts[-1].num_rows
        return list(arrow.Table.from_batches(parts, schema=self._schema).columns)


class _CsvWriter:
    """Writes tables as CSV, with quotes only where a value needs them.

    Parameters
    ----------
    file : binary file
    schema : pyarrow.Schema
    """

    def __init__(self, file: BinaryIO, schema: Any):
        self._file = file
        names = io.StringIO()
        csv.writer(names, lineterminator="\n").writerow(schema.names)
        _write_all(self._file, names.getvalue().encode())

    @classmethod
    @contextlib.contextmanager
    def to(cls, file: Path | BinaryIO, schema: Any) -> Iterator["_CsvWriter"]:
        """A writer to a file that is open, and stays so, or is opened now."""
        if not isinstance(file, Path):
            yield cls(file, schema)
            return
        with open(file, "wb") as opened:
            yield cls(opened, schema)

    def write_table(self, table: Any) -> None:
        """Write some rows."""
        arrow = import_optional("pyarrow", "Writing CSV")
        writing = import_optional("pyarrow.csv", "Writing CSV")
        for style in ("none", "needed"):  # the latter puts all text in quotes
            text = arrow.BufferOutputStream()
            options = writing.WriteOptions(include_header=False, quoting_style=style)
            try:
                writing.write_csv(table, text, options)
                break
            except arrow.ArrowInvalid:
                if style == "needed":
                    raise
        _write_all(self._file, text.getvalue())


def _write_all(file: BinaryIO, data: Any) -> None:
    """Write bytes, also to a file without a buffer, which takes as much as it likes at a time."""
    if not isinstance(file, io.RawIOBase):
        file.write(data)
        return
    left = memoryview(data)
    while left:
        n_written = file.write(left)
        if n_written is None:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = left[n_written:]


class _TableFile(NamedTuple):
    """A kind of file that tables are written to.

    Parameters
    ----------
    module : str
        That writes them.
    purpose : str
        What to say it is for, if it is missing.
    writer : callable
        Of the module, a path or binary file, and the schema: a context whose `write_table` writes
        some rows.
    """

    module: str
    purpose: str
    writer: Callable[[Any, Path | BinaryIO, Any], contextlib.AbstractContextManager[Any]]

    def imported(self) -> Any:
        """The module."""
        return import_optional(self.module, self.purpose)


TABLES = {
    ".parquet": _TableFile(
        "pyarrow.parquet", "Writing Parquet", lambda module, *to: module.ParquetWriter(*to)
    ),
    ".csv": _TableFile("pyarrow.csv", "Writing CSV", lambda module, *to: _CsvWriter.to(*to)),
}
"""By the endings of files."""


@contextlib.contextmanager
def _table_output(
    suffix: str,
    file: Path | BinaryIO,
    columns: Sequence[str],
    dtype: np.dtype,
    path: str | os.PathLike,
    beside: Beside | None,
) -> Iterator[_TableOutput]:
    arrow = import_optional("pyarrow", "Writing tables")
    module = TABLES[suffix].imported()
    twice = [name for name in columns if beside is not None and name in beside.schema.names]
    if twice:
        raise ValueError(f"There would be two columns {twice[0]!r} in the output.")
    schema = arrow.schema(
        [
            *(() if beside is None else beside.schema),
            *((column, arrow.from_numpy_dtype(dtype)) for column in columns),
        ]
    )
    with TABLES[suffix].writer(module, file, schema) as writer:
        output = _TableOutput(writer, schema, path, beside)
        yield output
        output.finish()
