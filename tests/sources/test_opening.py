"""What `open_source` takes things for, and what it says of those that it does not take."""

import builtins
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import zarr

from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.kinds import holds_rows
from fastgmm.sources.memory import parse_memory_limit
from fastgmm.sources.opening import open_for_model, open_source

X = np.arange(12.0).reshape(4, 3)
TABLE = pa.table({"a": [1.0, 2, 3], "b": [4, 5, 6], "w": [1.0, 0, 2]})


def rows_of(source):
    return source.read(0, source.n_rows).rows


# -- what is taken -----------------------------------------------------------------------------
def test_an_open_source_is_passed_on():
    opened = open_source(X, weight=np.ones(4))
    assert open_source(opened) is opened
    again = open_source(opened, dtype=np.float32)
    assert isinstance(again, RowSource)
    assert again.dtype == np.float32
    assert again.total_weight == opened.total_weight


@pytest.mark.parametrize("weights", [None, np.array([3.0, 0.0, 0.5, 100.0])])
def test_sources_of_other_kinds(weights):
    other = array_source(X, weights)
    source = open_source(other)
    assert source.total_weight == other.total_weight
    for read, wanted in zip(source.read(1, 3), other.read(1, 3), strict=True):
        np.testing.assert_array_equal(read, wanted)
    if weights is None:
        assert open_source(other, weight=np.ones(4)).total_weight == 4.0
    else:
        assert source.n_absent == 1
        with pytest.raises(ValueError, match="has weights already"):
            open_source(other, weight=np.ones(4))


def test_names_of_features():
    assert open_source(TABLE, weight="w").feature_names == ["a", "b"]
    assert open_source(TABLE, columns=["w", "a"]).feature_names == ["w", "a"]
    assert open_source(X).feature_names is None


def test_columns_of_arrays_may_count_from_the_end():
    source = open_source(X, columns=[-1, 0], weight=1)
    np.testing.assert_array_equal(rows_of(source), X[:, [2, 0]])
    assert source.total_weight == array_source(X, X[:, 1].copy()).total_weight


@pytest.mark.parametrize("index", [None, pd.Index([5, 6, 7]), pd.Index([5, 6, 7], name="key")])
def test_the_index_of_pandas_is_no_feature(tmp_path, index):
    frame = pd.DataFrame({"a": [1.0, 2, 3], "b": [4.0, 5, 6]}, index=index)
    frame.to_parquet(tmp_path / "frame.parquet")
    for thing in (frame, tmp_path / "frame.parquet"):
        source = open_source(thing)
        assert source.feature_names == ["a", "b"]
        np.testing.assert_array_equal(rows_of(source), frame.to_numpy())


def test_polars():
    frame = pl.DataFrame({"a": [1.0, 2], "b": [3, 4]})
    np.testing.assert_array_equal(rows_of(open_source(frame)), frame.to_numpy())


def test_in_memory_dataset():
    dataset = pyarrow.dataset.dataset([TABLE.to_batches()[0]])
    assert open_source(dataset, weight="w").n_absent == 1


def test_dataset_of_some_row_groups(tmp_path):
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=1)
    fragment = next(pyarrow.dataset.dataset(tmp_path / "t.parquet").get_fragments())
    chosen = fragment.subset(row_group_ids=[2, 0])
    dataset = pyarrow.dataset.FileSystemDataset(
        [chosen], TABLE.schema, chosen.format, chosen.filesystem
    )
    expected = dataset.to_table().column("a").to_numpy()
    assert len(expected) == 2
    np.testing.assert_array_equal(rows_of(open_source(dataset))[:, 0], expected)


