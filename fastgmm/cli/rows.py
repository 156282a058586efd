"""Options that say what rows to read, shared by the sub-commands; and how they are opened."""

import glob
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from fastgmm.cli.cluster import Dask
from fastgmm.cli.errors import note
from fastgmm.cli.pipes import without_pipes
from fastgmm.distributed import open_for_model, open_source, open_with_labels
from fastgmm.sources.base import RowSource
from fastgmm.sources.memory import DEFAULT_MEMORY_LIMIT, LEAST_MEMORY_LIMIT, parse_memory_limit
from fastgmm.sources.opening import has_column_names

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
        help="Files of rows: .csv, .tsv, .tab (also with .gz), .npy, .parquet, a folder of "
        ".parquet files, a Zarr array; a quoted pattern, as 'data/*.csv'; or -, the standard "
        "input. The rows of several follow one another.",
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
Exclude = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Columns that are no features, such as one of text, written as for --columns. All "
        "others are.",
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
    typer.Option(
        "--no-header",
        help="CSV files have no line of names: columns are 0, 1, ... For a model whose features "
        "have names, they are these in their order.",
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        metavar="CHARACTER",
        help=r"What separates values in CSV files, as ';' or '\t'. By default a comma, in .tsv and "
        ".tab files a tab.",
    ),
]
Decimal = Annotated[
    str,
    typer.Option(metavar="CHARACTER", help="What precedes the digits of fractions in CSV files."),
]
Dtype = Annotated[
    str | None,
    typer.Option(metavar="TYPE", help="float32 or float64; float32 if all columns are."),
]
MEMORY_LIMIT = f"{DEFAULT_MEMORY_LIMIT // 10**9}GB"


class RowOptions(NamedTuple):
    """What rows to read, and how: the options of a command.

    Parameters
    ----------
    data : list of Path
    columns, exclude, weight, labels, no_header, delimiter, decimal, dtype, memory_limit, dask
        Options that commands share, as they are written.
    keep, missing_values : str or None
        Options of a command's own.
    """

    data: list[Path]
    columns: Columns = None
    exclude: Exclude = None
    weight: Weight = None
    labels: Labels = None
    no_header: NoHeader = False
    delimiter: Delimiter = None
    decimal: Decimal = "."
    dtype: Dtype = None
    memory_limit: MemoryLimit = MEMORY_LIMIT
    dask: Dask = None
    keep: str | None = None
    missing_values: str | None = None

    @classmethod
    def of(cls, context: typer.Context) -> "RowOptions":
        """The options that a command was called with; pipes are read to their ends."""
        given = {name: context.params[name] for name in cls._fields if name in context.params}
        if isinstance(given.get("labels"), bool):  # a flag of `predict`
            del given["labels"]
        return cls(**{**given, "data": without_pipes(given["data"], context)})

    @property
    def thing(self) -> Any:
        """What to open."""
        # Workers may run in other folders.
        data = self.data if self.dask is None else [path.absolute() for path in self.data]
        return data[0] if len(data) == 1 else data

    @property
    def text(self) -> dict[str, Any]:
        """How values are written in CSV files, as arguments of `open_source`."""
        given = self.delimiter
        delimiter = "\t" if given is not None and given.lower() in ("\\t", "tab") else given
        return {"header": not self.no_header, "delimiter": delimiter, "decimal": self.decimal}

    @property
    def missing(self) -> str:
        """What missing values are, as an argument of `open_source`."""
        return self.missing_values or "error"

    def names(self, option: str) -> list[Any] | None:
        """Columns that an option names, as `open_source` takes them."""
        given = getattr(self, option)
        if given is None:
            return None
        is_one = option in ("weight", "labels")
        words = [given] if is_one else column_names(given, option)
        if has_column_names(self.data[0]):
            return list(words)
        return [int(word) if word.lstrip("-").isdecimal() else word for word in words]

    def name(self, option: str) -> Any:
        """The column that an option names."""
        names = self.names(option)
        return None if names is None else names[0]

    @property
    def how(self) -> dict[str, Any]:
        """Arguments of `open_source` for any rows."""
        return {
            "weight": self.name("weight"),
            "exclude": self.names("exclude") or (),
            "memory_limit": _for_rows(self.memory_limit),
            "dtype": self.dtype,
            "missing_values": self.missing,
            **self.text,
        }


def open_rows(options: RowOptions) -> tuple[RowSource, np.ndarray | None]:
    """Rows to fit, and their labels, if a column holds them."""
    how = {"columns": options.names("columns"), **options.how}
    if options.dask is not None:
        how["engine"] = "dask"
    if options.labels is None:
        return open_source(options.thing, **how), None
    return open_with_labels(options.thing, options.name("labels"), **how)


def open_rows_for(model: Any, options: RowOptions) -> RowSource:
    """Rows to predict: by default those columns that the model was fitted to."""
    if options.missing_values != "drop":
        # Some kinds of models take no missing values.
        of_model = getattr(model, "missing_values", "error")
        options = options._replace(missing_values=of_model)
    if options.columns is not None:
        return open_rows(options)[0]
    names = getattr(model, "feature_names_in_", None)
    names = None if names is None else list(names)
    return open_for_model(options.thing, names, model.n_features_in_, **options.how)


def column_names(text: str, option: str) -> list[str]:
    """Words between commas, without the spaces around them; in quotes, as they stand.

    Raises
    ------
    typer.BadParameter
        If a quote does not end.
    """
    words, place = [], 0
    while True:
        word = _WORD.match(text, place)
        if word is None:
            raise typer.BadParameter(
                f"--{option} {text!r} should be names between commas, or in double quotes."
            )
        quoted, plain = word.groups()
        words.append(plain.strip() if quoted is None else quoted.replace('""', '"'))
        if word.end() == len(text):
            return words
        place = word.end() + 1


def _for_rows(memory_limit: str) -> int:
    """Memory for rows, if that of the process is limited."""
    n_bytes = parse_memory_limit(memory_limit)
    least = _FOR_THE_PROCESS + LEAST_MEMORY_LIMIT
    if n_bytes < least:
        note(f"warning: with large data, at least {least // 10**6}MB of memory are needed.")
    return max(n_bytes - _FOR_THE_PROCESS, LEAST_MEMORY_LIMIT)
