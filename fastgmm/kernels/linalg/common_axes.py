"""The axes that the scatters of several components come nearest to having in common.

Pairs of axes are turned in their plane, one after the other, until no turn is any use: the sweeps
of Flury & Gautschi, An algorithm for simultaneous orthogonal transformation of several positive
definite symmetric matrices to nearly diagonal form (1986), SIAM J. Sci. Stat. Comput. 7(1).

In a plane, let p be half the difference of a component's two variances and q their covariance. A
turn by half of phi leaves the sum 2 m of the variances as it is, and makes their product m^2 - u^2,
with u = p cos(phi) + q sin(phi). What is to be small is a concave function of every u^2: it lies
below its tangent, and what that leaves to be maximized, a weighted sum of the u^2, has its maximum
in closed form. So no turn makes the likelihood smaller.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, inlined, kernel

TANGENTS = 3
"""Tangents that are taken in a plane before the next pair of axes is looked at."""

ENOUGH = 1e-2
"""Share of the turn by which two tangents differ, below which the second is enough."""

LEAST_TURN = 1e-9
"""A smaller turn is none."""

SETTLED = 1e-7
"""Largest turn of a sweep that is the last one."""

MOST_SWEEPS = 200
"""Of one call; the next M-step goes on from there."""

LEAST_PRODUCT = 1e-15
"""Of two variances, relative to the square of their mean: what is less is rounding."""

TINY = np.finfo(np.float64).tiny


@inlined
def take_slopes(scatter, weights, power, slopes):
    """Set the derivatives (k,) by the logarithm of a product, of what is to be small; to a factor.

    They are the weights, or with a power the weighted sizes.
    """
    slopes[:] = 0.0
    if power > 0.0:
        for j in range(len(scatter)):
            for c in range(len(slopes)):
                slopes[c] += power * np.log(max(scatter[j, j, c], TINY))
    top = slopes.max()
    for c in range(len(slopes)):
        slopes[c] = weights[c] * np.exp(slopes[c] - top)


@inlined
def best_turn(scatter, i, j, slopes, power):
    """Twice the angle by which the axes i and j are to be turned in their plane."""
    phi = 0.0
    for tangent in range(TANGENTS):
        cosine, sine = np.cos(phi), np.sin(phi)
        across = along = 0.0
        for c in range(len(slopes)):
            m = 0.5 * (scatter[i, i, c] + scatter[j, j, c])
            p = 0.5 * (scatter[i, i, c] - scatter[j, j, c])
            q = scatter[i, j, c]
            if m > 0.0:
                u = p * cosine + q * sine
                least = LEAST_PRODUCT * m * m
                product = max((m - u) * (m + u), least)
                slope = slopes[c] / product
                if tangent and power > 0.0:
                    slope *= (product / max((m - p) * (m + p), least)) ** power
                across += slope * p * q
                along += slope * (p * p - q * q)
        former, phi = phi, 0.5 * np.arctan2(2.0 * across, along)
        if abs(phi - former) < ENOUGH * abs(phi):
            break
    return phi


@inlined
def turn_entries(one, other, cosine, sine):
    """Turn two vectors into each other, in place."""
    for c in range(len(one)):
        a, b = one[c], other[c]
        one[c] = cosine * a + sine * b
        other[c] = cosine * b - sine * a


@inlined
def turn_scatter(scatter, i, j, cosine, sine):
    """Turn the axes i < j of all components: of what stands on and above the diagonals."""
    d, _, k = scatter.shape
    for h in range(i):
        turn_entries(scatter[h, i], scatter[h, j], cosine, sine)
    for h in range(i + 1, j):
        turn_entries(scatter[i, h], scatter[h, j], cosine, sine)
    for h in range(j + 1, d):
        turn_entries(scatter[i, h], scatter[j, h], cosine, sine)
    for c in range(k):
        first, second, both = scatter[i, i, c], scatter[j, j, c], scatter[i, j, c]
        across = 2.0 * cosine * sine * both
        scatter[i, i, c] = cosine * cosine * first + across + sine * sine * second
        scatter[j, j, c] = sine * sine * first - across + cosine * cosine * second
        scatter[i, j, c] = cosine * sine * (second - first) + (cosine**2 - sine**2) * both


@entry_point
def common_axes():
    """Kernel for the axes that components share, of a stack of mixtures.

    With the power 0 it is for components of any volumes (mclust's VVE): the sum over components of
    weight times the logarithm of the product of the variances along the axes is made as small as
    can be. With the power 1 / d it is for equal volumes (EVE): the sum of these products to that
    power, each times a weight.

    Returns
    -------
    callable (scatters, weights, power, axes)
        scatters (m, d, d, k), turned in place to the axes found, of which only what stands on and
        above the diagonals counts; weights (m, k); a number; axes (m, d, d), in rows: those to
        start from, and then those that were found.
    """
    stack = types.Array(types.float64, 3, "C")
    weights = types.Array(types.float64, 2, "C", readonly=True)
    scatters = types.Array(types.float64, 4, "C")

    @kernel(signature=types.void(scatters, weights, types.float64, stack))
    def turn_axes(scatters, weights, power, axes):
        n, d, _, k = scatters.shape
        slopes, before = np.empty(k), np.empty(k)
        for g in range(n):
            scatter = scatters[g]
            for _ in range(MOST_SWEEPS):
                take_slopes(scatter, weights[g], power, slopes)
                largest = 0.0
                for i in range(d):
                    for j in range(i + 1, d):
                        phi = best_turn(scatter, i, j, slopes, power)
                        if abs(phi) < LEAST_TURN:
                            continue
                        largest = max(largest, abs(phi))
                        cosine, sine = np.cos(0.5 * phi), np.sin(0.5 * phi)
                        turn_entries(axes[g, i], axes[g, j], cosine, sine)
                        for c in range(k):
                            before[c] = max(scatter[i, i, c] * scatter[j, j, c], TINY)
                        turn_scatter(scatter, i, j, cosine, sine)
                        if power > 0.0:
                            for c in range(k):
                                product = max(scatter[i, i, c] * scatter[j, j, c], TINY)
                                slopes[c] *= (product / before[c]) ** power
                if largest < SETTLED:
                    break

    return turn_axes
