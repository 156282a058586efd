"""Rows of CSV files, parsed once into a temporary file of numbers."""

import itertools
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources.arrow import ColumnChoice, choose_columns
from fastgmm.sources.checks import is_finite
from fastgmm.sources.memmap import ArrayReader
from fastgmm.sources.optional import import_optional

_BLOCK_BYTES = 1 << 22
"""Text that is parsed at a time; no line may be longer."""

_BAD_NUMBER = re.compile(r"CSV column #(\d+): Row #(\d+): .* invalid value '(.*)'", re.DOTALL)
"""What pyarrow says of a cell; its rows count from 1, with the header, without empty lines."""


class CsvReader(ArrayReader):
    """Rows of a CSV file.

    EM reads its rows many times and from any place; text can be read from its beginning only, and
    slowly. So the numbers go to a temporary file once, in the system's folder for these (``TMPDIR``
    names another), and that file is mapped into memory. It has no name (on Windows, one that the
    system removes), so that it is gone with the process however that ends. It takes 8 bytes per
    number, most often less than the text.

    Parameters
    ----------
    path : Path
        Values separated by commas; the first line names the columns. Empty lines are passed over.
    columns : sequence of str, optional
        The features. All but `weight` by default, and but a first column without a name, which is
        where pandas and R keep an index.
    weight : str, optional
    header : bool, optional
        False if there is no line of names; the columns are then called ``"0"``, ``"1"``, ...

    Raises
    ------
    ValueError
        If a cell holds no finite number, or a column is missing, or the file is no table; the text
        names the file, the column and the line.
    OSError
        If the disk is too small for the temporary file.
    ImportError
        If pyarrow is missing.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str] | None = None,
        weight: str | None = None,
        header: bool = True,
    ):
        names = _names(path, header)
        if columns is None:
            columns = [name for j, name in enumerate(names) if name != weight and (j or name)]
        arrow = import_optional("pyarrow", "Reading CSV")
        schema = arrow.schema([(name, arrow.float64()) for name in names])
        choice = choose_columns(schema, columns, weight, str(path), lambda column: None)
        numbers = _converted(_Text(path, names, header, choice))
        column = None if weight is None else len(choice.features)
        super().__init__(numbers, weight=column, name=str(path))
        self._labels = [repr(name) for name in choice.features]
        self.feature_names = choice.features

    def column_label(self, feature: int) -> str:
        return self._labels[feature]


def is_csv(path: Path) -> bool:
    """Whether a path has the name of a CSV file."""
    return path.suffix.lower() == ".csv"


@dataclass(frozen=True, slots=True)
class _Text:
    """A CSV file that is being parsed.

    Parameters
    ----------
    path : Path
    names : list of str
        Of all columns.
    header : bool
        Whether the file has them.
    choice : ColumnChoice
    """

    path: Path
    names: list[str]
    header: bool
    choice: ColumnChoice

    def blocks(self) -> Iterator[np.ndarray]:
        """Features and weight of all rows, in pieces, checked."""
        arrow = import_optional("pyarrow", "Reading CSV")
        numbers = {name: arrow.float64() for name in self.choice.names}
        start = 0
        read = {} if self.header else {"column_names": self.names}
        convert = {"column_types": numbers, "include_columns": self.choice.names}
        with self._errors_of_cells(), _open(self.path, read, convert) as reader:
            for batch in reader:
                rows = np.empty((batch.num_rows, len(self.choice.names)))
                for j in range(rows.shape[1]):
                    rows[:, j] = batch.column(j).to_numpy(zero_copy_only=False)
                if not is_finite(rows):
                    row, column = (int(index) for index in np.argwhere(~np.isfinite(rows))[0])
                    what = "a missing value" if np.isnan(rows[row, column]) else "infinity"
                    raise self._bad_cell(self.choice.names[column], start + row, what)
                yield rows
                start += len(rows)

    @contextmanager
    def _errors_of_cells(self) -> Iterator[None]:
        """Say where a cell that is no number stands."""
        try:
            yield
        except ValueError as error:
            cell = _BAD_NUMBER.search(str(error))
            if cell is None:
                raise
            row = int(cell[2]) - 1 - self.header
            raise self._bad_cell(self.names[int(cell[1])], row, repr(cell[3])) from None

    def _bad_cell(self, column: str, row: int, what: str) -> ValueError:
        advice = "Leave such rows out, or choose other columns."
        if len(self.names) == 1 and re.search(r";|\\t", what):
            advice = "Values should be separated by commas."
        line = _line_of(self.path, row + self.header)
        return ValueError(
            f"{self.path}: column {column!r} has {what}, not a finite number, in row {row}, "
            f"counted from 0 (line {line} of the file). {advice}"
        )


def _names(path: Path, header: bool) -> list[str]:
    """Names of all columns."""
    with _open(path, {"autogenerate_column_names": not header}, {}) as reader:
        names = list(reader.schema.names)
    numbers = [str(j) for j in range(len(names))]
    if not header:
        return numbers
    # pandas writes 0, 1, ... for columns that have no names; other numbers are the first row.
    if names != numbers and all(map(_is_number, names)):
        raise ValueError(
            f"{path}: the first line holds numbers where the names of the columns should be. Add "
            "a line of names, or say that there is none by header=False (--no-header)."
        )
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@contextmanager
def _open(path: Path, read: dict[str, Any], convert: dict[str, Any]) -> Iterator[Any]:
    """Reader of record batches, whose errors name the file."""
    csv = import_optional("pyarrow.csv", "Reading CSV")
    # One thread: with more, pyarrow does not know the row that an error is in.
    options = csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, **read)
    lib = import_optional("pyarrow", "Reading CSV").lib
    try:
        # Python opens the file, because pyarrow takes names in UTF-8 only.
        with (
            open(path, "rb") as file,
            csv.open_csv(file, options, convert_options=csv.ConvertOptions(**convert)) as reader,
        ):
            yield reader
    except lib.ArrowInvalid as error:
        raise ValueError(f"{path} cannot be read as CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} cannot be read as CSV: its text is not in UTF-8.") from error


def _line_of(path: Path, row: int) -> int:
    """Number, from 1, of the line that holds a row, the header being row 0 if there is one."""
    with open(path, "rb") as file:
        filled = (number for number, line in enumerate(file, 1) if line.strip(b"\r\n"))
        return next(itertools.islice(filled, row, None))


def _converted(text: _Text) -> np.ndarray:
    """The numbers in a file without a name, mapped."""
    width, n_rows = len(text.choice.names), 0
    with tempfile.TemporaryFile(prefix="fastgmm-") as file:
        try:
            for rows in text.blocks():
                file.write(rows.data)
                n_rows += len(rows)
            file.flush()
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(
                error.errno,
                f"{error.strerror}, in writing the numbers of {text.path} to a temporary file; "
                "TMPDIR names a folder for these",
                tempfile.gettempdir(),
            ) from error
        if not n_rows:
            return np.empty((0, width))
        return np.memmap(file, np.float64, "r", shape=(n_rows, width))
