"""Linear algebra that structures with matrices share, for stacks of matrices (k, d, d)."""

import functools

import numpy as np
from scipy import linalg
from scipy.linalg import lapack


def upper_precision_factors(covariances: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = inv(covariance)``, for every matrix.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a covariance is not positive definite, or not finite.
    """
    if not np.isfinite(covariances).all():
        raise np.linalg.LinAlgError("A covariance is not finite.")
    factors = np.empty_like(covariances)
    for covariance, factor in zip(covariances, factors, strict=True):
        # The transposes are in LAPACK's order, so nothing is copied on the way in.
        lower, failed = lapack.dpotrf(covariance.T, lower=1, clean=1)
        if not failed:
            inverse, failed = lapack.dtrtri(lower, lower=1, overwrite_c=1)
        if failed:
            raise np.linalg.LinAlgError("A covariance is not positive definite.")
        factor[:] = inverse.T
    return factors


def upper_factors(precisions: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = precision``: Cholesky from the last row upwards."""
    flipped = np.linalg.cholesky(precisions[:, ::-1, ::-1])
    return np.ascontiguousarray(flipped[:, ::-1, ::-1])


@functools.lru_cache(maxsize=8)
def _below_diagonal(n_features: int) -> np.ndarray:
    return np.tri(n_features, k=-1, dtype=bool)


def triangular(factors: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = factor @ factor.T``.

    Attributes that people set by hand may hold any square roots of the precisions.
    """
    if not factors[:, _below_diagonal(factors.shape[1])].any():
        return factors
    return np.stack([linalg.rq(factor, mode="r") for factor in factors])


def covariances_of(factors: np.ndarray) -> np.ndarray:
    """Inverses of ``factor @ factor.T``."""
    inverses = np.linalg.inv(factors)
    return inverses.transpose(0, 2, 1) @ inverses


def log_diagonals(factors: np.ndarray) -> np.ndarray:
    """Logarithms of the determinants of triangular factors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)


def add_to_diagonals(matrices: np.ndarray, value: float | np.ndarray) -> np.ndarray:
    """Add a number, or one per feature (d,), to every diagonal, in place."""
    diagonal = np.arange(matrices.shape[1])
    matrices[:, diagonal, diagonal] += value
    return matrices
