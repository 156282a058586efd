"""Opens whatever holds rows: the one place that guesses what it is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources import csv, parquet, zarr
from fastgmm.sources.arrow import TableReader
from fastgmm.sources.cache import BlockCache
from fastgmm.sources.derived import SourceReader, WithWeights
from fastgmm.sources.memmap import ArrayReader, memmap_reader, npy_reader
from fastgmm.sources.memory import parse_memory_limit
from fastgmm.sources.optional import import_optional
from fastgmm.sources.parts import PartsReader
from fastgmm.sources.reader import ReaderSource, RowReader

_KINDS = "a .npy, .csv or .parquet file, a folder of .parquet files, or a folder of a Zarr array"


def open_source(
    thing: Any,
    *,
    columns: Sequence[str] | Sequence[int] | None = None,
    weight: str | int | np.ndarray | None = None,
    memory_limit: str | int | None = None,
    dtype: Any = None,
    header: bool = True,
) -> ReaderSource:
    """Rows to fit or predict, from a file or an object, without loading them as a whole.

    Parameters
    ----------
    thing : str, path, array, table, dataset or list
        The path of a ``.npy``, ``.csv`` or ``.parquet`` file, a folder of the last (and of folders
        of them), or a Zarr array; a two-dimensional ``numpy.memmap`` or array; a pyarrow Table or
        Dataset of Parquet files; a pandas or polars frame; a ``zarr.Array``; or a list of such
        parts, whose rows follow one another.
    columns : sequence of str or int, optional
        The features, in this order: names where columns have names, numbers elsewhere. All columns
        but the weights by default.
    weight : str, int or ndarray of shape (n,), optional
        Column of weights, or weights beside the rows: how often each row counts.
    memory_limit : str or int, optional
        Bounds decoded rows that are kept in memory: bytes, or text such as ``"500MB"`` and
        ``"2GiB"``; 1 GB by default. Beside it stands what is being worked on, up to 16 MB per
        thread. Pages of a mapped file are the system's and do not count.
    dtype : {float64, float32}, optional
        Type of the rows. By default float32 if all of the columns are, else float64.
    header : bool, optional
        Whether the first line of a CSV file names its columns; else they are ``"0"``, ``"1"``, ...

    Returns
    -------
    source : ReaderSource
        A `fastgmm.sources.base.RowSource`.

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
    return _open(thing, columns, weight, memory_limit, dtype, None, header)


def open_for_model(
    thing: Any,
    feature_names: Sequence[str] | None,
    n_features: int,
    weight: Any = None,
    dtype: Any = None,
    memory_limit: str | int | None = None,
    header: bool = True,
) -> ReaderSource:
    """Open rows to be predicted: by the names of the model's features, where columns have names.

    Parameters
    ----------
    thing, weight, dtype, memory_limit, header
        See `open_source`.
    feature_names : sequence of str or None
        That the model was fitted with.
    n_features : int

    Raises
    ------
    ValueError
        If the rows have other features.
    """
    source = _open(thing, None, weight, memory_limit, dtype, feature_names, header)
    if source.n_features != n_features:
        raise ValueError(
            f"X has {source.n_features} features, but the model is expecting {n_features} features "
            "as input."
        )
    names = source.feature_names
    if names and feature_names and list(names) != list(feature_names):
        raise ValueError(f"The model was fitted to the features {feature_names}, not to {names}.")
    return source


def _open(
    thing: Any, columns: Any, weight: Any, memory_limit: Any, dtype: Any, names: Any, header: bool
) -> ReaderSource:
    n_bytes = parse_memory_limit(memory_limit)
    if dtype is not None:
        dtype = np.dtype(dtype)
        if dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise ValueError(f"dtype should be float64 or float32, but got {dtype}.")
    if isinstance(thing, ReaderSource) and columns is None and weight is None:
        return thing if dtype is None else thing.astype(dtype)
    is_column = weight is None or isinstance(weight, (str, bytes)) or np.ndim(weight) == 0
    array = None if is_column else np.asarray(weight)
    chosen = None if array is not None else weight
    reader = _Opener(columns, chosen, BlockCache(n_bytes), names, header).reader(thing)
    if array is not None:
        if reader.weighted:
            raise ValueError(f"{reader.name} has weights already.")
        reader = WithWeights(reader, array)
    return ReaderSource(reader, dtype)


def is_row_source(thing: object) -> bool:
    """Whether something is a `RowSource`."""
    return all(hasattr(thing, name) for name in ("n_rows", "n_features", "total_weight", "read"))


def holds_rows(thing: object) -> bool:
    """Whether something is to be opened, and is no array or frame that is in memory anyway.

    True of paths, sources, Arrow tables and datasets, Zarr arrays, of lists with one of these or
    with memory maps in them, and of lists of arrays and frames that have rows and columns. A list
    of lists is an array of numbers, perhaps as text.
    """
    if isinstance(thing, (list, tuple)):
        parts = (part for part in thing if not isinstance(part, (list, tuple)))
        if any(isinstance(part, np.memmap) or holds_rows(part) for part in parts):
            return True
        return len(thing) > 0 and all(map(_has_columns, thing))
    if isinstance(thing, (str, os.PathLike)) or is_row_source(thing):
        return True
    return _package(thing) in ("pyarrow", "zarr")


