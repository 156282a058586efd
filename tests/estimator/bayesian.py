"""What the tests of the Bayesian mixture share."""

import numpy as np
import pytest
from sklearn.mixture import BayesianGaussianMixture as Theirs

from fastgmm import BayesianGaussianMixture as Ours
from tests import datasets, tolerances
from tests.estimator.helpers import assert_close, quiet_fit

RTOL = tolerances.PARITY_RTOL
CLASSES = (Ours, Theirs)
PRIOR_TYPES = ("dirichlet_process", "dirichlet_distribution")
POSTERIOR = (
    "weights_",
    "weight_concentration_",
    "means_",
    "mean_precision_",
    "degrees_of_freedom_",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
)
PRIORS = (
    "weight_concentration_prior_",
    "mean_precision_prior_",
    "mean_prior_",
    "degrees_of_freedom_prior_",
    "covariance_prior_",
)
X = datasets.load("anisotropic").X
K = 3
LABELS = np.digitize(X[:, 1], [1.0, 5.0])
REPEATS = np.random.RandomState(21).randint(0, 4, len(X))  # with zeros

every_prior_type = pytest.mark.parametrize("prior_type", PRIOR_TYPES)


def params_of(covariance_type, prior_type="dirichlet_process", **others):
    return {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": prior_type,
        "random_state": 0,
        **others,
    }


def given_priors(covariance_type, d):
    """Every prior, as numbers and arrays that are not the defaults."""
    covariance = np.eye(d) + 0.1
    return {
        "weight_concentration_prior": 0.01,
        "mean_precision_prior": 0.5,
        "mean_prior": np.linspace(-1, 1, d),
        "degrees_of_freedom_prior": d + 1.5,
        "covariance_prior": {
            "full": covariance,
            "tied": covariance,
            "diag": np.linspace(0.5, 2, d),
            "spherical": 0.7,
        }[covariance_type],
    }


def fit_both(rows, **params):
    return tuple(quiet_fit(cls(**params), rows) for cls in CLASSES)


def assert_same_fit(model, desired, rtol=RTOL):
    assert model.n_iter_ == desired.n_iter_
    assert model.converged_ is desired.converged_
    for name in POSTERIOR:
        assert_close(getattr(model, name), getattr(desired, name), rtol)
    spread = np.sqrt(np.max(desired.covariance_prior_))
    for name in PRIORS:
        mine, other = np.asarray(getattr(model, name)), np.asarray(getattr(desired, name))
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol * spread)
    # scikit-learn's bounds are arrays of one number where the covariance is tied.
    assert_close(model.lower_bound_, np.ravel(desired.lower_bound_)[0], rtol)
    if hasattr(desired, "lower_bounds_"):  # since scikit-learn 1.7
        assert_close(model.lower_bounds_, np.ravel(desired.lower_bounds_), rtol)


def assert_identical(model, desired):
    assert (model.n_iter_, model.lower_bounds_) == (desired.n_iter_, desired.lower_bounds_)
    for name in POSTERIOR + PRIORS:
        np.testing.assert_array_equal(getattr(model, name), getattr(desired, name))
