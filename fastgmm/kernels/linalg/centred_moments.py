"""Moments about new means, from those about old ones, in one reading: the beginning of M-steps.

Each has the bits of `fastgmm.covariance.estimates.centre`, which makes them by NumPy, array after
array.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.layout import BLOCK

_STACK = types.Array(types.float64, 3, "C")
_GIVEN = types.Array(types.float64, 2, "C", readonly=True)

_BAND = 8
"""Rows that are mirrored at a time: they make up a cache line of every row above."""


@entry_point
def centred_outer():
    """Kernel for outer moments about new means, as matrices.

    Returns
    -------
    callable (blocks, half, shift, scatter)
        blocks (k, outer_size(d)) of moments, half and shift (k, d): see
        `fastgmm.covariance.estimates.centre`. scatter (k, d, d), or (1, d, d) for the sum over
        components.
    """

    @kernel(signature=types.void(_GIVEN, _GIVEN, _GIVEN, _STACK), fused=False)
    def centre_outer(blocks, half, shift, scatter):
        k, d = half.shape
        pooled = len(scatter) < k
        for c in range(k):
            out = 0 if pooled else c
            for row in range(d):
                block, line = row // BLOCK, row % BLOCK
                half_row, shift_row = half[c, row], shift[c, row]
                for column in range(0, row + 1, BLOCK):
                    first = (block * (block + 1) // 2 * BLOCK + column + line) * BLOCK
                    for j in range(BLOCK):
                        if column + j < d:
                            crossed = half_row * shift[c, column + j]
                            crossed += half[c, column + j] * shift_row
                            number = blocks[c, first + j] - crossed
                            if pooled and c > 0:
                                number += scatter[out, row, column + j]
                            scatter[out, row, column + j] = number
            if not pooled or c == k - 1:
                for begin in range(0, d, _BAND):
                    end = min(begin + _BAND, d)
                    for column in range(end):
                        for row in range(max(begin, column + 1), end):
                            scatter[out, column, row] = scatter[out, row, column]

    return centre_outer


@entry_point
def centred_variances():
    """Kernel for new means, and what moments of variances about them are made of.

    Returns
    -------
    callable (blocks, reference, guard, means, made)
        blocks (k, size) of diagonal moments or of those with a trace; reference (k, d) and the
        guard of weights: see `fastgmm.covariance.estimates.centre`. means (k, d) are written to.
        Of diagonal moments, made (1, k, d) takes the scatter. Else made (3, k, d) takes terms whose
        sums over features it is made of: products of first moments and shifts, squares of shifts,
        and what the guard adds. Returns whether it adds anything.
    """
    written = types.Array(types.float64, 2, "C")
    signature = types.boolean(_GIVEN, _GIVEN, types.float64, written, _STACK)

    @kernel(signature=signature, fused=False)
    def centre_variances(blocks, reference, guard, means, made):
        k, d = means.shape
        diagonal, some = len(made) == 1, False
        for c in range(k):
            weight = blocks[c, d]
            guarded = weight + guard
            some |= guarded != weight
            for j in range(d):
                first = blocks[c, j]
                shift = (first - guard * reference[c, j]) / guarded
                means[c, j] = reference[c, j] + shift
                made[0, c, j] = first * shift
                if diagonal:
                    about = blocks[c, d + 1 + j] - 2.0 * first * shift
                    made[0, c, j] = about + shift * shift * weight
                else:
                    made[1, c, j] = shift * shift
        if not some:
            return False
        middle, least, largest = np.zeros(d), np.full(d, np.inf), np.full(d, -np.inf)
        for c in range(k):
            for j in range(d):
                middle[j] += means[c, j]
                least[j] = min(least[j], means[c, j])
                largest[j] = max(largest[j], means[c, j])
        for j in range(d):
            middle[j] /= k
            largest[j] = max(largest[j] - middle[j], middle[j] - least[j])
        for c in range(k):
            weight = blocks[c, d]
            added = (weight + guard) - weight
            for j in range(d):
                within = min(abs(means[c, j]), largest[j])
                if diagonal:
                    made[0, c, j] += within * within * added
                else:
                    made[2, c, j] = within * within * added
        return True

    return centre_variances
