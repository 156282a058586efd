"""Clusters of real processes, one for each module of tests."""

import warnings

import dask
import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="module")
def client():
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
