"""Fits of few rows of many features, which end as soon as responsibilities stay as they are."""

import warnings
from functools import partial

import numpy as np
import pytest
import threadpoolctl
from sklearn import mixture
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture, fit_many
from fastgmm.covariance import linalg
from fastgmm.em import Listener
from fastgmm.estimator import fitting, spanned
from fastgmm.estimator.rows import rows_to_fit
from fastgmm.estimator.settling import Settling
from fastgmm.passes import wide
from tests.estimator.helpers import PARAMETERS, fit_as_given, quiet_fit

N, D, K = 400, 260, 3


def rows_of(dtype=np.float64, n=N, d=D, apart=0.3):
    random = np.random.default_rng(0)
    about = apart * random.standard_normal((K, d))[np.arange(n) % K]
    return (random.standard_normal((n, d)) + about).astype(dtype)


@pytest.fixture
def e_steps(monkeypatch):
    """The E-steps that were made."""
    made, one = [], wide.shared_out_to

    def record(*arguments):
        made.append(arguments)
        return one(*arguments)

    monkeypatch.setattr(wide, "shared_out_to", record)
    return made


def fitted(X, monkeypatch=None, weights=None, **params):
    params = {"n_components": K, "random_state": 0, "reg_covar": 1e-2, **params}
    fit = quiet_fit if monkeypatch is None else partial(fit_as_given, monkeypatch)
    return fit(GaussianMixture(**params), X, sample_weight=weights)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("full", "kmeans"),
        ("full", "k-means++"),
        ("full", "random_from_data"),
        ("tied", "kmeans"),
        ("tied", "random"),
        ("tied", "random_from_data"),
    ],
)
def test_the_mixture_is_that_of_all_iterations(name, start, e_steps, monkeypatch):
    X = rows_of() if name == "full" else rows_of(n=500, d=linalg.LARGE)
    weighted = start in ("k-means++", "random")
    weights = np.random.default_rng(1).exponential(size=len(X)) if weighted else None
    params = {"covariance_type": name, "init_params": start, "max_iter": 9, "n_init": 2, "tol": 0}
    found = fitted(X, weights=weights, **params)
    assert (0 < len(e_steps) < 2 * 9) or (name, start) == ("tied", "random")
    desired = fitted(X, monkeypatch, weights, **params)
    np.testing.assert_allclose(found.lower_bounds_, desired.lower_bounds_, rtol=1e-12)
    for attribute in PARAMETERS:
        one, other = getattr(found, attribute), getattr(desired, attribute)
        np.testing.assert_allclose(one, other, atol=1e-10 * np.abs(other).max())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fits_are_those_of_scikit_learn_after_one_e_step(dtype, e_steps):
    X = rows_of(dtype, apart=0.6)
    params = {"n_components": K, "reg_covar": 1e-2, "random_state": 0}
    ours = quiet_fit(GaussianMixture(**params), X)
    assert len(e_steps) == 1
    theirs = quiet_fit(mixture.GaussianMixture(**params), X.astype(np.float64))
    assert ours.n_iter_ == theirs.n_iter_ == 2
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-9)
    rtol = 1e-7 if dtype == np.float64 else 1e-4
    for attribute in PARAMETERS:
        found, desired = getattr(ours, attribute), getattr(theirs, attribute)
        np.testing.assert_allclose(found, desired, atol=rtol * np.abs(desired).max())


def test_single_rows_of_which_each_takes_itself_are_no_mixture_yet():
    """Of a later restart, whose responsibilities may be those that an earlier one ended with."""
    X = rows_of(n=270, apart=40.0)
    params = {"init_params": "random_from_data", "n_init": 3, "max_iter": 3, "tol": 0}
    found = fitted(X, **params)
    for covariance in found.covariances_:
        assert np.linalg.eigvalsh(covariance)[-1] > 0.5


def test_bits_are_those_of_any_number_of_threads_and_of_any_storage(tmp_path):
    X = rows_of(np.float32)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    params = {"init_params": "random_from_data", "max_iter": 4, "tol": 0}
    with threadpoolctl.threadpool_limits(1, "blas"):
        alone = fitted(X, n_jobs=1, **params)
    for other in (fitted(X, n_jobs=2, **params), fitted(path, **params)):
        for attribute in (*PARAMETERS, "lower_bounds_"):
            np.testing.assert_array_equal(getattr(alone, attribute), getattr(other, attribute))


