"""Opens whatever holds rows: the one place that guesses what it is."""

import logging
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources import array, arrow, csv, parquet, zarr
from fastgmm.sources.base import RowSource
from fastgmm.sources.cache import BlockCache
from fastgmm.sources.elsewhere import engine_named
from fastgmm.sources.kinds import Kind, Request, has_columns, package_of
from fastgmm.sources.memory import LEAST_MEMORY_LIMIT, parse_memory_limit
from fastgmm.sources.missing import MissingTally, complete_rows
from fastgmm.sources.parts import PartsReader
from fastgmm.sources.reader import RowReader
from fastgmm.sources.weighted import WithWeights

KINDS: list[Kind] = [
    zarr.FOLDER,
    parquet.PARQUET,
    array.NPY,
    csv.CSV,
    array.MEMMAP,
    array.ARRAY,
    zarr.ARRAY,
    parquet.DATASET,
    arrow.TABLE,
]
"""All kinds of storage; the first that takes a thing reads it."""

_BY_ORDER = "%s: the columns are taken for the features in their order: %s."

_DROPPED = "%s: %d of %d rows have a missing value and are left out."

_WORDS = ", ".join(kind.words for kind in KINDS if kind.words)


def open_source(
    thing: Any,
    *,
    columns: Sequence[str] | Sequence[int] | None = None,
    exclude: Sequence[str] | Sequence[int] = (),
    weight: str | int | np.ndarray | None = None,
    memory_limit: str | int | None = None,
    dtype: Any = None,
    header: bool = True,
    delimiter: str | None = None,
    decimal: str = ".",
    missing_values: str = "error",
    engine: str | None = None,
) -> RowSource:
    r"""Rows to fit or predict, from a file or an object, without loading them as a whole.

    Parameters
    ----------
    thing : str, path, array, table, dataset or list
        The path of a ``.npy``, ``.csv``, ``.tsv``, ``.tab`` or ``.parquet`` file, text perhaps
        compressed as ``.csv.gz``, a folder of Parquet files (and of folders of them), or a Zarr
        array; a two-dimensional ``numpy.memmap`` or array; a pyarrow Table or Dataset of Parquet
        files; a pandas or polars frame; a LazyFrame of polars or a relation of DuckDB, which are
        computed once; a ``zarr.Array``; a dask array or dataframe; or a list of such parts, whose
        rows follow one another.
    columns : sequence of str or int, optional
        The features, in this order: names where columns have names, numbers elsewhere. All columns
        but the weights by default.
    exclude : sequence of str or int, optional
        Columns that are no features, such as one of text.
    weight : str, int or ndarray of shape (n,), optional
        Column of weights, or weights beside the rows: how often each row counts.
    memory_limit : str or int, optional
        Bounds decoded rows that are kept in memory: bytes, or text such as ``"500MB"`` and
        ``"2GiB"``; 1 GB by default. Beside it stands what is being worked on, up to 16 MB per
        thread.
    dtype : {float64, float32}, optional
        Type of the rows. By default float32 if all of the columns are, else float64.
    header : bool, optional
        Whether the first line of a CSV file names its columns; else they are ``"0"``, ``"1"``, ...
    delimiter : str, optional
        What separates the values of a CSV file: ``";"``, ``"\t"``, ... By default a comma, or a tab
        if its name ends in ``.tsv`` or ``.tab``.
    decimal : str, optional
        What precedes the digits of a fraction in it: ``"."`` or ``","``.
    missing_values : {"error", "drop", "em"}, optional
        What NaN, null and empty cells are: an error; a reason to leave out their rows, which a
        warning counts; or values that are missing, for an estimator with the same argument. Such
        estimators open paths and tables that way by themselves.
    engine : {None, "dask"}, optional
        "dask" has the workers of the current Dask client read the files and sum over their rows;
        they need to see the same files. `memory_limit` is then that of every worker.

    Returns
    -------
    source : RowSource

    Raises
    ------
    ValueError
        If it holds anything but numbers, or lacks a column, or is damaged. NaN, null and infinity
        are found when rows are first read; errors name the file, the column and the first row.
    TypeError
        If it is nothing that holds rows.
    FileNotFoundError
        If there is no such file.
    ImportError
        If an optional package is missing; the text says how to get it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm.sources.opening import open_source
    >>> open_source(np.zeros((100, 4)), columns=[0, 2])
    <rows of The array: 100 x 2, float64>
    """
    request: dict[str, Any] = {"columns": columns, "exclude": tuple(exclude), "names": None}
    request |= {"header": header, "delimiter": delimiter, "decimal": decimal}
    return _open(thing, weight, dtype, memory_limit, missing_values, engine, **request)


def open_for_model(
    thing: Any,
    feature_names: Sequence[str] | None,
    n_features: int,
    weight: Any = None,
    dtype: Any = None,
    memory_limit: str | int | None = None,
    missing_values: str = "error",
    **options: Any,
) -> RowSource:
    """Open rows to be predicted: by the names of the model's features, where columns have names.

    Where the first line of text does not name the columns, they are those of the features in their
    order, unless the features have numbers for names, as from such a file.

    Parameters
    ----------
    thing, weight, dtype, memory_limit, missing_values
        See `open_source`.
    feature_names : sequence of str or None
        That the model was fitted with.
    n_features : int
    **options
        See `open_source`: exclude, header, delimiter and decimal.

    Raises
    ------
    ValueError
        If the rows have other features.
    """
    numbered = all(str(name).isdecimal() for name in feature_names or [])
    by_order = not (options.get("header", True) or numbered)
    names = None if by_order else feature_names
    request = {"columns": None, "names": names, **options}
    source = _open(thing, weight, dtype, memory_limit, missing_values, None, **request)
    if source.n_features != n_features:
        raise ValueError(
            f"X has {source.n_features} features, but the model is expecting {n_features} features "
            "as input."
        )
    names = source.feature_names
    if by_order:
        logging.getLogger(__name__).warning(_BY_ORDER, source.name, ", ".join(feature_names or []))
        source.feature_names = list(feature_names or [])
    elif names and feature_names and list(names) != list(feature_names):
        raise ValueError(f"The model was fitted to the features {feature_names}, not to {names}.")
    return source


