"""``--missing`` on the command line, and its other name."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture, load
from tests.cli.conftest import command
from tests.missing.reference import with_holes

__all__ = ["command"]

NAMES = list("abcd")
FIT = ("-k", 2, "--random-state", 0, "--max-iter", 5)


@pytest.fixture
def X():
    return with_holes(150, 4, seed=0)[0]


@pytest.fixture(params=["csv", "parquet", "npy"])
def data(X, tmp_path, request):
    """The rows in a file; null, or an empty cell, where a value is missing."""
    columns = [pa.array(column, from_pandas=True) for column in X.T]
    table, path = pa.table(columns, NAMES), tmp_path / f"rows.{request.param}"
    if request.param == "csv":
        pyarrow.csv.write_csv(table, path)
    elif request.param == "parquet":
        pq.write_table(table, path)
    else:
        np.save(path, X)
    return path


def test_fit_predict_and_score(X, data, command, tmp_path):
    path = tmp_path / "model.npz"
    done = command("fit", data, *FIT, "--missing-values", "em", "--out", path, "-q")
    assert done.code == 0, done.err
    expected = GaussianMixture(2, random_state=0, max_iter=5, missing_values="em")
    with pytest.warns(match="did not converge"):
        expected.fit(X)
    model = load(path)
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-12)
    assert float(command("score", path, data).out) == pytest.approx(expected.score(X), rel=1e-12)
    assert command("predict", path, data, "--proba", "--out", tmp_path / "p.npy").code == 0
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), expected.predict_proba(X), atol=1e-12)
    refused = command("score", path, data, "--missing-values", "error")
    assert refused.code != 0
    assert f"{data.name}: column " in refused.err
    assert "has a missing value" in refused.err


def test_rows_with_holes_are_dropped(X, data, command, tmp_path):
    path, whole = tmp_path / "model.npz", X[~np.isnan(X).any(axis=1)]
    for kind, options in ((GaussianMixture, []), (BayesianGaussianMixture, ["--bayesian"])):
        done = command("fit", data, *FIT, "--missing", "drop", *options, "--out", path, "-q")
        assert done.code == 0, done.err
        n_dropped = len(X) - len(whole)
        assert f"{n_dropped} of {len(X)} rows have a missing value and are left out" in done.err
        expected = kind(n_components=2, random_state=0, max_iter=5)
        with warnings.catch_warnings(action="ignore"):
            expected.fit(whole)
        np.testing.assert_array_equal(load(path).means_, expected.means_)
        assert float(command("score", path, data, "--missing", "drop").out) == expected.score(whole)
        shown = command("predict", path, data, "--missing", "drop").out
        assert shown.split()[1:] == list(map(str, expected.predict(whole)))
    assert command("select", data, "-k", "1:2", "--missing", "drop", "-q").code == 0
    np.save(tmp_path / "rows.npy", np.full((5, 4), np.nan))
    refused = command("fit", tmp_path / "rows.npy", *FIT, "--missing", "drop")
    assert "has no row without a missing value" in refused.err


def test_noise_and_labels(X, command, tmp_path):
    labels = np.where(np.arange(len(X)) % 5 == 0, np.arange(len(X)) % 2, -1)
    columns = [pa.array(column, from_pandas=True) for column in X.T]
    pq.write_table(pa.table([*columns, labels], [*NAMES, "kind"]), tmp_path / "rows.parquet")
    path, rows = tmp_path / "model.npz", tmp_path / "rows.parquet"
    options = ("--missing-values", "em", "--noise", "box", "--labels", "kind", "--out", path, "-q")
    done = command("fit", rows, *FIT, *options)
    assert done.code == 0, done.err
    expected = GaussianMixture(2, random_state=0, max_iter=5, missing_values="em", noise="box")
    with pytest.warns(match="did not converge"):
        expected.fit(X, labels=labels)
    model = load(path)
    np.testing.assert_allclose(model.means_, expected.means_, rtol=1e-12)
    assert model.noise_weight_ == pytest.approx(expected.noise_weight_, rel=1e-9)
    assert command("predict", path, rows, "--proba", "--out", tmp_path / "p.npy").code == 0
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), expected.predict_proba(X), atol=1e-12)
    done = command("fit", rows, *FIT, "--missing-values", "em", "--noise", 100)
    assert done.code != 0
    assert "noise='box' takes these" in " ".join(done.err.split())


def test_bad_input(X, command, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    fit = ("fit", tmp_path / "rows.npy", *FIT)
    for options, text in (
        ([], "has a missing value (NaN or null)"),
        (["--missing", "never"], "'never' is none of error, drop, em"),
        (["--missing", "em", "--bayesian"], "--missing does not go with --bayesian"),
    ):
        done = command(*fit, *options)
        assert done.code != 0
        assert text in " ".join(done.err.split())
        assert "Traceback" not in done.err
    np.save(tmp_path / "complete.npy", np.nan_to_num(X))
    path = tmp_path / "bayesian.npz"
    command("fit", tmp_path / "complete.npy", *FIT, "--bayesian", "--out", path)
    done = command("score", path, tmp_path / "rows.npy", "--missing-values", "em")
    assert done.code != 0
    assert "--missing does not go with a BayesianGaussianMixture" in " ".join(done.err.split())
