"""What a task of Spark does: sums over the rows of its partition."""

import itertools
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


def told(batches: Iterator[Any], work: Callable, **arguments: Any) -> Iterator[Any]:
    """Batch with the pickled result of some work on a partition, or with what is wrong with it.

    Parameters
    ----------
    batches : iterator of RecordBatch
    work : callable
        Called with the batches; None is no result.
    **arguments
        Of the work.
    """
    import pyarrow as pa

    try:
        result = work(batches, **arguments)
    except ValueError as error:
        result = Failed(_number(), error)
    if result is not None:
        yield pa.RecordBatch.from_arrays(
            [pa.array([pickle.dumps(result)], pa.binary())], ["record"]
        )


def count_rows(batches: Iterator[Any], layout: Layout) -> Counted:
    """Look at a partition for the first time."""
    rows = _block(batches, layout).rows
    return Counted(_number(), len(rows), rows.shape[1] if len(rows) else None, facts_here())


def weights_of_rows(batches: Iterator[Any], layout: Layout) -> np.ndarray:
    """Weights of a partition."""
    return _block(batches, layout).weights


def rows_between(
    batches: Iterator[Any], layout: Layout, parts: Mapping[int, tuple[int, int]]
) -> Block | None:
    """Some rows of a partition and their weights; None of partitions that are not asked for."""
    if (part := parts.get(_number())) is None:
        return None
    block, rows = _block(batches, layout), slice(*part)
    return Block(block.rows[rows], block.weights[rows])


def sum_rows(
    batches: Iterator[Any], layout: Layout, partitions: Partitions, grid: RowGrid, sent: Any
) -> tuple[int, Any] | None:
    """Number of a partition and its sums; None if it has no rows.

    Parameters
    ----------
    batches : iterator of RecordBatch
    layout : Layout
    partitions : Partitions
    grid : RowGrid
        No more rows are worked on at a time than it has in a chunk.
    sent : Broadcast
        The pickled source, and the pickled function of a chunk, or one for every partition.

    Raises
    ------
    ValueError
        What is wrong with the rows.
    """
    number = _number()
    first, end = (int(bound) for bound in partitions.starts[number : number + 2])
    block = _block(batches, layout)
    if len(block.rows) != end - first:
        raise PartitionError(
            f"Partition {number} has {len(block.rows)} rows, but had {end - first} before. The "
            "frame does not give the same rows again: write it to files first."
        )
    if first == end:
        return None
    stored, functions = sent.value
    source = pickle.loads(stored).arrived()
    function = pickle.loads(functions[number] if isinstance(functions, dict) else functions)
    total = None
    with HELD.lending(partitions.token, {(number, 0): block}):
        for start, stop in pieces(grid, first, end):
            sums = function(source.read(start, stop))
            total = sums if total is None else total + sums
    return number, total


def pieces(grid: RowGrid, first: int, end: int) -> list[tuple[int, int]]:
    """Rows first to end, cut where chunks end."""
    step = grid.rows_per_chunk
    cuts = [first, *range((first // step + 1) * step, end, step), end]
    return list(itertools.pairwise(cuts))


def _number() -> int:
    """Number of the partition that the present task works on."""
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    return context.partitionId()


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
