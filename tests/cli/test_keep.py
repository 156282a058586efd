"""Columns of the input beside the predictions."""

import csv
import gzip
import io

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from fastgmm.sources import opening
from fastgmm.sources.arrow import TableReader
from fastgmm.sources.kinds import Kind, has_suffix
from tests.cli.conftest import NAMES

IDS = ["007", "x,y", 'say "so"', "", "a\nb", "\u00e4"]


@pytest.fixture
def table(rows):
    """Rows with columns of text, of dates and of large numbers."""
    n = len(rows)
    columns = dict(zip(NAMES, rows.T, strict=True))
    columns["id"] = [IDS[i % len(IDS)] for i in range(n)]
    columns["when"] = np.arange(n).astype("datetime64[D]")
    columns["large"] = np.arange(n) + 2**60
    return pa.table(columns)


def write_csv(path, table):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows(zip(*table.to_pydict().values(), strict=True))
    path.write_bytes(gzip.compress(text.getvalue().encode()))


@pytest.mark.parametrize("out", [None, "-", "out.csv", "out.parquet"])
@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "folder"])
def test_columns_of_any_type(command, model, model_file, table, rows, tmp_path, kind, out):
    data = tmp_path / f"rows.{kind}"
    if kind == "csv.gz":
        write_csv(data, table)
    elif kind == "parquet":
        pq.write_table(table, data, row_group_size=77)
    else:
        data.mkdir()
        for number, start in enumerate((0, 250)):
            part = table.slice(start, 350 if start else 250)
            part = part.select(part.column_names[:: 1 - 2 * number])
            pq.write_table(part, data / f"{number}.parquet")
    options = () if out is None else ("--out", out if out == "-" else tmp_path / out)
    done = command("predict", model_file, data, "--keep", "large, when,id", *options)
    assert (done.code, done.err) == (0, "")
    if out == "out.parquet":
        found = pq.read_table(tmp_path / out)
        assert found.column_names == ["large", "when", "id", "component"]
        if kind != "csv.gz":  # whose columns are text
            assert found.schema.field("large").type == pa.int64()
            assert found["when"].to_pylist() == table["when"].to_pylist()
        columns = [list(map(str, column)) for column in found.to_pydict().values()]
    else:
        text = done.out if out in (None, "-") else (tmp_path / out).read_text()
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        assert header == ["large", "when", "id", "component"]
        columns = list(map(list, zip(*lines, strict=True)))
    assert columns[0] == [str(2**60 + i) for i in range(len(rows))]
    assert columns[2] == table["id"].to_pylist()
    assert columns[3] == list(map(str, model.predict(rows)))


def test_quotes_only_where_they_are_needed(command, model_file, rows, tmp_path):
    path = tmp_path / "rows.csv"
    lines = (",".join(map(repr, row)) for row in rows[:3].tolist())
    path.write_text("a,b,c,id\n" + "".join(f"{line},k{i}\n" for i, line in enumerate(lines)))
    shown = command("predict", model_file, path, "--keep", "id").out.splitlines()
    assert shown[0] == "id,component"
    assert [line.split(",")[0] for line in shown[1:]] == ["k0", "k1", "k2"]


def test_columns_by_number(command, model, model_file, rows, tmp_path):
    np.save(tmp_path / "rows.npy", np.c_[rows, np.arange(len(rows))])
    options = ("--columns", "0,1,2", "--keep", "3", "--log-likelihood")
    done = command("predict", model_file, tmp_path / "rows.npy", *options)
    assert done.out.startswith("3,log_likelihood\n")
    found = np.loadtxt(io.StringIO(done.out), delimiter=",", skiprows=1)
    np.testing.assert_array_equal(found[:, 0], np.arange(len(rows)))
    np.testing.assert_array_equal(found[:, 1], model.score_samples(rows))


def test_columns_of_a_kind_of_storage_that_is_none_of_the_packages(
    command, model, model_file, table, tmp_path, monkeypatch
):
    def reader(path, request):
        columns = pyarrow.feather.read_table(path)
        return TableReader(columns, request.named_columns, request.weight, request.cache)

    kind = Kind(lambda thing: has_suffix(thing, ".feather"), reader, "a .feather file")
    monkeypatch.setattr(opening, "KINDS", [*opening.KINDS, kind])
    path = tmp_path / "rows.feather"
    pyarrow.feather.write_feather(table.append_column("group", pa.array(range(len(table)))), path)
    found = command("predict", model_file, path, "--keep", "group").out.splitlines()
    desired = model.predict(np.column_stack([table[name] for name in NAMES]))
    assert found[0] == "group,component"
    assert found[1:] == [f"{i},{label}" for i, label in enumerate(desired)]
    assert "column 'id' holds string" in command("predict", model_file, path, "--keep", "id").err


def test_many_rows_in_order(command, model_file, tmp_path):
    """More than a group of the output, from several threads."""
    n = 300_000
    X = np.random.default_rng(0).standard_normal((n, 3))
    table = pa.table({**dict(zip(NAMES, X.T, strict=True)), "id": np.arange(n)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=70_001)
    out = tmp_path / "out.parquet"
    options = ("--keep", "id,b", "--log-likelihood", "--out", out)
    assert command("predict", model_file, tmp_path / "rows.parquet", *options).code == 0
    found = pq.read_table(out)
    np.testing.assert_array_equal(found["id"], np.arange(n))
    np.testing.assert_array_equal(found["b"], X[:, 1])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_that_are_dropped_are_not_kept(command, model_file, rows, tmp_path, kind):
    import pandas as pd

    frame = pd.DataFrame(rows, columns=NAMES).assign(id=[f"k{i}" for i in range(len(rows))])
    frame.loc[::7, "b"] = np.nan
    path = tmp_path / f"rows.{kind}"
    getattr(frame, f"to_{kind}")(path, index=False)
    done = command("predict", model_file, path, "--keep", "id", "--missing", "drop")
    ids = [line.split(",")[0] for line in done.out.splitlines()[1:]]
    assert ids == frame.dropna()["id"].to_list()


@pytest.mark.parametrize(
    ("keep", "options", "words"),
    [
        ("z", (), "has no column 'z' to keep"),
        ("name,name", (), "column 'name' is asked for twice"),
        ("id", ("--out", "labels.npy"), "--keep needs a .csv or .parquet file"),
        ("component", (), "two columns 'component'"),
        ('"id', (), "in double quotes"),
    ],
)
def test_what_cannot_be_kept(
    command, model_file, table, tmp_path, monkeypatch, keep, options, words
):
    monkeypatch.chdir(tmp_path)
    table = table.append_column("component", pa.nulls(len(table)))
    pq.write_table(table, "rows.parquet")
    done = command("predict", model_file, "rows.parquet", "--keep", keep, *options)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1
