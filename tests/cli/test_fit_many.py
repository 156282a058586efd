"""``fastgmm fit-many``, and its mixtures by their keys."""

import csv
import json
import signal
import time

import numpy as np
import pandas as pd
import pytest

import fastgmm
from tests.cli.test_processes import start
from tests.systems import unix_only

FIT = ("-k", 2, "--random-state", 0)


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(360, 2)), columns=["a", "b"])
    return frame.assign(
        station=np.repeat(["north", "o,p", "s"], 120), year=np.tile([1, 2], 180), note="text"
    )


@pytest.fixture(params=["csv", "tsv", "parquet"])
def data(frame, tmp_path, request):
    path = tmp_path / f"rows.{request.param}"
    if request.param == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep="," if request.param == "csv" else "\t")
    return path


def test_groups(command, data, frame, tmp_path):
    out = tmp_path / "report.parquet"
    done = command(
        "fit-many", data, "--by", "station", "--exclude", "year,note", *FIT, "--out", out
    )
    assert done.code == 0, done.err
    assert done.out.startswith("3 mixtures fitted; 360 rows in ")
    expected = fastgmm.fit_many(frame, 2, by="station", columns=["a", "b"], random_state=0)
    report = fastgmm.load(out)
    np.testing.assert_array_equal(report.means_, expected.means_)
    table = pd.read_parquet(out)
    assert table["station"].to_list() == ["north", "o,p", "s"]
    shown = json.loads(command("info", out, "--key", "o,p", "--json").out)
    assert shown["means"] == expected["o,p"].means_.tolist()
    shown = command("score", out, data, "--key", "s")
    assert float(shown.out) == expected["s"].score(frame[["a", "b"]])
    assert command("predict", out, data, "--key", "north").out.count("\n") == 361
    assert command("sample", out, "--key", "north").code == 0
    for key, words in ((None, "--key should name one: north, o,p, s"), ("x", "no.* has the key")):
        refused = command("score", out, data, *(() if key is None else ("--key", key)))
        assert refused.code == 2
        assert (words in refused.err) or key == "x"
        assert "3 mixtures" in refused.err
    assert "3 mixtures by station" in command("info", out).out


def test_keys_of_several_columns(command, data, tmp_path):
    out = tmp_path / "report.csv"
    options = ("--columns", "b", "--by", "year,station", *FIT)
    assert command("fit-many", data, *options, "-o", out, "-q").code == 0
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["year"], row["station"]) for row in rows[1:3]] == [("1", "o,p"), ("1", "s")]
    assert {"n_rows", "bic", "weight_1", "mean_0_b"} < set(rows[0])
    out = tmp_path / "report.parquet"
    assert command("fit-many", data, *options, "-o", out).code == 0
    assert json.loads(command("info", out, "--key", "2,o,p", "--json").out)["kind"] == "model"


def test_files(command, frame, tmp_path):
    for name, part in frame.groupby("station"):
        part[["a", "b", "year"]].to_csv(tmp_path / f"{name}.csv", index=False)
    out = tmp_path / "report.parquet"
    options = ("--weight", "year", *FIT, "-o", out, "--json")
    done = command("fit-many", tmp_path / "*.csv", *options)
    assert done.code == 0, done.err
    assert json.loads(done.out)["key_names"] == ["file"]
    expected = fastgmm.GaussianMixture(2, random_state=int(fastgmm.load(out).seeds[0]))
    north = frame[frame.station == "north"]
    expected.fit(north[["a", "b"]].to_numpy(), sample_weight=north["year"])
    model = fastgmm.load(out)[0]
    np.testing.assert_array_equal(model.means_, expected.means_)
    assert list(model.feature_names_in_) == ["a", "b"]


def test_holes_and_failures(command, frame, tmp_path):
    frame = frame.copy()
    frame.loc[3, "a"] = np.nan
    frame.to_csv(tmp_path / "rows.csv", index=False)
    fit = ("fit-many", tmp_path / "rows.csv", "--by", "station", "--columns", "a,b", *FIT)
    done = command(*fit)
    assert done.code == 0
    assert "station 'north': Input X contains NaN" in done.err
    assert "2 mixtures fitted, 1 failed" in done.out
    done = command(*fit, "--missing", "drop")
    assert "3 mixtures fitted; 359 rows" in done.out
    assert "1 of 360 rows have a missing value" in done.err
    assert "3 mixtures fitted; 360 rows" in command(*fit, "--missing", "em").out
    done = command(*fit[:-4], "-k", 1000)
    assert done.code == 2
    assert "No mixture could be fitted" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--by", "zz"), "There is no column 'zz'"),
        (("--by", "station"), "--exclude note"),
        (("--by", "station", "--exclude", "q"), "There is no column 'q'"),
        (("--by", "station", "--out", "report.npz"), "should end in .parquet or .csv"),
        (("--by", "station", "--out", "no/report.csv"), "No such file"),
        (("--by", "station", "--mean-prior", "1,2"), "--mean-prior goes with --bayesian"),
        (("--by", '"station'), "in double quotes"),
        (("--by", "station", "--checkpoint", "rows.csv"), "read or written otherwise"),
        ((), "column 'station' has 'north'"),
    ],
)
def test_what_is_refused(command, frame, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    frame.to_csv("rows.csv", index=False)
    done = command("fit-many", "rows.csv", *FIT, *options)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1


@unix_only
def test_interrupted(command, tmp_path):
    """What is done is kept, and the same command goes on with the rest."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(120_000, 3)), columns=list("abc"))
    frame["g"] = np.arange(len(frame)) % 12
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    job, out = tmp_path / "job", tmp_path / "report.parquet"
    options = "--by g -k 5 --tol 0 --max-iter 60 --reg-covar scale --n-jobs 1 --random-state 0"
    fit = ("fit-many", tmp_path / "rows.parquet", *options.split(), "--checkpoint", job)
    with start(*fit, "--checkpoint-every", 0, "--out", out, "--quiet") as process:
        while not job.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert f"{job} is kept. Go on by: fastgmm fit-many" in rest
    assert "Traceback" not in rest
    n_done = 12 - len(fastgmm.load(out).failed)
    assert 0 < n_done < 12
    assert f"after {n_done} of 12" in command("info", job).out
    done = command(*fit, "--out", out, "--quiet")
    assert done.code == 0, done.err
    expected = fastgmm.fit_many(
        frame, 5, by="g", tol=0, max_iter=60, reg_covar="scale", random_state=0
    )
    np.testing.assert_array_equal(fastgmm.load(out).means_, expected.means_)
