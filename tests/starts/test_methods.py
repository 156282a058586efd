"""The list of starts drives arguments, conversion and help."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

import fastgmm
from fastgmm.cli.main import call
from fastgmm.sklearn_interface import constraints
from fastgmm.starts import METHODS, LabelledRows
from fastgmm.starts.methods import Method


def test_every_method_of_scikit_learn_is_there():
    (names,) = SklearnGaussianMixture._parameter_constraints["init_params"]
    assert set(METHODS) == names.options | {"hierarchical", "k-means||"}


def by_first_feature(X, n_components, random_state, sample_weight, engine):
    """As many rows for every component."""
    ranks = np.argsort(np.argsort(X[:, 0]))
    return LabelledRows(ranks * n_components // len(X), n_components)


def test_a_line_in_the_list_adds_a_start(monkeypatch):
    monkeypatch.setitem(METHODS, "by first feature", Method(by_first_feature))
    ours, name = fastgmm.GaussianMixture._parameter_constraints, "init_params"
    monkeypatch.setitem(ours, name, constraints(SklearnGaussianMixture)[name])
    X = np.random.RandomState(0).standard_normal((300, 2))
    given = by_first_feature(X, 3, None, None, None).labels
    desired = fastgmm.GaussianMixture(3, init_params=given).fit(X)
    model = fastgmm.GaussianMixture(3, init_params="by first feature").fit(X)
    np.testing.assert_array_equal(model.means_, desired.means_)
    assert model.to_sklearn().init_params == "kmeans"
    report = fastgmm.fit_many([X, X], 3, init_params="by first feature", random_state=0)
    np.testing.assert_array_equal(report[1].means_, desired.means_)


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
