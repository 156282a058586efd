"""What goes wrong on a cluster: nothing is lost, no bit changes, and errors name the partition."""

import os
import signal
import threading
import time
from importlib.metadata import version

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import psutil
import pytest
from dask import delayed
from distributed import Client, LocalCluster

from fastgmm import open_source
from fastgmm.distributed import workers
from tests.distributed import faults
from tests.distributed.data import assert_same_bits, blobs, fitted

#: Dask restarts workers in this process, and must not fail over what it warns of itself.
pytestmark = pytest.mark.filterwarnings("default")

X = blobs()


def array_with(spoil, number, n_partitions=40):
    """A dask array, one partition of which goes through a function first."""
    parts = np.array_split(X, n_partitions)
    blocks = [delayed(part) for part in parts]
    blocks[number] = delayed(spoil)(blocks[number])
    arrays = [
        da.from_delayed(block, part.shape, part.dtype)
        for block, part in zip(blocks, parts, strict=True)
    ]
    return da.concatenate(arrays)


@pytest.fixture
def usable(client):
    """A client that has to be usable afterwards."""
    yield client
    assert client.submit(sum, [1, 2], pure=False).result(timeout=30) == 3


@pytest.fixture
def impatient(mortal):
    """A client whose scheduler gives a task up at the first death."""
    mortal.run_on_scheduler(_allow_failures, 0)
    yield mortal
    mortal.run_on_scheduler(_allow_failures, 2)  # of what still dies, others are not to be blamed


def _allow_failures(n, dask_scheduler=None):
    dask_scheduler.allowed_failures = n


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_worker_that_dies_amid_an_iteration(mortal, deaths, monkeypatch, tmp_path):
    expected = fitted(open_source(X))
    array = da.from_array(X, chunks=(7_777, 3))
    faults.deadly(monkeypatch, tmp_path, deaths, after=3)
    model = fitted(array)
    assert len(list(tmp_path.iterdir())) == deaths
    assert_same_bits(model, expected)


def test_a_worker_that_reads_files_dies(mortal, monkeypatch, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    expected = fitted(tmp_path / "rows.npy")
    (tmp_path / "deaths").mkdir()
    faults.deadly(monkeypatch, tmp_path / "deaths", 2, after=3)
    model = fitted(open_source(tmp_path / "rows.npy", engine="dask"))
    assert_same_bits(model, expected)


def test_workers_that_die_again_and_again(impatient, monkeypatch, tmp_path):
    faults.deadly(monkeypatch, tmp_path, 100)
    with pytest.raises(OSError, match=r"Partitions? .*: every worker that took up the work died"):
        fitted(da.from_array(X, chunks=(7_777, 3)))


#: What else a worker had to do may be named beside it, as Dask does not tell what it died of.
PARTITION_6_DIED = r"Partitions? [^:]*\b6\b.*: every worker .* died.*memory"


def test_a_partition_that_kills_its_worker(mortal):
    with pytest.raises(OSError, match=PARTITION_6_DIED):
        fitted(array_with(faults.out_of_memory, 6))


@pytest.fixture
def short():
    """A cluster whose workers soon have no memory left."""
    shape = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "500MB"}
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(**shape, dashboard_address=":0", silence_logs=50) as cluster,
        Client(cluster) as client,
    ):
        yield client
        assert client.submit(sum, [1, 2], pure=False).result(timeout=30) == 3


def test_a_worker_that_exceeds_its_memory(short):
    with pytest.raises(OSError, match=PARTITION_6_DIED):
        fitted(array_with(faults.hungry, 6))


def test_a_partition_that_cannot_be_read(usable):
    with pytest.raises(OSError, match="Partition 6 cannot be computed: FileNotFoundError"):
        fitted(array_with(faults.unreadable, 6))


@pytest.mark.parametrize("init_params", ["kmeans", "random_from_data"])
def test_a_missing_value_is_found(usable, init_params):
    with pytest.raises(ValueError, match=r"Partition 37: column 1 has a missing value .* in row 5"):
        fitted(array_with(faults.with_a_hole, 37), init_params=init_params)


def test_columns_that_do_not_match(usable):
    frames = [pd.DataFrame(part, columns=["a", "b", "c"]) for part in np.array_split(X, 8)]
    parts = [delayed(frame) for frame in frames]
    parts[6] = delayed(frames[6].rename(columns={"b": "x"}))
    frame = dd.from_delayed(parts, meta=frames[0].iloc[:0], verify_meta=False)
    with pytest.raises(ValueError, match="Partition 6 lacks column 'b'"):
        fitted(frame)


def test_columns_of_text(usable):
    frame = dd.from_pandas(pd.DataFrame({"a": X[:, 0], "b": "word"}), npartitions=3)
    with pytest.raises(ValueError, match=r"column 'b' holds .*, but numbers are needed"):
        fitted(frame)


def test_blocks_that_are_not_what_the_collection_says(usable):
    array = da.from_delayed(delayed(X[:, :2]), X.shape, X.dtype)
    with pytest.raises(ValueError, match="Partition 0 has 2 columns, not 3"):
        fitted(array)
    array = da.from_delayed(delayed(X[:-1]), X.shape, X.dtype)
    with pytest.raises(ValueError, match="Partition 0 has 59999 rows, not 60000"):
        fitted(array)


def test_ctrl_c_cancels_the_tasks(usable, monkeypatch, tmp_path):
    def interrupt():
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    faults.in_pass(monkeypatch, 0, lambda sums: faults.SlowSums(sums, tmp_path))
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        fitted(da.from_array(X, chunks=(7_777, 3)))
    thread.join()
    deadline = time.monotonic() + 20
    while any(usable.processing().values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(usable.processing().values())


def test_workers_with_other_versions(usable, monkeypatch):
    monkeypatch.setattr(workers, "version", lambda name: "0.0")
    with pytest.raises(OSError, match=f"has numba {version('numba')}, but this process has 0.0"):
        fitted(da.from_array(X, chunks=(7_777, 3)))


def test_a_worker_that_hangs(mortal, monkeypatch):
    monkeypatch.setattr(workers, "_PATIENCE", 1)
    hanging, pid = next(iter(mortal.run(os.getpid).items()))
    process = psutil.Process(pid)
    process.suspend()
    try:
        with pytest.raises(OSError, match=f"The worker at {hanging} does not answer"):
            fitted(da.from_array(X, chunks=(7_777, 3)))
    finally:
        process.resume()


def test_workers_with_other_processors(usable, monkeypatch):
    facts = workers.facts_here()
    other = facts._replace(processor=("x86_64", "z80", ""))
    monkeypatch.setattr("fastgmm.distributed.place.facts_here", lambda: other)
    with pytest.warns(UserWarning, match="other processors"):
        fitted(da.from_array(X, chunks=(7_777, 3)))


def test_a_client_that_is_closed():
    shape = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**shape, silence_logs=50) as cluster, Client(cluster) as client:
        source = open_source(da.from_array(X, chunks=(7_777, 3)))
        client.close()
        with pytest.raises(OSError, match="The Dask client is closed"):
            fitted(source)
