"""What the tests of the estimator share."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.utils.fixes import parse_version

from fastgmm import GaussianMixture
from fastgmm.estimator import fitting
from fastgmm.estimator.spaces import AsGiven
from tests import datasets, structures

SKLEARN_VERSION = parse_version(sklearn.__version__)

#: scikit-learn records lower_bounds_, and computes float32 data in float32, since 1.7.
SKLEARN_1_7 = parse_version("1.7") <= SKLEARN_VERSION

PARAMETERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")

#: Arguments of GaussianMixture that scikit-learn's has not, in their order, with their defaults.
OURS = {
    "on_failure": "raise",
    "n_jobs": None,
    "noise": None,
    "noise_init": None,
    "freeze": None,
    "missing_values": "error",
    "accelerate": None,
    "tol_kind": None,
}
STARTS = ("kmeans", "k-means++", "random", "random_from_data")
CLASSES = (GaussianMixture, SklearnGaussianMixture)

every_structure = pytest.mark.parametrize("covariance_type", structures.SHARED)


def quiet_fit(model, X, **fit_params):
    """Fit without a ConvergenceWarning, which many of these fits would raise on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **fit_params)


def fit_as_given(monkeypatch, model, X, **fit_params):
    """Fit in the space of all features, iteration by iteration, whatever else would pay."""
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "space_of", lambda estimator, data, rows, *others: AsGiven(rows))
        return quiet_fit(model, X, **fit_params)


def fitted_to_iris(covariance_type="full", **params):
    params = {"random_state": 0, **params}
    model = GaussianMixture(3, covariance_type=covariance_type, **params)
    return quiet_fit(model, datasets.load("iris").X)


def fit_both(X, n_components, **params):
    """(fast, theirs): the same mixture fitted by both classes."""
    return tuple(quiet_fit(cls(n_components, **params), X) for cls in CLASSES)


def assert_close(actual, desired, rtol):
    """Equal shapes, and differences below ``rtol`` times the largest entry."""
    actual, desired = np.asarray(actual), np.asarray(desired)
    assert actual.shape == desired.shape
    scale = np.abs(desired[np.isfinite(desired)]).max(initial=0.0)
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=rtol * scale)


def assert_same_parameters(model, desired, rtol):
    for name in PARAMETERS:
        assert_close(getattr(model, name), getattr(desired, name), rtol)


def assert_same_fit(model, desired, rtol):
    """Equal n_iter_ and converged_, close parameters and lower bounds."""
    assert model.n_iter_ == desired.n_iter_
    assert model.converged_ is desired.converged_
    assert_same_parameters(model, desired, rtol)
    np.testing.assert_allclose(model.lower_bound_, desired.lower_bound_, rtol=rtol)
    if hasattr(desired, "lower_bounds_"):  # scikit-learn 1.7 and later
        assert isinstance(model.lower_bounds_, type(desired.lower_bounds_))
        np.testing.assert_allclose(model.lower_bounds_, desired.lower_bounds_, rtol=rtol)
    else:
        assert len(model.lower_bounds_) == model.n_iter_
        if model.n_iter_:
            assert model.lower_bounds_[-1] == model.lower_bound_


def assert_identical_fit(model, desired):
    """The same bits."""
    assert model.n_iter_ == desired.n_iter_
    assert model.converged_ is desired.converged_
    assert list(model.lower_bounds_) == list(desired.lower_bounds_)
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(model, name), getattr(desired, name))
