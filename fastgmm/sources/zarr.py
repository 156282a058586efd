"""Rows of a Zarr array, decoded chunk by chunk."""

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources.array import array_columns, array_features
from fastgmm.sources.blocks import BlockReader, decoded_row_bytes, rows_per_block
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.checks import check_number_type
from fastgmm.sources.kinds import Kind, Request, package_of
from fastgmm.sources.optional import import_optional
from fastgmm.sources.stamp import Stamp
from fastgmm.sources.weights import NO_WEIGHTS

_MOST_LISTED = 12


class ZarrReader(BlockReader):
    """Rows of a two-dimensional Zarr array.

    Parameters
    ----------
    array : zarr.Array
    columns : sequence of int or None
    weight : int or None
        A column of weights.
    cache : BlockCache
    exclude : sequence of int, optional
        Columns that are no features.

    Raises
    ------
    ValueError
        If it is no array of rows of numbers, or one of its chunks is too large for the memory.
    """

    def __init__(
        self,
        array: Any,
        columns: Sequence[int] | None,
        weight: int | None,
        cache: BlockCache,
        exclude: Sequence[int] = (),
    ):
        self.name = str(array.store_path)
        if array.ndim != 2:
            raise ValueError(
                f"{self.name} has {array.ndim} dimension{'s' * (array.ndim != 1)}, but rows and "
                "columns are needed."
            )
        n_columns = array.shape[1]
        self._weight = None if weight is None else array_columns([weight], n_columns, self.name)[0]
        features = list(array_features(columns, weight, exclude, n_columns, self.name))
        self.columns = self._columns = features
        self._array, self._chunks = array, ChunkFiles(array, self.name)
        self.dtype = check_number_type(np.dtype(array.dtype), self.name)
        self.n_features, self.weighted = len(self._columns), weight is not None
        chunk_rows = int(array.chunks[0])
        n_bytes = chunk_rows * n_columns * array.dtype.itemsize
        if n_bytes > cache.n_bytes // 4:
            raise ValueError(
                f"{self.name}: {chunk_rows} rows are stored in one piece, which takes "
                f"{n_bytes / 1e6:.0f} MB to decode; raise memory_limit to "
                f"{-(-4 * n_bytes // 10**6)}MB, or store smaller chunks."
            )
        row_bytes = decoded_row_bytes(self.n_features, self.dtype, self.weighted)
        size = max(rows_per_block(row_bytes, cache.n_bytes) // chunk_rows, 1) * chunk_rows
        n_rows = array.shape[0]
        super().__init__(
            [min(size, n_rows - start) for start in range(0, n_rows, size)], size, cache
        )

    def decode(self, group: int) -> Generator[Block, None, None]:
        rows = self._select(group, self._columns)
        weights = NO_WEIGHTS
        if self._weight is not None:
            weights = self._select(group, [self._weight])[:, 0].astype(np.float64)
        with np.errstate(over="ignore"):
            yield Block(np.ascontiguousarray(rows, dtype=self.dtype), weights)

    def weights(self) -> Iterator[np.ndarray]:
        for group in range(len(self._group_rows)):
            yield self._select(group, [self._weight])[:, 0].astype(np.float64)

    def locate(self, row: int) -> tuple[str, int]:
        return self.name, row

    def check_unchanged(self) -> None:
        # Of blocks that are kept, too: reading them looks at no file.
        self._chunks.check(0, self._array.shape[0])

    def _select(self, group: int, columns: Sequence[int | None]) -> np.ndarray:
        start = group * self._rows_per_block
        stop = start + self._group_rows[group]
        rows = slice(start, stop)
        try:
            if len(columns) == self._array.shape[1] and columns == sorted(columns):  # type: ignore[type-var]
                return np.asarray(self._array[rows])
            return np.asarray(self._array.oindex[rows, list(columns)])
        except OSError:
            raise
        except Exception as error:  # of a codec, whose errors share no base
            raise ValueError(f"{self.name} cannot be read as Zarr: {error}") from error
        finally:
            # Afterwards, for what changes meanwhile counts, too.
            self._chunks.check(start, stop)


class ChunkFiles:
    """The files of a Zarr array on this machine, as they were when it was opened.

    Zarr reads a chunk that is missing as if it had been filled with one value. So chunks that are
    not there now must not be there later, and the others must stay what they are.

    Parameters
    ----------
    array : zarr.Array
        Of an array that lies elsewhere nothing is known, and nothing is checked.
    name : str
        What to call it in errors.
    """

    def __init__(self, array: Any, name: str):
        self._name = name
        root = getattr(array.store, "root", None)
        self._folder = None if root is None else Path(root).absolute() / array.path
        if self._folder is None or not self._folder.is_dir():
            self._folder = None
            return
        self._encode = array.metadata.encode_chunk_key
        # A shard is the file of many chunks.
        sizes = getattr(array, "shards", None) or array.chunks
        self._chunk_rows = int(sizes[0])
        self._counts = tuple(
            -(-int(length) // int(size)) for length, size in zip(array.shape, sizes, strict=True)
        )
        self._array_files = [
            Stamp.of(file)
            for file in (self._folder / name for name in ("zarr.json", ".zarray"))
            if file.is_file()
        ]
        self._states = np.zeros((*self._counts, 3), dtype=np.int64)
        for row in range(self._counts[0]):
            self._states[row] = self._found(row)

    def check_array(self) -> None:
        """Check that the array is still there, and described as it was."""
        for stamp in self._array_files if self._folder is not None else []:
            stamp.check()

    def check(self, start: int, stop: int) -> None:
        """Check the chunks of rows start to stop.

        Raises
        ------
        ValueError
            If one has changed, or has gone or come.
        """
        if self._folder is None:
            return
        self.check_array()
        for row in range(start // self._chunk_rows, -(-stop // self._chunk_rows)):
            found = self._found(row)
            if not np.array_equal(found, self._states[row]):
                column = int(np.argmax((found != self._states[row]).any(axis=-1)))
                raise ValueError(
                    f"{self._name} has changed since it was opened: the file of chunk "
                    f"{self._encode((row, column))!r} is no longer what it was."
                )

    def _found(self, row: int) -> np.ndarray:
        """Identity, size and time of the files of a row of chunks; zeros where there is none."""
        states = np.zeros((self._counts[1], 3), dtype=np.int64)
        for column in range(self._counts[1]):
            path = os.path.join(str(self._folder), self._encode((row, column)))
            try:
                found = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            identity = found.st_ino & 0x7FFFFFFFFFFFFFFF
            states[column] = identity, found.st_size, found.st_mtime_ns
        return states


def _open(path: Path, request: Request) -> ZarrReader:
    zarr = import_optional("zarr", "Reading Zarr")
    try:
        array = zarr.open_array(path, mode="r")
    except Exception as error:  # zarr's own errors share no base in all of its versions
        arrays = _arrays_in(zarr, path)
        if arrays is None:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} is no Zarr array: {error}") from error
        listed = ", ".join(str(path / name) for name in arrays[:_MOST_LISTED])
        listed += ", ..." if len(arrays) > _MOST_LISTED else ""
        raise ValueError(
            f"{path} is no Zarr array but a group. "
            + (f"Give one of those in it: {listed}." if arrays else "There is none in it.")
        ) from None
    return _reader(array, request)


def _arrays_in(zarr: Any, path: Path) -> list[str] | None:
    """Names of the arrays in a group, those in its groups among them; None if it is no group."""
    try:
        group = zarr.open_group(path, mode="r")
        members = group.members(max_depth=None)
        return sorted(name for name, member in members if isinstance(member, zarr.Array))
    except Exception:
        return None


def _reader(array: Any, request: Request) -> ZarrReader:
    return ZarrReader(array, request.columns, request.weight, request.cache, request.exclude)


def is_zarr(path: object) -> bool:
    """Whether something is a folder that holds a Zarr array or group."""
    names = ("zarr.json", ".zarray", ".zgroup")
    return isinstance(path, Path) and any((path / name).is_file() for name in names)


def _is_array(thing: Any) -> bool:
    return package_of(thing) == "zarr" and hasattr(thing, "chunks")


FOLDER = Kind(is_zarr, _open, "a folder of a Zarr array", has_names=False)
ARRAY = Kind(_is_array, _reader, has_names=False)