def _open(
    thing: Any,
    weight: Any,
    dtype: Any,
    memory_limit: Any,
    missing_values: str,
    engine: str | None,
    **request: Any,
) -> RowSource:
    if missing_values not in ("error", "drop", "em"):
        raise ValueError(
            f"missing_values should be 'error', 'drop' or 'em', but got {missing_values!r}."
        )
    n_bytes = parse_memory_limit(memory_limit)
    if dtype is not None:
        dtype = np.dtype(dtype)
        if dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise ValueError(f"dtype should be float64 or float32, but got {dtype}.")
    is_open = isinstance(thing, RowSource) and not request.get("exclude")
    if is_open and request["columns"] is None and weight is None:
        thing = thing if dtype is None else thing.astype(dtype)
        return _with_missing(thing, missing_values)
    is_column = weight is None or isinstance(weight, (str, bytes)) or np.ndim(weight) == 0
    kind = kind_of(thing)
    asked = weight if is_column or (kind is not None and kind.weighs) else None
    request |= {"weight": asked, "missing": missing_values != "error"}
    opens = partial(_reader_of, thing, n_bytes, **request)
    reader = opens() if engine is None else engine_named(engine)(opens)
    if not is_column and asked is None:
        reader = WithWeights(reader, np.asarray(weight))
    return _with_missing(RowSource(reader, dtype), missing_values)


def _with_missing(source: RowSource, missing_values: str) -> RowSource:
    """A source whose missing values are what the argument says."""
    if missing_values != "drop":
        return source.allowing_missing(missing_values == "em")
    source = source.allowing_missing()
    tally = MissingTally.of(source)
    if not tally.n_complete:
        raise ValueError(f"{source.name} has no row without a missing value.")
    if tally.n_complete == source.n_rows:
        return source.allowing_missing(False)
    n_dropped = source.n_rows - tally.n_complete
    logging.getLogger(__name__).warning(_DROPPED, source.name, n_dropped, source.n_rows)
    return complete_rows(source, tally)


def _reader_of(thing: Any, n_bytes: int, at_most: float = math.inf, **request: Any) -> RowReader:
    """Reader of a thing that keeps so many bytes of decoded rows, or what there is room for."""
    room = int(max(min(n_bytes, at_most), LEAST_MEMORY_LIMIT))
    return _reader(thing, Request(cache=BlockCache(room), **request))


def kind_of(thing: Any) -> Kind | None:
    """The kind of storage that reads a thing; None if it is of no kind, or a list."""
    return next((kind for kind in KINDS if kind.takes(thing)), None)


def has_column_names(path: Path) -> bool:
    """Whether the columns of what stands at a path are chosen by name, not by number."""
    return all(kind.has_names for kind in KINDS if kind.takes(path))


def has_kind(path: Path) -> bool:
    """Whether rows are read from what has such a name."""
    return any(kind.takes(path) for kind in KINDS)


def _reader(thing: Any, request: Request) -> RowReader:
    if isinstance(thing, (RowSource, RowReader)):
        if (request.columns, request.weight, request.exclude) != (None, None, ()):
            raise ValueError("The source is open already: columns and weight are its own.")
        return thing.reader if isinstance(thing, RowSource) else thing
    if isinstance(thing, (list, tuple)):
        return _list(thing, request)
    if isinstance(thing, (str, os.PathLike)):
        thing = Path(thing)
        if not thing.exists():
            raise FileNotFoundError(f"There is no {thing}.")
        if not (thing.is_file() or thing.is_dir()):
            raise ValueError(
                f"{thing} is a pipe or a device, which can be read only once. Rows are read many "
                "times: write them to a file first."
            )
    kind = kind_of(thing)
    if kind is not None:
        return kind.reader(thing, request)
    if isinstance(thing, Path):
        raise ValueError(f"{thing} is of no kind that rows are read from, by its name: {_WORDS}.")
    raise _no_rows(thing)


def _list(things: Sequence[Any], request: Request) -> RowReader:
    readers: list[RowReader] = []
    for number, thing in enumerate(things):
        if isinstance(thing, (bool, int, float, complex, bytes, list, tuple)):
            raise TypeError(
                "A list should hold files, arrays, tables or sources, but this one holds a "
                f"{type(thing).__name__}. Make an array of numbers by numpy.asarray."
            )
        if _has_no_rows(thing) and len(things) > 1:
            continue
        readers.append(_reader(thing, request))
        if has_columns(thing) and not isinstance(thing, np.memmap):
            readers[-1].name = f"Part {number}"
    if things and not readers:
        raise ValueError(f"The list of {len(things)} parts has no rows.")
    return PartsReader([reader for reader in readers if reader.n_rows] or readers)


def _no_rows(thing: object) -> TypeError:
    advice = ""
    if package_of(thing) == "pyarrow":
        advice = " Of pyarrow, give a Table or a Dataset, or the path of the file."
    return TypeError(
        f"Rows cannot be read from a {type(thing).__name__}; give {_WORDS}, such an array or table "
        f"itself, or a list of these.{advice}"
    )


def _has_no_rows(thing: Any) -> bool:
    """Whether something in memory is empty: its columns may then have no type."""
    return has_columns(thing) and thing.shape[0] == 0
