"""Text that people call CSV: read, or refused with the way out."""

import gzip
import logging
import warnings

import numpy as np
import pytest

from fastgmm.sources.opening import open_source


@pytest.fixture
def write(tmp_path):
    def write(text, name="rows.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("fastgmm.sources.csv._BLOCK_BYTES", 1000)
    monkeypatch.setattr("fastgmm.sources.csv._LINES_PER_BLOCK", 1)


def rows_of(path, **options):
    source = open_source(path, **options)
    return source.read(0, source.n_rows).rows


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_may_end_in_any_way(write, end):
    path = write(f"a,b{end}1,2{end}3,4{end}")
    np.testing.assert_array_equal(rows_of(path), [[1, 2], [3, 4]])
    path = write(f"a,b{end}1,2{end}x,4{end}")
    with pytest.raises(ValueError, match=r"'a' has 'x', .* in row 1, .*\(line 3 of"):
        open_source(path)
    path = write(f"a,b{end}1,2{end}{end},4{end}")
    with pytest.raises(ValueError, match=r"missing value.* in row 1, .*\(line 4 of"):
        open_source(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('a,note,b\n1,"x\ny",1\n3,"z",q\n', r"'b' has 'q'.*row 1.*\(line 4 of"),
        ('a,"no\n\nte",b\n1,x,1\n3,z,q\n', r"'b' has 'q'.*row 1.*\(line 5 of"),
        ('a,note,b\n1,"x\n\n\r\ny",1\n\nq,"z",3\n', r"'a' has 'q'.*row 1.*\(line 7 of"),
        ('a,note,b\nq,"x\ny",1\n', r"'a' has 'q'.*row 0.*\(line 2 of"),
        ('a,note,b\n1,"x\ny",q\n', r"'b' has 'q'.*row 0.*\(line 3 of"),
    ],
)
def test_the_line_after_cells_with_line_breaks(write, text, place):
    with pytest.raises(ValueError, match=place):
        open_source(write(text), columns=["a", "b"])


def test_line_breaks_in_cells_at_any_size(write, small_blocks):
    lines = [f'{i},"ab\n{i},x\nq",{i * 0.5}' for i in range(2000)]
    path = write("i,t,v\n" + "\n".join(lines) + "\n")
    expected = np.column_stack([np.arange(2000), np.arange(2000) * 0.5])
    np.testing.assert_array_equal(rows_of(path, columns=["i", "v"]), expected)
    lines[1500] = '1,"\n",wrong'
    path = write("i,t,v\n" + "\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"'wrong'.* in row 1500, .*\(line 4503 of"):
        open_source(path, columns=["i", "v"])


@pytest.mark.parametrize("first", ["a", "a" * 5000])
def test_lines_longer_than_a_block(write, small_blocks, first):
    path = write(f"{first},t\n" + "".join(f"{i},{'x' * 700 * i}\n" for i in range(30)))
    np.testing.assert_array_equal(rows_of(path, columns=[first])[:, 0], np.arange(30))


def test_delimiter_and_decimal(write):
    path = write("a;b c\n1,5;2\n-3;4,25e1\n")
    np.testing.assert_array_equal(rows_of(path, delimiter=";", decimal=","), [[1.5, 2], [-3, 42.5]])
    path = write("a\tb\n1\t2\n")
    np.testing.assert_array_equal(rows_of(path, delimiter="\t"), [[1, 2]])


@pytest.mark.parametrize(
    ("text", "options", "advice"),
    [
        ("a;b\n1,5;2,5\n", {}, "semicolons.*--delimiter ';'.*decimal commas.*--decimal ,"),
        ("a;b\n1;2\n3;2,5\n", {}, "semicolons.*--delimiter ';'.*decimal commas.*--decimal ,"),
        ('a;b\n"1,5";"2,5"\n', {}, "semicolons.*--delimiter ';'.*decimal commas.*--decimal ,"),
        ("a;b\n1.000,5;2\n", {}, "semicolons.*--delimiter ';'.*decimal commas.*--decimal ,"),
        ("a;b\n1,5;2,5\n", {"delimiter": ";"}, "'1,5'.*decimal comma.*--decimal ,"),
        ("a;b;c\n1;2;3\n", {}, "--delimiter ';'"),
        ("a\n1,5\n", {}, "--decimal , --delimiter ';'"),
        ("a,b\n1.5,2.5,\n", {}, "Expected 2 columns, got 3"),
        ("a,b,\n1,2,\n", {}, "column '' has a missing value.*ends in ','"),
        ("a,b,\n1,2\n", {}, "ends in ','"),
        ("a,b\n1 kg,2\n", {}, "'1 kg'.*Leave units"),
        ("a,b\n1,50%\n", {}, "'50%'.*Leave units"),
        ("a,b\n1,$7\n", {}, "Leave units"),
        ("a,b\n1,2020-01-01\n", {}, "leave it out"),
        ("a,b\n1,red\n", {}, "leave it out"),
        ("a,b\n1,2\n", {"delimiter": ";;"}, "delimiter should be one character"),
        ("a,b\n1,2\n", {"decimal": ","}, "cannot be separated by ','"),
    ],
)
def test_what_is_refused_comes_with_advice(write, text, options, advice):
    with pytest.raises(ValueError, match=f"(?s){advice}"):
        open_source(write(text), **options)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(write, encoding):
    with pytest.raises(ValueError, match=r"UTF-16.*Save it as"):
        open_source(write("a,b\n1,2\n", encoding=encoding))


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.CSV.GZ", "rows.csv"])
def test_compressed_text(tmp_path, name):
    path = tmp_path / name
    text = b"a,b\n1,2\n3,x\n"
    path.write_bytes(gzip.compress(text[:-4] + b"3,4\n"))
    np.testing.assert_array_equal(rows_of(path), [[1, 2], [3, 4]])
    path.write_bytes(gzip.compress(text))
    with pytest.raises(ValueError, match=r"'x'.*\(line 3 of"):
        open_source(path)
    path.write_bytes(gzip.compress(text)[:-12])
    with pytest.raises(ValueError, match=r"(?i)rows.csv.*damaged"):
        open_source(path)


def test_a_first_line_of_numbers_is_noted(write, caplog):
    path = write("0\n1\n5\n")
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        assert rows_of(path).tolist() == [[1], [5]]
    assert "--no-header" in caplog.text
    caplog.clear()
    assert rows_of(path, header=False).tolist() == [[0], [1], [5]]
    assert not caplog.text


def test_truth_values_are_numbers(write):
    path = write("a,b\nTrue,1\nFalse,2\n")
    np.testing.assert_array_equal(rows_of(path), [[1, 1], [0, 2]])


def test_a_bad_row_that_weighs_nothing(write):
    path = write("a,b,w\n1,2,1\n,4,0\n5,inf,0\n7,8,2\n")
    source = open_source(path, weight="w").present()
    np.testing.assert_array_equal(source.read(0, 2).rows, [[1, 2], [7, 8]])
