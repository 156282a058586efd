"""What tasks of Spark do with packed rows: sum over them again and again."""

import functools
import gc
import itertools
import operator
import pickle
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastgmm.distributed.client import PartitionError
from fastgmm.distributed.held import HELD, Failed, Partitions
from fastgmm.distributed.spark.packing import Packed
from fastgmm.engines.base import MergeTree
from fastgmm.sources.base import RowGrid
from fastgmm.sources.cache import Block

Blocks = dict[int, Block]
"""Rows of the partitions of a task, by their numbers."""


class Missing(NamedTuple):
    """A partition whose file is not there: the task runs on another machine.

    Parameters
    ----------
    number : int
    apart : bool
        Whether other partitions of the task are there, so that no machine has all of them.
    """

    number: int
    apart: bool


def on_rows(
    packed: Iterator[Packed],
    work: Callable[[Blocks], Iterator[Any]],
    without: Collection[int] = (),
) -> Iterator[Any]:
    """What some work makes of the rows of a task, and which of them are missing.

    Parameters
    ----------
    packed : iterator of Packed
    work : callable
    without : collection of int, optional
        Partitions that another task is for.
    """
    blocks, missing = {}, []
    for partition in packed:
        if partition.number in without:
            continue
        try:
            blocks[partition.number] = partition.block()
        except FileNotFoundError:
            missing.append(partition.number)
    for number in missing:
        yield Missing(number, bool(blocks))
    if blocks:
        yield from work(blocks)


def weights_of_rows(blocks: Blocks) -> Iterator[tuple[int, np.ndarray]]:
    """Weights of every partition."""
    for number, block in blocks.items():
        yield number, block.weights


def rows_between(
    blocks: Blocks, parts: Mapping[int, tuple[int, int]]
) -> Iterator[tuple[int, Block]]:
    """Some rows, and their weights, of those partitions that are asked for."""
    for number in parts.keys() & blocks.keys():
        rows, weights = blocks[number]
        cut = slice(*parts[number])
        yield number, Block(rows[cut], weights[cut])


def sum_partitions(
    blocks: Blocks, partitions: Partitions, grid: RowGrid, stored: bytes, functions: Any
) -> Iterator[Any]:
    """Nodes of the merge tree over the partitions that follow from some, or what went wrong first.

    Parameters
    ----------
    blocks : dict of Block
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
    tree, function = MergeTree(len(leaves)), of_all
    for number, block in sorted(blocks.items()):
        try:
            first, end = _checked_bounds(number, block, partitions)
            if first == end:
                continue
            function = of_all or pickle.loads(functions[number])
            with HELD.lending(partitions.token, {(number, 0): block}):
                found = (function(source.read(*piece)) for piece in pieces(grid, first, end))
                tree.add(leaves[number], functools.reduce(operator.add, found))
        except ValueError as error:
            yield Failed(number, error)
            return
    _settle(str(type(function)))
    yield list(tree.nodes.items())


@functools.cache
def _settle(_: str) -> None:
    """Keep what has been loaded out of the collection of garbage, once for each type of function.

    Spark collects after every task, and the next one waits. All that Numba and others have loaded
    stays anyway, and looking through it takes longer than small sums.
    """
    gc.collect()
    gc.freeze()


def _checked_bounds(number: int, block: Block, partitions: Partitions) -> tuple[int, int]:
    """First row of a partition and the row after its last.

    Raises
    ------
    PartitionError
        If it has another number of rows than it had.
    """
    first, end = (int(bound) for bound in partitions.starts[number : number + 2])
    if len(block.rows) != end - first:
        raise PartitionError(
            f"Partition {number} has {len(block.rows)} rows, but had {end - first} before. The "
            "frame does not give the same rows again: write it to files first."
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