def test_hidden_files_are_passed_over(tmp_path):
    for name in ("rows.parquet", "_metadata.parquet", ".rows.parquet", "_temporary/rows.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(TABLE, tmp_path / name)
    (tmp_path / "_SUCCESS").touch()
    assert open_source(tmp_path).n_rows == 3


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        ("rows.npy", True),
        (Path("rows.npy"), True),
        (TABLE, True),
        (open_source(X), True),
        ([X, "rows.npy"], True),
        (X, False),
        ([[1.0, 2.0]], False),
        ([["1", "2"]], False),
        ([X, X], True),
        ((X[:0], pd.DataFrame(X)), True),
        ([X, X[0]], False),
        (list(X), False),
        ([pd.Series(X[0]), pd.Series(X[1])], False),
        ([], False),
        (pd.DataFrame(X), False),
        (None, False),
    ],
)
def test_holds_rows(thing, expected):
    assert holds_rows(thing) is expected


def test_other_types_of_numbers():
    for dtype in (bool, np.int8, np.uint64, np.float16, np.longdouble):
        source = open_source(X.astype(dtype))
        assert source.dtype == np.float64
        np.testing.assert_array_equal(rows_of(source), X.astype(dtype).astype(np.float64))


def test_rows_that_are_not_aligned():
    records = np.zeros(4, dtype=[("flag", np.int8), ("rows", np.float64, 3)])
    records["rows"] = X
    assert not records["rows"].flags.aligned
    rows = rows_of(open_source(records["rows"]))
    assert rows.flags.aligned
    np.testing.assert_array_equal(rows, X)


def test_fortran_order_on_disk(tmp_path):
    np.save(tmp_path / "rows.npy", np.asfortranarray(X))
    np.testing.assert_array_equal(rows_of(open_source(tmp_path / "rows.npy")), X)


def test_slices_of_memory_maps(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(6000.0).reshape(2000, 3))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for part in (mapped[100:], mapped[::-2], mapped[:, 1:], mapped.T[:, :50]):
        np.testing.assert_array_equal(rows_of(open_source(part)), part)


