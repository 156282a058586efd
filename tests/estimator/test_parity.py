"""The same answers as the installed scikit-learn, from the same ``random_state``."""

import copy
import warnings
from functools import cache

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture
from tests import datasets, tolerances
from tests.estimator.helpers import (
    CLASSES,
    PARAMETERS,
    SKLEARN_1_7,
    STARTS,
    assert_close,
    assert_identical_fit,
    assert_same_fit,
    assert_same_parameters,
    every_structure,
    fit_both,
    quiet_fit,
)

RTOL = tolerances.PARITY_RTOL
every_dataset = pytest.mark.parametrize("name", datasets.PARITY)
every_start = pytest.mark.parametrize("init_params", STARTS)

# --- fit ----------------------------------------------------------------------------------


@every_structure
@every_dataset
@every_start
def test_fit(name, covariance_type, init_params):
    dataset = datasets.load(name)
    # K-means comes to much the same from any seed; a fit of the digits takes up to a second.
    for seed in (0,) if name == "digits" or init_params == "kmeans" else (0, 1):
        fast, theirs = fit_both(
            dataset.X,
            dataset.n_components,
            covariance_type=covariance_type,
            init_params=init_params,
            reg_covar=dataset.reg_covar_for(init_params),
            random_state=seed,
        )
        assert_same_fit(fast, theirs, RTOL)
        np.testing.assert_array_equal(fast.predict(dataset.X), theirs.predict(dataset.X))
        assert_close(fast.score(dataset.X), theirs.score(dataset.X), RTOL)


@every_structure
@pytest.mark.parametrize("init_params", ["k-means++", "random_from_data"])
def test_fit_from_single_rows_at_the_default_reg_covar(covariance_type, init_params):
    """What all users of these starts do; see ``datasets.DataSet`` for why not every data set."""
    for seed in range(4):
        fast, theirs = fit_both(
            datasets.load("blobs_2d").X,
            4,
            covariance_type=covariance_type,
            init_params=init_params,
            random_state=seed,
        )
        assert fast.n_iter_ == theirs.n_iter_
        assert_same_parameters(fast, theirs, RTOL)


@every_structure
def test_fit_to_convergence(covariance_type):
    """Some hundred iterations at a strict tolerance, through flat stretches of the bound."""
    fast, theirs = fit_both(
        datasets.load("anisotropic").X,
        3,
        covariance_type=covariance_type,
        tol=1e-7,
        max_iter=500,
        random_state=0,
    )
    assert theirs.converged_
    assert_same_fit(fast, theirs, RTOL)


@every_structure
def test_fit_predict(covariance_type):
    dataset = datasets.load("anisotropic")
    params = {"covariance_type": covariance_type, "random_state": 3}
    fast, theirs = (cls(dataset.n_components, **params) for cls in CLASSES)
    labels = fast.fit_predict(dataset.X)
    np.testing.assert_array_equal(labels, theirs.fit_predict(dataset.X))
    np.testing.assert_array_equal(labels, fast.predict(dataset.X))
    assert labels.dtype == np.int64


@every_structure
def test_types_of_the_fitted_attributes(covariance_type):
    fast, theirs = fit_both(
        datasets.load("iris").X, 2, covariance_type=covariance_type, random_state=0
    )
    for name in PARAMETERS:
        mine, other = getattr(fast, name), getattr(theirs, name)
        assert type(mine) is np.ndarray
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
    assert isinstance(fast.lower_bound_, float)
    assert isinstance(fast.converged_, bool)
    assert isinstance(fast.n_iter_, int)
    assert isinstance(fast.lower_bounds_, list)
    assert fast.n_features_in_ == theirs.n_features_in_
    added_later = set() if SKLEARN_1_7 else {"lower_bounds_"}

    def fitted(model):
        return {name for name in vars(model) if name.endswith("_")}

    assert fitted(fast) == fitted(theirs) | added_later | {"diagnostics_", "convergence_rate_"}


# --- the settings of the loop -------------------------------------------------------------


@every_structure
@every_start
@pytest.mark.parametrize("max_iter", [0, 1])
def test_few_iterations(covariance_type, init_params, max_iter):
    dataset = datasets.load("blobs_2d")
    fast, theirs = fit_both(
        dataset.X,
        dataset.n_components,
        covariance_type=covariance_type,
        init_params=init_params,
        max_iter=max_iter,
        reg_covar=dataset.reg_covar_for(init_params),
        random_state=0,
    )
    assert_same_fit(fast, theirs, RTOL)
    np.testing.assert_array_equal(fast.predict(dataset.X), theirs.predict(dataset.X))


