"""Fits of fewer rows than features, in the space that the rows span."""

import warnings
from functools import partial

import numpy as np
import pytest
import threadpoolctl
from sklearn import mixture
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.covariance import blas
from fastgmm.em import Listener, RunState
from fastgmm.estimator import fitting
from fastgmm.estimator.rows import rows_to_fit
from fastgmm.estimator.spanned import Spanned
from tests.estimator.helpers import PARAMETERS, fit_as_given, quiet_fit

N, D, K = 40, 150, 3


def rows_of(kind, n=N, d=D):
    random = np.random.default_rng(0)
    X = random.standard_normal((n, d)) + 1.5 * random.standard_normal((K, d))[np.arange(n) % K]
    if kind == "repeated":
        X[n // 2 :] = X[: n - n // 2]
    elif kind == "nearly in a plane":
        X = random.standard_normal((n, 5)) @ random.standard_normal((5, d)) + 1e-3 * X
    elif kind == "far":
        X += 20.0
    elif kind == "of different scales":
        X *= 10.0 ** random.uniform(-2, 1, d)
    elif kind == "whole numbers":
        X = np.round(X)
    return X


@pytest.fixture
def spans(monkeypatch):
    """Whether fits went this way, in turn."""
    found, made = fitting.space_of, []

    def record(*arguments):
        space = found(*arguments)
        made.append(isinstance(space, Spanned))
        return space

    monkeypatch.setattr(fitting, "space_of", record)
    return made


def fitted(X, monkeypatch=None, weights=None, **params):
    params = {"n_components": K, "random_state": 0, "reg_covar": 1e-3, **params}
    fit = quiet_fit if monkeypatch is None else partial(fit_as_given, monkeypatch)
    return fit(GaussianMixture(**params), X, sample_weight=weights)


KINDS = (
    "plain",
    "repeated",
    "nearly in a plane",
    "far",
    "of different scales",
    "whole numbers",
)


@pytest.mark.parametrize("start", ["kmeans", "random", "random_from_data"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["full", "tied"])
def test_the_mixture_is_that_of_all_features(name, kind, start, spans, monkeypatch):
    X = rows_of(kind)
    weights = np.random.default_rng(1).exponential(size=N) if start == "random" else None
    params = {"covariance_type": name, "init_params": start, "max_iter": 4, "n_init": 2, "tol": 0}
    found = fitted(X, weights=weights, **params)
    assert spans == [True]
    desired = fitted(X, monkeypatch, weights, **params)
    np.testing.assert_allclose(found.lower_bounds_, desired.lower_bounds_, rtol=3e-9)
    for attribute in PARAMETERS:
        one, other = getattr(found, attribute), getattr(desired, attribute)
        np.testing.assert_allclose(one, other, atol=1e-9 * np.abs(other).max())
    np.testing.assert_array_equal(found.predict(X), desired.predict(X))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["full", "tied"])
def test_fits_are_those_of_scikit_learn(name, dtype, spans):
    X = rows_of("plain").astype(dtype)
    params = {"n_components": K, "covariance_type": name, "random_state": 0}
    ours = quiet_fit(GaussianMixture(**params), X)
    assert spans == [True]
    theirs = quiet_fit(mixture.GaussianMixture(**params), X.astype(np.float64))
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-9)
    rtol = 1e-7 if dtype == np.float64 else 1e-4
    for attribute in PARAMETERS:
        found, desired = getattr(ours, attribute), getattr(theirs, attribute)
        np.testing.assert_allclose(found, desired, atol=rtol * np.abs(desired).max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bits_are_those_of_any_number_of_threads_and_of_any_storage(dtype, spans, tmp_path):
    X = rows_of("plain", n=70, d=830).astype(dtype)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    params = {"init_params": "random_from_data", "max_iter": 2, "tol": 0}
    with threadpoolctl.threadpool_limits(1, "blas"):
        alone = fitted(X, n_jobs=1, **params)
    for other in (fitted(X, n_jobs=2, **params), fitted(path, **params)):
        for attribute in (*PARAMETERS, "lower_bounds_"):
            np.testing.assert_array_equal(getattr(alone, attribute), getattr(other, attribute))
    assert spans == [True] * 3


@pytest.mark.parametrize("name", ["full", "tied"])
def test_fits_of_many_have_the_bits_of_fits_of_their_own(name, spans):
    data = [rows_of(kind) for kind in KINDS[:2]]
    params = {"covariance_type": name, "reg_covar": 1e-3, "max_iter": 3, "tol": 0}
    report = fit_many(data, K, random_state=0, **params)
    assert spans == [True, True]
    for i, X in enumerate(data):
        own = fitted(X, **params, random_state=int(report.seeds[i]))
        for attribute in (*PARAMETERS, "lower_bounds_"):
            np.testing.assert_array_equal(getattr(report[i], attribute), getattr(own, attribute))


def test_recovery_changes_nothing_where_nothing_fails(spans):
    X = rows_of("plain")
    plain, mended = fitted(X), fitted(X, on_failure="recover")
    for attribute in PARAMETERS:
        np.testing.assert_array_equal(getattr(plain, attribute), getattr(mended, attribute))
    assert spans == [True, True]
    assert mended.diagnostics_ == []


def test_a_run_that_goes_on_has_the_bits_of_one_that_did_not_stop(spans):
    X = rows_of("nearly in a plane")
    params = {"n_components": K, "random_state": 0, "reg_covar": 1e-2, "tol": 0.0}

    def run(model, resume=None):
        data = rows_to_fit(model, X, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return fitting.fit_rows(model, data, None, 0.0, lambda made: Listener(), None, resume)

    ended = run(GaussianMixture(**params, max_iter=2))
    further, whole = (GaussianMixture(**params, max_iter=5) for _ in range(2))
    run(further, RunState(0, ended.parameters, ended.lower_bounds, None))
    run(whole)
    assert spans == [True] * 3
    for attribute in (*PARAMETERS, "lower_bounds_"):
        np.testing.assert_array_equal(getattr(further, attribute), getattr(whole, attribute))


def test_what_asks_for_more_goes_the_ordinary_way(spans):
    X = rows_of("plain")
    for params in (
        {"covariance_type": "diag"},
        {"reg_covar": 1e-10},
        {"reg_covar": "scale"},
        {"means_init": X[:K]},
        {"warm_start": True},
        {"accelerate": "squarem"},
        {"noise": "box"},
        {"max_iter": 0},
    ):
        fitted(X, **params)
    fitted(X[:, : N + 95])
    quiet_fit(BayesianGaussianMixture(n_components=K, random_state=0, max_iter=2), X)
    assert not any(spans)
    assert len(spans) == 10


def test_progress_sees_mixtures_of_all_features(spans, capsys):
    X = rows_of("plain")
    assert fitted(X, verbose=2, verbose_interval=1).means_.shape == (K, D)
    assert "Iteration 1" in capsys.readouterr().out
    assert spans == [True]


@pytest.mark.parametrize("kind", KINDS)
def test_coordinates_keep_all_distances(kind):
    X = rows_of(kind)
    found = blas.coordinates(X)
    assert found.shape == (N, N)
    exact, found = (np.longdouble(a) for a in (X, found))
    lengths = np.sqrt((exact**2).sum(axis=1))
    np.testing.assert_allclose(found @ found.T, exact @ exact.T, atol=1e-14 * lengths.max() ** 2)
    apart, desired = (np.sqrt(((a[:, np.newaxis] - a) ** 2).sum(axis=-1)) for a in (found, exact))
    # Not of half the digits, as they would be after products alone.
    np.testing.assert_allclose(apart, desired, rtol=1e-13, atol=1e-11 * lengths.max())
