"""Options that say what rows to read, shared by the sub-commands; and how they are opened."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fastgmm.cli.errors import note
from fastgmm.sources.base import RowSource
from fastgmm.sources.memory import DEFAULT_MEMORY_LIMIT, LEAST_MEMORY_LIMIT, parse_memory_limit
from fastgmm.sources.opening import has_column_names, open_for_model, open_source

_FOR_THE_PROCESS = 650 * 10**6
"""Memory that Python, compiled kernels, threads and a start take beside the rows that are kept."""

Data = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATA...",
        help="Files of rows: .csv, .npy, .parquet, a folder of .parquet files, a Zarr array. The "
        "rows of several follow one another.",
        show_default=False,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="Columns to take as features, in this order; by number, from 0, in .npy and Zarr.",
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column that says how often each row counts."),
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
MEMORY_LIMIT = f"{DEFAULT_MEMORY_LIMIT // 10**9}GB"


def open_rows(
    data: list[Path],
    columns: str | None,
    weight: str | None,
    memory_limit: str,
    no_header: bool,
    dtype: str | None = None,
) -> RowSource:
    """Rows to fit."""
    return open_source(
        _thing(data),
        columns=None if columns is None else _columns(columns.split(","), data),
        weight=None if weight is None else _columns([weight], data)[0],
        memory_limit=_for_rows(memory_limit),
        dtype=dtype,
        header=not no_header,
    )


def open_rows_for(
    model: Any,
    data: list[Path],
    columns: str | None,
    weight: str | None,
    memory_limit: str,
    no_header: bool,
) -> RowSource:
    """Rows to predict: by default those columns that the model was fitted to."""
    if columns is not None:
        return open_rows(data, columns, weight, memory_limit, no_header)
    names = getattr(model, "feature_names_in_", None)
    return open_for_model(
        _thing(data),
        None if names is None else list(names),
        model.n_features_in_,
        None if weight is None else _columns([weight], data)[0],
        memory_limit=_for_rows(memory_limit),
        header=not no_header,
    )


def _thing(data: list[Path]) -> Any:
    return data[0] if len(data) == 1 else data


def _columns(words: Sequence[str], data: list[Path]) -> list[Any]:
    """Columns as `open_source` takes them: numbers where they have no names."""
    words = [word.strip() for word in words]
    if has_column_names(data[0]):
        return words
    return [int(word) if word.lstrip("-").isdecimal() else word for word in words]


def _for_rows(memory_limit: str) -> int:
    """Memory for rows, if that of the process is limited."""
    n_bytes = parse_memory_limit(memory_limit)
    least = _FOR_THE_PROCESS + LEAST_MEMORY_LIMIT
    if n_bytes < least:
        note(f"warning: with large data, at least {least // 10**6}MB of memory are needed.")
    return max(n_bytes - _FOR_THE_PROCESS, LEAST_MEMORY_LIMIT)
