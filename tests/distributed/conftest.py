"""Clusters of real processes, one for each module of tests."""

import warnings
from contextlib import contextmanager

import dask
import pytest
from distributed import Client, LocalCluster


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
                dashboard_address=None,
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
