"""``fastgmm select``: the search of `fastgmm.select`, over files."""

import csv
import json

import numpy as np
import pytest

import fastgmm
from fastgmm.selection import fits as cells

QUIET = ("--covariance-type", "full,diag", "--random-state", "0", "--quiet")


def test_it_is_the_function(command, files, tmp_path, rows):
    out, table = tmp_path / "best.npz", tmp_path / "table.csv"
    asked = ("-k", "1:2,4", "--covariance-type", "full,diag", "--random-state", "0")
    done = command("select", files / "rows.parquet", *asked, "--out", out, "--table", table)
    assert done.code == 0, done.err
    selection = fastgmm.select(rows, (1, 2, 4), ("full", "diag"), random_state=0)
    assert done.out.startswith(repr(selection))
    np.testing.assert_array_equal(fastgmm.load(out).means_, selection.best_estimator_.means_)
    with open(table, newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(row["bic"]) for row in written] == selection.scores.ravel().tolist()
    assert command("predict", out, files / "rows.parquet").code == 0
    as_json = command("select", files / "rows.npy", *asked, "--json", "--quiet")
    document = json.loads(as_json.out)
    assert as_json.err == ""
    assert document["best_index"] == selection.best_index_
    assert document["best"]["means"] == selection.best_estimator_.means_.tolist()
    assert [row["bic"] for row in document["table"]] == selection.scores.ravel().tolist()


def test_a_picture(command, files, tmp_path):
    picture = tmp_path / "bic.png"
    done = command("select", files / "rows.npy", "-k", "1:3", *QUIET, "--plot", picture)
    assert done.code == 0, done.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    refused = command("select", files / "rows.npy", *QUIET, "--plot", tmp_path / "bic.txt")
    assert refused.code == 2
    assert "--plot" in refused.err


def test_options_reach_it(command, files, tmp_path, rows):
    options = ("--criterion", "cv", "--cv", "3", "--init-params", "kmeans,hierarchical")
    options += ("--tol", "1e-4", "--n-init", "2", "--reg-covar", "scale", "--bayesian", "--json")
    done = command("select", files / "rows.npy", "-k", "2", *QUIET, *options)
    assert done.code == 0, done.err
    selection = fastgmm.select(
        [rows],
        2,
        ("full", "diag"),
        criterion="cv",
        cv=3,
        init_params=["kmeans", "hierarchical"],
        tol=1e-4,
        n_init=2,
        reg_covar="scale",
        estimator=fastgmm.BayesianGaussianMixture,
        random_state=0,
    )
    assert [row["score"] for row in json.loads(done.out)["table"]] == selection.scores[0].tolist()
    edge = command(
        "select",
        files / "more.parquet",
        "-k",
        "1:2",
        "--columns",
        "a,b",
        "--weight",
        "w",
        "--share-starts",
        "split",
        *QUIET,
    )
    assert edge.code == 0
    assert "larger one may be better" in edge.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-k", "3:1"), "no numbers"),
        (("-k", "a"), "should be numbers"),
        (("-k", "0"), "integers from 1"),
        (("-k", "1:2:0"), "no numbers"),
        (("--covariance-type", "round"), "covariance_type"),
        (("--criterion", "dic"), "criterion should be one of"),
        (("--criterion", "cv", "--cv", "1000"), "cv should be from 2"),
        (("--share-starts", "merge"), "share_starts"),
        (("--init-params", "best"), "init_params"),
        (("--table", "table.txt"), "should end in .csv"),
        (("--bayesian",), "no 'bic'"),
    ],
    ids=str,
)
def test_bad_options(command, files, options, words):
    done = command("select", files / "rows.npy", *options)
    assert done.code == 2
    assert words in done.err
    assert done.err.startswith("fastgmm: ")
    assert done.err.count("\n") == 1


def test_nothing_is_overwritten_that_is_read(command, files, tmp_path):
    for option in ("--out", "--checkpoint", "--table"):
        path = files / ("rows.csv" if option == "--table" else "rows.npy")
        done = command("select", path, option, path)
        assert done.code == 2
        assert "read or written otherwise" in done.err


def test_what_is_done_is_kept(command, files, tmp_path, monkeypatch):
    out, table, kept = tmp_path / "best.npz", tmp_path / "table.csv", tmp_path / "search.npz"
    asked = (
        "select",
        files / "rows.npy",
        "-k",
        "1:3",
        "--covariance-type",
        "full",
        "--n-init",
        "2",  # so that every fit is one of its own
        "--random-state",
        "0",
        "--out",
        out,
        "--table",
        table,
    )
    desired = command(*asked)
    model = fastgmm.load(out)
    fits = cells.fit_rows

    def interrupted(estimator, *rest):
        if estimator.n_components == 3:
            raise KeyboardInterrupt
        return fits(estimator, *rest)

    monkeypatch.setattr(cells, "fit_rows", interrupted)
    done = command(*asked)
    assert done.code == 130
    assert "these are the fits that were done" in done.err
    assert "ended before" in table.read_text()
    assert fastgmm.load(out).n_components == 2
    done = command(*asked, "--checkpoint", kept)
    assert done.code == 130
    assert f"{kept} is kept. Go on by" in done.err
    info = command("info", kept)
    assert "Checkpoint of a search, after 2 fits" in info.out
    monkeypatch.setattr(cells, "fit_rows", fits)
    done = command(*asked, "--checkpoint", kept)
    assert done.code == 0
    assert done.out.splitlines()[:-1] == desired.out.splitlines()[:-1]
    np.testing.assert_array_equal(fastgmm.load(out).means_, model.means_)
    refused = command("select", files / "rows.npy", "-k", "1:4", "--checkpoint", kept, *QUIET)
    assert refused.code == 2
    assert "another search" in refused.err


def test_info_of_a_selection(command, tmp_path, rows):
    selection = fastgmm.select(rows, (1, 2), "diag", random_state=0)
    selection.save(tmp_path / "selection.npz")
    assert command("info", tmp_path / "selection.npz").out.strip() == repr(selection)
    document = json.loads(command("info", tmp_path / "selection.npz", "--json").out)
    assert document["kind"] == "selection"
    assert document["table"][0]["n_components"] == 1