@every_structure
def test_no_iteration_gives_no_warning(covariance_type):
    X = datasets.load("iris").X
    model = GaussianMixture(3, covariance_type=covariance_type, max_iter=0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)
    assert (model.n_iter_, model.converged_, model.lower_bound_) == (0, False, -np.inf)


@every_structure
def test_tolerance_zero_never_converges(covariance_type):
    # One component is at its fixed point after two iterations: the change is exactly zero,
    # or a rounding, and neither is less than zero.
    for k in (1, 3):
        fast, theirs = fit_both(
            datasets.load("iris").X,
            k,
            covariance_type=covariance_type,
            tol=0,
            max_iter=20,
            random_state=0,
        )
        assert theirs.n_iter_ == 20
        assert_same_fit(fast, theirs, RTOL)


@every_structure
@pytest.mark.parametrize("reg_covar", [0.0, 1e-9, 0.3])
def test_reg_covar(covariance_type, reg_covar):
    fast, theirs = fit_both(
        datasets.load("blobs_8d").X,
        3,
        covariance_type=covariance_type,
        reg_covar=reg_covar,
        random_state=0,
    )
    assert_same_fit(fast, theirs, RTOL)


# --- restarts and random states -----------------------------------------------------------


@every_structure
@every_start
def test_restarts_keep_the_best(covariance_type, init_params):
    """One generator runs through all restarts, and the best of them is kept."""
    dataset = datasets.load("wine_scaled")
    X = dataset.X
    params = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "max_iter": 6,
        "reg_covar": dataset.reg_covar_for(init_params),
    }

    random = np.random.RandomState(12)
    single = [
        quiet_fit(SklearnGaussianMixture(5, random_state=random, **params), X) for _ in range(4)
    ]
    best, second = sorted((model.lower_bound_ for model in single), reverse=True)[:2]
    # With a tie between restarts rounding would decide which is kept.
    assert best - second > 1e-7

    fast, theirs = fit_both(X, 5, n_init=4, random_state=12, **params)
    assert theirs.lower_bound_ == best
    assert_same_fit(fast, theirs, RTOL)


@pytest.mark.parametrize("init_params", STARTS)
def test_a_random_state_is_left_where_scikit_learn_leaves_it(init_params):
    X = datasets.load("blobs_2d").X
    states = [np.random.RandomState(3) for _ in CLASSES]
    models = [
        quiet_fit(cls(4, init_params=init_params, n_init=2, random_state=state), X)
        for cls, state in zip(CLASSES, states, strict=True)
    ]
    fast, theirs = (state.get_state() for state in states)
    np.testing.assert_array_equal(fast[1], theirs[1])
    assert fast[2:] == theirs[2:]
    assert_close(models[0].sample(5)[0], models[1].sample(5)[0], tolerances.DRAWS_RTOL)


def test_no_random_state_is_numpys_global_one():
    X = datasets.load("blobs_2d").X
    fits = []
    for cls in CLASSES:
        np.random.seed(42)  # noqa: NPY002
        fits.append(quiet_fit(cls(4, init_params="random_from_data"), X))
    assert_same_fit(*fits, RTOL)


# --- predictions --------------------------------------------------------------------------


@cache
def fitted_by_scikit_learn(name, covariance_type):
    dataset = datasets.load(name)
    model = SklearnGaussianMixture(
        dataset.n_components,
        covariance_type=covariance_type,
        reg_covar=dataset.reg_covar,
        random_state=0,
    )
    return quiet_fit(model, dataset.X)


def fitted_and_converted(name, covariance_type):
    """scikit-learn's fitted model, and ours with the very same parameters."""
    # A copy, for drawing from it may change it.
    theirs = copy.deepcopy(fitted_by_scikit_learn(name, covariance_type))
    return GaussianMixture.from_sklearn(theirs), theirs


def rows_to_predict(name):
    """The data, rows between the clusters, and rows a thousand standard deviations out."""
    X = datasets.load(name).X
    far = X[:20] + 1000 * X.std() * np.sign(X[:20] - X.mean(axis=0))
    return np.concatenate([X, (X[:40] + X[-40:]) / 2 if len(X) >= 40 else X, far])


