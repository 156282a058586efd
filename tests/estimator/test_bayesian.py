"""BayesianGaussianMixture: scikit-learn's answers, and its errors."""

import re

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastgmm import BayesianGaussianMixture as Ours
from tests import datasets, structures, tolerances
from tests.estimator.bayesian import (
    CLASSES,
    POSTERIOR,
    PRIOR_TYPES,
    PRIORS,
    RTOL,
    K,
    X,
    assert_same_fit,
    every_prior_type,
    fit_both,
    given_priors,
    params_of,
)
from tests.estimator.helpers import SKLEARN_1_7, STARTS, assert_close, every_structure, quiet_fit
from tests.estimator.outcomes import outcome

# --- scikit-learn's answers ---------------------------------------------------------------


def starts_in_turn():
    """Data, structure, prior and start: the first three in every combination.

    The starts take turns, so that each meets every data set, structure and prior. They are made
    before there is a prior, and tests/estimator/test_parity.py has every start of all data.
    """
    for i, name in enumerate(datasets.PARITY):
        for j, covariance_type in enumerate(structures.SHARED):
            for half, prior_type in enumerate(PRIOR_TYPES):
                yield name, covariance_type, prior_type, STARTS[(i + j + 2 * half) % len(STARTS)]


@pytest.mark.parametrize(
    ("name", "covariance_type", "prior_type", "init_params"), list(starts_in_turn())
)
def test_fit(name, covariance_type, prior_type, init_params):
    dataset = datasets.load(name)
    # Fits of scikit-learn's that take long; those below run to their end.
    few = {"digits": {"max_iter": 5}, "blobs_many_components": {"max_iter": 20}}.get(name, {})
    params = params_of(
        *(covariance_type, prior_type),
        n_components=dataset.n_components,
        init_params=init_params,
        reg_covar=dataset.reg_covar_for(init_params),
        **few,
    )
    fast, theirs = fit_both(dataset.X, **params)
    assert_same_fit(fast, theirs)
    np.testing.assert_array_equal(fast.predict(dataset.X), theirs.predict(dataset.X))
    assert_close(fast.score_samples(dataset.X), theirs.score_samples(dataset.X), RTOL)
    assert_close(fast.score(dataset.X), theirs.score(dataset.X), RTOL)
    np.testing.assert_allclose(
        fast.predict_proba(dataset.X),
        theirs.predict_proba(dataset.X),
        atol=tolerances.PARITY_PROBABILITY_ATOL,
    )


@every_structure
@every_prior_type
@pytest.mark.parametrize("name", ["iris", "one_feature", "blobs_8d"])
def test_given_priors(name, covariance_type, prior_type):
    dataset = datasets.load(name)
    every = given_priors(covariance_type, dataset.X.shape[1])
    alone = [{prior: value} for prior, value in every.items()] if name == "iris" else []
    for priors in (every, *alone):
        params = params_of(covariance_type, prior_type, n_components=5, max_iter=20, **priors)
        assert_same_fit(*fit_both(dataset.X, **params))


@every_structure
@every_prior_type
def test_surplus_components(covariance_type, prior_type):
    """The use of the model: more components than there are, most of which die out."""
    rows = datasets.load("blobs_2d").X[::2]
    params = params_of(covariance_type, prior_type, max_iter=400, tol=1e-4)
    fast, theirs = fit_both(rows, n_components=15, weight_concentration_prior=1e-3, **params)
    assert_same_fit(fast, theirs)
    assert fast.weights_.min() < 1e-4


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("max_iter", [0, 1])
def test_few_iterations(covariance_type, init_params, max_iter):
    params = params_of(covariance_type, init_params=init_params, reg_covar=1e-3)
    fast, theirs = fit_both(X, n_components=K, max_iter=max_iter, **params)
    assert_same_fit(fast, theirs)
    np.testing.assert_array_equal(fast.predict(X), theirs.predict(X))


@every_structure
def test_restarts_keep_the_best(covariance_type):
    params = params_of(covariance_type, n_init=4, init_params="random_from_data", max_iter=6)
    assert_same_fit(*fit_both(X, n_components=K, reg_covar=1e-3, **params))


@every_structure
@every_prior_type
def test_warm_start(covariance_type, prior_type):
    models = [
        cls(n_components=K, warm_start=True, **params_of(covariance_type, prior_type))
        for cls in CLASSES
    ]
    for rows, max_iter in ((X, 2), (X, 3), (X[:200], 1), (X, 0), (X, 200), (X, 200)):
        for model in models:
            quiet_fit(model.set_params(max_iter=max_iter), rows)
        assert_same_fit(*models)


@every_structure
def test_types_of_the_fitted_attributes(covariance_type):
    fast, theirs = fit_both(X, n_components=K, **params_of(covariance_type))
    for name in POSTERIOR + PRIORS:
        mine, other = getattr(fast, name), getattr(theirs, name)
        assert type(mine) is type(other)
        assert np.shape(mine) == np.shape(other)
    assert isinstance(fast.lower_bound_, float)
    fitted = [{name for name in vars(model) if name.endswith("_")} for model in (fast, theirs)]
    assert fitted[0] == fitted[1] | {"lower_bounds_", "diagnostics_", "convergence_rate_"}


