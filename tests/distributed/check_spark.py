"""Fits of Spark frames, on a real cluster of two executors."""

import os
import re
import sys
import warnings

import numpy as np
import pytest

pyspark = pytest.importorskip("pyspark")

import pyarrow as pa  # noqa: E402

from fastgmm import BayesianGaussianMixture, GaussianMixture  # noqa: E402
from fastgmm.distributed import spark  # noqa: E402
from fastgmm.distributed.client import ClusterError  # noqa: E402
from fastgmm.distributed.spark import place  # noqa: E402
from fastgmm.distributed.spark import rows as rows_of_spark  # noqa: E402
from fastgmm.distributed.spark.rows import PackedRows  # noqa: E402
from tests.distributed.data import blobs, fitted  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")

IN_ORDER = "monotonically_increasing_id()"
ROW = 6 * (1 << 33) + 3
"""Number of a row of partition 6, as Spark counts."""

NAMES = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_")


@pytest.fixture(scope="module")
def session():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.task.maxFailures": "4",
        "spark.sql.shuffle.partitions": "3",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def rows():
    X = blobs(n=6_000, d=3)
    return X, np.random.default_rng(1).integers(0, 3, len(X)).astype(float)


@pytest.fixture(scope="module")
def frame(session, rows):
    X, weights = rows
    table = pa.table(
        {"a": X[:, 0], "b": X[:, 1], "c, d": X[:, 2], "w": weights, "text": ["x"] * len(X)}
    )
    # Cut by number, so that rows stay in order.
    parts = [session.createDataFrame(part) for part in _parts(table, 8)]
    together = parts[0]
    for part in parts[1:]:
        together = together.union(part)
    return together.coalesce(8).persist()


def _parts(table, n):
    step = -(-len(table) // n)
    return [table.slice(i * step, step) for i in range(n)]


def assert_close(model, other):
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(model, name), getattr(other, name), rtol=1e-10, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("weight", [None, "w"])
def test_a_fit_is_the_local_one_up_to_rounding(frame, rows, kind, weight):
    X, weights = rows
    make = {"n_components": 3, "tol": 0, "max_iter": 2, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = spark.fit(kind(**make), frame, ["a", "b", "c, d"], sample_weight=weight)
        local = kind(**make).fit(X, sample_weight=None if weight is None else weights)
    assert_close(model, local)
    assert list(model.feature_names_in_) == ["a", "b", "c, d"]
    assert (model.predict(X) == local.predict(X)).all()


def test_executors_merge_many_partitions_to_the_same_bits(frame, monkeypatch):
    at_home = spark.fit(_model(), frame.select("a", "b"))
    monkeypatch.setattr(place, "_AT_HOME", 4)
    monkeypatch.setattr(rows_of_spark, "_TASK_BYTES", 1 << 13)  # a task for every partition
    model = spark.fit(_model(), frame.select("a", "b"))
    for name in NAMES:
        assert np.array_equal(getattr(model, name), getattr(at_home, name))


def test_arrays_and_vectors(frame, rows):
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import functions

    X, _ = rows
    local = fitted(X[:, :2], max_iter=2)
    vectors = VectorAssembler(inputCols=["a", "b"], outputCol="v").transform(frame)
    arrays = frame.select(functions.array("a", "b").alias("v"))
    for given in (vectors, arrays):
        assert_close(spark.fit(_model(), given, "v"), local)


def test_single_precision_and_integers(frame, rows):
    X, _ = rows
    single = frame.selectExpr("cast(a as float) a", "cast(b as float) b")
    model = spark.fit(_model(), single)
    local = fitted(X[:, :2].astype(np.float32), max_iter=2)
    assert model.means_.dtype == local.means_.dtype
    np.testing.assert_allclose(model.means_, local.means_, rtol=1e-5)
    whole = frame.selectExpr("cast(10 * a as int) a", "cast(10 * b as int) b")
    assert_close(spark.fit(_model(), whole), fitted(np.trunc(10 * X[:, :2]), max_iter=2))


def test_an_executor_that_dies_loses_nothing(frame):
    """The worker process of one task ends in the middle of it, once."""
    undisturbed = spark.fit(_model(), frame.select("a", "b"))
    fragile = frame.select("a", "b").mapInArrow(_dies_once, "a double, b double")
    model = spark.fit(_model(), fragile)
    for name in NAMES:
        assert np.array_equal(getattr(model, name), getattr(undisturbed, name))


def _dies_once(batches):
    from pyspark import TaskContext

    context = TaskContext.get()
    if context.partitionId() == 6 and context.attemptNumber() == 0:
        os._exit(1)
    yield from batches


def test_rows_that_are_lost_are_packed_again_and_all_are_removed(frame, monkeypatch):
    undisturbed = spark.fit(_model(), frame.select("a", "b"))
    run, files = PackedRows.run, []
    sorted_out, n_missing = rows_of_spark._sorted_out, []

    def lost(self, *arguments):
        if not files:
            files.extend(part.path for part in self._packed.collect())
            os.remove(files[3])
        return run(self, *arguments)

    def counted(results):
        found = sorted_out(results)
        n_missing.append(len(found[1]))
        return found

    monkeypatch.setattr(PackedRows, "run", lost)
    monkeypatch.setattr(rows_of_spark, "_sorted_out", counted)
    model = spark.fit(_model(), frame.select("a", "b"))
    for name in NAMES:
        assert np.array_equal(getattr(model, name), getattr(undisturbed, name))
    assert not any(os.path.exists(os.path.dirname(file)) for file in files)
    # By its task and where its record is; then it is packed anew, and tasks know where.
    assert n_missing[:2] == [1, 1]
    assert not any(n_missing[2:])


@pytest.mark.parametrize(
    ("select", "columns", "words"),
    [
        (["a", "text"], None, "column 'text' holds string, but numbers are needed"),
        (["a"], ["a", "z"], "has no column 'z'"),
        (["a"], [], "columns should be names of columns"),
        (["a", "b"], ["a", "a"], "'a'"),
        (["a as a", "array(a, b) as v"], ["a", "v"], "column 'v' holds array"),
        (["case when b > 8 then array(a) else array(a, b) end as v"], "v", "lengths"),
        (
            ["a", f"case when {IN_ORDER} = {ROW} then null else b end b"],
            None,
            "Partition 6: column 'b' has",
        ),
        (["a", "double('NaN') as b"], None, "Partition 0: column 'b' has"),
    ],
)
def test_what_is_wrong_is_named(frame, select, columns, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        spark.fit(_model(), frame.selectExpr(*select), columns)


def test_no_rows_and_no_frame(frame):
    with pytest.raises(ValueError, match="has no rows"):
        spark.fit(_model(), frame.select("a").where("a > 1e9"))
    with pytest.raises(TypeError, match="A Spark frame is needed"):
        spark.fit(_model(), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="negative"):
        spark.fit(_model(), frame.selectExpr("a", "-w as w"), "a", sample_weight="w")


def test_a_task_that_fails_is_told_in_plain_words(frame):
    broken = frame.select("a").mapInArrow(_fails, "a double")
    with pytest.raises(ClusterError, match="RuntimeError: no such luck"):
        spark.fit(_model(), broken)


def _fails(batches):
    raise RuntimeError("no such luck")


def _model():
    return GaussianMixture(3, tol=0, max_iter=2, random_state=0)
