"""Precision factors of covariances of few rows: of a matrix of low rank, and a regularisation.

With C = D + G G', D diagonal and G of r columns, they take d^2 r multiplications instead of d^3.
What the features before leave of each is known as from a Kalman filter that sees one feature after
the other, of r hidden variables that are standard normal.
"""

from collections.abc import Callable

import numpy as np

from fastgmm.covariance import blas
from fastgmm.covariance.linalg import diagonals, product

_BAND = 256
"""Columns of a factor that are made by a product of BLAS."""

_STEP = 16
"""Features that are worked on at a time: so few that BLAS takes no threads for them."""

_FEW = 8
"""A rank is low if there is one in so many features."""

_LEAST_FEATURES = 600
"""From so many features on it pays."""

_LEAST_ADDED = 1e-5
"""Share of the variances that is regularisation at least.

Of less than that, rounding would take more digits than it does otherwise.
"""

_ROUNDING = 64 * np.finfo(np.float64).eps
"""Share of a variance that is no more than rounding of sums, and not of the low rank."""


def are_few(n_rows: int, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether rows are so few that this is worth a trial; of many data sets at once, it is not.

    Parameters
    ----------
    n_rows : int, or ndarray
    shape : tuple of int
        Of the covariances: (d, d) or (k, d, d), if they are matrices.
    dtype : dtype
        Of the rows. In float32 the rank is lost, and to work in float64 instead pays if the rank of
        all components is low; else one of two is enough, which has half of the rows at most.
    """
    if np.ndim(n_rows) or shape[-1] < _LEAST_FEATURES:
        return False
    shared = len(shape) == 2 or shape[0] == 1
    return n_rows * _FEW <= shape[-1] * (1 if shared or dtype == np.float32 else 2)


def precision_factors(
    covariances: np.ndarray, added: np.ndarray, otherwise: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = inv(covariance)``, for every matrix.

    Parameters
    ----------
    covariances : ndarray of shape (..., d, d)
    added : ndarray of shape (d,)
        What is on their diagonals, beside matrices of low rank.
    otherwise : callable
        What makes a factor of a matrix whose rank is not low, or whose digits would be lost.
    """
    factors = np.zeros_like(covariances)
    for place in np.ndindex(covariances.shape[:-2]):
        root = _root(covariances[place], added)
        if root is None or not _factorize(root, added, factors[place]):
            factors[place] = otherwise(covariances[place])
    return factors


@np.errstate(invalid="ignore")
def _root(covariance: np.ndarray, added: np.ndarray) -> np.ndarray | None:
    """G' (r, d) with ``G @ G.T + diag(added) = covariance``, by Cholesky's method with pivots.

    None if r is not low, or digits would be lost.
    """
    variances = covariance.diagonal()
    if not (added > _LEAST_ADDED * variances).all():  # or some are no numbers
        return None
    rank, left = 0, variances - added
    root = np.empty((len(covariance) // _FEW, len(covariance)))
    while (shares := left / variances)[pivot := int(shares.argmax())] > _ROUNDING:
        if rank == len(root):
            return None
        # Not by BLAS, the order of whose sums may depend on its threads.
        row = covariance[pivot] - np.einsum("h,hj->j", root[:rank, pivot], root[:rank])
        row[pivot] = left[pivot]
        root[rank] = row / np.sqrt(left[pivot])
        left -= root[rank] ** 2
        left[pivot] = 0.0
        rank += 1
    return root[:rank]


def _factorize(root: np.ndarray, added: np.ndarray, factor: np.ndarray) -> bool:
    """Put the precision factor of ``root.T @ root + diag(added)`` into zeros (d, d).

    Returns
    -------
    bool
        Whether the matrix is positive definite.
    """
    from fastgmm.kernels.linalg.factors import root_and_inverse

    invert = root_and_inverse()
    rank, d = root.shape
    gains = np.empty((rank, d))
    # Of S, S S' is the covariance of the hidden variables given the features before; in S S'
    # itself, small variances would be lost (Andrews 1968, AIAA Journal 6, 1165).
    spread = np.eye(rank)
    for i in range(0, d, _STEP):
        block = slice(i, min(i + _STEP, d))
        seen = product(root[:, block].T, spread)
        upper = np.ascontiguousarray(product(seen, seen.T))
        diagonals(upper)[...] += added[block]
        inverse = np.zeros_like(upper)
        if not invert(upper, inverse):
            return False
        gains[:, block] = gain = product(spread, product(seen.T, inverse))
        factor[block, block] = inverse
        upper = np.triu(upper)
        diagonals(upper)[...] += np.sqrt(added[block])
        spread -= product(gain, product(np.linalg.inv(upper).T, seen))
    columns = -(root / added).T
    for i in range(0, d, _BAND):
        band = slice(i, min(i + _BAND, d))
        made = blas.product(columns[: band.stop], gains[:, band])
        factor[:i, band] = made[:i]
        for j in range(i + _STEP, band.stop, _STEP):
            factor[i:j, j : j + _STEP] = made[i:j, j - i : j - i + _STEP]
    return True
