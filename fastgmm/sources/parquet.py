"""Rows of Parquet files, decoded as they are needed."""

import functools
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources.arrow import ColumnChoice, choose_columns, to_numbers
from fastgmm.sources.blocks import BlockReader, rows_per_block
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.optional import import_optional

_SUFFIXES = (".parquet", ".parq", ".pq")
_OPEN_FOOTERS = 8
_MOST_BUFFER_BYTES = 1 << 18
_LEAST_BUFFER_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """Where a file is, and what it was when it was first looked at.

    Parameters
    ----------
    path : str
    filesystem : pyarrow.fs.FileSystem or None
        None for a file of this machine.
    row_groups : list of int or None
        Those to read; None for all.
    stamp : tuple of int or None
        Size and time of the last change of a file of this machine.
    """

    path: str
    filesystem: Any = None
    row_groups: list[int] | None = None
    stamp: tuple[int, int] | None = None

    @classmethod
    def local(cls, path: Path) -> "ParquetFile":
        """File of this machine."""
        return cls(str(path), stamp=_stamp(str(path)))

    def open(self, buffer_size: int, metadata: Any = None) -> Any:
        """Open the file as a pyarrow.parquet.ParquetFile.

        Raises
        ------
        ValueError
            If it is no longer the file that it was.
        """
        if self.stamp is not None and _stamp(self.path) != self.stamp:
            raise ValueError(f"{self.path} has changed since it was opened.")
        return parquet().ParquetFile(
            self.path,
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
    ):
        self.name = name
        self._files = files
        self._buffer_size = _LEAST_BUFFER_BYTES
        self._choice, groups = self._survey(columns, weight)
        self._buffer_size = min(
            max(cache.n_bytes // 32 // len(self._choice.names), _LEAST_BUFFER_BYTES),
            _MOST_BUFFER_BYTES,
        )
        self._metadata = functools.lru_cache(_OPEN_FOOTERS)(self._read_metadata)
        self.n_features, self.feature_names = len(self._choice.features), self._choice.features
        self.dtype, self.weighted = self._choice.dtype, self._choice.weight is not None
        self._groups = [(file, group) for file, group, _ in groups]
        file_rows = np.zeros(len(files) + 1, dtype=np.int64)
        for file, _, n_rows in groups:
            file_rows[file + 1] += n_rows
        self._file_starts = np.cumsum(file_rows)
        size = rows_per_block(self._choice.row_bytes, cache.n_bytes)
        super().__init__([n_rows for _, _, n_rows in groups], size, cache)

    def decode(self, group: int) -> Generator[Block, None, None]:
        number, _ = self._groups[group]
        n_left, filled = self._group_rows[group], 0
        block = self._choice.empty_block(min(n_left, self._rows_per_block))
        for batch in self._batches(group, self._choice.names, self._rows_per_block):
            while batch.num_rows:
                part = batch.slice(0, len(block.rows) - filled)
                self._choice.fill(block, filled, part)
                batch, filled = batch.slice(part.num_rows), filled + part.num_rows
                if filled == len(block.rows):
                    yield block
                    n_left, filled = n_left - filled, 0
                    if not n_left:
                        return
                    block = self._choice.empty_block(min(n_left, self._rows_per_block))
        raise ValueError(f"{self._files[number].path} has fewer rows than its footer says.")

    def weights(self) -> Iterator[np.ndarray]:
        for group in range(len(self._groups)):
            for batch in self._batches(group, [self._choice.weight], 1 << 16):
                yield np.asarray(to_numbers(batch.column(0)), dtype=np.float64)

    def locate(self, row: int) -> tuple[str, int]:
        number = int(np.searchsorted(self._file_starts, row, side="right")) - 1
        return self._files[number].path, row - int(self._file_starts[number])

    # -- files -------------------------------------------------------------------------------------
    def _batches(self, group: int, names: Sequence[str | None], size: int) -> Iterator[Any]:
        number, row_group = self._groups[group]
        file = self._files[number]
        with _errors_of(file.path), file.open(self._buffer_size, self._metadata(number)) as opened:
            yield from opened.iter_batches(size, row_groups=[row_group], columns=list(names))

    def _read_metadata(self, number: int) -> Any:
        with self._files[number].open(self._buffer_size) as opened:
            return opened.metadata

    def _survey(
        self, columns: Sequence[str] | None, weight: str | None
    ) -> tuple[ColumnChoice, list[tuple[int, int, int]]]:
        """The columns, and (file, row group, rows) of every row group that has rows."""
        choices: list[ColumnChoice] = []
        groups = []
        for number, file in enumerate(self._files):
            with _errors_of(file.path), file.open(self._buffer_size) as opened:
                choice = choose_columns(
                    opened.schema_arrow,
                    columns,
                    weight,
                    file.path,
                    functools.partial(_first_value, opened),
                )
                columns = choice.features
                choices.append(choice)
                metadata = opened.metadata
            wanted = file.row_groups
            for group in range(metadata.num_row_groups) if wanted is None else wanted:
                n_rows = metadata.row_group(group).num_rows
                if n_rows:
                    groups.append((number, group, n_rows))
        single = all(choice.dtype == np.float32 for choice in choices)
        dtype = np.dtype(np.float32 if single else np.float64)
        return ColumnChoice(choices[0].features, weight, dtype), groups


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


def dataset_files(dataset: Any) -> list[ParquetFile]:
    """Files of a pyarrow Dataset.

    Raises
    ------
    ValueError
        If its rows are filtered, or not all in Parquet files.
    """
    files = []
    for fragment in dataset.get_fragments():
        if type(fragment).__name__ != "ParquetFileFragment":
            raise ValueError(
                "Of pyarrow's datasets, those of Parquet files can be read in pieces, but this one "
                f"has a {type(fragment).__name__}. Write it to Parquet files, or pass "
                "dataset.to_table()."
            )
        groups = [group.id for group in fragment.row_groups]
        files.append(ParquetFile(fragment.path, fragment.filesystem, groups))
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


def _stamp(path: str) -> tuple[int, int]:
    state = os.stat(path)
    return state.st_size, state.st_mtime_ns


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
