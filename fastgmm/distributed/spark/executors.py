"""What tasks of Spark do: pack the rows of partitions once, and sum over them again and again."""

import itertools
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastgmm.distributed.client import PartitionError
from fastgmm.distributed.held import HELD, Failed, Partitions, joined
from fastgmm.distributed.workers import Facts, facts_here
from fastgmm.engines.base import MergeTree
from fastgmm.sources.base import RowGrid
from fastgmm.sources.cache import Block
from fastgmm.sources.weights import NO_WEIGHTS

_PACKED_BYTES = 1 << 22
"""Rows that are packed together, about: few records, each of which a task gets in one piece."""


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


# -- packing ---------------------------------------------------------------------------------------
def pack(batches: Iterator[Any], layout: Layout) -> Iterator[Any]:
    """Batches of a record each: the number of the partition and some of its rows, pickled.

    Or what is wrong with the rows. A partition without rows makes a block without rows.

    Parameters
    ----------
    batches : iterator of RecordBatch
    layout : Layout
    """
    import pyarrow as pa
    from pyspark import TaskContext

    context: Any = TaskContext.get()
    number = context.partitionId()
    for block in _told(number, _blocks(number, batches, layout)):
        record = pa.array([pickle.dumps((number, block), protocol=5)], pa.binary())
        yield pa.RecordBatch.from_arrays([record], ["record"])


def unpack(record: Any) -> tuple[int, Block | Failed]:
    """Number of a partition and some of its rows, or what is wrong with them."""
    found: tuple[int, Block | Failed] = pickle.loads(record[0])
    return found


def _told(number: int, made: Iterator[Any]) -> Iterator[Any]:
    """What is made of a partition, and then what is wrong with its rows, if something is."""
    try:
        yield from made
    except ValueError as error:
        yield Failed(number, error)


def _blocks(number: int, batches: Iterator[Any], layout: Layout) -> Iterator[Block]:
    """Rows and weights of a partition."""
    to_rows: Callable[[Any, int], np.ndarray] = _of_arrays if layout.of_arrays else _of_features
    lengths: set[int] = set()
    waiting: list[Block] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        *features, last = batch.columns
        if not layout.weighted:
            features = [*features, last]
        block = Block(to_rows(features, number), _numbers(last) if layout.weighted else NO_WEIGHTS)
        lengths.add(block.rows.shape[1])
        if len(lengths) > 1:
            raise PartitionError(f"Partition {number} has arrays of several lengths.")
        waiting.append(block)
        if sum(part.n_bytes for part in waiting) >= _PACKED_BYTES:
            yield _together(waiting, layout.dtype)
            waiting = []
    if waiting or not lengths:
        yield _together(waiting, layout.dtype)


def _together(blocks: list[Block], dtype: np.dtype) -> Block:
    rows, weights = joined(blocks, blocks[0].rows.shape[1] if blocks else 0, dtype)
    return Block(np.ascontiguousarray(rows), weights)


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


# -- work on packed rows ---------------------------------------------------------------------------
Records = Iterator[tuple[int, Block | Failed]]
"""Of whole partitions, one after the other."""


def of_each(records: Records, work: Callable, **arguments: Any) -> Iterator[Any]:
    """Number of every partition, and what some work gives for it or what is wrong with its rows.

    Parameters
    ----------
    records : Records
    work : callable
        Called with the number and the blocks of a partition.
    **arguments
        Of the work.
    """
    for number, group in itertools.groupby(records, lambda record: record[0]):
        blocks, failed = _sorted_out(group)
        for result in failed or _told(number, _lazily(work, number, blocks, **arguments)):
            yield number, result


def _sorted_out(group: Records) -> tuple[list[Block], list[Failed]]:
    """Blocks of a partition, and what is wrong with its rows."""
    blocks: list[Block] = []
    failed: list[Failed] = []
    for _, found in group:
        if isinstance(found, Failed):
            failed.append(found)
        else:
            blocks.append(found)
    return blocks, failed


def _lazily(work: Callable, *arguments: Any, **others: Any) -> Iterator[Any]:
    yield work(*arguments, **others)


def count_rows(number: int, blocks: list[Block]) -> Counted:
    """Look at a partition for the first time."""
    n_rows = sum(len(block.rows) for block in blocks)
    return Counted(number, n_rows, blocks[0].rows.shape[1] if n_rows else None, facts_here())


def weights_of_rows(number: int, blocks: list[Block]) -> np.ndarray:
    """Weights of a partition."""
    return np.concatenate([block.weights for block in blocks])


def rows_between(
    number: int, blocks: list[Block], parts: Mapping[int, tuple[int, int]]
) -> Block | None:
    """Some rows of a partition and their weights; None of partitions that are not asked for."""
    if (part := parts.get(number)) is None:
        return None
    block, rows = _together(blocks, blocks[0].rows.dtype), slice(*part)
    return Block(block.rows[rows], block.weights[rows])


def sum_partitions(
    records: Records, partitions: Partitions, grid: RowGrid, stored: bytes, functions: Any
) -> Iterator[Any]:
    """Nodes of the merge tree over the partitions that follow from some, or what went wrong first.

    Parameters
    ----------
    records : Records
    partitions : Partitions
    grid : RowGrid
        No more rows are worked on at a time than it has in a chunk.
    stored : bytes
        The source, pickled.
    functions : bytes or dict of bytes
        Of a chunk, pickled; or one for every partition.
    """
    source = pickle.loads(stored).arrived()
    of_all = None if isinstance(functions, dict) else pickle.loads(functions)
    leaves = leaves_of(partitions)
    tree, failures = MergeTree(len(leaves)), []

    def sums(number: int, blocks: list[Block]) -> Any:
        first, end = _checked_bounds(number, blocks, partitions)
        if first == end:
            return None
        function = of_all or pickle.loads(functions[number])
        starts = itertools.accumulate((len(block.rows) for block in blocks), initial=0)
        places = [(number, start) for start in starts]
        total = None
        with HELD.lending(partitions.token, dict(zip(places, blocks, strict=False))):
            for start, stop in pieces(grid, first, end):
                found = function(source.read(start, stop))
                total = found if total is None else total + found
        return total

    for number, result in of_each(records, sums):
        if isinstance(result, Failed):
            failures.append(result)
        elif result is not None:
            tree.add(leaves[number], result)
    if failures:
        yield min(failures, key=lambda failed: failed.leaf)
    else:
        yield list(tree.nodes.items())


def _checked_bounds(number: int, blocks: list[Block], partitions: Partitions) -> tuple[int, int]:
    """First row of a partition and the row after its last.

    Raises
    ------
    PartitionError
        If it has another number of rows than it had.
    """
    first, end = (int(bound) for bound in partitions.starts[number : number + 2])
    n_rows = sum(len(block.rows) for block in blocks)
    if n_rows != end - first:
        raise PartitionError(
            f"Partition {number} has {n_rows} rows, but had {end - first} before. The frame does "
            "not give the same rows again: write it to files first."
        )
    return first, end


def leaves_of(partitions: Partitions) -> dict[int, int]:
    """Numbers among the partitions that have rows: those of the leaves of the merge tree."""
    with_rows = np.flatnonzero(np.diff(partitions.starts)).tolist()
    return {number: leaf for leaf, number in enumerate(with_rows)}


def pieces(grid: RowGrid, first: int, end: int) -> list[tuple[int, int]]:
    """Rows first to end, cut where chunks end."""
    step = grid.rows_per_chunk
    cuts = [first, *range((first // step + 1) * step, end, step), end]
    return list(itertools.pairwise(cuts))
