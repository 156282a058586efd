"""CSV files: names, what is no number and where, and the temporary copy."""

import os
import re
import tempfile

import numpy as np
import pytest

from fastgmm.sources.opening import open_for_model, open_source
from tests.systems import largest_file, unix_only


@pytest.fixture
def write(tmp_path):
    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def rows_of(source):
    return source.read(0, source.n_rows).rows.tolist()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"]),
        ('"a","b c"\r\n1,2\r\n3,4', ["a", "b c"]),
        ("\ufeffa,b\n1,2\n3,4\n", ["a", "b"]),
        ("\n\na,b\n\n 1,2.0\n\n3e0,4\n\n", ["a", "b"]),
        (",a,b\n0,1,2\n1,3,4\n", ["a", "b"]),  # an index as pandas writes it
        ("0,1\n1,2\n3,4\n", ["0", "1"]),
        ("0,b\n1,2\n3,4\n", ["0", "b"]),
    ],
)
def test_names(write, text, names):
    source = open_source(write(text))
    assert source.feature_names == names
    assert rows_of(source) == [[1, 2], [3, 4]]


def test_without_a_header(write):
    source = open_source(write("1,2\n3,4\n"), header=False)
    assert source.feature_names == ["0", "1"]
    assert rows_of(source) == [[1, 2], [3, 4]]


def test_columns_and_weight(write):
    path = write("name,w,b,a\nann,0.5,2,1\nbob,1.5,4,3\n")
    source = open_source(path, columns=["a", "b"], weight="w")
    assert rows_of(source) == [[1, 2], [3, 4]]
    assert (source.read(0, 2).weights * source.weight_scale).tolist() == [0.5, 1.5]
    assert rows_of(open_for_model(path, ["b", "a"], 2)) == [[2, 1], [4, 3]]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n3,x\n", {}, r"column 'b' has 'x', .* in row 1, counted from 0 \(line 3 of"),
        ("\na,b\n\n1,2\n3,x\n", {}, r"column 'b' has 'x', .* in row 1, counted from 0 \(line 5 of"),
        (
            "1,2\n3,x\n",
            {"header": False},
            r"column '1' has 'x', .* row 1, .*\(line 2 of",
        ),
        (
            "a,b\n1,2\n,4\n",
            {},
            r"column 'a' has a missing value, .* row 1, .*\(line 3 of",
        ),
        ("a,b\n1,2\nNaN,4\n", {}, r"column 'a' has a missing value, .*\(line 3 of"),
        ("a,b\n1,-inf\n", {}, r"column 'b' has infinity, .* in row 0, counted from 0 \(line 2 of"),
        ("a,b\n1,1e999\n", {}, r"column 'b' has infinity"),
        ("a,b\n1,2\n3,?\n", {"weight": "b"}, r"column 'b' has '\?', .*\(line 3 of"),
        ("a,b\n1,2\n3,-1\n", {"weight": "b"}, "the weight of row 1, counted from 0, is -1"),
        ("a,b\n1,2\n", {"columns": ["a", "c"]}, r"has no column 'c'; its columns are 'a', 'b'"),
        ("a,b,a\n1,2,3\n", {}, "has 2 columns 'a'"),
        ("a;b\n1;2\n3;4\n", {}, "has '1;2', .* separated by semicolons.*--delimiter ';'"),
        ("a\tb\n1\t2\n3\t4\n", {}, "separated by tabs.*--delimiter"),
        ("a,b,a\n1,2,3\n", {"columns": ["a"]}, "has 2 columns 'a'"),
        ("a,b\n1,2\n", {"columns": [0]}, "choose columns by name"),
        ("1.5,2\n3,4\n", {}, r"first line holds numbers .*--no-header"),
        ("a,b\n1,2\n3\n", {}, r"cannot be read as CSV: .*Row #3: Expected 2 columns, got 1"),
        ("", {}, "cannot be read as CSV: Empty"),
        ("a,b\n", {}, "has no rows"),
        (b"\x00\xff" * 50, {}, "rows.csv"),
        ("\u00e4,b\n1,2\n".encode("latin-1"), {}, "cannot be read as CSV: .* not in UTF-8"),
    ],
)
def test_what_is_refused(write, text, options, message):
    path = write(text)
    with pytest.raises(ValueError, match=message) as caught:
        open_source(path, **options)
    assert str(path) in str(caught.value)


def test_too_large_for_float32(write):
    source = open_source(write("a,b\n1,1e99\n"), dtype="float32")
    with pytest.raises(ValueError, match=r"column 'b' has .* too large for float32, in row 0"):
        source.read(0, 1)


def test_the_place_is_right_in_any_block(write, monkeypatch):
    monkeypatch.setattr("fastgmm.sources.csv._BLOCK_BYTES", 1000)
    lines = ["a,b", *(f"{i},{i}" for i in range(5000))]
    assert rows_of(open_source(write("\n".join(lines)))) == [[i, i] for i in range(5000)]
    for bad in ("4321,", "4321,text"):
        path = write("\n".join([*lines[:4322], bad, *lines[4323:]]))
        with pytest.raises(ValueError, match=r"row 4321, counted from 0 \(line 4323 of"):
            open_source(path)


@unix_only
def test_the_temporary_file_has_no_name(write, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = write("a,b\n" + "1,2\n" * 100)
    source = open_source(path)
    assert os.listdir(tmp_path) == [path.name]
    assert rows_of(source) == [[1.0, 2.0]] * 100


def test_the_numbers_outlive_the_file(write):
    path = write("a,b\n" + "1,2\n" * 100)
    source = open_source(path)
    path.unlink()
    assert rows_of(source) == [[1.0, 2.0]] * 100


@unix_only
def test_a_disk_that_is_too_small(write, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = write("a,b\n" + "1,2\n" * 100_000)
    with (
        largest_file(1 << 16),
        pytest.raises(OSError, match=re.escape(str(path)) + ".*TMPDIR"),
    ):
        open_source(path)
    assert np.shape(rows_of(open_source(path))) == (100_000, 2)


def test_a_name_that_is_no_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/rows\xff.csv"
    try:
        with open(path, "wb") as file:
            file.write(b"a,b\n1,2\n3,4\n")
    except OSError:
        pytest.skip("no such names here")
    assert rows_of(open_source(os.fsdecode(path))) == [[1.0, 2.0], [3.0, 4.0]]
