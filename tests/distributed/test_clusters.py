"""Clusters of other shapes, and none: the client is made by every test."""

import asyncio

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster

from fastgmm import fit_many, open_source, select
from tests.distributed.data import assert_same_bits, blobs, fitted

X = blobs()
WEIGHTS = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)


@pytest.mark.parametrize(("n_workers", "threads", "processes"), [(1, 2, True), (4, 1, False)])
def test_the_bits_do_not_depend_on_workers(n_workers, threads, processes):
    shape = {"n_workers": n_workers, "threads_per_worker": threads, "processes": processes}
    with (
        LocalCluster(**shape, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster),
    ):
        assert_same_bits(fitted(da.from_array(X, chunks=(7_777, 3))), fitted(open_source(X)))


def test_an_adaptive_cluster_starts_workers_for_a_fit():
    with LocalCluster(
        n_workers=0, threads_per_worker=1, processes=False, dashboard_address=":0", silence_logs=50
    ) as cluster:
        cluster.adapt(minimum=0, maximum=2, interval="100ms")
        with Client(cluster):
            assert_same_bits(fitted(da.from_array(X, chunks=(7_777, 3))), fitted(open_source(X)))


def test_an_asynchronous_client_is_refused():
    async def fit():
        async with Client(
            processes=False, asynchronous=True, dashboard_address=":0", n_workers=1
        ) as client:
            assert client.asynchronous
            with pytest.raises(OSError, match="The Dask client is asynchronous"):
                fitted(da.from_array(X, chunks=(7_777, 3)))

    asyncio.run(fit())


def test_without_a_client():
    array = da.from_array(X, chunks=(9_000, 3))
    weights = da.from_array(WEIGHTS, chunks=9_000)
    assert_same_bits(fitted(array, sample_weight=weights), fitted(open_source(X, weight=WEIGHTS)))
    assert_same_bits(fitted(dd.from_pandas(pd.DataFrame(X), npartitions=5)), fitted(open_source(X)))


def test_files_need_a_client(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    with pytest.raises(OSError, match="there is none"):
        open_source(tmp_path / "rows.npy", engine="dask")


@pytest.mark.parametrize("call", [select, fit_many])
def test_fits_that_are_spread_need_a_client(call):
    with pytest.raises(OSError, match="there is none"):
        call([X], engine="dask")
