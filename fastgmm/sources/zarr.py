"""Rows of a Zarr array, decoded chunk by chunk."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm.sources.blocks import BlockReader, decoded_row_bytes, rows_per_block
from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.checks import check_number_type
from fastgmm.sources.memmap import array_columns
from fastgmm.sources.optional import import_optional
from fastgmm.sources.weights import NO_WEIGHTS


class ZarrReader(BlockReader):
    """Rows of a two-dimensional Zarr array.

    Parameters
    ----------
    array : zarr.Array
    columns : sequence of int or None
    weight : int or None
        A column of weights.
    cache : BlockCache

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
    ):
        self.name = str(array.store_path)
        if array.ndim != 2:
            raise ValueError(
                f"{self.name} has {array.ndim} dimension{'s' * (array.ndim != 1)}, but rows and "
                "columns are needed."
            )
        n_columns = array.shape[1]
        self._weight = None if weight is None else array_columns([weight], n_columns, self.name)[0]
        if columns is None:
            columns = [column for column in range(n_columns) if column != self._weight]
        self._columns = array_columns(columns, n_columns, self.name)
        if not self._columns:
            raise ValueError(f"{self.name} has no columns of features.")
        self._array = array
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

    def column_label(self, feature: int) -> str:
        return str(self._columns[feature])

    def _select(self, group: int, columns: Sequence[int | None]) -> np.ndarray:
        start = group * self._rows_per_block
        rows = slice(start, start + self._group_rows[group])
        if len(columns) == self._array.shape[1] and columns == sorted(columns):  # type: ignore[type-var]
            return np.asarray(self._array[rows])
        return np.asarray(self._array.oindex[rows, list(columns)])


def open_zarr(path: Path) -> Any:
    """Open the Zarr array at a path.

    Raises
    ------
    ValueError
        If there is none.
    """
    zarr = import_optional("zarr", "Reading Zarr")
    try:
        return zarr.open_array(path, mode="r")
    except FileNotFoundError:
        raise
    except Exception as error:  # zarr's own errors share no base in all of its versions
        raise ValueError(f"{path} is no Zarr array: {error}") from error


def is_zarr(path: Path) -> bool:
    """Whether a folder holds a Zarr array or group."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))
