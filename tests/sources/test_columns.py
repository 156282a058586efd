"""Datasets with columns of their own, tables of very many, and parts that do not agree."""

import os
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import zarr

from fastgmm.sources.array import array_source
from fastgmm.sources.opening import open_source


@pytest.fixture
def hive(tmp_path):
    table = pa.table({"year": [2019, 2019, 2020], "a": [1.0, 2, 3], "b": [4.0, 5, 6]})
    pq.write_to_dataset(table, tmp_path / "hive", partition_cols=["year"])
    return tmp_path / "hive"


def same(thing, other, **options):
    one, two = open_source(thing, **options), open_source(other, **options)
    assert one.feature_names == two.feature_names
    assert one.dtype == two.dtype
    first, second = one.read(0, one.n_rows), two.read(0, two.n_rows)
    np.testing.assert_array_equal(first.rows, second.rows, strict=True)
    np.testing.assert_array_equal(first.weights, second.weights)


@pytest.mark.parametrize(
    "options", [{}, {"columns": ["year", "a"]}, {"weight": "year"}, {"columns": ["b"]}]
)
def test_a_dataset_is_read_by_its_own_schema(hive, options):
    dataset = ds.dataset(hive, partitioning="hive")
    same(dataset, dataset.to_table(), **options)


@pytest.mark.parametrize(
    "fields",
    [
        [("b", pa.float64())],
        [("b", pa.float32())],
        [("b", pa.float32()), ("a", pa.float32())],
    ],
)
def test_the_schema_of_a_dataset_may_be_given(hive, fields):
    dataset = ds.dataset(hive, schema=pa.schema(fields))
    same(dataset, dataset.to_table())


def test_what_pyarrow_cannot_read_again_is_refused(hive):
    dataset = ds.dataset(hive, partitioning="hive")
    with pytest.raises(ValueError, match=r"filtered.*to_table\(\)"):
        open_source(dataset.filter(ds.field("a") > 1))
    file = next(hive.rglob("*.parquet"))
    for thing in (dataset.scanner(), pq.ParquetFile(file)):
        with pytest.raises(TypeError, match="Table or a Dataset, or the path"):
            open_source(thing)


def test_parts_without_rows_are_passed_over(tmp_path):
    full = pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    empty = pa.table({"a": pa.nulls(0), "b": pa.nulls(0)})
    for name, table in (("0", empty), ("1", full), ("2", empty)):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    assert open_source(tmp_path).n_rows == 2
    assert open_source(ds.dataset(tmp_path, schema=full.schema)).n_rows == 2
    assert open_source([tmp_path / "0.parquet", tmp_path / "1.parquet"]).n_rows == 2
    assert open_source([empty, full, empty.to_pandas()]).n_rows == 2
    with pytest.raises(ValueError, match=r"has no rows"):
        open_source([empty])


def test_parts_with_other_columns_are_refused_behind_an_array():
    frame = pd.DataFrame({"a": [1.0], "b": [10.0]})
    assert open_source([frame.to_numpy(), frame]).feature_names == ["a", "b"]
    with pytest.raises(ValueError, match=r"Part 2 has the features \['b', 'a'\], but Part 1"):
        open_source([frame.to_numpy(), frame, frame[["b", "a"]]])


def test_a_mask_is_passed_over():
    values = np.arange(6.0).reshape(3, 2)
    masked = np.ma.masked_array(values, values > 3)
    for thing in (masked, [masked], [values, masked]):
        rows = open_source(thing).read(0, 3).rows
        assert type(rows) is np.ndarray
        np.testing.assert_array_equal(rows, values)


@pytest.mark.parametrize("version", [2, 3])
def test_a_zarr_group_lists_its_arrays(tmp_path, version):
    group = zarr.open_group(tmp_path / "g.zarr", mode="w", zarr_format=version)
    group.create_array("x", shape=(4, 2), dtype="f8")
    group.create_array("deep/y", shape=(4, 2), dtype="f8")
    with pytest.raises(ValueError, match=r"no Zarr array but a group.*g.zarr/deep/y, .*/x"):
        open_source(tmp_path / "g.zarr")
    assert open_source(tmp_path / "g.zarr" / "x").n_rows == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("name", ["rows.npy", "rows.csv", "rows.parquet", "rows"])
def test_a_pipe_is_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=r"is a pipe .* only once"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("kind", ["table", "parquet", "csv"])
def test_many_columns_take_time_in_proportion(tmp_path, kind):
    def seconds(n_columns):
        rows = np.random.RandomState(0).standard_normal((8, n_columns))
        table = pa.table({f"g{j}": column for j, column in enumerate(rows.T)})
        thing = table
        if kind != "table":
            thing = tmp_path / f"{n_columns}.{kind}"
            write = pq.write_table if kind == "parquet" else pyarrow.csv.write_csv
            write(table, thing)
        began = time.process_time()
        source = open_source(thing)
        np.testing.assert_array_equal(source.read(0, 8).rows, rows)
        return time.process_time() - began

    seconds(500)
    # Ten times as many columns: a square would take a hundred times as long.
    assert seconds(20_000) < 40 * seconds(2000)


def test_columns_of_several_types_and_nulls():
    n = 70
    columns = {f"c{j}": pa.array([1.0, None, 3.0]) for j in range(n)}
    columns["i"] = pa.array([1, 2, 3])
    table = pa.table(columns)
    with pytest.raises(ValueError, match=r"'c0' has a missing value .* in row 1"):
        open_source(table).read(0, 3)
    rows = open_source(table.slice(2)).read(0, 1).rows
    assert rows.tolist() == [[3.0] * n + [3.0]]
    with pytest.raises(ValueError, match=r"'c0' has a missing value .* in row 1"):
        open_source(table.drop_columns(["i"])).read(0, 3)


def test_a_plain_array_costs_the_same_with_any_number_of_columns():
    # As often as a service predicts one row.
    def calls(n_columns):
        X, counted = np.zeros((1, n_columns)), []
        sys.setprofile(lambda frame, event, argument: counted.append(event))
        try:
            array_source(X)
        finally:
            sys.setprofile(None)
        return len(counted)

    assert calls(2) == calls(500)