def test_fits_of_many_have_the_bits_of_fits_of_their_own():
    data = [rows_of(), rows_of(apart=0.0)]
    params = {"reg_covar": 1e-2, "max_iter": 3, "tol": 0}
    report = fit_many(data, K, random_state=0, **params)
    for i, X in enumerate(data):
        own = fitted(X, **params, random_state=int(report.seeds[i]))
        for attribute in (*PARAMETERS, "lower_bounds_"):
            np.testing.assert_array_equal(getattr(report[i], attribute), getattr(own, attribute))


@pytest.mark.parametrize("n", [spanned._LEAST_SETTLING, N])
@pytest.mark.parametrize("iterations", [1, 2])
def test_a_run_that_goes_on_has_the_bits_of_one_that_did_not_stop(iterations, n):
    X = rows_of(n=n)
    params = {"n_components": K, "random_state": 0, "reg_covar": 1e-2, "tol": 0.0}

    def run(max_iter, resume=None):
        model = GaussianMixture(**params, max_iter=max_iter)
        data = rows_to_fit(model, X, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model, fitting.fit_rows(
                model, data, None, 0.0, lambda made: Listener(), None, resume
            )

    _, ended = run(iterations)
    resumed, _ = run(4, fitting.RunState(0, ended.parameters, ended.lower_bounds, None))
    whole, _ = run(4)
    for attribute in (*PARAMETERS, "lower_bounds_"):
        np.testing.assert_array_equal(getattr(resumed, attribute), getattr(whole, attribute))


@pytest.mark.parametrize(
    ("n", "params", "settles"),
    [
        (N, {}, True),
        (N, {"reg_covar": "scale"}, True),
        (N, {"init_params": "random"}, False),
        (7 * D, {}, False),
        (N, {"covariance_type": "tied"}, False),
        (N, {"covariance_type": "VVV"}, False),
        (N, {"on_failure": "recover"}, True),
        (N, {"means_init": np.zeros((K, D))}, False),
    ],
)
def test_which_fits_do(n, params, settles, monkeypatch):
    found, made = fitting.space_of, []

    def record(*arguments):
        made.append(found(*arguments))
        return made[-1]

    monkeypatch.setattr(fitting, "space_of", record)
    params = {"max_iter": 1, "init_params": "random_from_data", **params}
    fitted(rows_of(n=n), **params)
    assert [isinstance(space, Settling) for space in made] == [settles]


@pytest.mark.parametrize("name", ["full", "tied"])
def test_fits_in_the_space_of_the_rows_do_as_well(name, e_steps, monkeypatch):
    X = rows_of(n=spanned._LEAST_SETTLING, apart=0.6)
    params = {"covariance_type": name, "max_iter": 9, "n_init": 2, "tol": 0}
    found = fitted(X, **params)
    assert 0 < len(e_steps) < 9
    desired = fitted(X, monkeypatch, **params)
    np.testing.assert_allclose(found.lower_bounds_, desired.lower_bounds_, rtol=1e-12)
    for attribute in PARAMETERS:
        one, other = getattr(found, attribute), getattr(desired, attribute)
        np.testing.assert_allclose(one, other, atol=1e-10 * np.abs(other).max())


@pytest.mark.parametrize("n", [spanned._LEAST_SETTLING, N])
def test_recovery_changes_nothing_where_nothing_fails(n):
    X = rows_of(n=n)
    plain, mended = fitted(X), fitted(X, on_failure="recover")
    for attribute in (*PARAMETERS, "lower_bounds_"):
        np.testing.assert_array_equal(getattr(plain, attribute), getattr(mended, attribute))
    assert mended.diagnostics_ == []


def test_what_was_mended_is_no_mixture_of_its_responsibilities(monkeypatch):
    """A component that holds one row is widened in the start, and fails in the iteration."""
    X = rows_of()
    X[0] += 1e3
    labels = np.minimum(np.arange(N), 1)
    params = {"n_components": 2, "init_params": np.eye(2)[labels], "reg_covar": 0.0}
    params |= {"on_failure": "recover", "max_iter": 3, "tol": 0}
    found, desired = fitted(X, **params), fitted(X, monkeypatch, **params)
    assert [r["action"] for r in found.diagnostics_] == [r["action"] for r in desired.diagnostics_]
    assert len(found.diagnostics_) > 1
    np.testing.assert_allclose(found.means_, desired.means_, atol=1e-9)
