"""Rows of Parquet files, decoded as they are needed."""

import functools
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources.arrow import TABLE, ColumnChoice, choose_columns
from fastgmm.sources.blocks import BlockReader, rows_per_block
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.kinds import Kind, Request, package_of
from fastgmm.sources.optional import import_optional
from fastgmm.sources.reader import RowReader
from fastgmm.sources.stamp import Stamp

_SUFFIXES = (".parquet", ".parq", ".pq")
_OPEN_FOOTERS = 8
_MOST_BUFFER_BYTES = 1 << 18
_LEAST_BUFFER_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A file, and what a dataset knows of it.

    Parameters
    ----------
    path : str
    stamp : Stamp or None
        None for a file of another machine.
    filesystem : pyarrow.fs.FileSystem or None
        None for a file of this machine.
    row_groups : list of int or None
        Those to read; None for all.
    constants : dict
        Values of columns that the file does not hold, because all of its rows share them.
    """

    path: str
    stamp: Stamp | None = None
    filesystem: Any = None
    row_groups: list[int] | None = None
    constants: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def local(cls, path: Path) -> "ParquetFile":
        """File of this machine."""
        return cls(str(path), Stamp.of(path))

    def check_unchanged(self) -> None:
        """Raise ValueError if it is no longer the file that it was."""
        if self.stamp is not None:
            self.stamp.check()

    def open(self, buffer_size: int, metadata: Any = None) -> Any:
        """Open the file as a pyarrow.parquet.ParquetFile."""
        self.check_unchanged()
        return parquet().ParquetFile(
            self.path if self.stamp is None else self.stamp.path,
            metadata=metadata,
            filesystem=self.filesystem,
            # Buffered streams take the pages one by one, not whole columns of a row group.
            buffer_size=buffer_size,
            pre_buffer=False,
            page_checksum_verification=True,
        )


class ParquetReader(BlockReader):
    """Rows of Parquet files, one after the other.

    Parameters
    ----------
    files : list of ParquetFile
        All with the columns of the first, in any order.
    columns : sequence of str or None
        Names of the features; None for all columns but `weight`.
    weight : str or None
    cache : BlockCache
    name : str
        What to call them all.
    exclude : sequence of str, optional
        Columns that are no features.
    schema : pyarrow.Schema, optional
        Columns of the whole, where the files do not tell.

    Raises
    ------
    ValueError
        If a file is damaged, or has not the columns, or they hold anything but numbers.
    """

    def __init__(
        self,
        files: list[ParquetFile],
        columns: Sequence[str] | None,
        weight: str | None,
        cache: BlockCache,
        name: str,
        exclude: Sequence[str] = (),
        schema: Any = None,
    ):
        self.name = name
        self._files, self._of_dataset = files, schema is not None
        self._buffer_size = _LEAST_BUFFER_BYTES
        self._choice, groups = self._survey(columns, weight, exclude, schema)
        self._buffer_size = min(
            max(cache.n_bytes // 32 // len(self._choice.names), _LEAST_BUFFER_BYTES),
            _MOST_BUFFER_BYTES,
        )
        self._metadata = functools.lru_cache(_OPEN_FOOTERS)(self._read_metadata)
        self.n_features = len(self._choice.features)
        self.feature_names = self.columns = self._choice.features
        self.dtype, self.weighted = self._choice.dtype, self._choice.weight is not None
        self._groups = [(file, group) for file, group, _ in groups]
        file_rows = np.zeros(len(files) + 1, dtype=np.int64)
        for file, _, n_rows in groups:
            file_rows[file + 1] += n_rows
        self._file_starts = np.cumsum(file_rows)
        size = rows_per_block(self._choice.row_bytes, cache.n_bytes)
        super().__init__([n_rows for _, _, n_rows in groups], size, cache)

    def decode(self, group: int) -> Generator[Block, None, None]:
        file = self._files[self._groups[group][0]]
        n_left, filled = self._group_rows[group], 0
        block = self._choice.empty_block(min(n_left, self._rows_per_block))
        for batch in self._batches(group, self._choice.names, self._rows_per_block):
            while batch.num_rows:
                part = batch.slice(0, len(block.rows) - filled)
                self._choice.fill(block, filled, part, file.constants)
                batch, filled = batch.slice(part.num_rows), filled + part.num_rows
                if filled == len(block.rows):
                    yield block
                    n_left, filled = n_left - filled, 0
                    if not n_left:
                        return
                    block = self._choice.empty_block(min(n_left, self._rows_per_block))
        raise ValueError(f"{file.path} has fewer rows than its footer says.")

    def weights(self) -> Iterator[np.ndarray]:
        choice = ColumnChoice([], self._choice.weight, self.dtype)
        for group, (number, _) in enumerate(self._groups):
            for batch in self._batches(group, choice.names, 1 << 16):
                block = choice.empty_block(batch.num_rows)
                choice.fill(block, 0, batch, self._files[number].constants)
                yield block.weights

    def locate(self, row: int) -> tuple[str, int]:
        number = int(np.searchsorted(self._file_starts, row, side="right")) - 1
        return self._files[number].path, row - int(self._file_starts[number])

    # -- files -------------------------------------------------------------------------------------
    def _batches(self, group: int, names: Sequence[str | None], size: int) -> Iterator[Any]:
        number, row_group = self._groups[group]
        file = self._files[number]
        metadata = self._metadata(number)
        with _errors_of(file.path), file.open(self._buffer_size, metadata) as opened:
            stored = list(names)
            if self._of_dataset:
                there = set(opened.schema_arrow.names)
                stored = [name for name in names if name in there and name not in file.constants]
            yield from opened.iter_batches(size, row_groups=[row_group], columns=stored)
            file.check_unchanged()

    def _read_metadata(self, number: int) -> Any:
        with self._files[number].open(self._buffer_size) as opened:
            return opened.metadata

    def _survey(
        self, columns: Sequence[str] | None, weight: str | None, exclude: Sequence[str], schema: Any
    ) -> tuple[ColumnChoice, list[tuple[int, int, int]]]:
        """The columns, and (file, row group, rows) of every row group that has rows."""
        choices: list[ColumnChoice] = []
        groups = []
        for number, file in enumerate(self._files):
            with _errors_of(file.path), file.open(self._buffer_size) as opened:
                metadata = opened.metadata
                # A file without rows may have columns of no type; if all are so, the last says it.
                if not metadata.num_rows and (choices or number + 1 < len(self._files)):
                    continue
                if schema is None or not choices:
                    stored = opened.schema_arrow if schema is None else schema
                    first_value = functools.partial(_first_value, opened)
                    wanted_columns = (columns, weight, file.path, first_value, exclude)
                    choices.append(choose_columns(stored, *wanted_columns))
                    columns, exclude = choices[0].features, ()
            wanted = file.row_groups
            for group in range(metadata.num_row_groups) if wanted is None else wanted:
                n_rows = metadata.row_group(group).num_rows
                if n_rows:
                    groups.append((number, group, n_rows))
        single = all(choice.dtype == np.float32 for choice in choices)
        uniform = schema is None and all(choice.uniform for choice in choices)
        dtype = np.dtype(np.float32 if single else np.float64)
        return ColumnChoice(choices[0].features, weight, dtype, uniform), groups

    def check_unchanged(self) -> None:
        for file in self._files:
            file.check_unchanged()


def parquet_files(path: Path) -> list[ParquetFile]:
    """A file, or those of a folder.

    Raises
    ------
    ValueError
        If the folder has none.
    """
    return folder_files(path) if path.is_dir() else [ParquetFile.local(path)]


def folder_files(folder: Path) -> list[ParquetFile]:
    """Parquet files of a folder and the folders in it, by path.

    Names that begin with a dot or an underscore are passed over, as by other readers of Parquet.

    Raises
    ------
    ValueError
        If there is none.
    """
    paths = []
    for path in folder.rglob("*"):
        names = path.relative_to(folder).parts
        hidden = any(name.startswith((".", "_")) for name in names)
        if not hidden and path.suffix.lower() in _SUFFIXES and path.is_file():
            paths.append(path)
    if not paths:
        raise ValueError(f"{folder} has no Parquet files in it ({', '.join(_SUFFIXES)}).")
    return [ParquetFile.local(path) for path in sorted(paths)]


def _dataset_files(dataset: Any) -> list[ParquetFile]:
    """Files of a pyarrow Dataset.

    Raises
    ------
    ValueError
        If its rows are filtered, or not all in Parquet files.
    """
    datasets = import_optional("pyarrow.dataset", "Reading datasets")
    try:
        fragments = list(dataset.get_fragments())
    except ValueError as error:
        raise ValueError(
            "Of a pyarrow Dataset all rows and columns are read, but this one is filtered or "
            f"projected. Pass dataset.to_table() instead. ({error})"
        ) from None
    files = []
    for fragment in fragments:
        if type(fragment).__name__ != "ParquetFileFragment":
            raise ValueError(
                "Of pyarrow's datasets, those of Parquet files can be read in pieces, but this one "
                f"has a {type(fragment).__name__}. Write it to Parquet files, or pass "
                "dataset.to_table()."
            )
        groups = [group.id for group in fragment.row_groups]
        keys = datasets.get_partition_keys(fragment.partition_expression)
        local = type(fragment.filesystem).__name__ == "LocalFileSystem"
        stamp = Stamp.of(fragment.path) if local else None
        filesystem = None if local else fragment.filesystem
        files.append(ParquetFile(fragment.path, stamp, filesystem, groups, keys))
    if not files:
        raise ValueError("The dataset has no files.")
    return files


def is_parquet(path: Path) -> bool:
    """Whether a path has the name of a Parquet file."""
    return path.suffix.lower() in _SUFFIXES


def parquet() -> Any:
    """pyarrow.parquet."""
    return import_optional("pyarrow.parquet", "Reading Parquet")


def _first_value(opened: Any, column: str) -> object:
    for batch in opened.iter_batches(1, columns=[column]):
        return batch.column(0)[0].as_py()
    return None


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    """Name the file in pyarrow's errors."""
    lib = import_optional("pyarrow", "Reading Parquet").lib
    try:
        yield
    except MemoryError:
        raise
    except lib.ArrowException as error:
        raise ValueError(f"{path} cannot be read as Parquet: {error}") from error
    except OSError as error:
        # Of a damaged file pyarrow says OSError, without a number; the system gives one.
        if error.errno is None:
            raise ValueError(f"{path} cannot be read as Parquet: {error}") from error
        raise


def _reader(path: Path, request: Request) -> ParquetReader:
    files = parquet_files(path)
    columns, exclude = request.named_columns, request.exclude
    return ParquetReader(files, columns, request.weight, request.cache, str(path), exclude)


def _dataset(dataset: Any, request: Request) -> RowReader:
    if type(dataset).__name__ == "InMemoryDataset":
        return TABLE.reader(dataset.to_table(), request)
    return ParquetReader(
        _dataset_files(dataset),
        request.named_columns,
        request.weight,
        request.cache,
        "The dataset",
        request.exclude,
        dataset.schema,
    )


def _takes(thing: Any) -> bool:
    return isinstance(thing, Path) and (thing.is_dir() or is_parquet(thing))


def _is_dataset(thing: Any) -> bool:
    return package_of(thing) == "pyarrow" and hasattr(thing, "get_fragments")


PARQUET = Kind(_takes, _reader, "a .parquet file, a folder of .parquet files")
DATASET = Kind(_is_dataset, _dataset)
