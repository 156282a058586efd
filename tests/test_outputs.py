"""Predictions written chunk by chunk are those that would have been returned."""

import io
import os
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fastgmm.outputs import open_output, overwrites
from tests.systems import linux_only

TABLES = {"parquet": pq.read_table, "csv": pyarrow.csv.read_csv}
"""What reads them, by the endings of files."""

SUFFIXES = ["npy", *TABLES]


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    table = TABLES[path.suffix[1:]](path)
    columns = [column.to_numpy() for column in table.columns]
    return columns[0] if table.column_names == ["value"] else np.column_stack(columns)


def write_all(path, values, size=700, n_threads=3, columns="names"):
    if columns == "names":
        columns = "value" if values.ndim == 1 else [f"c{j}" for j in range(values.shape[1])]
    bounds = [(start, min(start + size, len(values))) for start in range(0, len(values), size)]
    random.Random(0).shuffle(bounds)
    with (
        open_output(path, len(values), columns, values.dtype) as output,
        ThreadPoolExecutor(n_threads) as pool,
    ):
        list(pool.map(lambda bound: output.write(*bound, values[slice(*bound)]), bounds))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "values",
    [
        np.arange(10_000),
        np.linspace(-1, 1, 10_000).astype(np.float32),
        np.random.RandomState(0).standard_normal((10_000, 3)),
        np.zeros((1, 5)),
    ],
    ids=["labels", "vector", "matrix", "one row"],
)
def test_what_is_written_is_read(tmp_path, suffix, values, monkeypatch):
    monkeypatch.setattr("fastgmm.outputs._ROWS_PER_GROUP", 3000)
    path = tmp_path / f"out.{suffix}"
    write_all(path, values)
    # Text has no types; but it has all digits.
    written = read(path).astype(values.dtype) if suffix == "csv" else read(path)
    np.testing.assert_array_equal(written, values, strict=True)
    assert os.listdir(tmp_path) == [path.name]


def test_threads_share_a_place_in_the_file_where_the_system_has_no_other_way(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pwrite", raising=False)
    values = np.random.RandomState(1).standard_normal((10_000, 3))
    write_all(tmp_path / "out.npy", values)
    np.testing.assert_array_equal(read(tmp_path / "out.npy"), values)


def test_row_groups_have_some_size(tmp_path, monkeypatch):
    monkeypatch.setattr("fastgmm.outputs._ROWS_PER_GROUP", 3000)
    write_all(tmp_path / "out.parquet", np.arange(10_000))
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_row_groups == 3


def test_names_of_columns(tmp_path):
    write_all(tmp_path / "out.parquet", np.zeros((4, 2)), columns=["a", "b"])
    assert pq.read_schema(tmp_path / "out.parquet").names == ["a", "b"]


def test_csv_goes_to_a_file_that_is_open(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        write_all(file, np.array([[0.1, 2.0], [1e-300, -0.0]]), columns=["a", "b,c"])
        assert not file.closed
    assert (tmp_path / "out").read_text() == 'a,"b,c"\n0.1,2\n1e-300,-0\n'


def test_csv_goes_whole_to_a_file_that_takes_a_part_at_a_time():
    class Unbuffered(io.RawIOBase):
        taken = b""

        def write(self, data):
            self.taken += bytes(data[:3])
            return min(3, len(data))

    file = Unbuffered()
    write_all(file, np.arange(12))
    assert file.taken.decode().split() == ["value", *map(str, range(12))]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_file(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    write_all(path, np.arange(10))
    for error in (KeyboardInterrupt(), FileNotFoundError(2, "No such file", "rows.npy")):

        def fail(error=error):
            with open_output(path, 10, "value", np.dtype(int)) as output:
                output.write(0, 5, np.zeros(5, int))
                raise error

        with pytest.raises(type(error)) as caught:
            fail()
        # Not every error in the context is one of the file that is written.
        assert caught.value is error
    np.testing.assert_array_equal(read(path), np.arange(10))
    assert os.listdir(tmp_path) == [path.name]


def test_what_is_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r"not to .*out\.txt"),
        open_output(tmp_path / "out.txt", 1, "value", np.dtype(int)),
    ):
        pass
    with (
        pytest.raises(FileNotFoundError, match=r"missing[/\\]+out\.npy"),
        open_output(tmp_path / "missing" / "out.npy", 1, "value", np.dtype(int)),
    ):
        pass


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_folder_that_will_not_take_the_file_shows_at_once(tmp_path, monkeypatch, step):
    def refuse(*arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, step, refuse)
    with (
        pytest.raises(PermissionError, match=r"in writing: .*out\.npy"),
        open_output(tmp_path / "out.npy", 5, "value", np.dtype(float)),
    ):
        pytest.fail("the work has begun")


@linux_only
def test_too_small_a_disk_shows_at_once(tmp_path):
    with (
        pytest.raises(OSError, match=r"(No space left|too large), in writing: .*out\.npy"),
        open_output(tmp_path / "out.npy", 1 << 50, "value", np.dtype(int)),
    ):
        raise AssertionError
    assert os.listdir(tmp_path) == []


def test_an_output_that_is_an_input_by_another_name(tmp_path):
    for name in ("rows.npy", "part.parquet"):
        (tmp_path / name).write_bytes(b"")
        # As a case-insensitive file system has it, where both names lead to one file.
        os.link(tmp_path / name, tmp_path / name.title())
    assert overwrites(tmp_path / "Rows.Npy", [tmp_path / "rows.npy"])
    assert overwrites(tmp_path / "part.parquet", [tmp_path / "Part.Parquet"])
    assert overwrites(tmp_path / "new.parquet", [tmp_path])
    assert not overwrites(tmp_path / "new.npy", [tmp_path, tmp_path / "rows.npy"])
    assert not overwrites(tmp_path / "rows.npy", [tmp_path / "part.parquet"])
    assert not overwrites(tmp_path / "rows.npy", [tmp_path / "is not there"])