# -- what is refused ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("thing", "options", "error", "text"),
    [
        ("missing.npy", {}, FileNotFoundError, "There is no missing.npy"),
        (object(), {}, TypeError, "Rows cannot be read from a object"),
        ([[1.0, 2.0]], {}, TypeError, "Make an array of numbers"),
        (pd.Series([1.0, 2.0]), {}, TypeError, "Rows cannot be read from a Series"),
        (pl.Series([1.0, 2.0]), {}, TypeError, "Rows cannot be read from a Series"),
        ([], {}, ValueError, "An empty list has no rows"),
        (np.zeros(3), {}, ValueError, "has 1 dimension, but rows and columns"),
        (np.zeros((0, 3)), {}, ValueError, "has no rows"),
        (np.zeros((3, 0)), {}, ValueError, "has no columns of features"),
        (np.zeros((3, 1)), {"weight": 0}, ValueError, "has no columns of features"),
        (np.array([["a"]]), {}, ValueError, "holds <U1, but numbers"),
        (np.zeros((2, 2), complex), {}, ValueError, "holds complex128"),
        (np.zeros((2, 2), object), {}, ValueError, "holds object"),
        (X, {"columns": ["a"]}, ValueError, "choose them by number, not by 'a'"),
        (X, {"columns": [3]}, ValueError, "has 3 columns, so none has the number 3"),
        (X, {"columns": [True]}, ValueError, "not by True"),
        (X, {"columns": [0, 0]}, ValueError, "column 0 is asked for twice"),
        (X, {"columns": [0, -3]}, ValueError, "column 0 is asked for twice"),
        (X, {"dtype": int}, ValueError, "dtype should be float64 or float32"),
        (X, {"weight": np.ones(3)}, ValueError, r"has 4 rows, but the weights .* \(3,\)"),
        (X, {"weight": [1, 2, -3, 4]}, ValueError, "weight of row 2, counted from 0, is -3"),
        (X, {"weight": [1, 2, np.nan, 4]}, ValueError, "weight of row 2.* is a missing value"),
        (X, {"weight": [1, 2, np.inf, 4]}, ValueError, "weight of row 2.* is inf"),
        (X, {"weight": np.zeros(4)}, ValueError, "at least one non-zero"),
        (X, {"weight": np.full(4, 1e308)}, ValueError, "too large"),
        (X, {"weight": ["a"] * 4}, ValueError, "The array of weights holds"),
        (TABLE, {"columns": ["a", "c"]}, ValueError, "no column 'c'; its columns are 'a', 'b'"),
        (TABLE, {"columns": [0]}, ValueError, "choose columns by name, not by 0"),
        (TABLE, {"columns": ["a", "a"]}, ValueError, "column 'a' is asked for twice"),
        (TABLE, {"weight": "v"}, ValueError, "no column 'v'"),
        (pa.table([[1.0], [2.0]], ["a", "a"]), {}, ValueError, "has 2 columns 'a'"),
        (pa.table({"a": [1.0], "t": ["x"]}), {}, ValueError, "'t' holds string.*'x' in row 0"),
        (pa.table({"a": []}), {"columns": ["a"]}, ValueError, "has no rows"),
        (pa.table({"a": pa.array([], "f8")}), {}, ValueError, "has no rows"),
        ([X, X[:, :2]], {}, ValueError, "has 2 features, but .* has 3"),
        ([open_source(X), open_source(X, weight=np.ones(4))], {}, ValueError, "or none"),
        (
            [TABLE.select(["a"]), TABLE.select(["b"])],
            {},
            ValueError,
            r"has the features \['b'\], but .* has \['a'\]",
        ),
        (array_source(X), {"columns": [1]}, ValueError, "open already"),
        ([open_source(X)], {"columns": [1]}, ValueError, "open already"),
        (X, {"memory_limit": "lots"}, ValueError, "no amount of memory"),
    ],
)
def test_what_is_refused(thing, options, error, text):
    with pytest.raises(error, match=text):
        open_source(thing, **options)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("rows.txt", b"1,2", "is of no kind that rows are read from"),
        ("rows.npy", b"", "is not a whole .npy file"),
        ("rows.npy", b"\x93NUMPY\x01\x00v\x00{", "is not a whole .npy file"),
        ("rows.npy", b"PK\x03\x04", "is not a whole .npy file"),
        ("rows.parquet", b"", "cannot be read as Parquet"),
        ("rows.parquet", b"PAR1" + bytes(100) + b"PAR1", "cannot be read as Parquet"),
        ("empty/note.txt", b"", "has no Parquet files in it"),
        ("group.zarr/zarr.json", b"{}", "is no Zarr array"),
        ("broken.zarr/zarr.json", b"{", "is no Zarr array"),
    ],
)
def test_files_that_are_no_rows(tmp_path, name, content, text):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    thing = path if path.parent == tmp_path else path.parent
    with pytest.raises(ValueError, match=text) as caught:
        open_source(thing)
    assert str(thing) in str(caught.value)


def test_npy_that_is_cut_off(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, X)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not a whole"):
        open_source(path)


def test_npy_that_is_cut_off_on_windows(tmp_path, monkeypatch):
    """Which maps no more than a file holds either, but calls it a lack of memory."""

    def refuse(*arguments, **options):
        error = OSError(12, "Not enough memory resources are available")
        error.winerror = 8
        raise error

    monkeypatch.setattr("numpy.lib.format.open_memmap", refuse)
    np.save(tmp_path / "rows.npy", X)
    with pytest.raises(ValueError, match=r"rows.npy is not a whole .npy file .*: it is cut off"):
        open_source(tmp_path / "rows.npy")


def test_npy_of_objects(tmp_path):
    np.save(tmp_path / "rows.npy", np.array([[None]]), allow_pickle=True)
    with pytest.raises(ValueError, match="is not a whole"):
        open_source(tmp_path / "rows.npy")


def test_a_zarr_group(tmp_path):
    zarr.open_group(tmp_path / "group.zarr", mode="w")
    with pytest.raises(ValueError, match="is no Zarr array"):
        open_source(tmp_path / "group.zarr")
    with pytest.raises(TypeError, match="cannot be read from a Group"):
        open_source(zarr.open_group(tmp_path / "group.zarr"))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([X, X[:, :1]], "Part 1 has 1 features, but Part 0 has 3"),
        ([X, np.full((9, 3), np.nan)], "Part 1: column 0 has a missing value .* in row 0"),
        ([TABLE, pd.DataFrame(X)], "Part 1 has"),
    ],
    ids=["features", "nan", "names"],
)
def test_errors_tell_the_part(parts, text):
    with pytest.raises(ValueError, match=text):
        open_source(parts).read(0, 10)


