"""What a kind of storage tells of itself, and whether a thing holds rows at all.

No kind is imported here: whoever is given arrays needs none.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgmm.sources.base import RowSource
from fastgmm.sources.cache import BlockCache
from fastgmm.sources.reader import RowReader


class Request(NamedTuple):
    """What is to be read of a thing, the same for all parts of a list.

    Parameters
    ----------
    columns : sequence of str or int, or None
        The features.
    weight : str, int, array or None
        Column of weights; an array where the kind of storage says that it takes such.
    names : sequence of str or None
        Columns to take by default, where they have names.
    cache : BlockCache
    exclude : sequence of str or int
        Columns that are no features.
    header : bool
        Whether the first line of text names the columns.
    delimiter : str or None
        Character of text between values; None for that which the name of a file stands for.
    decimal : str
        Character of text before the digits of a fraction.
    missing : bool
        Whether values may be missing, where that is looked at when a thing is opened.
    """

    columns: Any
    weight: Any
    names: Any
    cache: BlockCache
    exclude: Sequence[Any] = ()
    header: bool = True
    delimiter: str | None = None
    decimal: str = "."
    missing: bool = False

    @property
    def named_columns(self) -> Any:
        """Columns of a thing that has names for them."""
        return self.names if self.columns is None else self.columns


class Kind(NamedTuple):
    """A kind of storage.

    Parameters
    ----------
    takes : callable
        Whether a thing is of this kind; paths are `pathlib.Path`.
    reader : callable
        Reader of such a thing, for a `Request`.
    words : str
        What errors call the files of this kind; empty for things that have no name.
    has_names : bool
        Whether columns are chosen by name, not by number.
    weighs : bool
        Whether a request may hold weights beside the rows, too.
    """

    takes: Callable[[Any], bool]
    reader: Callable[[Any, Request], RowReader]
    words: str = ""
    has_names: bool = True
    weighs: bool = False


def package_of(thing: object) -> str:
    """Name of the package that a class comes from; nothing needs to be imported to ask."""
    return type(thing).__module__.partition(".")[0]


def is_query(thing: object) -> bool:
    """Whether something stands for rows that are yet to be computed: by polars, or by DuckDB."""
    is_lazy = package_of(thing) == "polars" and type(thing).__name__ == "LazyFrame"
    return is_lazy or (package_of(thing) == "duckdb" and hasattr(thing, "to_arrow_table"))


def is_collection(thing: object) -> bool:
    """Whether something is a dask array or a dask dataframe."""
    return package_of(thing) in ("dask", "dask_expr") and hasattr(thing, "to_delayed")


def holds_rows(thing: object) -> bool:
    """Whether something is to be opened, and is no array or frame that is in memory anyway.

    True of paths, sources, Arrow tables and datasets, Zarr arrays, queries, of lists with one of
    these or with memory maps in them, and of lists of arrays and frames that have rows and columns.
    A list of lists is an array of numbers, perhaps as text.
    """
    if isinstance(thing, (list, tuple)):
        parts = (part for part in thing if not isinstance(part, (list, tuple)))
        if any(isinstance(part, np.memmap) or holds_rows(part) for part in parts):
            return True
        return len(thing) > 0 and all(map(has_columns, thing))
    if isinstance(thing, (str, os.PathLike, RowSource, RowReader)):
        return True
    return package_of(thing) in ("pyarrow", "zarr", "dask", "dask_expr") or is_query(thing)


def files_of(thing: object) -> list[str | os.PathLike]:
    """Files and folders that rows are read from, as far as they are given by their names."""
    if isinstance(thing, (list, tuple)):
        return [file for part in thing for file in files_of(part)]
    if isinstance(thing, np.memmap):
        return [] if thing.filename is None else [thing.filename]
    return [thing] if isinstance(thing, (str, os.PathLike)) else []


def has_columns(thing: Any) -> bool:
    """Whether something in memory is a table: an array or a frame of two dimensions."""
    in_memory = isinstance(thing, np.ndarray) or hasattr(thing, "__arrow_c_stream__")
    return in_memory and len(getattr(thing, "shape", ())) == 2


def computed(thing: Any) -> Any:
    """What a query comes to, as a table in memory; everything else is as it is."""
    if not is_query(thing):
        return thing
    return thing.collect().to_arrow() if hasattr(thing, "collect") else thing.to_arrow_table()


def has_suffix(thing: object, *suffixes: str) -> bool:
    """Whether something is a path whose name ends in one of these."""
    return isinstance(thing, Path) and thing.name.lower().endswith(suffixes)
