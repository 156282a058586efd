"""Rows of CSV files, parsed once into a temporary file of numbers."""

import gzip
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fastgmm.sources import csv_advice
from fastgmm.sources.array import ArrayReader
from fastgmm.sources.arrow import choose_columns
from fastgmm.sources.checks import find_bad_value
from fastgmm.sources.kinds import Kind, Request, has_suffix
from fastgmm.sources.optional import import_optional
from fastgmm.sources.stamp import Stamp
from fastgmm.sources.stored_rows import StoredRows
from fastgmm.sources.weights import NO_WEIGHTS

_WITH_TABS = (".tsv", ".tab", ".tsv.gz", ".tab.gz")
_SUFFIXES = (".csv", ".csv.gz", *_WITH_TABS)

_BLOCK_BYTES = 1 << 22
"""Text that is parsed at a time; if a line is longer, more is."""

_LINES_PER_BLOCK = 64
"""Lines of a wide table that are parsed at a time."""

_MOST_BLOCK_BYTES = 1 << 30

_TOO_LONG = ("straddl", "Empty CSV file or block")
"""What pyarrow says of a line that is longer than a block; the second of the first line."""

_OUT_OF_SYNC = "out of sync"
"""What pyarrow says when a block ends within a quoted cell."""

_NUMBERS_AS_NAMES = (
    "%s: the first line, %s, is taken for the names of the columns. If it is the first row, say so "
    "by open_source(..., header=False), or --no-header."
)


class Dialect(NamedTuple):
    """How values are written in a file.

    Parameters
    ----------
    header : bool
        Whether the first line names the columns.
    delimiter, decimal : str
    missing : bool
        Whether cells may be empty.
    """

    header: bool
    delimiter: str
    decimal: str
    missing: bool


class _Parsing(NamedTuple):
    """How a file is cut into pieces.

    Parameters
    ----------
    block_bytes : int
    across_lines : bool
        Whether cells may hold line breaks, for which every quote has to be looked at.
    """

    block_bytes: int
    across_lines: bool = False


