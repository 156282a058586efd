"""Storage that changes after it was opened: an error, never other rows, never a crash."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import zarr

from fastgmm.sources.opening import open_source

X = np.random.RandomState(0).standard_normal((5000, 3))
CHANGED = "has changed since it was opened"


def _npy(path, X):
    np.save(path, X)


def _by_columns(path, X):
    np.save(path, np.asfortranarray(X))


def _parquet(path, X):
    pq.write_table(pa.table({str(j): column for j, column in enumerate(X.T)}), path)


def _zarr(path, X):
    shutil.rmtree(path, ignore_errors=True)
    zarr.create_array(path, data=X, chunks=(1000, 2))


WRITERS = {
    "npy": (_npy, ".npy", open_source),
    "by_columns": (_by_columns, ".npy", open_source),
    "memmap": (_npy, ".npy", lambda path: open_source(np.load(path, mmap_mode="r"))),
    "parquet": (_parquet, ".parquet", open_source),
    "dataset": (_parquet, ".parquet", lambda path: open_source(pyarrow.dataset.dataset(path))),
    "zarr": (_zarr, ".zarr", open_source),
    "zarr_object": (_zarr, ".zarr", lambda path: open_source(zarr.open_array(path, mode="r"))),
}


@pytest.fixture(params=WRITERS)
def opened(request, tmp_path):
    """Writer, path and a source of which a pass has been made."""
    write, suffix, open_rows = WRITERS[request.param]
    path = tmp_path / f"rows{suffix}"
    write(path, X)
    os.utime(path, ns=(1, 1))
    source = open_rows(path)
    np.testing.assert_array_equal(source.read(0, 5000).rows, X)
    np.testing.assert_array_equal(source.read(0, 1000).rows, X[:1000])
    return write, path, source


def read_pass(source):
    for start in range(0, source.n_rows, 1000):
        source.read(start, min(start + 1000, source.n_rows))


@pytest.mark.parametrize("n_rows", [5000, 4000, 6000])
def test_overwritten(opened, n_rows):
    write, path, source = opened
    write(path, np.resize(-X, (n_rows, 3)))
    with pytest.raises(ValueError, match=rf"rows\S* .*{CHANGED}"):
        read_pass(source)


def test_deleted(opened):
    _, path, source = opened
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match="rows"):
        read_pass(source)


@pytest.mark.parametrize("kind", ["npy", "by_columns", "memmap", "parquet"])
def test_cut_short(tmp_path, kind):
    write, suffix, open_rows = WRITERS[kind]
    path = tmp_path / f"rows{suffix}"
    write(path, X)
    source = open_rows(path)
    os.truncate(path, 1000)
    with pytest.raises(ValueError, match=CHANGED):
        source.read(0, 5000)


def test_a_map_that_is_written_to_may_change_but_not_shrink(tmp_path):
    path = tmp_path / "rows.bin"
    rows = np.memmap(path, np.float64, "w+", shape=(2000, 3))
    source = open_source(rows)
    source.read(0, 10)
    rows[:] = X[:2000]
    rows.flush()
    np.testing.assert_array_equal(source.read(0, 2000).rows, X[:2000])
    os.truncate(path, 100)
    with pytest.raises(ValueError, match=CHANGED):
        source.read(0, 2000)


def test_a_chunk_that_was_never_written_is_no_error(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(3000, 2), chunks=(1000, 2), dtype="f8")
    array[:1000] = 1.0
    source = open_source(tmp_path / "a.zarr")
    assert source.read(0, 3000).rows.sum() == 2000
    array[2000:] = 1.0
    source = open_source(tmp_path / "a.zarr")
    assert source.read(0, 3000).rows.sum() == 4000
    source = open_source(tmp_path / "a.zarr")
    array[1000:2000] = 1.0
    with pytest.raises(ValueError, match=CHANGED):
        source.read(0, 3000)


def test_a_damaged_chunk_is_named(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=X, chunks=(1000, 3))
    (tmp_path / "a.zarr" / "c" / "1" / "0").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"a\.zarr cannot be read as Zarr"):
        open_source(tmp_path / "a.zarr").read(0, 5000)


def test_a_chunk_that_goes_missing(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=X, chunks=(1000, 3))
    source = open_source(path)
    (path / "c" / "3" / "0").unlink()
    with pytest.raises(ValueError, match=f"{CHANGED}.*chunk 'c/3/0'"):
        read_pass(source)


def test_a_chunk_whose_rows_are_kept(tmp_path):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=X, chunks=(1000, 3))
    source = open_source(path)
    read_pass(source)
    read_pass(source)
    zarr.open_array(path, mode="r+")[2000:3000] = 1.0
    with pytest.raises(ValueError, match=f"{CHANGED}.*chunk 'c/2/0'"):
        read_pass(source)


def test_a_file_is_found_from_another_folder(tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", X)
    monkeypatch.chdir(tmp_path)
    source = open_source("rows.npy")
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(source.read(0, 10).rows, X[:10])
