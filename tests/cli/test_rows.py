"""Rows as those who run batch jobs have them: pipes, tabs, columns of text, no line of names."""

import gzip
import os
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
import zarr

from fastgmm import GaussianMixture, load
from tests.cli.test_processes import ENVIRONMENT, start
from tests.fresh import command_line
from tests.systems import unix_only

FIT = ("-k", 2, "--random-state", 0)


def as_text(rows, delimiter=",", names=("a", "b", "c")):
    lines = [delimiter.join(names)] if names else []
    lines += [delimiter.join(map(repr, row)) for row in rows.tolist()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", ["rows.tsv", "rows.TAB", "rows.tsv.gz", "rows.tab.gz"])
def test_tabs(command, rows, model, tmp_path, name):
    text = as_text(rows, "\t").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    out = tmp_path / "model.npz"
    assert command("fit", tmp_path / name, *FIT, "-o", out).code == 0
    np.testing.assert_array_equal(load(out).means_, model.means_)
    assert float(command("score", out, tmp_path / name).out) == model.score(rows)
    refused = command("fit", tmp_path / name, *FIT, "--delimiter", ",")
    assert "--delimiter '\\t'" in refused.err


@pytest.mark.parametrize("name", ["more.csv", "more.parquet"])
def test_excluded_columns(command, files, tmp_path, model, name):
    """What an error says of a column of text can be done."""
    refused = command("fit", files / name, *FIT)
    assert refused.code == 2
    assert "--exclude name" in refused.err
    out = tmp_path / "model.npz"
    done = command("fit", files / name, *FIT, "--exclude", "name,w", "-o", out)
    assert done.code == 0, done.err
    np.testing.assert_array_equal(load(out).means_, model.means_)
    options = ("--exclude", "name", "--weight", "w")
    assert command("fit", files / name, *FIT, *options, "-o", out).code == 0
    assert load(out).n_features_in_ == 3
    refused = command("fit", files / name, *FIT, "--exclude", "name,z")
    assert "has no column 'z'" in refused.err


@pytest.mark.parametrize("name", ["weighted.npy", "weighted.zarr"])
def test_columns_excluded_by_number(command, files, tmp_path, rows, weights, model, name):
    zarr.create_array(tmp_path / "weighted.zarr", data=np.c_[rows, weights], chunks=(100, 4))
    path = files / name if name.endswith("npy") else tmp_path / name
    for number in ("3", "-1"):
        out = tmp_path / "model.npz"
        assert command("fit", path, *FIT, f"--exclude={number}", "-o", out).code == 0
        np.testing.assert_array_equal(load(out).means_, model.means_)
    refused = command("fit", path, *FIT, "--exclude", "4")
    assert "none has the number 4" in refused.err
    refused = command("fit", path, *FIT, "--exclude", "0,1,2,3")
    assert "has no columns of features" in refused.err


def test_names_by_their_order(command, rows, model, model_file, tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text(as_text(rows, names=None))
    done = command("score", model_file, path, "--no-header")
    assert float(done.out) == model.score(rows)
    assert "columns are taken for the features in their order: a, b, c" in done.err
    path.write_text(as_text(np.c_[rows[:, :1], rows], names=None))
    refused = command("score", model_file, path, "--no-header")
    assert "X has 4 features" in refused.err
    done = command("score", model_file, path, "--no-header", "--exclude", 0)
    assert float(done.out) == model.score(rows)
    # A model of such a file has their numbers for names, and finds them by these.
    out = tmp_path / "model.npz"
    assert command("fit", path, *FIT, "--no-header", "--columns", "3,1", "-o", out).code == 0
    done = command("score", out, path, "--no-header")
    assert (done.code, done.err) == (0, "")
    assert float(done.out) == GaussianMixture(2, random_state=0).fit(rows[:, [2, 0]]).score(
        rows[:, [2, 0]]
    )


# -- what can be read only once --------------------------------------------------------------------
def piped(*arguments, text):
    return command_line(arguments, ENVIRONMENT, text)


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.npy", "rows.parquet"])
def test_the_standard_input(files, rows, model, model_file, tmp_path, monkeypatch, name):
    whole = (files / name.removesuffix(".gz")).read_bytes()
    whole = gzip.compress(whole) if name.endswith("gz") else whole
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    done = piped("predict", model_file, "-", text=whole)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split()[1:] == list(map(str, model.predict(rows)))
    assert os.listdir(tmp_path) == []


def test_a_fit_to_the_standard_input(rows, weights, tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    labels = np.repeat([0, -1], [5, len(rows) - 5])
    text = as_text(np.c_[rows, weights, labels], names="abcwl").encode()
    out = tmp_path / "model.npz"
    done = piped("fit", "-", *FIT, "--weight", "w", "--labels", "l", "-o", out, text=text)
    assert done.returncode == 0, done.stderr
    shown = piped("predict", out, "-", text=as_text(rows[:5]).encode()).stdout
    assert shown.split()[1:] == [b"0"] * 5
    assert os.listdir(tmp_path) == ["model.npz"]
    done = piped("score", out, "-", text=b"a,b,c\n1,2,x\n")
    assert done.returncode == 2
    assert b"standard input.csv: column 'c' has 'x'" in done.stderr
    assert b"Traceback" not in done.stderr
    done = piped("score", out, "-", text=b"")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    done = piped("score", out, "-", "-", text=b"")
    assert b"can be read only once" in done.stderr
    assert os.listdir(tmp_path) == ["model.npz"]


@unix_only
@pytest.mark.parametrize("name", ["rows.csv", "pipe"])
def test_a_named_pipe(command, files, rows, model, model_file, tmp_path, name):
    os.mkfifo(tmp_path / name)
    writer = threading.Thread(
        target=lambda: (tmp_path / name).write_bytes((files / "rows.csv").read_bytes())
    )
    writer.start()
    done = command("fit", tmp_path / name, *FIT, "--json")
    writer.join()
    assert done.code == 0, done.err
    assert str(model.n_iter_) in done.out


@unix_only
def test_interrupted_while_it_waits_for_rows(model_file, tmp_path, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    with start("score", model_file, "-", stdin=subprocess.PIPE) as process:
        process.stdin.write("a,b,c\n")
        process.stdin.flush()
        while not any(tmp_path.glob("fastgmm-*/*")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "fastgmm: interrupted\n"
    assert process.returncode == 130
    assert os.listdir(tmp_path) == []
