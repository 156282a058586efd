"""Whether saved parameters belong together: shapes, and numbers in range."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import log_determinants


def check_mixture(structure: CovarianceStructure, parts: Mapping[str, Any]) -> None:
    """Check parts of a mixture by their names, in so far as they are there.

    Parameters
    ----------
    structure : CovarianceStructure
    parts : mapping of str to array-like
        Among them ``means`` (k, d); names are those of the fitted attributes, without the
        underscore at the end.

    Raises
    ------
    ValueError
        If one has another shape than the means ask for, or holds what no mixture has.
    """
    if "means" not in parts:
        if any(name in parts for name in ("weights", "covariances", "precisions_cholesky")):
            raise ValueError("The mixture has no means.")
        return
    means = np.asarray(parts["means"])
    if means.ndim != 2 or 0 in means.shape:
        raise ValueError(f"The means have the shape of {means.shape}.")
    k, d = means.shape
    shape = structure.shape(k, d)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "weights": [(k,)],
        "means": [(k, d)],
        "covariances": [shape],
        "precisions": [shape],
        "precisions_cholesky": [shape],
        "weight_concentration": [(k,), (2, k)],
        "mean_precision": [(k,)],
        "degrees_of_freedom": [(k,), ()],
        "mean_prior": [(d,)],
    }
    for name, allowed in shapes.items():
        if name in parts:
            part = np.asarray(parts[name])
            if part.dtype.kind not in "fiu" or part.shape not in allowed:
                raise ValueError(f"{name} should have the shape of {allowed[0]}, not {part.shape}.")
            if not np.isfinite(part).all():
                raise ValueError(f"{name} holds NaN or infinity.")
    _check_positive(structure, parts, d)


def _check_positive(
    structure: CovarianceStructure, parts: Mapping[str, Any], n_features: int
) -> None:
    if "weights" in parts and not (
        (np.asarray(parts["weights"]) >= 0).all() and np.sum(parts["weights"]) > 0
    ):
        raise ValueError("weights should not be negative, nor all zero.")
    for name in ("weight_concentration", "mean_precision"):
        if name in parts and not (np.asarray(parts[name]) > 0).all():
            raise ValueError(f"{name} should be positive.")
    if (
        "degrees_of_freedom" in parts
        and not (np.asarray(parts["degrees_of_freedom"]) > n_features - 1).all()
    ):
        raise ValueError("degrees_of_freedom should be more than the number of features less one.")
    if "precisions_cholesky" in parts:
        factors = np.asarray(parts["precisions_cholesky"], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithms = log_determinants(structure, factors, n_features)
        if not np.isfinite(logarithms).all():
            raise ValueError("precisions_cholesky should have a positive diagonal.")
