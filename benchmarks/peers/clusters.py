"""Libraries on a Dask or Spark cluster of this machine: as many workers of one thread as threads.

The workers hold the rows before the clock runs, in four partitions each. A cluster ends with the
process that started it.
"""

import os
import sys
import warnings
from typing import Any

import numpy as np

import fastgmm
from benchmarks.peers.libraries import Peer, Posed, Run

_PARTITIONS = 4  # of every worker


def _rows_on_dask(posed: Posed) -> Any:
    """The rows, on a cluster that lives as long as they do."""
    from benchmarks.dask_workers import held_by_workers, workers

    client = workers(posed.threads)
    return client, held_by_workers(posed.X, _PARTITIONS * posed.threads)


def fastgmm_on_dask(posed: Posed) -> Run:
    """fastgmm, given a dask array."""
    client, rows = _rows_on_dask(posed)

    def run(iterations: int) -> Any:
        with client.as_current():
            return _mixture(posed, iterations).fit(rows).means_

    return run


def bob(posed: Posed) -> Run:
    """bob.learn.em, given a dask array."""
    from bob.learn.em import GMMMachine  # type: ignore[import-not-found]

    client, rows = _rows_on_dask(posed)
    weights, means, variances = posed.start

    def run(iterations: int) -> Any:
        machine = GMMMachine(
            len(means),
            convergence_threshold=None,
            max_fitting_steps=iterations,
            weights=weights.copy(),
            update_variances=True,
            update_weights=True,
        )
        machine.means, machine.variances = means.copy(), variances.copy()
        with client.as_current():
            return machine.fit(rows).means

    return run


def _frame_on_spark(posed: Posed) -> Any:
    """A cached frame of a column of vectors."""
    import pyarrow as pa
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import array

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = SparkSession.builder.master(f"local-cluster[{posed.threads},1,2048]")
    session = builder.config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    warnings.simplefilter("ignore")
    names = [f"x{j}" for j in range(posed.X.shape[1])]
    table = pa.table(list(posed.X.T), names=names)
    frame = session.createDataFrame(table).repartition(_PARTITIONS * posed.threads)
    frame = frame.select(array_to_vector(array(*names)).alias("features")).persist()
    frame.count()
    return frame


def fastgmm_on_spark(posed: Posed) -> Run:
    """fastgmm, given a Spark frame."""
    from fastgmm.distributed import spark

    frame = _frame_on_spark(posed)
    return lambda n: spark.fit(_mixture(posed, n), frame, columns="features").means_


def spark_ml(posed: Posed) -> Run:
    """Spark's own mixture, which takes no start, but draws one."""
    from pyspark.ml.clustering import GaussianMixture

    frame = _frame_on_spark(posed)
    k = len(posed.start[0])

    def run(iterations: int) -> Any:
        model = GaussianMixture(k=k, maxIter=iterations, tol=0.0, seed=0).fit(frame)
        return np.array([gaussian.mean.toArray() for gaussian in model.gaussians])

    return run


def _mixture(posed: Posed, iterations: int) -> Any:
    return fastgmm.GaussianMixture(max_iter=iterations, reg_covar=0.0, **posed.arguments)


CLUSTER_PEERS = {
    "fastgmm-on-Dask": Peer("distributed", fastgmm_on_dask),
    "bob.learn.em-on-Dask": Peer("bob.learn.em", bob, ("diag",)),
    "fastgmm-on-Spark": Peer("pyspark", fastgmm_on_spark),
    "Spark": Peer("pyspark", spark_ml, ("full",)),
}
"""By the names that they have in tables and on the command line; left out unless they are asked
for."""
