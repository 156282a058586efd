"""Clusters of real processes, one for each module of tests."""

import multiprocessing
import warnings
from contextlib import contextmanager
from multiprocessing import forkserver

import dask
import pytest
from distributed import Client, LocalCluster

from tests.systems import START_METHOD

CONTEXT = multiprocessing.get_context("forkserver" if START_METHOD == "fork" else "spawn")
CONTEXT.set_forkserver_preload(
    ["sklearn.mixture", "numba", "distributed", "dask.dataframe", "pyarrow.parquet"]
)


@pytest.fixture(scope="session", autouse=True)
def forked_workers():
    """Fork workers where processes may fork: to import all they need takes longer than most tests.

    The process that they are forked from has to run before Dask tells it to import other things.
    """
    method = CONTEXT.get_start_method()
    if method == "forkserver":
        forkserver.ensure_running()
    with dask.config.set({"distributed.worker.multiprocessing-method": method}):
        yield


@contextmanager
def cluster_of_two():
    """A client of two worker processes of one thread each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 2}),
            LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                memory_limit="1GB",
                silence_logs=50,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def client():
    """A cluster that the tests of a module share."""
    with cluster_of_two() as client:
        yield client


@pytest.fixture
def mortal():
    """A cluster of a test's own, whose workers may die."""
    with cluster_of_two() as client:
        yield client
        assert client.submit(sum, [1, 2], pure=False).result(timeout=60) == 3
