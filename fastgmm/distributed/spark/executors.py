"""What a task of Spark does: sums over the rows of its partition."""

import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastgmm.distributed.client import PartitionError
from fastgmm.distributed.held import HELD, Failed, Partitions
from fastgmm.distributed.workers import Facts, facts_here
from fastgmm.sources.base import RowGrid
from fastgmm.sources.cache import Block
from fastgmm.sources.weights import NO_WEIGHTS


class Counted(NamedTuple):
    """A partition, looked at for the first time.

    Parameters
    ----------
    number : int
    n_rows : int
    n_features : int or None
        None without rows.
    facts : Facts
        Of the process that looked.
    """

    number: int
    n_rows: int
    n_features: int | None
    facts: Facts


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


def count_rows(batches: Iterator[Any], layout: Layout) -> Iterator[Any]:
    """Batch with `Counted`."""
    rows = _block(batches, layout).rows
    n_features = rows.shape[1] if len(rows) else None
    yield _batch(Counted(_number(), len(rows), n_features, facts_here()))


def weights_of_rows(batches: Iterator[Any], layout: Layout) -> Iterator[Any]:
    """Batch with the weights of a partition."""
    yield _batch(_block(batches, layout).weights)


def rows_between(
    batches: Iterator[Any], layout: Layout, parts: Mapping[int, tuple[int, int]]
) -> Iterator[Any]:
    """Batch with some rows of a partition and their weights; nothing of other partitions."""
    if (part := parts.get(_number())) is not None:
        block, rows = _block(batches, layout), slice(*part)
        yield _batch(Block(block.rows[rows], block.weights[rows]))


def sum_rows(
    batches: Iterator[Any], layout: Layout, partitions: Partitions, grid: RowGrid, sent: Any
) -> Iterator[Any]:
    """Batch with the number of a partition and its sums, or with what is wrong; nothing of no rows.

    Parameters
    ----------
    batches : iterator of RecordBatch
    layout : Layout
    partitions : Partitions
    grid : RowGrid
        No more rows are worked on at a time than it has in a chunk.
    sent : Broadcast
        The pickled source, and the pickled function of a chunk, or one for every partition.
    """
    number = _number()
    first, end = (int(bound) for bound in partitions.starts[number : number + 2])
    try:
        block = _block(batches, layout)
        if len(block.rows) != end - first:
            raise PartitionError(
                f"Partition {number} has {len(block.rows)} rows, but had {end - first} before. The "
                "frame does not give the same rows again: write it to files first."
            )
        if not len(block.rows):
            return
        stored, functions = sent.value
        source = pickle.loads(stored).arrived()
        function = pickle.loads(functions[number] if isinstance(functions, dict) else functions)
        total = None
        with HELD.lending(partitions.token, {(number, 0): block}):
            for start, stop in pieces(grid, first, end):
                sums = function(source.read(start, stop))
                total = sums if total is None else total + sums
    except ValueError as error:
        yield _batch((number, Failed(number, error)))
    else:
        yield _batch((number, total))


def pieces(grid: RowGrid, first: int, end: int) -> list[tuple[int, int]]:
    """Rows first to end, cut where chunks end."""
    step = grid.rows_per_chunk
    cuts = [first, *range((first // step + 1) * step, end, step), end]
    return list(zip(cuts[:-1], cuts[1:], strict=True))


def _number() -> int:
    from pyspark import TaskContext

    return TaskContext.get().partitionId()


def _batch(thing: Any) -> Any:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.array([pickle.dumps(thing)], pa.binary())], ["record"])


def _block(batches: Iterator[Any], layout: Layout) -> Block:
    """Rows and weights of a partition."""
    rows, weights = [], []
    to_rows: Callable[[Any], np.ndarray] = _of_arrays if layout.of_arrays else _of_features
    for batch in batches:
        *features, last = batch.columns
        if not layout.weighted:
            features = [*features, last]
        if batch.num_rows:
            rows.append(to_rows(features))
            if layout.weighted:
                weights.append(_numbers(last))
    if not rows:
        return Block(np.empty((0, 0), layout.dtype), NO_WEIGHTS)
    if len({part.shape[1] for part in rows}) > 1:
        raise PartitionError(f"Partition {_number()} has arrays of several lengths.")
    together = np.concatenate(rows)
    return Block(together, np.concatenate(weights) if weights else NO_WEIGHTS)


def _numbers(column: Any) -> np.ndarray:
    """Numbers of a column; NaN for null."""
    return column.to_numpy(zero_copy_only=False)


def _of_features(columns: list[Any]) -> np.ndarray:
    return np.stack([_numbers(column) for column in columns], axis=1)


def _of_arrays(columns: list[Any]) -> np.ndarray:
    (column,) = columns
    lengths = np.asarray(column.value_lengths().to_numpy(zero_copy_only=False))
    if column.null_count or (lengths != lengths[0]).any() or not lengths[0]:
        raise PartitionError(
            f"Partition {_number()} has rows without an array, or arrays of several lengths."
        )
    return _numbers(column.flatten()).reshape(len(column), int(lengths[0]))
