"""Whether what densities follow from is a mixture: shapes, and numbers in range."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastgmm.covariance import algebra
from fastgmm.covariance.base import Conjugate, CovarianceStructure
from fastgmm.covariance.matrices import InMatrices


def check_features(structure: CovarianceStructure, n_features: int) -> None:
    """Check that a structure is for so many features.

    Raises
    ------
    ValueError
        If it is for fewer.
    """
    most = structure.most_features
    if most is not None and n_features > most:
        raise ValueError(
            f"covariance_type={structure.name!r} is for {most} feature, but there are {n_features}."
        )


def check_held(structure: CovarianceStructure, name: str, arrays: Any) -> None:
    """Check that matrices (k, d, d) which are given are of a structure that holds fewer numbers.

    Parameters
    ----------
    structure : CovarianceStructure
    name : str
        What errors call them.
    arrays : array-like, or None

    Raises
    ------
    ValueError
        If they are not; kernels would then read other matrices.
    """
    if arrays is None or not isinstance(structure, InMatrices):
        return
    if not structure.holds(np.asarray(arrays, dtype=np.float64)):
        raise ValueError(
            f"{name} should hold {structure.description}, as covariance_type={structure.name!r} "
            "says."
        )


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
        raise ValueError("means_ is missing.")
    means = np.asarray(parts["means"])
    if means.ndim != 2 or 0 in means.shape:
        raise ValueError(f"means_ has the shape of {means.shape}.")
    k, d = means.shape
    check_features(structure, d)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "means": [(k, d)],
        "weights": [(k,)],
        "precisions_cholesky": [structure.shape(k, d)],
        "weight_concentration": [(k,), (2, k)],
        "mean_precision": [(k,)],
    }
    if "degrees_of_freedom" in parts and isinstance(structure, Conjugate):
        shapes["degrees_of_freedom"] = [np.shape(structure.degrees_gained(np.ones(k)))]
    for name, allowed in shapes.items():
        if name in parts:
            check_array(name, parts[name], *allowed)
    _check_range(structure, parts, d)


def check_array(name: str, part: Any, *shapes: tuple[int, ...], finite: bool = True) -> None:
    """Check that an attribute is an array of real numbers, in one of some shapes.

    Raises
    ------
    ValueError
        If it is not.
    """
    try:
        array = np.asarray(part)
    except ValueError:  # a list of arrays of several lengths
        array = np.empty((), dtype=object)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}_ should hold numbers.")
    if array.shape not in shapes:
        raise ValueError(f"{name}_ should have the shape of {shapes[0]}, not {array.shape}.")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name}_ holds NaN or infinity.")


def _check_range(structure: CovarianceStructure, parts: Mapping[str, Any], n_features: int) -> None:
    if "weights" in parts and not (
        (np.asarray(parts["weights"]) >= 0).all() and np.sum(parts["weights"]) > 0
    ):
        raise ValueError("weights_ should not be negative, nor all zero.")
    for name, least in (
        ("weight_concentration", 0),
        ("mean_precision", 0),
        ("degrees_of_freedom", n_features - 1),
    ):
        if name in parts and not (np.asarray(parts[name]) > least).all():
            raise ValueError(f"{name}_ should be more than {least}.")
    if "precisions_cholesky" in parts:
        factors = np.asarray(parts["precisions_cholesky"], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_determinants = algebra.log_determinants(structure, factors, n_features)
        if not np.isfinite(log_determinants).all():
            raise ValueError("precisions_cholesky_ should have a positive diagonal.")
        check_held(structure, "precisions_cholesky_", factors)
