"""The rows of a frame, packed where they are, and the jobs over them."""

import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

from fastgmm.distributed.client import ClusterError
from fastgmm.distributed.held import Failed, Partitions
from fastgmm.distributed.spark.executors import Blocks, Missing, on_rows
from fastgmm.distributed.spark.frame import NAME, SparkRows
from fastgmm.distributed.spark.packing import Layout, Packed, pack, remove, unpack
from fastgmm.distributed.workers import check_facts, facts_here

_TASK_BYTES = 1 << 26
"""Rows of a task, about, where every core has one: small partitions become one.

Of a few megabytes, a task costs more than its kernels.
"""

_TRIES = 3
"""Of Spark, to run a task where its rows are; from the second on, these are packed anew."""


class PackedRows:
    """The rows of a frame in files of the executors, mapped into memory by every job.

    Spark knows of each file by a record that it keeps beside it, on the same executor. So tasks go
    there, and when an executor is lost, the record is lost with the file, and both are made anew.

    Parameters
    ----------
    packed : RDD of Packed
        Kept by Spark.
    partitions : Partitions
        Of the frame.
    """

    def __init__(self, packed: Any, partitions: Partitions):
        self._packed, self.partitions = packed, partitions
        n_bytes = partitions.starts[-1] * len(partitions.columns) * partitions.dtype.itemsize
        n_tasks = max(packed.context.defaultParallelism, math.ceil(n_bytes / _TASK_BYTES))
        self._n_tasks = min(n_tasks, len(partitions.starts) - 1)
        self._apart: set[int] = set()
        with spark_errors():
            self._tasks = self._placed()

    def _placed(self) -> Any:
        """An RDD of what is packed, a partition for every task.

        It depends on no other RDD, or Spark would send the frame's plan with every job.
        """
        # Spark puts those together that are on one machine, but for some that are left over.
        together = self._packed.coalesce(self._n_tasks)
        return _on_machines(together.context, together.glom().collect(), _machines(together))

    def run(
        self,
        work: Callable[[Blocks], Iterator[Any]],
        merged: Callable[[Any], Any] = lambda found: found,
    ) -> list[Any]:
        """What some work makes of the rows of every task.

        Parameters
        ----------
        work : callable
        merged : callable, optional
            Makes another RDD of that of the results; these may also be `Missing`.

        Raises
        ------
        ClusterError
        """
        with spark_errors():
            found = self._tasks.mapPartitions(partial(on_rows, work=work, without=self._apart))
            done, missing = _sorted_out(merged(found).collect())
            left = self._apart | {partition.number for partition in missing}
            moved = any(not partition.apart for partition in missing)
            self._apart |= {partition.number for partition in missing if partition.apart}
            for tried in range(_TRIES):
                if not left:
                    break
                if tried:
                    _kept(self._packed.unpersist(blocking=True))
                # By themselves they run where they are, when no other task is in their way.
                found = self._packed.mapPartitions(partial(on_rows, work=work))
                results, missing = _sorted_out(found.context.runJob(found, list, sorted(left)))
                done += results
                left = {partition.number for partition in missing}
            if moved and not left:
                self._tasks, self._apart = self._placed(), set()
        if left:
            raise ClusterError(
                f"Spark works on partitions {sorted(left)} where their rows are not."
            )
        return done


def _machines(rdd: Any) -> list[Any]:
    """Where Spark would have every partition of an RDD worked on, as it says it."""
    inner = rdd._jrdd.rdd()
    return [inner.preferredLocations(partition) for partition in inner.partitions()]


def _on_machines(context: Any, groups: list[Any], machines: list[Any]) -> Any:
    """An RDD of a partition for every group, each on its machine."""
    from pyspark import RDD
    from pyspark.serializers import CPickleSerializer

    jvm, serializer = context._jvm, CPickleSerializer()
    pairs = [
        jvm.scala.Tuple2(bytearray(serializer.dumps(group)), machine)
        for group, machine in zip(groups, machines, strict=True)
    ]
    of_bytes = getattr(getattr(jvm.scala.reflect, "ClassTag$"), "MODULE$").AnyRef()
    placed = context._jsc.sc().makeRDD(jvm.PythonUtils.toSeq(pairs), of_bytes)
    return RDD(placed.toJavaRDD(), context, serializer).flatMap(iter)


def _sorted_out(results: list[Any]) -> tuple[list[Any], list[Missing]]:
    """What came out, and which partitions were missing."""
    missing = [result for result in results if isinstance(result, Missing)]
    return [result for result in results if not isinstance(result, Missing)], missing


@contextmanager
def packed_rows(rows: SparkRows) -> Iterator[PackedRows]:
    """Pack rows where they are, and keep them there meanwhile.

    What is packed again must be the same rows in the same partitions.

    Raises
    ------
    ValueError
        If there are no rows, or arrays have several lengths.
    ClusterError
        If executors have other versions of packages.
    """
    layout = Layout(rows.of_arrays, rows.weighted, np.dtype(np.float32 if rows.single else float))
    token = uuid.uuid4().hex
    with spark_errors():
        asked = rows.frame.mapInArrow(partial(pack, layout=layout, token=token), "record binary")
        packed = _kept(asked.rdd.mapPartitionsWithIndex(unpack))
    try:
        with spark_errors():
            found = sorted(packed.collect(), key=lambda partition: partition[0])
        yield PackedRows(packed, _partitions(rows, layout, token, found))
    finally:
        with suppress(Exception):  # where Spark has ended, its executors have removed all files
            packed.unpersist()
            n = packed.context.defaultParallelism  # a task for every core
            packed.context.parallelize(range(n), n).foreachPartition(partial(remove, token=token))


def _kept(packed: Any) -> Any:
    from pyspark import StorageLevel

    return packed.persist(StorageLevel.MEMORY_AND_DISK)


def _partitions(
    rows: SparkRows, layout: Layout, token: str, found: list[Packed | Failed]
) -> Partitions:
    """What is known of the partitions of a frame, once they are packed."""
    parts = []
    for part in found:
        if isinstance(part, Failed):
            raise part.error
        parts.append(part)
    check_facts({f"of partition {part.number}": part.facts for part in parts}, facts_here())
    d = {part.n_features for part in parts if part.n_features is not None}
    if not d:
        raise ValueError(f"{NAME} has no rows.")
    if len(d) > 1:
        raise ValueError(f"{NAME} has arrays of several lengths: {sorted(d)}.")
    columns = list(range(d.pop())) if rows.of_arrays else rows.columns
    starts = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([part.n_rows for part in parts], out=starts[1:])
    names = None if rows.of_arrays else rows.columns
    return Partitions(token, NAME, starts, layout.dtype, columns, names, rows.weighted)


@contextmanager
def spark_errors() -> Iterator[None]:
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
