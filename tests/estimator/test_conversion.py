"""Models that come from scikit-learn, go there, or whose attributes are read and set by hand."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import BayesianGaussianMixture, GaussianMixture
from tests import datasets, structures, tolerances
from tests.estimator.helpers import (
    CLASSES,
    OURS,
    PARAMETERS,
    assert_close,
    assert_identical_fit,
    every_structure,
    fitted_to_iris,
    quiet_fit,
)

X = datasets.load("iris").X


# --- conversion ---------------------------------------------------------------------------


@every_structure
def test_to_sklearn(covariance_type):
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0, n_jobs=1)
    theirs = model.fit(frame).to_sklearn()
    assert type(theirs) is SklearnGaussianMixture
    params = {name: value for name, value in model.get_params().items() if name not in OURS}
    assert theirs.get_params() == params
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(theirs, name), getattr(model, name))
    for name in ("n_iter_", "converged_", "lower_bound_", "lower_bounds_", "n_features_in_"):
        assert getattr(theirs, name) == getattr(model, name)
    np.testing.assert_array_equal(theirs.feature_names_in_, frame.columns)
    np.testing.assert_allclose(theirs.score_samples(frame), model.score_samples(frame), rtol=1e-10)
    np.testing.assert_array_equal(theirs.predict(frame), model.predict(frame))
    assert "fastgmm" not in pickle.dumps(theirs).decode("latin-1")


@every_structure
def test_from_sklearn(covariance_type):
    theirs = SklearnGaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    model = GaussianMixture.from_sklearn(theirs)
    assert type(model) is GaussianMixture
    assert model.get_params() == {**theirs.get_params(), **OURS}
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(model, name), getattr(theirs, name))
    for name in ("n_iter_", "converged_", "lower_bound_", "n_features_in_"):
        assert getattr(model, name) == getattr(theirs, name)
    np.testing.assert_allclose(model.score_samples(X), theirs.score_samples(X), rtol=1e-10)
    np.testing.assert_array_equal(model.predict(X), theirs.predict(X))


@every_structure
def test_there_and_back(covariance_type):
    model = fitted_to_iris(covariance_type)
    back = GaussianMixture.from_sklearn(model.to_sklearn())
    assert back.get_params() == model.get_params()
    assert_identical_fit(back, model)


def test_conversion_of_an_unfitted_model():
    theirs = GaussianMixture(4, tol=0.5).to_sklearn()
    assert theirs.get_params() == SklearnGaussianMixture(4, tol=0.5).get_params()
    assert not hasattr(theirs, "means_")
    model = GaussianMixture.from_sklearn(theirs)
    assert model.get_params() == GaussianMixture(4, tol=0.5).get_params()
    assert not hasattr(model, "means_")


def test_conversion_copies():
    """Changing one model's arrays does not change the other's."""
    model = fitted_to_iris()
    before = model.means_.copy()
    theirs = model.to_sklearn()
    theirs.means_ += 1
    np.testing.assert_array_equal(model.means_, before)
    other = GaussianMixture.from_sklearn(theirs)
    other.means_ += 1
    np.testing.assert_array_equal(theirs.means_, before + 1)


def test_a_warm_start_continues_a_converted_model():
    theirs = quiet_fit(SklearnGaussianMixture(3, warm_start=True, max_iter=3, random_state=0), X)
    model = GaussianMixture.from_sklearn(theirs)
    for either in (model, theirs):
        quiet_fit(either, X)
    for name in PARAMETERS:
        assert_close(getattr(model, name), getattr(theirs, name), tolerances.PARITY_RTOL)


# --- attributes set by hand ---------------------------------------------------------------

RANDOM = np.random.RandomState(31)
ROWS = RANDOM.normal(size=(50, 3))


def by_hand(cls, covariance_type, factors, with_covariances=True):
    """An unfitted model with attributes assigned, as people do to load or reorder one."""
    model = cls(2, covariance_type=covariance_type, random_state=0)
    model.weights_ = np.array([0.3, 0.7])
    model.means_ = np.array([[0.0, 0.5, 1.0], [1.0, -1.0, 0.0]])
    model.precisions_cholesky_ = factors
    if with_covariances:
        precisions = factors**2
        if covariance_type in ("full", "tied"):
            precisions = factors @ np.swapaxes(factors, -1, -2)
        inverse = np.linalg.inv if covariance_type in ("full", "tied") else np.reciprocal
        model.covariances_ = inverse(precisions)
    return model


def factors_of_kind(covariance_type, kind):
    random = np.random.RandomState(32)
    if covariance_type == "diag":
        return random.uniform(0.5, 2, (2, 3))
    if covariance_type == "spherical":
        return random.uniform(0.5, 2, 2)
    matrices = np.stack([random.uniform(-0.4, 0.4, (3, 3)) + np.eye(3) for _ in range(2)])
    matrices = {"upper": np.triu, "lower": np.tril, "dense": np.array}[kind](matrices)
    return matrices if covariance_type == "full" else matrices[0]


KINDS = [
    (name, kind)
    for name in structures.SHARED
    for kind in (["upper", "lower", "dense"] if name in ("full", "tied") else ["vector"])
]


@pytest.mark.parametrize(("covariance_type", "kind"), KINDS)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("with_covariances", [True, False])
def test_predictions_from_attributes_set_by_hand(covariance_type, kind, order, with_covariances):
    """scikit-learn multiplies by the whole matrix, and adds the logs of its diagonal."""
    factors = np.asarray(factors_of_kind(covariance_type, kind), order=order)
    mine, theirs = (by_hand(cls, covariance_type, factors, with_covariances) for cls in CLASSES)
    for method in ("score_samples", "predict_proba", "score", "bic", "aic"):
        actual, desired = getattr(mine, method)(ROWS), getattr(theirs, method)(ROWS)
        np.testing.assert_allclose(actual, desired, rtol=1e-11)
    np.testing.assert_array_equal(mine.predict(ROWS), theirs.predict(ROWS))
    for method in ("_estimate_log_prob", "_estimate_weighted_log_prob"):
        actual, desired = getattr(mine, method)(ROWS), getattr(theirs, method)(ROWS)
        np.testing.assert_allclose(actual, desired, rtol=1e-11)
    if with_covariances:
        for actual, desired in zip(mine.sample(20), theirs.sample(20), strict=True):
            np.testing.assert_array_equal(actual, desired)


@pytest.mark.parametrize("covariance_type", structures.ALL)
def test_what_densities_need_is_enough_to_convert(covariance_type):
    fitted = quiet_fit(GaussianMixture(2, covariance_type=covariance_type, random_state=0), X)
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        setattr(model, name, getattr(fitted, name))
    theirs = model.to_sklearn()
    np.testing.assert_allclose(theirs.score_samples(X), fitted.score_samples(X), rtol=1e-10)
    model.covariances_ = fitted.covariances_
    np.testing.assert_array_equal(model.sample(9)[0], fitted.sample(9)[0])


@every_structure
@pytest.mark.parametrize("dtype", [np.float32, int, list])
def test_attributes_of_other_types_set_by_hand(covariance_type, dtype):
    factors = factors_of_kind(covariance_type, "upper")
    mine, theirs = (by_hand(cls, covariance_type, factors) for cls in CLASSES)
    for model in (mine, theirs):
        if dtype is list:
            # Lists work in scikit-learn for the weights only.
            model.weights_ = model.weights_.tolist()
        else:
            model.means_ = model.means_.astype(dtype)
    np.testing.assert_allclose(mine.score_samples(ROWS), theirs.score_samples(ROWS), rtol=1e-11)


@every_structure
def test_attributes_changed_after_a_fit_take_effect(covariance_type):
    """Reordering the components of a fitted model."""
    model = fitted_to_iris(covariance_type)
    before = model.predict_proba(X)
    order = [2, 0, 1]
    model.weights_, model.means_ = model.weights_[order], model.means_[order]
    if covariance_type != "tied":
        model.precisions_cholesky_ = model.precisions_cholesky_[order]
        model.covariances_ = model.covariances_[order]
    assert_close(model.predict_proba(X), before[:, order], 1e-12)
    model.means_ += 0.5  # in place
    theirs = model.to_sklearn()
    assert_close(model.score_samples(X), theirs.score_samples(X), 1e-10)


@every_structure
def test_what_is_remembered_of_a_mixture_is_not_used_for_another(covariance_type):
    model = fitted_to_iris(covariance_type)
    theirs = model.to_sklearn()
    for name in ("weights_", "means_", "precisions_cholesky_"):
        before = model.score_samples(X)
        for changed in (model, theirs):
            attribute = getattr(changed, name)
            attribute.flat[0] = 1.25 * attribute.flat[0]  # in place
        after = model.score_samples(X)
        assert not np.array_equal(after, before)
        assert_close(after, theirs.score_samples(X), 1e-10)


def test_a_posterior_changed_in_place_takes_effect():
    model = quiet_fit(BayesianGaussianMixture(n_components=3, random_state=0), X)
    theirs = model.to_sklearn()
    for name in ("weight_concentration_", "mean_precision_", "degrees_of_freedom_"):
        before = model.predict_proba(X)
        for changed in (model, theirs):
            attribute = getattr(changed, name)
            attribute = attribute[0] if isinstance(attribute, tuple) else attribute
            attribute[0] *= 1.25
        after = model.predict_proba(X)
        assert not np.array_equal(after, before)
        assert_close(after, theirs.predict_proba(X), 1e-10)


@every_structure
def test_a_component_of_weight_zero_set_by_hand(covariance_type):
    factors = factors_of_kind(covariance_type, "upper")
    model = by_hand(GaussianMixture, covariance_type, factors)
    model.weights_ = np.array([1.0, 0.0])
    np.testing.assert_array_equal(model.predict_proba(ROWS), np.tile([1.0, 0.0], (50, 1)))
    np.testing.assert_array_equal(model.predict(ROWS), 0)
    np.testing.assert_allclose(
        model.score_samples(ROWS), model._estimate_log_prob(ROWS)[:, 0], rtol=1e-13
    )


# --- private methods that people call -----------------------------------------------------


@every_structure
def test_private_estimates(covariance_type):
    model = fitted_to_iris(covariance_type)
    theirs = model.to_sklearn()
    for name in ("_estimate_log_prob", "_estimate_weighted_log_prob"):
        actual, desired = getattr(model, name)(X), getattr(theirs, name)(X)
        assert actual.shape == (150, 3)
        np.testing.assert_allclose(actual, desired, rtol=1e-9)
    np.testing.assert_array_equal(model._estimate_log_weights(), np.log(model.weights_))
    for actual, desired in zip(
        model._estimate_log_prob_resp(X), theirs._estimate_log_prob_resp(X), strict=True
    ):
        assert actual.shape == desired.shape
        # Log-responsibilities near 0 are differences of numbers of size 10.
        np.testing.assert_allclose(actual, desired, rtol=1e-9, atol=1e-11)


@every_structure
def test_private_get_and_set_parameters(covariance_type):
    model = fitted_to_iris(covariance_type)
    parameters = model._get_parameters()
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_")
    for value, name in zip(parameters, names, strict=True):
        np.testing.assert_array_equal(value, getattr(model, name))
    other = GaussianMixture(3, covariance_type=covariance_type)
    other._set_parameters(parameters)
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(other, name), getattr(model, name))
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


@every_structure
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 1), (3, 7)])
def test_number_of_parameters(covariance_type, shape):
    k = shape[0]
    model = GaussianMixture(k, covariance_type=covariance_type)
    model.means_ = np.zeros(shape)
    theirs = SklearnGaussianMixture(k, covariance_type=covariance_type)
    theirs.means_ = np.zeros(shape)
    assert model.n_parameters() == model._n_parameters() == theirs._n_parameters()
    assert type(model.n_parameters()) is int
