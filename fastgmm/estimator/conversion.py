"""The way to and from scikit-learn's own classes."""

import copy
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastgmm.families.noise import has_noise
from fastgmm.sklearn_interface import is_known_structure, knows_start
from fastgmm.statistics import SufficientStatistics


def copy_fitted(target: Any, model: Any) -> Any:
    """Copy the fitted attributes of `model` to `target`, but for what only fastgmm can use."""
    for name, value in vars(model).items():
        fitted = name.endswith("_") and not name.startswith("_")
        if fitted and not isinstance(value, SufficientStatistics):
            setattr(target, name, copy.deepcopy(value))
    return target


def to_sklearn(estimator: Any) -> Any:
    """See `MixtureEstimator.to_sklearn`."""
    if has_noise(estimator) or getattr(estimator, "noise", None) is not None:
        raise ValueError("scikit-learn's mixtures have no noise component, and this one has.")
    sklearn_class = estimator._sklearn_class
    defaults = sklearn_class().get_params(deep=False)
    known = with_known_structure(estimator)
    arguments = {name: getattr(known, name) for name in defaults}
    if not knows_start(sklearn_class, estimator.init_params):
        arguments["init_params"] = defaults["init_params"]
    if isinstance(estimator.reg_covar, str):
        arguments["reg_covar"] = defaults["reg_covar"]
    return copy_fitted(sklearn_class(**arguments), known)


def from_sklearn(cls: Any, model: Any, n_jobs: int | None) -> Any:
    """See `MixtureEstimator.from_sklearn`."""
    sklearn_class = cls._sklearn_class
    if not isinstance(model, sklearn_class):
        raise TypeError(
            f"from_sklearn takes a sklearn.mixture.{sklearn_class.__name__}, but got "
            f"{type(model).__name__}."
        )
    arguments = {**model.get_params(deep=False), "n_jobs": n_jobs}
    return copy_fitted(cls(**arguments), model)


def with_known_structure(estimator: Any) -> Any:
    """The estimator, or a copy with full matrices if scikit-learn does not know its structure."""
    structure = estimator._structure
    if is_known_structure(structure):
        return estimator
    full = copy.copy(estimator)
    full.covariance_type = "full"
    given = getattr(estimator, "precisions_init", None)
    if given is not None and not structure.holds_matrices:
        full.precisions_init = None  # until the number of features is known
    if hasattr(estimator, "means_"):
        k, d = np.shape(estimator.means_)
        if given is not None and not structure.holds_matrices:
            arrays = np.asarray(given, dtype=np.float64)
            full.precisions_init = structure.as_matrices(arrays, estimator.n_components, d)
        for name in ("covariances_", "precisions_", "precisions_cholesky_"):
            if hasattr(estimator, name):  # all of a fit; by hand there may be fewer
                setattr(full, name, structure.as_matrices(getattr(estimator, name), k, d))
    return full


def drawable(estimator: Any) -> Any:
    """The estimator, or a copy that scikit-learn can draw rows from, with equal densities."""
    model, weights = with_known_structure(estimator), getattr(estimator, "weights_", None)
    if isinstance(weights, np.ndarray) and weights.dtype == np.float32:
        total = weights.sum(dtype=np.float64)
        if weights[:-1].sum(dtype=np.float64) > 1.0 and np.isclose(total, 1.0):
            # NumPy draws in float64, and refuses weights that sum to more by rounding.
            model = copy.copy(model)
            model.weights_ = weights / total
    return model


def sample_with_noise(estimator: Any, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a mixture with noise, and their components; -1 for noise, whose rows come last.

    Noise is uniform in the box that belongs to its volume.
    """
    if n_samples < 1:
        raise ValueError(
            f"Invalid value for 'n_samples': {n_samples} . The sampling requires at least one "
            "sample."
        )
    random_state = check_random_state(estimator.random_state)
    corner, *edges = estimator.noise_box_
    n_noise = random_state.binomial(n_samples, min(estimator.noise_weight_, 1.0))
    noise = corner + random_state.uniform(size=(n_noise, len(corner))) @ np.array(edges)
    if n_noise == n_samples:
        return noise, np.full(n_noise, -1)
    others = copy.copy(with_known_structure(estimator))
    others.random_state = random_state
    others.weights_ = np.asarray(estimator.weights_, np.float64)
    others.weights_ = others.weights_ / others.weights_.sum()
    rows, components = estimator._sklearn_class.sample(others, n_samples - n_noise)
    return np.vstack([rows, noise]), np.append(components, np.full(n_noise, -1))