def files_of(thing: object) -> list[str | os.PathLike]:
    """Files and folders that rows are read from, as far as they are given by their names."""
    if isinstance(thing, (list, tuple)):
        return [file for part in thing for file in files_of(part)]
    if isinstance(thing, np.memmap):
        return [] if thing.filename is None else [thing.filename]
    return [thing] if isinstance(thing, (str, os.PathLike)) else []


@dataclass(frozen=True, slots=True)
class _Opener:
    """Makes readers that share their arguments and their memory."""

    columns: Any
    weight: Any
    cache: BlockCache
    names: Any
    """Columns to take by default, where they have names."""

    header: bool

    def reader(self, thing: Any) -> RowReader:
        if is_row_source(thing):
            if (self.columns, self.weight) != (None, None):
                raise ValueError("The source is open already: columns and weight are its own.")
            return thing.reader if isinstance(thing, ReaderSource) else SourceReader(thing)
        if isinstance(thing, (str, os.PathLike)):
            return self._path(Path(thing))
        if isinstance(thing, np.memmap):
            return memmap_reader(thing, self.columns, self.weight)
        if isinstance(thing, np.ndarray):
            return ArrayReader(thing, self.columns, self.weight)
        if isinstance(thing, (list, tuple)):
            return self._list(thing)
        if _package(thing) == "zarr" and hasattr(thing, "chunks"):
            return zarr.ZarrReader(thing, self.columns, self.weight, self.cache)
        if _package(thing) == "pyarrow" and hasattr(thing, "get_fragments"):
            return self._dataset(thing)
        if hasattr(thing, "__arrow_c_stream__") or _package(thing) == "pyarrow":
            return self._table(thing)
        raise _no_rows(thing)

    def _path(self, path: Path) -> RowReader:
        if not path.exists():
            raise FileNotFoundError(f"There is no {path}.")
        if path.is_dir():
            if zarr.is_zarr(path):
                return zarr.ZarrReader(zarr.open_zarr(path), self.columns, self.weight, self.cache)
            return self._parquet(parquet.folder_files(path), str(path))
        if parquet.is_parquet(path):
            return self._parquet([parquet.ParquetFile.local(path)], str(path))
        if path.suffix.lower() == ".npy":
            return npy_reader(path, self.columns, self.weight)
        if csv.is_csv(path):
            columns = self.names if self.columns is None else self.columns
            return csv.CsvReader(path, columns, self.weight, self.header)
        raise ValueError(f"{path} is of no kind that rows are read from, by its name: {_KINDS}.")

    def _parquet(self, files: list[parquet.ParquetFile], name: str) -> RowReader:
        columns = self.names if self.columns is None else self.columns
        return parquet.ParquetReader(files, columns, self.weight, self.cache, name)

    def _dataset(self, dataset: Any) -> RowReader:
        if type(dataset).__name__ == "InMemoryDataset":
            return self._table(dataset.to_table())
        return self._parquet(parquet.dataset_files(dataset), "The dataset")

    def _table(self, thing: Any) -> RowReader:
        pyarrow = import_optional("pyarrow", "Reading tables")
        try:
            table = thing if isinstance(thing, pyarrow.Table) else pyarrow.table(thing)
        except pyarrow.ArrowInvalid:  # a single column
            raise _no_rows(thing) from None
        columns = self.names if self.columns is None else self.columns
        return TableReader(table, columns, self.weight, self.cache)

    def _list(self, things: Sequence[Any]) -> RowReader:
        readers: list[RowReader] = []
        for number, thing in enumerate(things):
            if isinstance(thing, (bool, int, float, complex, bytes, list, tuple)):
                raise TypeError(
                    "A list should hold files, arrays, tables or sources, but this one holds a "
                    f"{type(thing).__name__}. Make an array of numbers by numpy.asarray."
                )
            readers.append(self.reader(thing))
            if _has_columns(thing) and not isinstance(thing, np.memmap):
                readers[-1].name = f"Part {number}"
        return PartsReader([reader for reader in readers if reader.n_rows] or readers)


def _no_rows(thing: object) -> TypeError:
    return TypeError(
        f"Rows cannot be read from a {type(thing).__name__}; give {_KINDS}, such an array or table "
        "itself, or a list of these."
    )


def _has_columns(thing: Any) -> bool:
    """Whether something in memory is a table: an array or a frame of two dimensions."""
    in_memory = isinstance(thing, np.ndarray) or hasattr(thing, "__arrow_c_stream__")
    return in_memory and len(getattr(thing, "shape", ())) == 2


def _package(thing: object) -> str:
    """Name of the package that a class comes from; nothing needs to be imported to ask."""
    return type(thing).__module__.partition(".")[0]
