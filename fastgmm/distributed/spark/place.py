"""Rows that Spark holds: how they are read, and summed."""

import functools
import math
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fastgmm.distributed.held import Failed, PartitionedRows, joined
from fastgmm.distributed.spark.executors import (
    Missing,
    leaves_of,
    pieces,
    rows_between,
    sum_partitions,
    weights_of_rows,
)
from fastgmm.distributed.spark.rows import PackedRows
from fastgmm.engines.base import MergeTree
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.elsewhere import Place

_AT_HOME = 64
"""Partitions that this process merges by itself; of more, Spark merges neighbours first.

That is a second stage of tasks, which costs more time than so few records need to come home.
"""


class SparkReader(PartitionedRows):
    """Rows of a Spark frame.

    Parameters
    ----------
    rows : PackedRows
    """

    def __init__(self, rows: PackedRows):
        super().__init__(rows.partitions)
        self._rows, self.place = rows, SparkPlace(rows)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        parts = {number: (begin, end) for number, begin, end in self._partitions.parts(start, stop)}
        found = dict(self._rows.run(partial(rows_between, parts=parts)))
        return joined([found[number] for number in parts], self.n_features, self.dtype)

    def weights(self) -> Iterator[np.ndarray]:
        found = dict(self._rows.run(weights_of_rows))
        for number in sorted(found):
            yield found[number]


class SparkPlace(Place):
    """The executors of Spark.

    Parameters
    ----------
    rows : PackedRows
    """

    def __init__(self, rows: PackedRows):
        self._rows, self._partitions = rows, rows.partitions
        self._leaves = leaves_of(rows.partitions)

    def merge(self, function: Callable[[Chunk], Any], source: RowSource, grid: RowGrid) -> Any:
        # What tasks share goes to every executor once, as Spark broadcasts the task itself.
        work = partial(
            sum_partitions,
            partitions=self._partitions,
            grid=grid,
            stored=pickle.dumps(source.to_send()),
            functions=self._by_partition(function, grid),
        )
        join = partial(_joined, len(self._leaves))
        nodes = functools.reduce(
            join, self._rows.run(work, partial(_merged, join=join, n_leaves=len(self._leaves)))
        )
        if isinstance(nodes, Failed):
            raise nodes.error
        ((_, total),) = nodes
        if source.on_read is not None:
            source.on_read(source.n_rows)
        return total

    def _by_partition(self, function: Callable[[Chunk], Any], grid: RowGrid) -> Any:
        """The function of a chunk, pickled; by partition, if it knows of single rows."""
        of_chunks = getattr(function, "of_chunks", None)
        if of_chunks is None:
            return pickle.dumps(function)
        starts = self._partitions.starts.tolist()
        return {
            number: pickle.dumps(of_chunks(pieces(grid, starts[number], starts[number + 1])))
            for number in self._leaves
        }


def _merged(found: Any, join: Callable, n_leaves: int) -> Any:
    """An RDD of nodes, of which Spark merges neighbours if there are many.

    The additions are the same whoever makes them.
    """
    if n_leaves <= _AT_HOME:
        return found
    # A task merges neighbours, whose nodes grow together, as many as there are such tasks.
    width = 1 << math.ceil(math.log2(n_leaves) / 2)
    pairs = found.flatMap(partial(_with_keys, width))
    return pairs.reduceByKey(join, -(-n_leaves // width)).values()


def _joined(n_leaves: int, first: Any, second: Any) -> Any:
    """Nodes of both; what went wrong in the first partition, if something did."""
    failures = [part for part in (first, second) if isinstance(part, Failed)]
    if failures:
        return min(failures, key=lambda failed: failed.leaf)
    tree = MergeTree(n_leaves)
    for (level, index), record in [*first, *second]:
        tree.add(index, record, level)
    return list(tree.nodes.items())


def _with_keys(width: int, nodes: Any) -> list[tuple[int, Any]]:
    """Every node by itself, with a number that neighbours share."""
    if isinstance(nodes, Failed):
        return [(0, nodes)]
    if isinstance(nodes, Missing):
        return [(-1 - nodes.number, nodes)]
    return [((node[0][1] << node[0][0]) // width, [node]) for node in nodes]
