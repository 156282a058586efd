"""Options that say what rows to read, shared by the sub-commands; and how they are opened."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from fastgmm.cli.errors import note
from fastgmm.sources.base import RowSource
from fastgmm.sources.labels import open_with_labels
from fastgmm.sources.memory import DEFAULT_MEMORY_LIMIT, LEAST_MEMORY_LIMIT, parse_memory_limit
from fastgmm.sources.opening import has_column_names, open_for_model, open_source

_FOR_THE_PROCESS = 650 * 10**6
"""Memory that Python, compiled kernels, threads and a start take beside the rows that are kept."""

_WORD = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=,|$)|([^",]*)(?=,|$)')
"""A name, in quotes or plain."""


def _files(data: list[Path]) -> list[Path]:
    """What is named, with patterns replaced by the files that match, in the order of their names.

    Raises
    ------
    typer.BadParameter
        If nothing matches a pattern.
    """
    files: list[Path] = []
    for path in data:
        if path.exists() or not glob.has_magic(str(path)):
            files.append(path)
            continue
        found = sorted(glob.glob(str(path), recursive=True))
        if not found:
            raise typer.BadParameter(f"no file matches {str(path)!r}")
        files += map(Path, found)
    return files


Data = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA...",
        help="Files of rows: .csv, .csv.gz, .npy, .parquet, a folder of .parquet files, a Zarr "
        "array; or a quoted pattern, as 'data/*.csv'. The rows of several follow one another.",
        show_default=False,
        callback=_files,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Columns to take as features, in this order; by number, from 0, in .npy and Zarr. "
        'Names that hold commas, or begin or end with a space, go in quotes: a,"b, c"," d".',
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column that says how often each row counts."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column that says which component a row is of, from 0, and -1 where it is unknown.",
    ),
]
MemoryLimit = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Memory of the whole process, such as 800MB or 2GB; mapped files aside.",
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option("--no-header", help="CSV files have no line of names; columns are 0, 1, ..."),
]
Delimiter = Annotated[
    str,
    typer.Option(metavar="CHARACTER", help=r"What separates values in CSV files, as ';' or '\t'."),
]
Decimal = Annotated[
    str,
    typer.Option(metavar="CHARACTER", help="What precedes the digits of fractions in CSV files."),
]
MEMORY_LIMIT = f"{DEFAULT_MEMORY_LIMIT // 10**9}GB"


class Text(NamedTuple):
    """How values are written in CSV files.

    Parameters
    ----------
    no_header : bool
    delimiter, decimal : str
    """

    no_header: bool
    delimiter: str
    decimal: str

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of `open_source`."""
        delimiter = "\t" if self.delimiter.lower() in ("\\t", "tab") else self.delimiter
        return {"header": not self.no_header, "delimiter": delimiter, "decimal": self.decimal}


def open_rows(
    data: list[Path],
    columns: str | None,
    weight: str | None,
    memory_limit: str,
    text: "Text",
    dtype: str | None = None,
    missing_values: str = "error",
    labels: str | None = None,
) -> tuple[RowSource, np.ndarray | None]:
    """Rows to fit, and their labels, if a column holds them."""
    how = {
        "columns": None if columns is None else _columns(_words(columns), data),
        "weight": None if weight is None else _columns([weight], data)[0],
        "memory_limit": _for_rows(memory_limit),
        "dtype": dtype,
        "missing_values": missing_values,
        **text.options,
    }
    if labels is None:
        return open_source(_thing(data), **how), None
    return open_with_labels(_thing(data), _columns([labels], data)[0], **how)


def open_rows_for(
    model: Any,
    data: list[Path],
    columns: str | None,
    weight: str | None,
    memory_limit: str,
    text: "Text",
) -> RowSource:
    """Rows to predict: by default those columns that the model was fitted to."""
    # Some kinds of models take no missing values.
    missing_values = getattr(model, "missing_values", "error")
    if columns is not None:
        rows, _ = open_rows(
            data, columns, weight, memory_limit, text, missing_values=missing_values
        )
        return rows
    names = getattr(model, "feature_names_in_", None)
    return open_for_model(
        _thing(data),
        None if names is None else list(names),
        model.n_features_in_,
        None if weight is None else _columns([weight], data)[0],
        memory_limit=_for_rows(memory_limit),
        missing=missing_values == "em",
        **text.options,
    )


def _thing(data: list[Path]) -> Any:
    return data[0] if len(data) == 1 else data


def _words(text: str) -> list[str]:
    """Words between commas, without the spaces around them; in quotes, as they stand."""
    words, place = [], 0
    while True:
        word = _WORD.match(text, place)
        if word is None:
            raise typer.BadParameter(
                f"--columns {text!r} should be names between commas, or in double quotes."
            )
        quoted, plain = word.groups()
        words.append(plain.strip() if quoted is None else quoted.replace('""', '"'))
        if word.end() == len(text):
            return words
        place = word.end() + 1


def _columns(words: Sequence[str], data: list[Path]) -> list[Any]:
    """Columns as `open_source` takes them: numbers where they have no names."""
    if has_column_names(data[0]):
        return list(words)
    return [int(word) if word.lstrip("-").isdecimal() else word for word in words]


def _for_rows(memory_limit: str) -> int:
    """Memory for rows, if that of the process is limited."""
    n_bytes = parse_memory_limit(memory_limit)
    least = _FOR_THE_PROCESS + LEAST_MEMORY_LIMIT
    if n_bytes < least:
        note(f"warning: with large data, at least {least // 10**6}MB of memory are needed.")
    return max(n_bytes - _FOR_THE_PROCESS, LEAST_MEMORY_LIMIT)
