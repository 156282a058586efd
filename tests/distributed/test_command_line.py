"""``fastgmm fit --dask ADDRESS``."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import fastgmm
from fastgmm.cli.main import app
from tests.distributed.data import assert_same_bits, blobs, fitted

X = blobs(6_000)


@pytest.fixture
def files(tmp_path):
    for number, part in enumerate(np.array_split(X, 3)):
        table = pa.table(dict(zip("abc", part.T, strict=True)))
        pq.write_table(table, tmp_path / f"part{number}.parquet")
    return tmp_path


def run(*arguments, command="fit"):
    return CliRunner().invoke(app, [command, *map(str, arguments)])


def test_a_cluster_reads_the_files(client, files, monkeypatch):
    monkeypatch.chdir(files)
    how = ["-k", 3, "--random-state", 0, "--max-iter", 4, "--tol", 0, "--out", "model.npz"]
    done = run("part*.parquet", *how, "--dask", client.scheduler.address)
    assert done.exit_code == 0, done.output
    assert_same_bits(fastgmm.load("model.npz"), fitted(sorted(files.glob("*.parquet"))))


def test_no_scheduler(files, monkeypatch):
    monkeypatch.setattr("fastgmm.cli.cluster._SECONDS", 1)
    done = run(files / "part0.parquet", "-k", 2, "--dask", "tcp://127.0.0.1:1")
    assert done.exit_code == 2
    assert "there is no scheduler of Dask" in done.output


def test_a_search_on_a_cluster(client, files):
    how = ["-k", "1:2", "--covariance-type", "full,diag", "--random-state", 0, "--json"]
    data = sorted(files.glob("*.parquet"))
    here = run(*data, *how, command="select")
    there = run(*data, *how, "--dask", client.scheduler.address, command="select")
    assert there.exit_code == 0, there.output
    assert _untimed(there) == _untimed(here)


def test_many_fits_on_a_cluster(client, files):
    how = ["-k", 2, "--random-state", 0, "--json"]
    data = sorted(files.glob("*.parquet"))
    here = run(*data, *how, command="fit-many")
    there = run(*data, *how, "--dask", client.scheduler.address, command="fit-many")
    assert there.exit_code == 0, there.output
    assert _untimed(there) == _untimed(here)


def _untimed(done):
    def without(thing):
        if isinstance(thing, dict):
            return {name: without(value) for name, value in thing.items() if name != "seconds"}
        return [without(each) for each in thing] if isinstance(thing, list) else thing

    return without(json.loads(done.stdout))
