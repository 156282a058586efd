"""What follows from any structure's core: other forms of its arrays, and whether they are sound.

Its arrays hold matrices or variances, and that is all the difference there is here.
"""

from typing import Any

import numpy as np

from fastgmm.covariance.base import CovarianceStructure
from fastgmm.covariance.blas import PrecisionFactors
from fastgmm.covariance.estimates import Estimates
from fastgmm.covariance.linalg import (
    covariances_of,
    diagonals,
    kept_variances,
    log_diagonals,
    squared,
    upper_factors,
)
from fastgmm.kernels.layout import EPS, SINGULAR

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have "
    "ill-defined empirical covariance (for instance caused by singleton "
    "or collapsed samples). Try to decrease the number of components, "
    "increase reg_covar, or scale the input data."
)
"""scikit-learn's words."""

FLOAT32_HINT = (
    " The numerical accuracy can also be improved by passing float64 data instead of float32."
)

NEARLY_SINGULAR = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-3}
"""Share of a feature's variance below which digits count.

If the features before it leave no more of it, what rounding took of the covariance in kernels that
work in this type would be seen in the precisions.
"""


_SINGULAR_AGAIN = 2.0 * SINGULAR
"""As `SINGULAR`, of matrices that were made anew of scatters."""


def ill_defined(dtype: np.dtype) -> ValueError:
    """scikit-learn's error for a covariance that is not positive definite.

    Parameters
    ----------
    dtype : dtype
        Of the rows.
    """
    return ValueError(ILL_DEFINED + (FLOAT32_HINT if dtype == np.float32 else ""))


def defined_factors(
    structure: CovarianceStructure, covariances: np.ndarray, rounding: np.ndarray | None
) -> np.ndarray:
    """Precision factors; NaN for a covariance that is singular to rounding.

    Parameters
    ----------
    structure : CovarianceStructure
    covariances : ndarray
    rounding : ndarray of shape (k, d), or None
        See `Estimates`.
    """
    factors = structure.factor(covariances)
    if rounding is None:
        return factors
    factors = np.asarray(factors)
    if structure.shares_covariance:
        rounding = rounding.max(axis=-2, keepdims=True)
    if structure.n_own_axes == 0:  # one variance of all features together
        rounding = rounding.mean(axis=-1, keepdims=True)
    kept = _kept_variances(structure, covariances, factors)
    if structure.rounded_again:
        d = covariances.shape[-1]
        rounding = np.maximum(
            rounding, _SINGULAR_AGAIN * d * EPS * of_features(structure, covariances)
        )
    singular: Any = (kept <= rounding).any(axis=-1)
    if structure.component_axis is None:
        singular = singular[..., 0]
    if not singular.any():
        return factors
    of_factors = singular.reshape(singular.shape + (1,) * structure.n_own_axes)
    return np.where(of_factors & (factors != 0), np.nan, factors)  # triangles stay triangles


def _kept_variances(
    structure: CovarianceStructure, covariances: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """Variance that is left to every feature when the others are known: as `of_features`."""
    variances = of_features(structure, covariances)
    if not structure.holds_matrices:
        return variances
    if structure.component_axis is None:
        factors = factors[..., np.newaxis, :, :]
    return kept_variances(variances, factors)


def are_defined(structure: CovarianceStructure, factors: Any) -> np.ndarray:
    """Whether all covariances of a mixture have precision factors: of the axes in front."""
    if isinstance(factors, PrecisionFactors):  # which there are of such covariances alone
        return np.array(True)
    finite = np.isfinite(factors)
    return np.asarray(finite.all(axis=tuple(range(-len(structure.shape(3, 5)), 0))))


def precisions(structure: CovarianceStructure, factors: np.ndarray) -> np.ndarray:
    """Precisions from their square roots."""
    if structure.holds_matrices:
        return squared(factors, upper=True)
    return factors**2


def factors_of_precisions(structure: CovarianceStructure, precisions: np.ndarray) -> np.ndarray:
    """Square roots of given precisions.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.
    """
    return upper_factors(precisions) if structure.holds_matrices else np.sqrt(precisions)


def covariances_of_factors(structure: CovarianceStructure, factors: np.ndarray) -> np.ndarray:
    """Covariances from the square roots of their inverses."""
    return covariances_of(factors) if structure.holds_matrices else 1.0 / factors**2


def log_determinants(
    structure: CovarianceStructure, factors: np.ndarray, n_features: int
) -> np.ndarray:
    """Logarithms of the determinants (k,) of precision factors; (1,) where they share one."""
    if structure.holds_matrices:
        logarithms = log_diagonals(factors)
        return logarithms[..., np.newaxis] if structure.component_axis is None else logarithms
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(of_features(structure, factors))
    return logarithms.sum(axis=-1) if structure.n_own_axes else n_features * logarithms[..., 0]


def regularized(
    structure: CovarianceStructure, covariances: np.ndarray, added: float | np.ndarray
) -> np.ndarray:
    """Covariances with a number, or one per feature (d,), added to every variance; a copy."""
    if structure.holds_matrices:
        covariances = covariances.copy()
        diagonals(covariances)[...] += added
        return covariances
    return np.asarray(covariances + (added if structure.n_own_axes else np.mean(added)))


def of_features(structure: CovarianceStructure, arrays: np.ndarray) -> np.ndarray:
    """Variances, or roots of precisions, of the features in all components, to be broadcast.

    Parameters
    ----------
    structure : CovarianceStructure
    arrays : ndarray
        Covariances or precision factors, of which diagonals are taken.

    Returns
    -------
    ndarray of shape (k or 1, d or 1)
    """
    if structure.holds_matrices:
        arrays = arrays.diagonal(axis1=-2, axis2=-1)
    elif structure.n_own_axes == 0:
        arrays = arrays[..., np.newaxis]
    return arrays[..., np.newaxis, :] if structure.component_axis is None else arrays


def feature_variances(structure: CovarianceStructure, estimates: Estimates) -> np.ndarray:
    """Variances (d,) of the features in the only component."""
    d = estimates.means.shape[-1]
    return diagonals(structure.as_matrices(estimates.covariances, 1, d))[..., 0, :]