def test_sample_is_scikit_learns():
    fast, theirs = fit_both(X, n_components=K, **params_of("full"))
    fast.set_params(random_state=5)
    theirs.set_params(random_state=5)
    for mine, other in zip(fast.sample(20), theirs.sample(20), strict=True):
        np.testing.assert_allclose(mine, other, rtol=tolerances.DRAWS_RTOL)


def test_verbose_prints_the_same_text(capsys):
    texts = []
    for cls in CLASSES:
        quiet_fit(cls(n_components=K, verbose=2, verbose_interval=1, random_state=0), X)
        texts.append(re.sub(r"time lapse \d+\.\d{5}s", "time lapse", capsys.readouterr().out))
    assert texts[0] == texts[1] != ""


@every_structure
@every_prior_type
def test_private_methods_still_answer(covariance_type, prior_type):
    fast, theirs = fit_both(X, n_components=K, **params_of(covariance_type, prior_type))
    for name in ("_estimate_log_prob", "_estimate_weighted_log_prob"):
        assert_close(getattr(fast, name)(X), getattr(theirs, name)(X), RTOL)
    fast._set_parameters(fast._get_parameters())
    assert_close(fast.weights_, theirs.weights_, RTOL)


# --- errors -------------------------------------------------------------------------------

BAD_PARAMETERS = [
    {"n_components": 0},
    {"tol": -1},
    {"weight_concentration_prior_type": "bogus"},
    {"weight_concentration_prior": 0},
    {"mean_precision_prior": -1},
    {"mean_prior": "mean"},
    {"mean_prior": [0.0]},
    {"mean_prior": [0.0, np.nan]},
    {"degrees_of_freedom_prior": 0.5},
    {"degrees_of_freedom_prior": "many"},
    {"covariance_prior": -1.0},
    {"covariance_prior": np.eye(3)},
    {"covariance_prior": -np.eye(2)},
    {"covariance_prior": [[1.0, 0.5], [0.0, 1.0]]},
    {"covariance_type": "tied", "covariance_prior": np.zeros((2, 2))},
    {"covariance_type": "diag", "covariance_prior": [1.0]},
    {"covariance_type": "diag", "covariance_prior": [1.0, -1.0]},
    {"covariance_type": "spherical", "covariance_prior": -1.0},
]


@pytest.mark.parametrize("params", BAD_PARAMETERS, ids=str)
def test_bad_parameters(params):
    fast, theirs = (outcome(lambda cls=cls: cls(**params).fit(X)) for cls in CLASSES)
    assert theirs[0] is not None
    assert fast == theirs


def test_a_bad_structure():
    """The text has more names than scikit-learn's."""
    with pytest.raises(ValueError, match="'covariance_type' parameter of Bayesian"):
        Ours(covariance_type="bogus").fit(X)


@pytest.mark.parametrize("prior", [[1.0, 2.0], np.eye(2), [[1.0, 2.0]]], ids=str)
def test_a_spherical_covariance_prior_is_a_number(prior):
    """scikit-learn adds whatever has the right shape by chance; one number is one in any."""
    model = Ours(n_components=2, covariance_type="spherical", covariance_prior=prior)
    with pytest.raises(ValueError, match="'spherical covariance_prior' should have the shape"):
        model.fit(X)
    for number in (np.array(2.0), [2.0]):
        assert Ours(covariance_type="spherical", covariance_prior=number).fit(X).converged_


def test_a_spherical_covariance_prior_in_a_list():
    arguments = {"covariance_type": "spherical", "random_state": 0, "n_components": 2}
    listed, number = (Ours(covariance_prior=p, **arguments).fit(X) for p in ([2.0], 2.0))
    np.testing.assert_array_equal(listed.covariances_, number.covariances_)
    assert np.ndim(listed.covariance_prior_) == 0


@pytest.mark.parametrize(
    "rows", [X[:2], X[:1], X[0], X * np.nan, np.where(X > 3, np.inf, X), X[:, :0]], ids=range(6)
)
def test_bad_data(rows):
    fast, theirs = (outcome(lambda cls=cls: cls(n_components=K).fit(rows)) for cls in CLASSES)
    assert theirs[0] is not None
    assert fast == theirs


def test_not_converged():
    with pytest.warns(ConvergenceWarning, match="did not converge") as caught:
        Ours(n_components=K, max_iter=1, random_state=0).fit(X)
    assert caught[0].filename == __file__


@pytest.mark.skipif(not SKLEARN_1_7, reason="older texts lack the advice to scale the data")
@every_structure
def test_ill_defined_covariance(covariance_type):
    params = {"covariance_type": covariance_type, "reg_covar": 0.0, "n_components": 2}
    rows = np.zeros((20, 2))
    fast, theirs = (outcome(lambda cls=cls: cls(**params).fit(rows)) for cls in CLASSES)
    assert "ill-defined" in theirs[0][1]
    assert fast[0] == theirs[0]


def test_not_fitted():
    with pytest.raises(NotFittedError):
        Ours().predict(X)


def test_the_constructor_s_arguments_are_left_alone():
    priors = given_priors("full", 2)
    model = quiet_fit(Ours(n_components=K, **priors), X)
    for name, value in priors.items():
        assert getattr(model, name) is value
