"""Rows that Spark holds: how they are counted, read, and summed."""

import functools
import math
import pickle
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from fastgmm.distributed.client import ClusterError
from fastgmm.distributed.held import Failed, PartitionedRows, Partitions, joined
from fastgmm.distributed.spark.executors import (
    Counted,
    Layout,
    count_rows,
    pieces,
    rows_between,
    sum_rows,
    told,
    weights_of_rows,
)
from fastgmm.distributed.spark.frame import NAME, SparkRows
from fastgmm.distributed.workers import check_facts, facts_here
from fastgmm.engines.base import MergeTree
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.elsewhere import Place

_AT_HOME = 64
"""Records that this process merges by itself; of more partitions, Spark merges neighbours first.

That is a second stage of tasks, which costs more time than so few records need to come home.
"""


def counted_partitions(rows: SparkRows) -> tuple[Layout, Partitions]:
    """Look at all rows once.

    Raises
    ------
    ValueError
        If there are none, or arrays have several lengths.
    ClusterError
        If executors have other versions of packages.
    """
    layout = Layout(
        rows.of_arrays, rows.weighted, np.dtype(np.float32 if rows.single else np.float64)
    )
    found: list[Counted] = sorted(_collected(rows.frame, count_rows, layout=layout))
    check_facts({f"of partition {part.number}": part.facts for part in found}, facts_here())
    d = {part.n_features for part in found if part.n_features is not None}
    if not d:
        raise ValueError(f"{NAME} has no rows.")
    if len(d) > 1:
        raise ValueError(f"{NAME} has arrays of several lengths: {sorted(d)}.")
    columns = list(range(d.pop())) if rows.of_arrays else rows.columns
    starts = np.zeros(len(found) + 1, np.int64)
    np.cumsum([part.n_rows for part in found], out=starts[1:])
    names = None if rows.of_arrays else rows.columns
    partitions = Partitions(
        uuid.uuid4().hex, NAME, starts, layout.dtype, columns, names, rows.weighted
    )
    return layout, partitions


class SparkReader(PartitionedRows):
    """Rows of a Spark frame.

    Parameters
    ----------
    frame : DataFrame
    counted : (Layout, Partitions)
    """

    def __init__(self, frame: Any, counted: tuple[Layout, Partitions]):
        self._frame, (self._layout, partitions) = frame, counted
        super().__init__(partitions)
        self.place = SparkPlace(frame, self._layout, partitions)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        parts = {number: (begin, end) for number, begin, end in self._partitions.parts(start, stop)}
        blocks = _collected(self._frame, rows_between, layout=self._layout, parts=parts)
        return joined(blocks, self.n_features, self.dtype)

    def weights(self) -> Iterator[np.ndarray]:
        asked = _asked(self._frame, weights_of_rows, layout=self._layout)
        with _spark_errors():
            for record in asked.toLocalIterator(prefetchPartitions=True):
                yield _result(record)


class SparkPlace(Place):
    """The executors of Spark.

    Parameters
    ----------
    frame : DataFrame
    layout : Layout
    partitions : Partitions
    """

    def __init__(self, frame: Any, layout: Layout, partitions: Partitions):
        self._frame, self._layout, self._partitions = frame, layout, partitions
        with_rows = np.flatnonzero(np.diff(partitions.starts)).tolist()
        self._leaves = {number: leaf for leaf, number in enumerate(with_rows)}

    def merge(self, function: Callable[[Chunk], Any], source: RowSource, grid: RowGrid) -> Any:
        context = self._frame.sparkSession.sparkContext
        functions = self._by_partition(function, grid)
        sent = context.broadcast((pickle.dumps(source.to_send()), functions))
        asked = _asked(
            self._frame,
            sum_rows,
            layout=self._layout,
            partitions=self._partitions,
            grid=grid,
            sent=sent,
        )
        try:
            total = _total(asked, self._leaves)
        finally:
            sent.destroy()
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


def _asked(frame: Any, work: Callable, **arguments: Any) -> Any:
    """Frame of the pickled results of some work on every partition."""
    return frame.mapInArrow(partial(told, work=work, **arguments), "record binary")


def _collected(frame: Any, work: Callable, **arguments: Any) -> list[Any]:
    """Results of some work on every partition, in the order of the partitions."""
    with _spark_errors():
        records = _asked(frame, work, **arguments).collect()
    return [_result(record) for record in records]


def _result(record: Any) -> Any:
    """What a task made.

    Raises
    ------
    ValueError
        What is wrong with the rows of its partition.
    """
    result = pickle.loads(record[0])
    if isinstance(result, Failed):
        raise result.error
    return result


def _leaf_and_nodes(leaves: dict[int, int], record: Any) -> tuple[int, Any]:
    """Number among the partitions that have rows, and the nodes of the merge tree."""
    result = pickle.loads(record[0])
    if isinstance(result, Failed):
        return 0, result
    number, sums = result
    return leaves[number], [((0, leaves[number]), sums)]


def _joined(n_leaves: int, first: Any, second: Any) -> Any:
    """Nodes of both; what went wrong in the first partition, if something did."""
    failures = [part for part in (first, second) if isinstance(part, Failed)]
    if failures:
        return min(failures, key=lambda failed: failed.leaf)
    tree = MergeTree(n_leaves)
    for (level, index), record in [*first, *second]:
        tree.add(index, record, level)
    return list(tree.nodes.items())


def _total(records: Any, leaves: dict[int, int]) -> Any:
    """Merge of all partitions, by the same additions whoever makes them.

    Parameters
    ----------
    records : DataFrame
        Pickled numbers of partitions, and their sums.
    leaves : dict
        Numbers among the partitions that have rows.

    Raises
    ------
    ValueError
        What is wrong with the rows of the first partition that has such rows.
    """
    join, entered = partial(_joined, len(leaves)), partial(_leaf_and_nodes, leaves)
    with _spark_errors():
        if len(leaves) <= _AT_HOME:
            found = [entered(record)[1] for record in records.collect()]
        else:
            # A task merges neighbours, whose nodes grow together, as many as there are such tasks.
            width = 1 << math.ceil(math.log2(len(leaves)) / 2)
            pairs = records.rdd.map(entered).map(partial(_with_key, width))
            found = pairs.reduceByKey(join, -(-len(leaves) // width)).values().collect()
    nodes = functools.reduce(join, found)
    if isinstance(nodes, Failed):
        raise nodes.error
    ((_, total),) = nodes
    return total


def _with_key(width: int, pair: tuple[int, Any]) -> tuple[int, Any]:
    return pair[0] // width, pair[1]


@contextmanager
def _spark_errors() -> Iterator[None]:
    """Say in plain words what Spark could not do.

    Raises
    ------
    ClusterError
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        words = [line.strip() for line in lines if "Error: " in line and "\tat" not in line]
        raise ClusterError(f"Spark could not do the job: {(words or lines)[-1].strip()}") from error