@every_structure
@every_dataset
def test_predictions(name, covariance_type):
    fast, theirs = fitted_and_converted(name, covariance_type)
    X = rows_to_predict(name)
    np.testing.assert_array_equal(fast.predict(X), theirs.predict(X))
    assert_close(fast.predict_proba(X), theirs.predict_proba(X), 1e-9)
    np.testing.assert_allclose(fast.score_samples(X), theirs.score_samples(X), rtol=1e-9)
    for method in ("score", "bic", "aic"):
        mine, other = getattr(fast, method)(X), getattr(theirs, method)(X)
        assert isinstance(mine, float)
        assert mine == pytest.approx(other, rel=1e-9)
    assert fast.n_parameters() == fast._n_parameters() == theirs._n_parameters()


@every_structure
@pytest.mark.parametrize("name", ["iris", "wine", "blobs_2d", "one_feature", "anisotropic"])
def test_predictions_after_both_fitted(name, covariance_type):
    dataset = datasets.load(name)
    fast, theirs = fit_both(
        dataset.X, dataset.n_components, covariance_type=covariance_type, random_state=1
    )
    X = rows_to_predict(name)
    atol = tolerances.PARITY_PROBABILITY_ATOL
    np.testing.assert_allclose(fast.predict_proba(X), theirs.predict_proba(X), atol=atol)
    np.testing.assert_allclose(fast.score_samples(X), theirs.score_samples(X), rtol=RTOL)
    np.testing.assert_array_equal(fast.predict(X), theirs.predict(X))
    for method in ("score", "bic", "aic"):
        assert_close(getattr(fast, method)(X), getattr(theirs, method)(X), RTOL)


@every_structure
def test_probabilities_sum_to_one(covariance_type):
    fast, _ = fitted_and_converted("anisotropic", covariance_type)
    totals = fast.predict_proba(rows_to_predict("anisotropic")).sum(axis=1)
    np.testing.assert_allclose(totals, 1, rtol=1e-14)


@every_structure
@every_dataset
def test_samples_are_the_same_draws(name, covariance_type):
    fast, theirs = fitted_and_converted(name, covariance_type)
    for mine, other in zip(fast.sample(50), theirs.sample(50), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)


@every_structure
def test_samples_after_both_fitted(covariance_type):
    fast, theirs = fit_both(
        datasets.load("iris").X, 3, covariance_type=covariance_type, random_state=4
    )
    (mine, my_labels), (other, other_labels) = fast.sample(100), theirs.sample(100)
    np.testing.assert_array_equal(my_labels, other_labels)
    assert_close(mine, other, tolerances.DRAWS_RTOL)


@pytest.mark.parametrize("integer", [np.uint8, np.int8, np.uint64])
@pytest.mark.parametrize("init_params", STARTS)
def test_numbers_of_numpy_types(integer, init_params, tmp_path):
    X = datasets.load("blobs_2d").X
    arguments = {"random_state": 0, "init_params": init_params}
    plain = quiet_fit(GaussianMixture(3, n_init=2, max_iter=50, **arguments), X)
    numbers = {"n_components": integer(3), "n_init": integer(2), "max_iter": integer(50)}
    model = GaussianMixture(**numbers, **arguments)
    assert_identical_fit(quiet_fit(model, X), plain)
    assert_identical_fit(quiet_fit(model, X, checkpoint=tmp_path / "job.npz"), plain)


# --- again --------------------------------------------------------------------------------


@every_structure
def test_fitting_twice_gives_the_same_bits(covariance_type):
    X = datasets.load("anisotropic").X
    first, second = (
        GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X) for _ in range(2)
    )
    assert_identical_fit(first, second)
    assert_identical_fit(second.fit(X), first)


def test_convergence_warning_has_the_same_text_and_number():
    X = datasets.load("anisotropic").X
    recorded = []
    for cls in CLASSES:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cls(3, max_iter=2, n_init=3, random_state=0).fit(X)
        recorded.append([(item.category, str(item.message)) for item in caught])
    assert recorded[0] == recorded[1]
    assert [category for category, _ in recorded[0]] == [ConvergenceWarning]


@every_structure
def test_refitting_forgets_the_old_fit(covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.fit(datasets.load("wine_scaled").X)
    X = datasets.load("iris").X
    fresh = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    assert_same_parameters(model.fit(X), fresh, 1e-15)
    assert model.n_features_in_ == 4
