"""The list of starts drives arguments, conversion and help."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

import fastgmm
from fastgmm.cli.main import call
from fastgmm.sklearn_interface import constraints
from fastgmm.starts import METHODS, LabelledRows, SingleRows
from fastgmm.starts.methods import Method
from tests.estimator.helpers import quiet_fit

(SKLEARN_NAMES,) = SklearnGaussianMixture._parameter_constraints["init_params"]


def test_every_method_of_scikit_learn_is_there():
    assert SKLEARN_NAMES.options | {"hierarchical", "k-means||"} <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_start_goes_wherever_starts_go(name, dtype, tmp_path):
    random = np.random.RandomState(0)
    X = (random.standard_normal((300, 2)) + 5 * random.randint(0, 3, (300, 1))).astype(dtype)
    np.save(tmp_path / "X.npy", X)
    model = fastgmm.GaussianMixture(3, init_params=name, random_state=0, max_iter=2, tol=0)
    desired = quiet_fit(clone(model), X)
    assert np.isfinite(desired.lower_bounds_).all()
    assert np.unique(desired.means_, axis=0).shape == (3, 2)
    weighted = quiet_fit(clone(model), X, sample_weight=random.uniform(size=len(X)))
    assert np.isfinite(weighted.lower_bounds_).all()
    for rows, weights in ((tmp_path / "X.npy", None), (X, np.full(len(X), 2.0))):
        found = quiet_fit(clone(model), rows, sample_weight=weights)
        np.testing.assert_array_equal(found.means_, desired.means_)
    assert desired.to_sklearn().init_params in SKLEARN_NAMES.options
    desired.save(tmp_path / "model.npz")
    assert fastgmm.load(tmp_path / "model.npz").init_params == name
    report = fastgmm.fit_many([X, X[::2]], 3, init_params=name, random_state=0, max_iter=2, tol=0)
    alone = model.set_params(random_state=int(report.seeds[1]))
    np.testing.assert_array_equal(report[1].means_, quiet_fit(alone, X[::2]).means_)


def by_first_feature(X, n_components, random_state, sample_weight, engine):
    """As many rows for every component."""
    ranks = np.argsort(np.argsort(X[:, 0]))
    return LabelledRows(ranks * n_components // len(X), n_components)


def add(monkeypatch, name, make):
    monkeypatch.setitem(METHODS, name, Method(make))
    ours, argument = fastgmm.GaussianMixture._parameter_constraints, "init_params"
    monkeypatch.setitem(ours, argument, constraints(SklearnGaussianMixture)[argument])


def test_a_line_in_the_list_adds_a_start(monkeypatch):
    add(monkeypatch, "by first feature", by_first_feature)
    X = np.random.RandomState(0).standard_normal((300, 2))
    given = by_first_feature(X, 3, None, None, None).labels
    desired = fastgmm.GaussianMixture(3, init_params=given).fit(X)
    model = fastgmm.GaussianMixture(3, init_params="by first feature").fit(X)
    np.testing.assert_array_equal(model.means_, desired.means_)
    assert model.to_sklearn().init_params == "kmeans"
    report = fastgmm.fit_many([X, X], 3, init_params="by first feature", random_state=0)
    np.testing.assert_array_equal(report[1].means_, desired.means_)


def first_rows(X, n_components, random_state, sample_weight, engine):
    if len(X) == 150:
        raise ValueError("none of these")
    return SingleRows(X[:n_components])


def test_a_start_of_single_rows_may_fail_for_one_of_many_data_sets(monkeypatch):
    add(monkeypatch, "first rows", first_rows)
    X = np.random.RandomState(0).standard_normal((300, 2))
    report = fastgmm.fit_many([X[::2], X, X[::3]], 3, init_params="first rows", random_state=0)
    assert report.errors == ["none of these", None, None]
    alone = fastgmm.GaussianMixture(3, init_params="first rows").fit(X)
    np.testing.assert_array_equal(report[1].means_, alone.means_)


def test_other_names_are_refused():
    with pytest.raises(
        ValueError, match="'init_params' parameter of GaussianMixture must be a str"
    ):
        fastgmm.GaussianMixture(init_params="other").fit(np.eye(3))


def test_the_command_line_names_them(capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    call(["fit", "--help"])
    text = capfd.readouterr().out
    assert all(name in text for name in METHODS)
