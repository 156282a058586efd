"""What the Bayesian mixture has beside scikit-learn's: weights, float32, arguments of its own."""

import itertools
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import BayesianGaussianMixture as Theirs
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgmm import BayesianGaussianMixture as Ours
from fastgmm import GaussianMixture
from tests import datasets, structures, tolerances
from tests.estimator.bayesian import (
    LABELS,
    POSTERIOR,
    PRIOR_TYPES,
    REPEATS,
    RTOL,
    K,
    X,
    assert_identical,
    assert_same_fit,
    every_prior_type,
    params_of,
)
from tests.estimator.helpers import STARTS, assert_close, every_structure, quiet_fit

# --- weights ------------------------------------------------------------------------------


@every_structure
@every_prior_type
def test_integer_weights_are_repeated_rows(covariance_type, prior_type):
    params = params_of(covariance_type, prior_type, n_components=K, tol=1e-3)
    one = quiet_fit(Ours(init_params=LABELS, **params), X, sample_weight=REPEATS)
    other = quiet_fit(Ours(init_params=LABELS.repeat(REPEATS), **params), X.repeat(REPEATS, axis=0))
    assert other.n_iter_ > 5
    assert_same_fit(one, other, tolerances.REPEATED_ROWS_RTOL)


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
def test_weights_of_one_change_nothing(covariance_type, init_params):
    params = params_of(covariance_type, n_components=K, init_params=init_params, reg_covar=1e-3)
    plain, weighted = quiet_fit(Ours(**params), X), Ours(**params)
    quiet_fit(weighted, X, sample_weight=np.ones(len(X)))
    assert_same_fit(weighted, plain, tolerances.SAME_DATA_RTOL)


@every_structure
def test_rows_of_weight_zero_are_absent(covariance_type):
    params = params_of(covariance_type, n_components=K)
    present = np.arange(len(X)) % 3 > 0
    rows = np.where(present[:, np.newaxis], X, 1e6)
    one = quiet_fit(Ours(**params), rows, sample_weight=present.astype(float))
    assert_same_fit(one, quiet_fit(Ours(**params), X[present]), tolerances.SAME_DATA_RTOL)


def test_the_scale_of_weights_is_the_amount_of_evidence():
    params = params_of("full", n_components=K, init_params=LABELS, mean_precision_prior=50.0)
    once, thrice = (
        quiet_fit(Ours(**params), X, sample_weight=np.full(len(X), weight)) for weight in (1.0, 3.0)
    )
    assert thrice.degrees_of_freedom_.sum() == pytest.approx(3 * len(X) + 2 * K)
    pulled = [np.abs(model.means_ - X.mean(axis=0)).sum() for model in (once, thrice)]
    assert pulled[0] < pulled[1]


def test_weights_that_sum_to_one_row_determine_no_covariance():
    weights = np.full(len(X), 1 / len(X))
    with pytest.raises(ValueError, match="no more than one row"):
        Ours(n_components=K).fit(X, sample_weight=weights)
    model = quiet_fit(Ours(n_components=K, covariance_prior=np.eye(2)), X, sample_weight=weights)
    assert np.isfinite(model.covariances_).all()


# --- what is ours -------------------------------------------------------------------------


@every_structure
def test_float32_rows_are_fitted_in_float64(covariance_type):
    rows = datasets.load("float32").X
    params = params_of(covariance_type, n_components=K, init_params="random_from_data")
    narrow, wide = (quiet_fit(Ours(**params), array) for array in (rows, rows.astype(np.float64)))
    assert narrow.lower_bounds_ == wide.lower_bounds_
    for name in (*POSTERIOR, "mean_prior_", "covariance_prior_"):
        value, exact = np.asarray(getattr(narrow, name)), np.asarray(getattr(wide, name))
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, exact.astype(np.float32))
    assert narrow.predict_proba(rows).dtype == narrow.score_samples(rows).dtype == np.float32
    theirs = quiet_fit(Theirs(**params), rows)
    assert_close(narrow.means_, theirs.means_, tolerances.PARITY_RTOL_FLOAT32)


def test_tolerance_per_sample():
    """The same for any number of rows, where the sum over rows asks ever more."""
    params = params_of("full", n_components=K, tol=1e-4, max_iter=500)

    def iterations(repeats, **others):
        init_params = np.tile(LABELS, repeats)
        model = Ours(init_params=init_params, **params, **others)
        return quiet_fit(model, np.tile(X, (repeats, 1))).n_iter_

    normalised = [iterations(repeats, tol_per_sample=True) for repeats in (1, 20)]
    assert normalised[1] < iterations(20)
    assert abs(normalised[1] - normalised[0]) <= 0.3 * normalised[0]
    weighted = Ours(init_params=LABELS, **params, tol_per_sample=True)
    quiet_fit(weighted, X, sample_weight=np.full(len(X), 20.0))
    assert weighted.n_iter_ == normalised[1]


