"""Whether what a file holds is sound: nothing missing, of the right kind, and a mixture's."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import linalg

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import covariances_of_factors, precisions
from fastgmm.covariance.checks import check_array, check_mixture
from fastgmm.families.frozen import masks_of
from fastgmm.families.weight_posteriors import WEIGHT_POSTERIORS
from fastgmm.statistics import MomentForm, SufficientStatistics

_ROUNDING_OF_SUM = 1e-5
"""By which weights may miss a sum of one; float32 is allowed for, whatever their type is now."""

_BAND = 64
"""Rows of a matrix that are compared with as many columns at a time."""

_DIAGNOSTIC: dict[str, tuple[type, ...]] = {
    "restart": (int,),
    "iteration": (int,),
    "component": (int, type(None)),
    "action": (str,),
    "detail": (str,),
    "reason": (str,),
}
"""What a record of `diagnostics_` holds; see `fastgmm.recovery`."""

_PARAMETERS = ("means", "weights", "precisions_cholesky")
_POSTERIOR = ("weight_concentration", "mean_precision", "degrees_of_freedom")
_PRIORS = tuple(f"{name}_prior" for name in (*_POSTERIOR, "mean", "covariance"))
_OUTCOME = ("converged", "n_iter", "lower_bound")
"""What only fits set, beside the parameters."""


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def _is_count(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not _is_bool(value) and bool(value >= 0)


def _is_float(value: Any) -> bool:
    """Whether something is a float, or one in an array, as scikit-learn's bounds of 'tied' are."""
    return isinstance(value, (float, np.floating, np.ndarray)) and (
        np.shape(value) in ((), (1,)) and np.asarray(value).dtype.kind == "f"
    )


def is_bounds(value: Any) -> bool:
    """Whether something is a list of lower bounds; the first ones may be infinite."""
    return isinstance(value, list) and all(map(_is_float, value))


def is_diagnostics(value: Any) -> bool:
    """Whether something is a list of records such as `fastgmm.recovery` keeps."""
    return isinstance(value, list) and all(map(_is_diagnostic, value))


def _is_diagnostic(record: Any) -> bool:
    if not isinstance(record, dict) or record.keys() != _DIAGNOSTIC.keys():
        return False
    return all(type(record[name]) in types for name, types in _DIAGNOSTIC.items())


