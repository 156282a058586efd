"""Sums in NumPy's order, and what M-steps have in common."""

import numpy as np

from fastgmm.kernels.compile import inlined, kernel

GUARD = 10 * np.finfo(np.float64).eps
"""`fastgmm.covariance.estimates.EMPTY_GUARD`."""

FAR = 0.99
"""Share of a limit from which a fit is left to the code that knows the limit."""

SINGULAR_ROOT = FAR * 1e-9**-0.5
"""Of a deviation and the root of a precision: see `fastgmm.em_step.is_doubtful`."""

JUMP, FARTHEST_JUMP, LEAST_WEIGHT = FAR * 4.0, FAR * 1e3, FAR * 1e-6


FARTHEST_APART = FAR * 1e8
"""Square of `fastgmm.em_start._FARTHEST_APART`."""


@kernel(fused=False)
def pairwise(values, n):
    """``values[:n].sum()`` in NumPy's order, up to 128 numbers."""
    total = 0.0
    if n < 8:
        for i in range(n):
            total += values[i]
    else:
        r0, r1, r2, r3 = values[0], values[1], values[2], values[3]
        r4, r5, r6, r7 = values[4], values[5], values[6], values[7]
        whole = n - n % 8
        for i in range(8, whole, 8):
            r0 += values[i]
            r1 += values[i + 1]
            r2 += values[i + 2]
            r3 += values[i + 3]
            r4 += values[i + 4]
            r5 += values[i + 5]
            r6 += values[i + 6]
            r7 += values[i + 7]
        total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
        for i in range(whole, n):
            total += values[i]
    return total


@kernel(fused=False)
def set_origin(k, weights, means, origin, centred):
    """The origin of the operands, and means about it: see `fastgmm.parameters.make_operands`."""
    d = means.shape[1]
    total = pairwise(weights, k)
    for j in range(d):
        origin[j] = 0.0
    for c in range(k):
        share = weights[c] / total
        for j in range(d):
            origin[j] += share * means[c, j]
    for c in range(k):
        for j in range(d):
            centred[c, j] = means[c, j] - origin[j]


@inlined
def lies_far(k, distances, most):
    """Whether a row of distances (k, d) is about as long as `most`."""
    far = False
    for c in range(k):
        total = 0.0
        for j in range(distances.shape[1]):
            total += distances[c, j] ** 2
        far |= not total < (FAR * most) ** 2
    return far


@inlined
def has_jumped(shift, weight, deviation, root):
    """Whether a mean is so far from the old one that digits count; nearly so is enough."""
    jumps = weight > LEAST_WEIGHT and not abs(shift) <= JUMP * deviation
    return jumps and not abs(shift * root) < FARTHEST_JUMP


@inlined
def to_panels(matrix, laid):
    """`fastgmm.kernels.layout.to_panels` of one matrix; what is filled up stays zero."""
    d, width = matrix.shape[0], laid.shape[1]
    for i in range(d):
        for j in range(d):
            laid[j // width * d + i, j % width] = matrix[i, j]


@inlined
def whiten(vector, factor, whitened):
    """`fastgmm.covariance.linalg.whitened` of one vector, term after term."""
    d = len(vector)
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += vector[j] * factor[j, i]
        whitened[i] = total


@kernel(fused=False)
def spread_of_means(k, means, spread):
    """Spread (d,) of the means: see `fastgmm.covariance.estimates._guard_residue`."""
    for j in range(means.shape[1]):
        middle = 0.0
        for c in range(k):
            middle += means[c, j]
        middle /= k
        spread[j] = 0.0
        for c in range(k):
            spread[j] = max(spread[j], abs(means[c, j] - middle))