@every_structure
@every_prior_type
def test_the_bound_rises(covariance_type, prior_type):
    for seed in range(3):
        params = params_of(covariance_type, prior_type, n_components=6, tol=1e-9, reg_covar=0)
        params["random_state"] = seed
        model = quiet_fit(Ours(init_params="random", max_iter=60, **params), X)
        # scikit-learn shares out the Wishart distribution of a tied covariance among components,
        # which is not the maximum.
        if covariance_type != "tied":
            assert np.diff(model.lower_bounds_).min() > -1e-8 * abs(model.lower_bound_)


@every_structure
def test_any_number_of_threads_gives_the_same_bits(covariance_type):
    rows = datasets.mixture_sample(60_000, 4, 5, seed=51, spread=3.0)
    params = params_of(covariance_type, n_components=5, init_params="random_from_data", max_iter=5)
    params["reg_covar"] = 1e-2
    first, *others = (quiet_fit(Ours(n_jobs=n, **params), rows) for n in (1, 2, 3, 8))
    for other in others:
        assert_identical(other, first)


@every_structure
def test_far_from_the_origin(covariance_type):
    """The same posterior, shifted; the shift is exact in these rows."""
    rows = np.round(X * 2**10) / 2**10
    params = params_of(covariance_type, n_components=K, init_params=LABELS)
    near, far = (quiet_fit(Ours(**params), rows + shift) for shift in (0.0, 2.0**24))
    assert_close(far.covariances_, near.covariances_, 1e-6)
    np.testing.assert_allclose(far.means_ - 2.0**24, near.means_, atol=1e-6)
    np.testing.assert_allclose(far.lower_bound_, near.lower_bound_, rtol=1e-8)


@pytest.mark.parametrize(
    "start", [LABELS, np.eye(K)[LABELS], lambda X, k, random_state: LABELS], ids=range(3)
)
def test_arrays_and_callables_as_starts(start):
    model = quiet_fit(Ours(init_params=start, n_components=K), X)
    assert_identical(model, quiet_fit(Ours(init_params=LABELS, n_components=K), X))


def test_predictions_from_attributes_set_by_hand():
    fitted = quiet_fit(Ours(n_components=K, random_state=0), X)
    model = Ours(n_components=K)
    for name in POSTERIOR:
        setattr(model, name, getattr(fitted, name))
    np.testing.assert_array_equal(model.predict_proba(X), fitted.predict_proba(X))


@every_prior_type
def test_to_scikit_learn_and_back(prior_type):
    fast = quiet_fit(Ours(n_components=K, tol_per_sample=True, **params_of("full", prior_type)), X)
    theirs = fast.to_sklearn()
    assert type(theirs) is Theirs
    assert_close(theirs.score_samples(X), fast.score_samples(X), RTOL)
    back = Ours.from_sklearn(theirs, n_jobs=1)
    assert_identical(back, fast)
    with pytest.raises(TypeError, match="BayesianGaussianMixture, but got GaussianMixture"):
        Ours.from_sklearn(GaussianMixture())


def test_clone_and_pickle():
    model = quiet_fit(Ours(n_components=K, random_state=0, n_jobs=2, tol_per_sample=True), X)
    assert clone(model).get_params() == model.get_params()
    assert isinstance(model, Theirs)
    assert_identical(pickle.loads(pickle.dumps(model)), model)


@pytest.mark.parametrize("params", [{"tol_per_sample": "yes"}, {"n_jobs": 0}], ids=str)
def test_bad_parameters_of_our_own(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        Ours(**params).fit(X)


CHECKS = parametrize_with_checks(
    [Ours()]
    + [
        Ours(covariance_type=name, weight_concentration_prior_type=prior_type, max_iter=5)
        # Each structure with one or the other.
        for name, prior_type in zip(structures.SHARED, itertools.cycle(PRIOR_TYPES), strict=False)
    ]
)
# That of array API input skips itself unless SCIPY_ARRAY_API was set before SciPy was imported.
APPLICABLE = [
    (estimator, check)
    for estimator, check in CHECKS.args[1]
    if check.func.__name__ != "check_array_api_input"
]


@pytest.mark.parametrize(CHECKS.args[0], APPLICABLE, ids=CHECKS.kwargs["ids"])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@every_prior_type
def test_another_kind_of_prior_is_no_warm_start(prior_type):
    model = quiet_fit(Ours(n_components=K, warm_start=True, max_iter=2), X)
    model.set_params(weight_concentration_prior_type=prior_type)
    if prior_type == "dirichlet_process":
        quiet_fit(model, X)
        return
    for call in (model.fit, model.predict):
        with pytest.raises(ValueError, match="not of weight_concentration_prior_type='dirichlet_d"):
            call(X)
