"""Fit a mixture to a Spark frame."""

from collections.abc import Sequence
from typing import Any, TypeVar

from fastgmm.distributed.spark.frame import chosen_columns
from fastgmm.distributed.spark.place import SparkReader
from fastgmm.distributed.spark.rows import packed_rows
from fastgmm.sources.base import RowSource
from fastgmm.sources.optional import import_optional

Model = TypeVar("Model")


def fit(
    model: Model,
    frame: Any,
    columns: str | Sequence[str] | None = None,
    sample_weight: str | None = None,
    **parameters: Any,
) -> Model:
    """Fit a mixture to the rows of a Spark frame, where they are.

    Every iteration is a job of Spark: the tasks turn partitions into sufficient statistics
    (Bishop 2006, section 9.2.2) by the kernels of a local fit, and these are merged along a tree
    over the partitions. The same partitions give the same bits for any number of executors, and
    the parameters of a local fit of the same rows up to rounding. Before, `mapInArrow` packs the
    rows into files of the executors, in Spark's own local folders, which are mapped meanwhile.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
        Its `n_jobs` counts in this process only; executors have a task per core.
    frame : pyspark.sql.DataFrame of n rows
        Not of Spark Connect, which has no RDDs.
    columns : str or sequence of str, optional
        The d features: columns of numbers, or one column of vectors or arrays of d numbers. All
        columns by default, but for that of weights.
    sample_weight : str, optional
        Column of weights. A row of weight 0 is as good as absent.
    **parameters
        Further arguments of the model's `fit`.

    Returns
    -------
    model
        Fitted, with all attributes of a local fit.

    Raises
    ------
    ValueError
        If a column is not there or holds no numbers, or a value is missing or infinite; the text
        names the partition, from 0 as Spark counts.
    TypeError
        If the frame is none of Spark's.
    ClusterError
        If Spark cannot do the job, or executors have other versions of fastgmm, NumPy or Numba.
    """
    import_optional("pyspark", "Fitting Spark frames", "spark")
    rows = chosen_columns(frame, columns, sample_weight)
    with packed_rows(rows) as packed:
        model.fit(RowSource(SparkReader(packed)), **parameters)  # type: ignore[attr-defined]
    return model