def _is_names(value: Any) -> bool:
    return isinstance(value, np.ndarray) and all(isinstance(name, str) for name in value.tolist())


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "converged": (_is_bool, "True or False"),
    "n_iter": (_is_count, "a number of iterations"),
    "lower_bound": (_is_float, "a number"),
    "convergence_rate": (_is_float, "a number"),
    "lower_bounds": (is_bounds, "a list of numbers"),
    "diagnostics": (is_diagnostics, "a list of records of what was mended"),
    "n_features_in": (_is_count, "a number of features"),
    "feature_names_in": (_is_names, "an array of names"),
    "noise_weight": (lambda value: _is_float(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "noise_volume": (lambda value: _is_float(value) and 0 < value < np.inf, "a positive number"),
    "n_batches": (lambda value: _is_count(value) and value > 0, "a number of batches"),
}
"""What attributes that are no arrays of numbers have to be."""


def check_fitted(estimator: Any, attributes: Mapping[str, Any]) -> None:
    """Check that fitted attributes are all there, of the right kind, and belong together.

    Parameters
    ----------
    estimator : GaussianMixture or BayesianGaussianMixture
        With its arguments.
    attributes : mapping of str to object
        None at all is a model that is not fitted.

    Raises
    ------
    ValueError
        That names the attribute, or the argument that does not go with it.
    """
    parts = {name.removesuffix("_"): value for name, value in attributes.items()}
    for name, (is_right, what) in _KINDS.items():
        if name in parts and not is_right(parts[name]):
            raise ValueError(f"{name}_ should be {what}.")
    structure = estimator._structure
    prior_type = getattr(estimator, "weight_concentration_prior_type", None)
    _check_complete(parts, prior_type is not None)
    if "means" not in parts:
        return
    check_parameters(structure, parts)
    masks_of(getattr(estimator, "freeze", None), structure, len(parts["means"]))
    d = np.shape(parts["means"])[1]
    if prior_type is not None:
        _check_posterior(structure, parts, prior_type, d)
    if parts.get("n_features_in", d) != d:
        raise ValueError("n_features_in_ is not the number of features of means_.")
    if "feature_names_in" in parts and np.shape(parts["feature_names_in"]) != (d,):
        raise ValueError("feature_names_in_ does not name the features of means_.")
    if "noise_box" in parts:
        check_array("noise_box", parts["noise_box"], (d + 1, d))
    if "n_batches" in parts:
        _check_stream(structure, parts)


def _check_complete(parts: Mapping[str, Any], bayesian: bool) -> None:
    """Check that no attribute is missing beside those that are there."""
    core = (*_PARAMETERS, *(_POSTERIOR if bayesian else ()))
    stream = ("n_batches", "running_statistics")
    groups = [
        ((*core, "covariances", "precisions", *_OUTCOME, *stream), core),
        (_OUTCOME, (*_OUTCOME, "covariances", "precisions", *(_PRIORS if bayesian else ()))),
        (("noise_weight", "noise_volume", "noise_box"),) * 2,
        (("diagnostics",), (*_OUTCOME, "lower_bounds")),
        (stream, (*stream, *_OUTCOME)),
        (_PRIORS, _PRIORS if bayesian else ()),
    ]
    for group, needed in groups:
        present = [name for name in group if name in parts]
        missing = [name for name in needed if name not in parts]
        if present and missing:
            raise ValueError(f"{missing[0]}_ is missing, but {present[0]}_ is there.")


def check_parameters(structure: CovarianceStructure, parts: Mapping[str, Any]) -> None:
    """Check parts of a mixture by their names, as `check_mixture`, and what follows from them.

    Parameters
    ----------
    structure : CovarianceStructure
    parts : mapping of str to array-like
        With ``n_iter``, if it is known. Weights of a start sum to less than one where, as with
        ``init_params="random_from_data"``, it leaves rows out.

    Raises
    ------
    ValueError
        See `check_mixture`; also if weights do not sum to one, or covariances are not positive
        definite.
    """
    check_mixture(structure, parts)
    total = np.sum(parts["weights"], dtype=np.float64) + parts.get("noise_weight", 0.0)
    if not abs(total - 1.0) <= _ROUNDING_OF_SUM and not (parts.get("n_iter") == 0 and total < 1.0):
        raise ValueError(f"weights_ should sum to one, but sum to {total:.6g}.")
    k, d = np.shape(parts["means"])
    factors = np.asarray(parts["precisions_cholesky"], dtype=np.float64)
    for name, follow in (
        ("covariances", covariances_of_factors),
        ("precisions", precisions),
    ):
        if name not in parts:
            continue
        array = np.asarray(parts[name])
        check_array(name, array, structure.shape(k, d), finite=False)
        if not _is_positive_definite(structure, array, d):
            with np.errstate(all="ignore"):
                followed = follow(structure, factors)
            _check_range(name, array, followed)


def _check_range(name: str, array: np.ndarray, followed: np.ndarray) -> None:
    """Check that what is not positive definite is just beyond the range of its type.

    Covariances and precisions follow from the Cholesky factors. Those of data on a very large or a
    very small scale may be infinite or zero where the factors are not, and what `followed`, in
    float64, is larger or smaller than the type can be.
    """
    limits = np.finfo(array.dtype if array.dtype.kind == "f" else np.float64)
    sizes = np.abs(followed)
    within = (sizes == 0) | ((sizes >= limits.tiny) & (sizes <= limits.max))
    if not np.isfinite(array[within]).all():
        raise ValueError(f"{name}_ holds NaN or infinity.")
    if within.all():
        raise ValueError(f"{name}_ should be positive definite.")


def _is_positive_definite(
    structure: CovarianceStructure, array: np.ndarray, n_features: int
) -> bool:
    """Whether matrices or variances are those of Gaussians, but for the rounding of their type."""
    d = n_features
    if not structure.holds_matrices:
        return bool(np.isfinite(array).all() and (array > 0).all())
    slack = 4 * d * (np.finfo(array.dtype).eps if array.dtype.kind == "f" else 0.0)
    return all(_is_covariance(matrix, slack) for matrix in array.reshape(-1, d, d))


def _is_covariance(matrix: np.ndarray, slack: float) -> bool:
    """Whether a matrix is symmetric and positive definite; `slack` is allowed in correlations."""
    variances = np.diagonal(matrix).astype(np.float64)
    if not (np.isfinite(matrix).all() and (variances > 0).all()):
        return False
    units = np.sqrt(variances)
    correlations = matrix / units
    correlations /= units[:, np.newaxis]
    # By bands: fresh memory for whole matrices takes longer than the arithmetic.
    for row in range(0, len(matrix), _BAND):
        right = correlations[row : row + _BAND, row:]
        below = correlations[row:, row : row + _BAND]
        if np.abs(right - below.T).max() > slack:
            return False
    np.fill_diagonal(correlations, 1.0 + slack)
    try:
        linalg.cholesky(correlations.T, lower=True, overwrite_a=True, check_finite=False)
    except linalg.LinAlgError:
        return False
    return True


def _check_posterior(
    structure: CovarianceStructure, parts: Mapping[str, Any], prior_type: str, d: int
) -> None:
    """Check what a Bayesian mixture has beside the parameters."""
    if np.ndim(parts["weight_concentration"]) != WEIGHT_POSTERIORS[prior_type].n_dimensions:
        raise ValueError(
            "weight_concentration_ is not that of the weight_concentration_prior_type."
        )
    if "covariance_prior" not in parts:
        return
    for name in _PRIORS[:3]:
        check_array(name, parts[name], ())
        least = d - 1 if name == "degrees_of_freedom_prior" else 0
        if not parts[name] > least:
            raise ValueError(f"{name}_ should be more than {least}.")
    check_array("mean_prior", parts["mean_prior"], (d,))
    covariance = np.asarray(parts["covariance_prior"])
    shape = structure.of_one(np.empty(structure.shape(1, d))).shape
    check_array("covariance_prior", covariance, shape, finite=False)
    # It follows from nothing else; but if the covariances are beyond the range of their type, so
    # may be this.
    prior = structure.for_all(covariance)
    covariances = np.asarray(parts.get("covariances", np.ones(structure.shape(1, d))))
    if not _is_positive_definite(structure, prior, d) and _is_positive_definite(
        structure, covariances, d
    ):
        raise ValueError("covariance_prior_ should be positive definite.")


def _check_stream(structure: CovarianceStructure, parts: Mapping[str, Any]) -> None:
    """Check what `partial_fit` goes on from."""
    statistics = parts["running_statistics"]
    forms = [structure.forms.moments]
    if forms == [MomentForm.NONE]:
        forms.append(MomentForm.OUTER)  # with noise, or rows in which values may be missing
    if not isinstance(statistics, SufficientStatistics) or statistics.form not in forms:
        raise ValueError("running_statistics_ is not of the covariance_type.")
    if statistics.reference.shape != np.shape(parts["means"]):
        raise ValueError("running_statistics_ is not of the shape of means_.")
    if (statistics.scatter is not None) != (statistics.form is MomentForm.NONE):
        raise ValueError("running_statistics_ has a scatter, or lacks it.")
    if not statistics.total_weight > 0 or statistics.n_rows < 1:
        raise ValueError("running_statistics_ is of no rows.")