def test_zarr_chunks_beyond_the_memory(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(10**6, 8), chunks=(10**6, 8), dtype="f8")
    with pytest.raises(ValueError, match="takes 64 MB to decode; raise memory_limit to 256MB"):
        open_source(array, memory_limit="100MB")
    assert open_source(array, memory_limit="256MB").n_rows == 10**6


@pytest.mark.parametrize("package", ["pyarrow", "zarr"])
def test_missing_packages_are_named(tmp_path, monkeypatch, package):
    (tmp_path / "rows.zarr").mkdir()
    (tmp_path / "rows.zarr" / "zarr.json").touch()
    pq.write_table(TABLE, tmp_path / "rows.parquet")
    for name in list(sys.modules):
        if name.partition(".")[0] == package:
            monkeypatch.delitem(sys.modules, name)
    plain_import = builtins.__import__

    def without_package(name, *arguments, **options):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return plain_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_package)
    monkeypatch.setattr(
        "fastgmm.sources.optional.importlib.import_module", lambda name: without_package(name)
    )
    path = tmp_path / ("rows.parquet" if package == "pyarrow" else "rows.zarr")
    with pytest.raises(ImportError, match=rf'{package}.*pip install "fastgmm\[batch\]"'):
        open_source(path)


# -- amounts of memory -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("2GB", 2 * 10**9),
        ("500MB", 5 * 10**8),
        ("2GiB", 2**31),
        (" 1.5 gb ", 15 * 10**8),
        (".25TiB", 2**38),
        ("100000kB", 10**8),
        ("200000000", 2 * 10**8),
        ("200000000B", 2 * 10**8),
        (2**30, 2**30),
        (None, 10**9),
    ],
)
def test_memory_limits(text, n_bytes):
    assert parse_memory_limit(text) == n_bytes


@pytest.mark.parametrize("text", ["", "GB", "2 G B", "-1GB", "1e9", "2GBs", "nan", "1..5GB"])
def test_no_memory_limits(text):
    with pytest.raises(ValueError, match="is no amount of memory"):
        parse_memory_limit(text)


@pytest.mark.parametrize("limit", [0, -5, "1MB", 100])
def test_too_little_memory(limit):
    with pytest.raises(ValueError, match="is too little: at least 64MB"):
        parse_memory_limit(limit)


@pytest.mark.parametrize("limit", [2.5, True, ["2GB"]])
def test_memory_limits_of_other_types(limit):
    with pytest.raises(TypeError, match="memory_limit should be"):
        parse_memory_limit(limit)


# -- rows for a model ------------------------------------------------------------------------------
def test_a_model_takes_its_features_by_name(tmp_path):
    pq.write_table(TABLE.append_column("text", [["x", "y", "z"]]), tmp_path / "t.parquet")
    for thing in (TABLE, tmp_path / "t.parquet", tmp_path):
        source = open_for_model(thing, ["b", "a"], 2)
        np.testing.assert_array_equal(rows_of(source), [[4, 1], [5, 2], [6, 3]])


def test_a_model_takes_columns_without_names_as_they_are():
    assert open_for_model([X], ["a", "b", "c"], 3).n_features == 3
    assert open_for_model(open_source(X), None, 3).n_features == 3


@pytest.mark.parametrize(
    ("thing", "names", "text"),
    [
        ([X], None, "X has 3 features, but the model is expecting 2 features"),
        (TABLE, None, "X has 3 features, but the model is expecting 2"),
        (TABLE, ["a", "c"], "no column 'c'"),
        (
            open_source(TABLE, columns=["b", "a"]),
            ["a", "b"],
            r"fitted to the features \['a', 'b'\]",
        ),
    ],
)
def test_a_model_refuses_other_features(thing, names, text):
    with pytest.raises(ValueError, match=text):
        open_for_model(thing, names, 2)
