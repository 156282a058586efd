"""A cluster whose processes are all killed; the job goes on elsewhere, from its checkpoint."""

import os
import shutil
import sys
import time
from contextlib import contextmanager

import dask.array as da
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dask.cli import run_cli
from distributed import Client

from fastgmm import open_source
from tests.distributed import faults
from tests.distributed.conftest import CONTEXT
from tests.distributed.data import assert_same_bits, blobs, fitted

#: The client says that it has lost its scheduler.
pytestmark = pytest.mark.filterwarnings("default")

X = blobs()
KILLED_IN = 3
"""Iteration, which is one pass; there are four."""


def dask(folder, *arguments):
    """The command, in a process of its own: these begin much faster than Python does."""
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.argv = ["dask", *arguments, "--scheduler-file", "scheduler.json"]
    run_cli()


@contextmanager
def cluster_of_processes(folder):
    """A client, and the processes of a scheduler and two workers that nobody starts again."""
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = ["worker", "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    processes = [
        CONTEXT.Process(target=dask, args=(folder, *command))
        for command in (scheduler, worker, worker)
    ]
    for process in processes:
        process.start()
    try:
        while not (folder / "scheduler.json").exists():
            time.sleep(0.05)
        with Client(scheduler_file=folder / "scheduler.json") as client:
            client.wait_for_workers(2)
            yield client, [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def array(folder):
    return da.from_array(X, chunks=(7_777, 3))


def files(folder):
    for number, part in enumerate(np.array_split(X, 3)):
        table = pa.table(dict(zip("abc", part.T, strict=True)))
        pq.write_table(table, folder / f"part{number}.parquet")
    return open_source(sorted(folder.glob("*.parquet")), engine="dask")


@pytest.mark.parametrize("rows", [array, files])
def test_the_job_goes_on_elsewhere(mortal, rows, monkeypatch, tmp_path):
    path, copy = tmp_path / "job.npz", tmp_path / "copy.npz"
    how = {"init_params": "random_from_data"}
    with (
        cluster_of_processes(tmp_path) as (_, pids),
        monkeypatch.context() as patch,
    ):
        times = []

        def kill(sums):
            times.append(time.monotonic())
            return faults.LethalSums(pids)

        faults.in_pass(patch, KILLED_IN - 1, kill)
        with pytest.raises(OSError, match=r"Make a new one|scheduler"):
            fitted(rows(tmp_path), checkpoint=path, **how)
        assert time.monotonic() - times[0] < 20
    shutil.copy(path, copy)
    left = faults.in_pass(monkeypatch, 99, None)
    with mortal.as_current():
        there = fitted(rows(tmp_path), checkpoint=path, **how)
    assert len(left) == 4 - KILLED_IN + 1
    expected = fitted(open_source(X), **how)
    local = fitted(open_source(X), checkpoint=copy, **how)
    for model in (there, local):
        assert_same_bits(model, expected)
