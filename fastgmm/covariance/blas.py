"""Linear algebra of large matrices by BLAS, on as many threads as it has.

In a product of BLAS every sum goes in the same order for any number of threads, but for the last
rows and columns of a matrix; how LAPACK factors one depends on the threads. So matrices are filled
up to whole blocks, and factors are made of products and of triangular solves, by halves.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import blas

_BLOCK = 32
"""Rows and columns of which there are whole numbers in every product."""

_LEAF = 288
"""Rows of a block that a kernel factors. BLAS would be asked too often for too little: on a busy
machine its threads wait for each other."""


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right`` of two matrices of float64."""
    (p, _), (_, r) = left.shape, right.shape
    return (_filled(left, axis=0) @ _filled(right, axis=1))[:p, :r]


def squared(matrix: np.ndarray) -> np.ndarray:
    """``matrix @ matrix.T`` of a matrix (p, q) of float64, symmetric to the last bit."""
    p, filled = len(matrix), _filled(matrix, axis=0)
    return (filled @ filled.T)[:p, :p]


@np.errstate(over="ignore", invalid="ignore")
def precision_factors(covariances: np.ndarray, factors: np.ndarray, least: float) -> None:
    """Upper triangular U with ``U @ U.T = inv(covariance)``, of a stack of matrices.

    Parameters
    ----------
    covariances : ndarray of shape (m, d, d)
    factors : ndarray of shape (m, d, d)
        Written to; a triangle of NaN where a covariance is singular to rounding, or not finite.
    least : float
        Share of its variance that a feature keeps at least if the others are known.
    """
    from fastgmm.kernels.linalg.factors import root_and_inverse

    invert = root_and_inverse()
    d = covariances.shape[-1]
    size = d + -d % _BLOCK
    # As LAPACK has them, in columns: lower triangles, which are upper ones in rows.
    root, inverse = np.empty((2, size, size)).swapaxes(-1, -2)
    for covariance, factor in zip(covariances, factors, strict=True):
        root[d:] = inverse[...] = 0.0
        root[:d, :d] = covariance.T
        np.einsum("ii->i", root)[d:] = 1.0
        definite = _invert_root(root, inverse, invert)
        factor[...] = inverse[:d, :d].T
        if definite:
            # The diagonal of the precisions, of features of variance 1.
            deviations = np.sqrt(covariance.diagonal())[:, np.newaxis]
            scaled = np.multiply(factor, deviations, out=root.T[:d, :d])
            definite = bool((np.einsum("ij,ij->i", scaled, scaled) * least < 1.0).all())
        if not definite:
            factor[...] = np.triu(np.full((d, d), np.nan))


def _invert_root(matrix: np.ndarray, inverse: np.ndarray, invert: Callable[..., bool]) -> bool:
    """The lower Cholesky factor in the place of a matrix, and its inverse.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Of which the lower triangle is read; n is a multiple of `_BLOCK`.
    inverse : ndarray of shape (n, n)
        Zeros, of which the lower triangle is written to.
    invert : callable
        The same of a small matrix, see `fastgmm.kernels.linalg.factors.root_and_inverse`.

    Returns
    -------
    bool
        Whether it is positive definite.
    """
    n = len(matrix)
    if n <= _LEAF:
        # Lower triangles by columns are upper ones by rows.
        root, inverted = matrix.T.copy(), np.zeros((n, n))
        definite = bool(invert(root, inverted))
        matrix[...], inverse[...] = root.T, inverted.T
        return definite
    half = n // 2 // _BLOCK * _BLOCK
    first, rest = (slice(half),) * 2, (slice(half, n),) * 2
    across = slice(half, n), slice(half)
    if not _invert_root(matrix[first], inverse[first], invert):
        return False
    below = blas.dtrsm(1.0, matrix[first], matrix[across], side=1, lower=1, trans_a=1)
    matrix[across] = below
    matrix[rest] = blas.dsyrk(-1.0, below, beta=1.0, c=matrix[rest], lower=1)
    if not _invert_root(matrix[rest], inverse[rest], invert):
        return False
    below = blas.dtrmm(1.0, inverse[first], below, side=1, lower=1)
    inverse[across] = blas.dtrsm(-1.0, matrix[rest], below, lower=1)
    return True


def _filled(matrix: np.ndarray, axis: int) -> np.ndarray:
    """A matrix with zeros below or on the right, up to whole blocks."""
    missing = [(0, 0), (0, 0)]
    missing[axis] = 0, -matrix.shape[axis] % (2 * _BLOCK)
    return np.pad(matrix, missing) if missing[axis][1] else matrix
