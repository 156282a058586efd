"""Rows that Spark holds: how they are packed, counted, read, and summed."""

import functools
import math
import pickle
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np

from fastgmm.distributed.client import ClusterError
from fastgmm.distributed.held import Failed, PartitionedRows, Partitions, joined
from fastgmm.distributed.spark.executors import (
    Counted,
    Layout,
    count_rows,
    leaves_of,
    of_each,
    pack,
    pieces,
    rows_between,
    sum_partitions,
    unpack,
    weights_of_rows,
)
from fastgmm.distributed.spark.frame import NAME, SparkRows
from fastgmm.distributed.workers import check_facts, facts_here
from fastgmm.engines.base import MergeTree
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.elsewhere import Place

_AT_HOME = 64
"""Partitions that this process merges by itself; of more, Spark merges neighbours first.

That is a second stage of tasks, which costs more time than so few records need to come home.
"""

_TASK_BYTES = 1 << 26
"""Rows of a task, about, where every core has one: small partitions become one.

Of a few megabytes, a task costs more than its kernels.
"""


@contextmanager
def packed_rows(rows: SparkRows) -> Iterator[tuple[Any, Partitions]]:
    """Pack rows where they are, and keep them there meanwhile, in memory and on disk.

    What is read again must be the same rows in the same partitions.

    Yields
    ------
    records : RDD
        See `fastgmm.distributed.spark.executors.Records`; where partitions are small, several of
        them are one of the RDD's.
    partitions : Partitions
        Of the frame.

    Raises
    ------
    ValueError
        If there are no rows, or arrays have several lengths.
    ClusterError
        If executors have other versions of packages.
    """
    dtype = np.dtype(np.float32 if rows.single else np.float64)
    layout = Layout(rows.of_arrays, rows.weighted, dtype)
    with ExitStack() as stack:
        with _spark_errors():
            asked = rows.frame.mapInArrow(partial(pack, layout=layout), "record binary")
            records = _kept(asked.rdd.map(unpack), stack)
        partitions = _counted(rows, layout, records)
        n_bytes = partitions.starts[-1] * len(partitions.columns) * layout.dtype.itemsize
        with _spark_errors():
            n_tasks = max(records.context.defaultParallelism, math.ceil(n_bytes / _TASK_BYTES))
            if n_tasks < len(partitions.starts) - 1:
                first, records = records, _kept(records.coalesce(n_tasks), stack)
                records.count()
                first.unpersist()
        yield records, partitions


def _kept(records: Any, stack: ExitStack) -> Any:
    """An RDD whose partitions stay where they have been computed, until the end of a context."""
    from pyspark import StorageLevel

    kept = records.persist(StorageLevel.MEMORY_AND_DISK)
    stack.callback(kept.unpersist)
    return kept


def _counted(rows: SparkRows, layout: Layout, records: Any) -> Partitions:
    """Look at all rows once."""
    found: list[Counted] = list(_collected(records, count_rows).values())
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
    return Partitions(uuid.uuid4().hex, NAME, starts, layout.dtype, columns, names, rows.weighted)


class SparkReader(PartitionedRows):
    """Rows of a Spark frame.

    Parameters
    ----------
    records : RDD
        See `packed_rows`.
    partitions : Partitions
    """

    def __init__(self, records: Any, partitions: Partitions):
        super().__init__(partitions)
        self._records = records
        self.place = SparkPlace(records, partitions)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        parts = {number: (begin, end) for number, begin, end in self._partitions.parts(start, stop)}
        found = _collected(self._records, rows_between, parts=parts)
        return joined([found[number] for number in parts], self.n_features, self.dtype)

    def weights(self) -> Iterator[np.ndarray]:
        yield from _collected(self._records, weights_of_rows).values()


class SparkPlace(Place):
    """The executors of Spark.

    Parameters
    ----------
    records : RDD
    partitions : Partitions
    """

    def __init__(self, records: Any, partitions: Partitions):
        self._records, self._partitions = records, partitions
        self._leaves = leaves_of(partitions)

    def merge(self, function: Callable[[Chunk], Any], source: RowSource, grid: RowGrid) -> Any:
        # What tasks share goes to every executor once, as Spark broadcasts the task itself.
        work = partial(
            sum_partitions,
            partitions=self._partitions,
            grid=grid,
            stored=pickle.dumps(source.to_send()),
            functions=self._by_partition(function, grid),
        )
        with _spark_errors():
            total = _total(self._records.mapPartitions(work), len(self._leaves))
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


def _collected(records: Any, work: Callable, **arguments: Any) -> dict[int, Any]:
    """What some work gives for every partition, by their numbers, in order.

    Raises
    ------
    ValueError
        What is wrong with the rows of the first partition that has such rows.
    """
    with _spark_errors():
        found = records.mapPartitions(partial(of_each, work=work, **arguments)).collect()
    results = dict(sorted(found, key=lambda pair: pair[0]))
    for result in results.values():
        if isinstance(result, Failed):
            raise result.error
    return results


def _total(found: Any, n_leaves: int) -> Any:
    """Merge of all partitions, by the same additions whoever makes them.

    Parameters
    ----------
    found : RDD
        Nodes of the merge tree over the partitions, or what went wrong.
    n_leaves : int

    Raises
    ------
    ValueError
        What is wrong with the rows of the first partition that has such rows.
    """
    join = partial(_joined, n_leaves)
    if n_leaves > _AT_HOME:
        # A task merges neighbours, whose nodes grow together, as many as there are such tasks.
        width = 1 << math.ceil(math.log2(n_leaves) / 2)
        pairs = found.flatMap(partial(_with_keys, width))
        found = pairs.reduceByKey(join, -(-n_leaves // width)).values()
    nodes = functools.reduce(join, found.collect())
    if isinstance(nodes, Failed):
        raise nodes.error
    ((_, total),) = nodes
    return total


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
    return [((node[0][1] << node[0][0]) // width, [node]) for node in nodes]


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
