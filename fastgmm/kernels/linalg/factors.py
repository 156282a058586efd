"""Precision factors of many covariance matrices at once.

A mixture's matrices are small and many, and so are a batch's mixtures: a call into LAPACK for each
would take longer than its arithmetic, and the threads that BLAS leaves spinning after a large one
would take the cores from the next E-step.

Both algorithms go by blocks of `BLOCK` rows, of which all that comes from other blocks is one
product, made in registers.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, inlined, kernel
from fastgmm.kernels.layout import BLOCK, EPS, SINGULAR
from fastgmm.kernels.linalg.products import subtract_product
from fastgmm.kernels.simd import GROUP_BYTES
from fastgmm.kernels.tiles import aligned_rows
from fastgmm.kernels.views import fill, lesser


@inlined
def invert_root(d, root, inverse):
    """The Cholesky factor of a matrix and its inverse, both upper triangular.

    Parameters
    ----------
    d : int
        Rows of the matrix.
    root, inverse : ndarray
        Whole blocks of rows, and room for a group that begins in the last column. The upper
        triangle of the matrix comes in `root`, which ends as R, matrix = R.T @ R.

    Returns
    -------
    bool
        Whether the matrix is positive definite.
    """
    # In place; the lower triangle becomes the mirror of the upper one.
    definite = True
    for i in range(0, d, BLOCK):
        stop = lesser(i + BLOCK, d)
        if i > 0:
            subtract_product(root, root, True, i, 0, i, i, d, root)
        for m in range(i, stop):
            for h in range(i, m):
                factor = root[h, m]
                for j in range(m, d):
                    root[m, j] -= factor * root[h, j]
            definite &= 0.0 < root[m, m] < np.inf
            root[m, m] = np.sqrt(root[m, m])
            for j in range(m + 1, d):
                root[m, j] /= root[m, m]
            for j in range(stop, d):
                root[j, m] = root[m, j]
    # Its inverse, from the last block of rows upwards.
    for i in range((d - 1) // BLOCK * BLOCK, -1, -BLOCK):
        stop = lesser(i + BLOCK, d)
        for m in range(i, stop):
            for j in range(m, d):
                inverse[m, j] = 0.0
        if stop < d:
            subtract_product(root, inverse, True, i, stop, d, stop, d, inverse)
        for m in range(stop - 1, i - 1, -1):
            for h in range(m + 1, stop):
                factor = root[m, h]
                for j in range(h, d):
                    inverse[m, j] -= factor * inverse[h, j]
            pivot = 1.0 / root[m, m]
            for j in range(m + 1, d):
                inverse[m, j] *= pivot
            inverse[m, m] = pivot
    return definite


@inlined
def rooms(d, like):
    """Memory for `invert_root`."""
    n_rows, width = (d + BLOCK - 1) // BLOCK * BLOCK, d + GROUP_BYTES // 8
    root, inverse = aligned_rows(n_rows, width, like), aligned_rows(n_rows, width, like)
    fill(root, 0.0)
    fill(inverse, 0.0)
    return root, inverse


@entry_point
def precision_factors():
    """Kernel for upper triangular U with ``U @ U.T = inv(covariance)``, of a stack of matrices.

    Returns
    -------
    callable (covariances, factors)
        Both (m, d, d); a triangle of NaN where a covariance is singular to rounding, or not
        finite.
    """
    stack = types.Array(types.float64, 3, "C")
    signature = types.void(types.Array(types.float64, 3, "C", readonly=True), stack)

    @kernel(signature=signature)
    def factorize(covariances, factors):
        d = covariances.shape[1]
        root, inverse = rooms(d, factors)
        least = SINGULAR * d * EPS
        for c in range(len(covariances)):
            for i in range(d):
                for j in range(i, d):
                    root[i, j] = covariances[c, i, j]
            definite = invert_root(d, root, inverse)
            # The diagonal of the precisions, of features of variance 1: what others leave of each.
            for i in range(d):
                deviation, known = np.sqrt(covariances[c, i, i]), 0.0
                for j in range(i, d):
                    known += (deviation * inverse[i, j]) ** 2
                definite &= known * least < 1.0
            for i in range(d):
                for j in range(i):
                    factors[c, i, j] = 0.0
                for j in range(i, d):
                    factors[c, i, j] = inverse[i, j] if definite else np.nan

    return factorize


@entry_point
def root_and_inverse():
    """Kernel for the Cholesky factor of a matrix and its inverse.

    Returns
    -------
    callable (matrix, inverse)
        Both (d, d), and zero below the diagonal of `inverse`; the upper triangle of the matrix is
        replaced by R, matrix = R.T @ R. Returns whether the matrix is positive definite.
    """
    square = types.Array(types.float64, 2, "C")

    @kernel(signature=types.boolean(square, square))
    def invert(matrix, inverse):
        d = len(matrix)
        root, inverted = rooms(d, matrix)
        for i in range(d):
            for j in range(i, d):
                root[i, j] = matrix[i, j]
        definite = invert_root(d, root, inverted)
        for i in range(d):
            for j in range(i, d):
                matrix[i, j], inverse[i, j] = root[i, j], inverted[i, j]
        return definite

    return invert
