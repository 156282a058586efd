"""Eigenvectors of many symmetric matrices, by the calling thread alone.

LAPACK shares those of 32 features and more out among threads of its own, which the E-step that
follows has to wait for: 32 such matrices took 7 ms on a quiet machine, and 100 ms on a busy one.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, inlined, kernel
from fastgmm.kernels.linalg.common_axes import turn_entries

EPS = np.finfo(np.float64).eps
MOST_STEPS = 30
"""Steps for each eigenvalue; two or three are usual."""


@inlined
def subtract_multiple(row, factor, other, start):
    """Subtract a multiple of another vector, from an index on."""
    for h in range(start, len(row)):
        row[h] -= factor * other[h]


@inlined
def tridiagonalize(matrix, axes, normal, image):
    """Reflect a symmetric matrix, in place, until it is tridiagonal; the axes with it.

    Golub & Van Loan, Matrix Computations (4th ed., 2013), algorithm 8.3.1.
    """
    d = len(matrix)
    for i in range(d - 2):
        length = 0.0
        for h in range(i + 1, d):
            normal[h] = matrix[i, h]
            length += normal[h] ** 2
        below = length - normal[i + 1] ** 2
        if below > 0.0:
            pivot = -np.copysign(np.sqrt(length), normal[i + 1])
            normal[i + 1] -= pivot
            scale = 2.0 / (below + normal[i + 1] ** 2)
            image[:] = 0.0
            for h in range(i + 1, d):
                subtract_multiple(image, -scale * normal[h], matrix[h], i + 1)
            half = 0.0
            for h in range(i + 1, d):
                half += 0.5 * scale * image[h] * normal[h]
            subtract_multiple(image, half, normal, i + 1)
            for h in range(i + 1, d):
                subtract_multiple(matrix[h], normal[h], image, i + 1)
                subtract_multiple(matrix[h], image[h], normal, i + 1)
            matrix[i, i + 1] = pivot
            image[:] = 0.0
            for h in range(i + 1, d):
                subtract_multiple(image, -scale * normal[h], axes[h], 0)
            for h in range(i + 1, d):
                subtract_multiple(axes[h], normal[h], image, 0)


@inlined
def chase(variances, off, axes, first, last):
    """One implicit QR step of the rows first to last of a tridiagonal matrix; the axes with it.

    With Wilkinson's shift: the same book, algorithm 8.3.2.
    """
    half = 0.5 * (variances[last - 1] - variances[last])
    root = np.hypot(half, off[last - 1])
    shift = variances[last] - off[last - 1] ** 2 / (half + np.copysign(root, half))
    x, z = variances[first] - shift, off[first]
    for i in range(first, last):
        length = np.hypot(x, z)
        cosine, sine = 1.0, 0.0
        if length > 0.0:
            cosine, sine = x / length, z / length
        if i > first:
            off[i - 1] = length
        one, other, both = variances[i], variances[i + 1], off[i]
        across = 2.0 * cosine * sine * both
        variances[i] = cosine**2 * one + across + sine**2 * other
        variances[i + 1] = sine**2 * one - across + cosine**2 * other
        off[i] = cosine * sine * (other - one) + (cosine**2 - sine**2) * both
        if i + 1 < last:
            x, z = off[i], sine * off[i + 1]
            off[i + 1] *= cosine
        turn_entries(axes[i], axes[i + 1], cosine, sine)


@entry_point
def principal_axes():
    """Kernel for the eigenvalues and eigenvectors of a stack of symmetric matrices.

    Returns
    -------
    callable (matrices, variances, axes)
        matrices (m, d, d), finite, which are overwritten; variances (m, d), the eigenvalues, not in
        order; axes (m, d, d), the eigenvectors, in rows.
    """
    stack = types.Array(types.float64, 3, "C")

    @kernel(signature=types.void(stack, types.Array(types.float64, 2, "C"), stack))
    def find_axes(matrices, variances, axes):
        d = matrices.shape[1]
        off, normal, image = np.zeros(d), np.empty(d), np.empty(d)
        for g in range(len(matrices)):
            axes[g] = 0.0
            for i in range(d):
                axes[g, i, i] = 1.0
            tridiagonalize(matrices[g], axes[g], normal, image)
            for i in range(d):
                variances[g, i] = matrices[g, i, i]
                off[i] = matrices[g, i, i + 1] if i + 1 < d else 0.0
            last = d - 1
            for _ in range(MOST_STEPS * d):
                for i in range(last):
                    if abs(off[i]) <= EPS * (abs(variances[g, i]) + abs(variances[g, i + 1])):
                        off[i] = 0.0
                while last > 0 and off[last - 1] == 0.0:
                    last -= 1
                if last == 0:
                    break
                first = last - 1
                while first > 0 and off[first - 1] != 0.0:
                    first -= 1
                chase(variances[g], off, axes[g], first, last)

    return find_axes
