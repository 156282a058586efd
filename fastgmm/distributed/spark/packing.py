"""What executors do first: write the rows of partitions to files, which later tasks map."""

import mmap
import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fastgmm.distributed.client import PartitionError
from fastgmm.distributed.held import Failed
from fastgmm.distributed.workers import Facts, facts_here
from fastgmm.sources.cache import Block
from fastgmm.sources.weights import NO_WEIGHTS

_ALIGNED = 8
"""Bytes, of which weights begin at a multiple."""


class Layout(NamedTuple):
    """How batches of Arrow hold rows.

    Parameters
    ----------
    of_arrays : bool
        Whether the first column holds arrays, and not a feature each.
    weighted : bool
        Whether the last column holds weights.
    dtype : dtype
        Of the rows.
    """

    of_arrays: bool
    weighted: bool
    dtype: np.dtype


class Packed(NamedTuple):
    """A partition whose rows are in a file of the executor that packed them.

    The file holds plain numbers: rows and then, if there are any, weights.

    Parameters
    ----------
    number : int
    path : str
    n_rows : int
    n_features : int or None
        None without rows.
    layout : Layout
    facts : Facts
        Of the process that packed.
    """

    number: int
    path: str
    n_rows: int
    n_features: int | None
    layout: Layout
    facts: Facts

    def block(self) -> Block:
        """Rows and weights, in memory that the processes of a machine share.

        Raises
        ------
        FileNotFoundError
            On another machine, or if the file is there no longer.
        """
        dtype, weighted = self.layout.dtype, self.layout.weighted
        if self.n_features is None:
            return Block(np.empty((0, 0), dtype), np.empty(0))
        with open(self.path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        n_values = self.n_rows * self.n_features
        rows = np.frombuffer(mapped, dtype, n_values).reshape(self.n_rows, self.n_features)
        if not weighted:
            return Block(rows, NO_WEIGHTS)
        return Block(rows, np.frombuffer(mapped, float, self.n_rows, _aligned(rows.nbytes)))


def pack(batches: Iterator[Any], layout: Layout, token: str) -> Iterator[Any]:
    """Write a partition to a file. What comes out is `Packed`, or `Failed`, pickled, in a batch.

    Parameters
    ----------
    batches : iterator of RecordBatch
    layout : Layout
    token : str
        Of the files of a fit.
    """
    import pyarrow as pa
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    number = context.partitionId()  # for words; `unpack` knows it for sure
    folders = _folders(token)
    folder = folders[number % len(folders)]
    os.makedirs(folder, exist_ok=True)
    found = packed(batches, layout, number, os.path.join(folder, uuid.uuid4().hex))
    record = pa.array([pickle.dumps(found)], pa.binary())
    yield pa.RecordBatch.from_arrays([record], ["record"])


def unpack(number: int, records: Iterator[Any]) -> Iterator[Packed | Failed]:
    """What `pack` has made of a partition.

    When that is made again, it may be in a task for several, of which the task has one number.
    """
    for (record,) in records:
        found: Packed | Failed = pickle.loads(record)
        yield type(found)(number, *found[1:])


def remove(_: Any, token: str) -> None:
    """Remove what this executor has packed for a fit."""
    for folder in _folders(token):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(token: str) -> list[str]:
    """Where files may be: in the folders of the executor, which it removes when it ends."""
    local = os.environ["SPARK_LOCAL_DIRS"].split(",")
    return [os.path.join(folder, f"fastgmm-{token}") for folder in local]


def packed(batches: Iterator[Any], layout: Layout, number: int, path: str) -> Packed | Failed:
    """Write a partition to a file."""
    try:
        with open(path, "wb") as file:
            n_rows, n_features = _written(_blocks(number, batches, layout), layout, file)
    except ValueError as error:
        return Failed(number, error)
    return Packed(number, path, n_rows, n_features, layout, facts_here())


def _written(blocks: Iterator[Block], layout: Layout, file: BinaryIO) -> tuple[int, int | None]:
    """Numbers of rows, and of features if there are rows."""
    n_features, weights = None, [np.empty(0)]
    n_rows = n_bytes = 0
    for block in blocks:
        rows = np.ascontiguousarray(block.rows, layout.dtype)
        file.write(rows.data)
        weights.append(block.weights)
        n_rows, n_features, n_bytes = n_rows + len(rows), rows.shape[1], n_bytes + rows.nbytes
    if layout.weighted:
        file.write(bytes(_aligned(n_bytes) - n_bytes))
        file.write(np.concatenate(weights).data)
    return n_rows, n_features


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGNED) * _ALIGNED


def _blocks(number: int, batches: Iterator[Any], layout: Layout) -> Iterator[Block]:
    """Rows and weights of a partition, by its batches."""
    to_rows: Callable[[Any, int], np.ndarray] = _of_arrays if layout.of_arrays else _of_features
    lengths: set[int] = set()
    for batch in batches:
        if not batch.num_rows:
            continue
        *features, last = batch.columns
        if not layout.weighted:
            features = [*features, last]
        rows = to_rows(features, number)
        lengths.add(rows.shape[1])
        if len(lengths) > 1:
            raise PartitionError(f"Partition {number} has arrays of several lengths.")
        yield Block(rows, _numbers(last) if layout.weighted else NO_WEIGHTS)


def _numbers(column: Any) -> np.ndarray:
    """Numbers of a column; NaN for null."""
    return column.to_numpy(zero_copy_only=False)


def _of_features(columns: list[Any], number: int) -> np.ndarray:
    return np.stack([_numbers(column) for column in columns], axis=1)


def _of_arrays(columns: list[Any], number: int) -> np.ndarray:
    (column,) = columns
    lengths = np.asarray(column.value_lengths().to_numpy(zero_copy_only=False))
    if column.null_count or (lengths != lengths[0]).any() or not lengths[0]:
        raise PartitionError(
            f"Partition {number} has rows without an array, or arrays of several lengths."
        )
    return _numbers(column.flatten()).reshape(len(column), int(lengths[0]))
