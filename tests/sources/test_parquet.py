"""Parquet: types, layouts of files, damaged files."""

import decimal
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgmm.sources.base import scan
from fastgmm.sources.opening import open_source

N = 1000


def all_rows(source):
    return np.concatenate([chunk.rows for chunk in scan(source)])


def write(path, columns, **options):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path, **options)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize(
    "column",
    [
        pa.array(np.arange(N, dtype=np.int8)),
        pa.array(np.arange(N, dtype=np.uint64)),
        pa.array([2**60 + 1] * N),
        pa.array(np.arange(N) % 3 == 0),
        pa.array(np.linspace(-1, 1, N).astype(np.float16)),
        pa.array(np.linspace(-1, 1, N).astype(np.float32)),
        pa.array([decimal.Decimal(i) / 8 for i in range(N)], pa.decimal128(12, 3)),
        pa.array([decimal.Decimal(i) / 8 for i in range(N)], pa.decimal256(50, 3)),
        pa.array(np.arange(N) % 7 / 2).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_types_of_numbers(path, column):
    write(path, {"a": column, "b": np.zeros(N)})
    expected = np.array(column.to_pylist(), dtype=np.float64)
    np.testing.assert_array_equal(all_rows(open_source(path))[:, 0], expected)


def test_float32_stays_if_all_columns_are(path):
    single = np.arange(N, dtype=np.float32)
    write(path, {"a": single, "b": single, "w": np.ones(N)})
    assert open_source(path, weight="w").dtype == np.float32
    assert open_source(path).dtype == np.float64


def test_float32_stays_if_all_files_have_it(tmp_path):
    write(tmp_path / "a.parquet", {"a": np.zeros(3, np.float32)})
    write(tmp_path / "b.parquet", {"a": np.ones(3)})
    assert open_source(tmp_path / "a.parquet").dtype == np.float32
    assert open_source(tmp_path).dtype == np.float64


@pytest.mark.parametrize(
    "options",
    [
        {"row_group_size": 64},
        {"compression": "zstd"},
        {"compression": "none", "use_dictionary": False},
        {"data_page_size": 64},
        {"data_page_version": "2.0", "write_page_checksum": True},
        {"column_encoding": "BYTE_STREAM_SPLIT", "use_dictionary": False},
        {"store_schema": False},
    ],
)
def test_layouts_of_files(path, options, monkeypatch):
    monkeypatch.setattr("fastgmm.sources.blocks._LARGEST_BLOCK_BYTES", 300 * 16)
    X = np.random.RandomState(0).standard_normal((5000, 2))
    write(path, {"a": X[:, 0], "b": X[:, 1]}, **options)
    np.testing.assert_array_equal(all_rows(open_source(path)), X)


def test_names_with_dots(path):
    write(path, {"a": [1.0], "a.b": [2.0], "a.b.c": [3.0]})
    np.testing.assert_array_equal(all_rows(open_source(path)), [[1, 2, 3]])
    np.testing.assert_array_equal(all_rows(open_source(path, columns=["a.b"])), [[2]])


def test_row_groups_without_rows(tmp_path):
    schema = pa.schema([("a", pa.float64())])
    with pq.ParquetWriter(tmp_path / "rows.parquet", schema) as writer:
        for values in ([], [1.0], [], [2.0, 3.0], []):
            writer.write_table(pa.table({"a": pa.array(values, pa.float64())}))
    np.testing.assert_array_equal(all_rows(open_source(tmp_path)), [[1], [2], [3]])


# -- what is wrong is named ------------------------------------------------------------------------
def test_null_is_named(tmp_path):
    write(tmp_path / "1.parquet", {"a": [1.0, 2.0], "b": [1, 2]})
    write(tmp_path / "2.parquet", {"a": [1.0, 2.0, None], "b": [1, None, None]})
    source = open_source(tmp_path)
    with pytest.raises(ValueError, match=r"2\.parquet: column 'b' has a missing value .* in row 1"):
        source.read(0, 5)


@pytest.mark.parametrize("values", [[True, None], [decimal.Decimal("1.5"), None], [1, None]])
def test_nulls_of_other_types_are_named(path, values):
    write(path, {"a": [1.0, 2.0], "b": values})
    with pytest.raises(ValueError, match="column 'b' has a missing value"):
        all_rows(open_source(path))


def test_text_is_named(path):
    write(path, {"a": [1.0, 2.0], "name": ["one", "two"]})
    with pytest.raises(ValueError, match=r"rows.parquet: column 'name' holds string.*'one' in row"):
        open_source(path)
    assert open_source(path, columns=["a"]).n_rows == 2


def test_weights_are_checked(tmp_path):
    write(tmp_path / "1.parquet", {"a": [1.0, 2.0], "w": [1.0, 2.0]})
    write(tmp_path / "2.parquet", {"a": [1.0, 2.0], "w": [1.0, None]})
    with pytest.raises(ValueError, match=r"2\.parquet: the weight of row 1.* is a missing value"):
        open_source(tmp_path, weight="w")


def test_missing_columns_are_named(tmp_path):
    write(tmp_path / "1.parquet", {"a": [1.0], "b": [2.0]})
    write(tmp_path / "2.parquet", {"a": [1.0], "c": [2.0]})
    with pytest.raises(ValueError, match=r"2\.parquet has no column 'b'; its columns are 'a', 'c'"):
        open_source(tmp_path)
    assert open_source(tmp_path, columns=["a"]).n_rows == 2


def test_a_file_that_changes_is_noticed(path):
    write(path, {"a": np.arange(10.0)})
    source = open_source(path)
    write(path, {"a": np.arange(11.0)})
    with pytest.raises(ValueError, match="has changed since it was opened"):
        source.read(0, 10)


def test_a_file_that_vanishes_is_named(path):
    write(path, {"a": np.arange(10.0)})
    source = open_source(path)
    os.unlink(path)
    with pytest.raises(FileNotFoundError, match=r"rows\.parquet"):
        source.read(0, 10)


@given(data=st.data())
def test_damaged_files_give_an_error_or_the_rows(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / "rows.parquet"
    X = np.random.RandomState(0).standard_normal((50, 2))
    write(path, {"a": X[:, 0], "b": X[:, 1]}, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= data.draw(st.integers(1, 255))
    else:
        del content[at:]
    path.write_bytes(content)
    try:
        rows = all_rows(open_source(path))
    except (ValueError, MemoryError) as error:
        assert "rows.parquet" in str(error)  # noqa: PT017
    else:
        # What no checksum covers may change: types, names, the number of rows.
        assert rows.ndim == 2
