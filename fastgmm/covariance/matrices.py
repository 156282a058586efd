"""Linear algebra that structures with matrices share."""

import numpy as np
from scipy import linalg


def upper_precision_factor(covariance: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = inv(covariance)``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `covariance` is not positive definite, or not finite.
    """
    if not np.isfinite(covariance).all():
        raise np.linalg.LinAlgError("The covariance is not finite.")
    lower = linalg.cholesky(covariance, lower=True, check_finite=False)
    inverse, info = linalg.lapack.dtrtri(lower, lower=True)
    if info != 0:
        raise np.linalg.LinAlgError("The Cholesky factor is singular.")
    return inverse.T


def upper_factor_of(precision: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = precision``: a Cholesky from the last row upwards."""
    return linalg.cholesky(precision[::-1, ::-1], lower=True)[::-1, ::-1]


def upper_triangular(factor: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = factor @ factor.T``.

    Attributes that people set by hand may hold any square root of the precision.
    """
    if not np.tril(factor, -1).any():
        return factor
    return linalg.rq(factor, mode="r")


def covariance_of(factor: np.ndarray) -> np.ndarray:
    """Inverse of ``factor @ factor.T``."""
    inverse = linalg.inv(factor)
    return inverse.T @ inverse


def log_diagonal(factor: np.ndarray) -> float:
    """Logarithm of the determinant of a triangular factor."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(np.diagonal(factor)).sum())