class CsvFile:
    """A CSV file that is being parsed.

    EM reads rows many times and from any place; text can be read from its beginning only, and
    slowly. So the numbers go to a temporary file once, in the system's folder for these (``TMPDIR``
    names another). It has no name (on Windows, one that the system removes), so that it is gone
    with the process however that ends. It takes 8 bytes per number, most often less than the text.

    Parameters
    ----------
    path : Path
        Perhaps compressed by gzip. Empty lines are passed over.
    dialect : Dialect
    """

    def __init__(self, path: Path, dialect: Dialect):
        csv_advice.check_text(path, dialect.delimiter, dialect.decimal)
        self.path, self.dialect, self._stamp = path, dialect, Stamp.of(path)
        self._parsing = _Parsing(_BLOCK_BYTES)
        self.names, self._truth_values = self._again(self._read_names)

    def numbers(self, columns: list[str], weight: str | None) -> StoredRows:
        """Columns as numbers, and weights as the last of them, in a file without a name.

        Raises
        ------
        ValueError
            If a cell holds no finite number, and its row does not weigh 0; the text names the file,
            the column and the line.
        OSError
            If the disk is too small for the temporary file.
        """
        names = [*columns, weight] if weight is not None else columns
        # It stays open as long as its rows may be read.
        file: BinaryIO = tempfile.TemporaryFile(prefix="fastgmm-", buffering=0)  # noqa: SIM115
        try:
            n_rows = self._again(lambda: self._parse(file, names, weight is not None))
            self._stamp.check()
        except BaseException:
            file.close()
            raise
        return StoredRows(file, np.dtype(np.float64), (n_rows, len(names)))

    def columns_as_text(self, columns: list[str]) -> Iterator[Any]:
        """Record batches of columns as they are written, for all rows in order."""
        arrow = import_optional("pyarrow", "Reading CSV")
        types = dict.fromkeys(columns, arrow.string())
        convert = {"column_types": types, "include_columns": columns}
        read = {} if self.dialect.header else {"column_names": self.names}
        n_read, done = 0, False
        while not done:
            with self._cut_otherwise(), self._reader(read, convert) as reader:
                n_seen = 0
                for batch in reader:
                    new = batch.slice(max(n_read - n_seen, 0))
                    n_seen += batch.num_rows
                    if new.num_rows:
                        n_read = n_seen
                        yield new
                done = True

    def _again(self, parse: Any) -> Any:
        """What a function makes of the file, which may find that it has to be cut otherwise."""
        while True:
            with self._cut_otherwise():
                return parse()

    @contextmanager
    def _cut_otherwise(self) -> Iterator[None]:
        """Take an error for a reason to cut the file otherwise, if it is one."""
        lib = import_optional("pyarrow", "Reading CSV").lib
        try:
            with csv_advice.damage_as_error(self._unreadable):
                yield
        except lib.ArrowInvalid as error:
            text, parsing = str(error), self._parsing
            if _OUT_OF_SYNC in text and not parsing.across_lines:
                self._parsing = parsing._replace(across_lines=True)
            elif any(words in text for words in _TOO_LONG) and self._may_be_longer():
                self._parsing = parsing._replace(block_bytes=8 * parsing.block_bytes)
            else:
                raise self._unreadable(text) from error

    def _may_be_longer(self) -> bool:
        compressed = csv_advice.is_gzip(self.path)
        most = _MOST_BLOCK_BYTES if compressed else min(self._stamp.state[1], _MOST_BLOCK_BYTES)
        return self._parsing.block_bytes < most

    def _unreadable(self, text: str) -> ValueError:
        advice = csv_advice.of_shape(self.path, self.dialect)
        return ValueError(f"{self.path} cannot be read as CSV: {text}{advice and '. ' + advice}")

    # -- text --------------------------------------------------------------------------------------
    def _read_names(self) -> tuple[list[str], set[str]]:
        """Names of all columns, and those of which hold true and false."""
        with self._reader({"autogenerate_column_names": not self.dialect.header}, {}) as reader:
            schema = reader.schema
        names = list(schema.names)
        truth_values = {field.name for field in schema if str(field.type) == "bool"}
        numbers = [str(j) for j in range(len(names))]
        if not self.dialect.header:
            return numbers, {numbers[names.index(name)] for name in truth_values}
        if all(map(csv_advice.is_number, names)):
            # pandas writes 0, 1, ... for columns that have no names; others are the first row.
            if names != numbers:
                raise ValueError(
                    f"{self.path}: the first line holds numbers where the names of the columns "
                    "should be. Add a line of names, or say that there is none by "
                    "open_source(..., header=False), or --no-header."
                )
            shown = self.dialect.delimiter.join(names[:8])
            logging.getLogger(__name__).warning(_NUMBERS_AS_NAMES, self.path, shown)
        return names, truth_values

    def _parse(self, file: BinaryIO, columns: list[str], weighted: bool) -> int:
        """Write all rows to a file; how many there are."""
        arrow = import_optional("pyarrow", "Reading CSV")
        with self._errors_of_disk():
            file.seek(0)
            file.truncate()
        convert = {
            "column_types": {
                name: arrow.bool_() if name in self._truth_values else arrow.float64()
                for name in columns
            },
            "include_columns": columns,
        }
        read = {} if self.dialect.header else {"column_names": self.names}
        n_rows = 0
        with self._errors_of_cells(), self._reader(read, convert) as reader:
            for batch in reader:
                rows = _as_array(batch)
                weights = rows[:, -1] if weighted else NO_WEIGHTS
                bad = find_bad_value(rows, weights, self.dialect.missing)
                if bad is not None:
                    what = "a missing value" if np.isnan(rows[bad]) else "infinity"
                    raise self._bad_cell(columns[bad[1]], n_rows + bad[0], what)
                with self._errors_of_disk():
                    data = rows.reshape(-1).view(np.uint8).data
                    while len(data):
                        data = data[file.write(data) :]
                n_rows += len(rows)
        return n_rows

    @contextmanager
    def _reader(self, read: dict[str, Any], convert: dict[str, Any]) -> Iterator[Any]:
        """Reader of record batches."""
        csv = import_optional("pyarrow.csv", "Reading CSV")
        # Python opens the file, because pyarrow takes names in UTF-8 only.
        opened = gzip.open if csv_advice.is_gzip(self.path) else open
        with opened(self.path, "rb") as file:
            line = len(file.readline(_MOST_BLOCK_BYTES // _LINES_PER_BLOCK))
            file.seek(0)
            # One thread: with more, pyarrow does not know the row that an error is in.
            options = csv.ReadOptions(
                use_threads=False,
                block_size=max(self._parsing.block_bytes, _LINES_PER_BLOCK * line),
                **read,
            )
            parse = csv.ParseOptions(
                delimiter=self.dialect.delimiter, newlines_in_values=self._parsing.across_lines
            )
            convert = {"decimal_point": self.dialect.decimal, **convert}
            with csv.open_csv(file, options, parse, csv.ConvertOptions(**convert)) as reader:
                yield reader

    # -- errors ------------------------------------------------------------------------------------
    @contextmanager
    def _errors_of_cells(self) -> Iterator[None]:
        """Say where a cell that is no number stands."""
        try:
            yield
        except ValueError as error:
            cell = csv_advice.BAD_NUMBER.search(str(error))
            if cell is None:
                raise
            row = int(cell[2]) - 1 - self.dialect.header
            raise self._bad_cell(self.names[int(cell[1])], row, cell[3]) from None

    def _bad_cell(self, column: str, row: int, what: str) -> ValueError:
        return csv_advice.bad_cell(self.path, self.dialect, self.names, column, row, what)

    @contextmanager
    def _errors_of_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(
                error.errno,
                f"{error.strerror}, in writing the numbers of {self.path} to a temporary file; "
                "TMPDIR names a folder for these",
                tempfile.gettempdir(),
            ) from error


def delimiter_of(path: Path, delimiter: str | None) -> str:
    """What separates values in a file: by its name, if nobody says so."""
    if delimiter is not None:
        return delimiter
    return "\t" if has_suffix(path, *_WITH_TABS) else ","


def csv_file(
    path: Path, header: bool, delimiter: str | None, decimal: str, missing: bool = False
) -> CsvFile:
    """A file, written as its name or the caller says."""
    return CsvFile(path, Dialect(header, delimiter_of(path, delimiter), decimal, missing))


def _as_array(batch: Any) -> np.ndarray:
    """Numbers of a record batch, row by row; those that are missing are NaN."""
    rows = np.empty((batch.num_rows, batch.num_columns))
    if any(str(kind) == "bool" for kind in set(batch.schema.types)):
        for j, column in enumerate(batch.columns):
            rows[:, j] = column.to_numpy(zero_copy_only=False)
    else:
        rows[:] = batch.to_tensor(null_to_nan=True).to_numpy()
    return rows


def _reader(path: Path, request: Request) -> ArrayReader:
    """Reader of a CSV file.

    By default all columns are features, but the weights and a first column without a name, which
    is where pandas and R keep an index.
    """
    file = csv_file(path, request.header, request.delimiter, request.decimal, request.missing)
    columns, weight, exclude = request.named_columns, request.weight, request.exclude
    if columns is None:
        columns = [name for j, name in enumerate(file.names) if name != weight and (j or name)]
    arrow = import_optional("pyarrow", "Reading CSV")
    schema = arrow.schema([(name, arrow.float64()) for name in file.names])
    choice = choose_columns(schema, columns, weight, str(path), lambda column: None, exclude)
    numbers = file.numbers(choice.features, weight)
    column = None if weight is None else len(choice.features)
    return ArrayReader(numbers, weight=column, name=str(path), names=choice.features)


CSV = Kind(
    lambda thing: has_suffix(thing, *_SUFFIXES),
    _reader,
    "a .csv, .tsv or .tab file, perhaps with .gz",
)
