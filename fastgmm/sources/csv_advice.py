"""What may be wrong with a CSV file, and what to do about it."""

import csv
import gzip
import itertools
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastgmm.sources.arrow import excluding
from fastgmm.sources.checks import WITHOUT_HOLES, NoNumber

_SAMPLE_BYTES = 1 << 16
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}

BAD_NUMBER = re.compile(r"CSV column #(\d+): Row #(\d+): .* invalid value '(.*)'", re.DOTALL)
"""What pyarrow says of a cell; its rows count from 1, with the header, without empty lines."""

_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_DECIMAL_COMMA = re.compile(r"[-+]?[\d.]*,\d+(?:[eE][-+]?\d+)?")
_WITH_UNIT = re.compile(r"[^\w\s]{0,3}\s*[-+]?\d[\d\s.,']*[^\d;|]*")
"""A number with something before or behind it."""


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed, by its first bytes."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def is_number(text: str) -> bool:
    """Whether text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_text(path: Path, delimiter: str, decimal: str) -> None:
    """Check the options, and that the file is text of one byte a letter or UTF-8.

    Raises
    ------
    ValueError
        If not; the text says what to do.
    """
    for name, value in (("delimiter", delimiter), ("decimal", decimal)):
        if not isinstance(value, str) or len(value) != 1 or not value.isascii():
            raise ValueError(f"{name} should be one character, but got {value!r}.")
    if delimiter == decimal:
        raise ValueError(
            f"Values cannot be separated by {delimiter!r} if that is in numbers, too; say what "
            "separates them by delimiter=... (--delimiter), such as ';'."
        )
    start = _start(path)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in start[:256]:
        raise ValueError(
            f"{path} is not in UTF-8, but most likely in UTF-16, which Excel calls Unicode text. "
            "Save it as 'CSV UTF-8', or convert it: iconv -f UTF-16 -t UTF-8."
        )


@contextmanager
def damage_as_error(unreadable: Callable[[str], ValueError]) -> Iterator[None]:
    """Raise what a function makes of a sentence, where text or its compression is damaged."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise unreadable("its text is not in UTF-8.") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise unreadable(f"its compressed text is damaged: {error}") from error


def of_shape(path: Path, dialect: Any) -> str:
    """Advice on a file whose lines have different numbers of cells, as far as any can be given."""
    lines = [line for line in _start(path).decode("utf-8", "replace").splitlines() if line]
    if len(lines) < 2:
        return ""
    first, second = lines[:2]
    likely = [mark for mark in _DELIMITERS if mark != dialect.delimiter and mark in second]
    if likely:
        mark = likely[0]
        cells = [cell.strip(' "') for line in lines[1:] for cell in line.split(mark)]
        decimal = dialect.decimal == "." and any(map(_DECIMAL_COMMA.fullmatch, cells))
        return of_delimiter(mark, decimal)
    if dialect.delimiter == "," and dialect.decimal == ".":
        n_first, n_second = first.count(","), second.count(",")
        if n_second == 2 * n_first + 1:
            return (
                "If the numbers have decimal commas, say so by decimal=',' and delimiter=';' "
                "(--decimal , --delimiter ';'); commas cannot separate them, too."
            )
    if first.rstrip().endswith(dialect.delimiter):
        return (
            f"The line of names ends in {dialect.delimiter!r}, as if a column without a name "
            "followed; remove it there."
        )
    return ""


def of_delimiter(mark: str, decimal: bool) -> str:
    """Advice on values that are separated otherwise."""
    shown = "\\t" if mark == "\t" else mark
    advice = (
        f"Its values seem to be separated by {_DELIMITERS[mark]}: say so by delimiter={mark!r} "
        f"(--delimiter '{shown}')"
    )
    if decimal:
        advice += ", and that numbers have decimal commas by decimal=',' (--decimal ,)"
    return advice + "."


def bad_cell(
    path: Path, dialect: Any, names: list[str], column: str, row: int, what: str
) -> ValueError:
    """The error about a cell that holds no finite number.

    Parameters
    ----------
    path : Path
    dialect : Dialect
    names : list of str
        Of all columns.
    column : str
    row : int
        Without the header.
    what : str
        "a missing value", "infinity", or the text of the cell.
    """
    number = names.index(column)
    advice = "Leave such rows out, or choose other columns."
    shown = what
    if what not in ("a missing value", "infinity"):
        shown = repr(what)
        advice = _of_cell(what, dialect, len(names), column)
    elif not column and number == len(names) - 1:
        advice = (
            f"The line of names ends in {dialect.delimiter!r}, which makes one more column that "
            "has no name; choose columns, or remove it from all lines."
        )
    elif what == "a missing value":
        advice = WITHOUT_HOLES
    line = _line_of(path, dialect, row + dialect.header, number)
    where = f"row {row}, counted from 0" + ("" if line is None else f" (line {line} of the file)")
    return NoNumber(
        f"{path}: column {column!r} has {shown}, not a finite number, in {where}", advice
    )


def _of_cell(text: str, dialect: Any, n_columns: int, column: str) -> str:
    """Advice on a cell that is no number."""
    marks = [mark for mark in _DELIMITERS if mark in text]
    if n_columns == 1 and marks:
        decimal = dialect.decimal == "." and "," in text
        return of_delimiter(marks[0], decimal)
    stripped = text.strip()
    if dialect.decimal == "." and _DECIMAL_COMMA.fullmatch(stripped):
        return (
            "If that is a decimal comma, say so by decimal=',' (--decimal ,), and what separates "
            "the values by delimiter=... (--delimiter), such as ';'."
        )
    if stripped.lower() in ("true", "false"):
        return "Write truth values as 1 and 0, or choose other columns."
    if _WITH_UNIT.fullmatch(stripped):
        return "Leave units and other signs out of the cells, so that they hold numbers alone."
    return f"If the column does not hold numbers, leave it out by {excluding(column)}."


def _line_of(path: Path, dialect: Any, record: int, column: int) -> int | None:
    """Number, from 1, of the line that a cell stands in, records counted without empty lines."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with _opened(path) as file:
            lines = csv.reader(file, delimiter=dialect.delimiter)
            filled = (cells for cells in lines if cells)
            cells = next(itertools.islice(filled, record, None))
            last = lines.line_num
    except (StopIteration, csv.Error, OSError, EOFError):
        return None
    finally:
        csv.field_size_limit(limit)
    # Line breaks of this cell and of those that follow come after its first line.
    return last - sum(len(_LINE_BREAK.findall(cell)) for cell in cells[column:])


def _opened(path: Path) -> Any:
    opened = gzip.open if is_gzip(path) else open
    return opened(path, "rt", encoding="utf-8", errors="replace", newline="")


def _start(path: Path) -> bytes:
    """The first bytes of the text."""
    opened = gzip.open if is_gzip(path) else open
    try:
        with opened(path, "rb") as file:
            return file.read(_SAMPLE_BYTES)
    except (EOFError, OSError):
        return b""
