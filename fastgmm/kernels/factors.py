"""Precision factors of many covariance matrices at once.

A mixture's matrices are small and many, and so are a batch's mixtures: a call into LAPACK for each
would take longer than its arithmetic.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel


@kernel
def _upper_cholesky(matrix, root):
    """Upper triangular ``root.T @ root = matrix``; whether the matrix is positive definite.

    Row by row, so that the inner loops run along memory and need no reordering to be vectors.
    """
    d = len(matrix)
    for i in range(d):
        for j in range(i, d):
            root[i, j] = matrix[i, j]
    for i in range(d):
        if not (0.0 < root[i, i] < np.inf):
            return False
        root[i, i] = np.sqrt(root[i, i])
        for j in range(i + 1, d):
            root[i, j] /= root[i, i]
        for m in range(i + 1, d):
            factor = root[i, m]
            for j in range(m, d):
                root[m, j] -= factor * root[i, j]
    return True


@kernel
def _invert_upper(root, inverse):
    """Inverse of an upper triangular matrix; zero below the diagonal."""
    d = len(root)
    for i in range(d - 1, -1, -1):
        for j in range(d):
            inverse[i, j] = 0.0
        pivot = 1.0 / root[i, i]
        for m in range(i + 1, d):
            factor = pivot * root[i, m]
            for j in range(m, d):
                inverse[i, j] -= factor * inverse[m, j]
        inverse[i, i] = pivot


@entry_point
def precision_factors():
    """Kernel for upper triangular U with ``U @ U.T = inv(covariance)``, of a stack of matrices.

    Returns
    -------
    callable (covariances, factors)
        Both (m, d, d); a triangle of NaN where a covariance is not positive definite, or not
        finite.
    """
    stack = types.Array(types.float64, 3, "C")
    signature = types.void(types.Array(types.float64, 3, "C", readonly=True), stack)

    @kernel(signature=signature)
    def factorize(covariances, factors):
        d = covariances.shape[1]
        root = np.empty((d, d))
        for m in range(len(covariances)):
            if _upper_cholesky(covariances[m], root):
                _invert_upper(root, factors[m])
            else:
                for i in range(d):
                    for j in range(d):
                        factors[m, i, j] = np.nan if i <= j else 0.0

    return factorize
