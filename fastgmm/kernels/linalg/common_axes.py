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
"""A smaller turn is none, but see `STRETCHED`."""

STRETCHED = 1e-3
"""Ratio of two deviations that counts, as its inverse does: beyond it, turns count by the ratio.

As of features in units of very different size, whose axes differ from those of the features by so
little that the turn by itself says nothing.
"""

SETTLED = 1e-7
"""Largest turn of a sweep that is the last one."""

MOST_SWEEPS = 200
"""Of one call; the next M-step goes on from there."""

LEAST_PRODUCT = 1e-15
"""Of two variances, relative to the square of their mean: what is less is rounding."""

ROUNDING = 1e-15
"""The same of a variance along an axis, where variances differ much: relative to what it would be
if features did not correlate."""

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
def are_uneven(scatter):
    """Whether the variances of a component differ by so much that turns may count for more."""
    uneven = False
    for c in range(scatter.shape[2]):
        smallest = largest = scatter[0, 0, c]
        for j in range(1, len(scatter)):
            smallest, largest = min(smallest, scatter[j, j, c]), max(largest, scatter[j, j, c])
        uneven |= not smallest > STRETCHED**2 * largest
    return uneven


@inlined
def take_least(of_features, axes, least):
    """Set what of the variances (d, k) along axes is rounding."""
    d, k = least.shape
    for j in range(d):
        for c in range(k):
            variance = 0.0
            for i in range(d):
                variance += axes[j, i] ** 2 * of_features[c, i]
            least[j, c] = ROUNDING * variance


@inlined
def product_of_variances(scatter, least, i, j, c, phi):
    """Product of the variances along the axes i and j of a component, turned by half of phi.

    Each is taken by itself, so that it keeps its digits if the other is much larger.
    """
    cosine, sine = np.cos(0.5 * phi), np.sin(0.5 * phi)
    first, second = scatter[i, i, c], scatter[j, j, c]
    across = 2.0 * cosine * sine * scatter[i, j, c]
    one = cosine**2 * first + across + sine**2 * second
    other = sine**2 * first - across + cosine**2 * second
    least_one = cosine**2 * least[i, c] + sine**2 * least[j, c]
    least_other = sine**2 * least[i, c] + cosine**2 * least[j, c]
    smallest = (0.5 * ROUNDING * (first + second)) ** 2  # of a feature that is constant
    return max(max(one, least_one) * max(other, least_other), smallest)


@inlined
def stretch(scatter, least, i, j):
    """By how much a turn of the axes i and j counts for more than its size says; at least 1."""
    largest = 1.0
    for c in range(scatter.shape[2]):
        one, other = scatter[i, i, c], scatter[j, j, c]
        if one > least[i, c] and other > least[j, c]:
            largest = max(largest, STRETCHED**2 * one / other, STRETCHED**2 * other / one)
    return np.sqrt(largest)


@inlined
def best_turn(scatter, uneven, least, i, j, slopes, power):
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
                product = max((m - u) * (m + u), LEAST_PRODUCT * m * m)
                if uneven:
                    product = product_of_variances(scatter, least, i, j, c, phi)
                slope = slopes[c] / product
                if tangent and power > 0.0:
                    before = max((m - p) * (m + p), LEAST_PRODUCT * m * m)
                    if uneven:
                        before = product_of_variances(scatter, least, i, j, c, 0.0)
                    slope *= (product / before) ** power
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
    callable (scatters, of_features, weights, power, axes)
        scatters (m, d, d, k), turned in place to the axes found, of which only what stands on and
        above the diagonals counts; of_features (m, k, d), their diagonals before any turn; weights
        (m, k); a number; axes (m, d, d), in rows: those to start from, and then those that were
        found.
    """
    stack = types.Array(types.float64, 3, "C")
    variances = types.Array(types.float64, 3, "C", readonly=True)
    weights = types.Array(types.float64, 2, "C", readonly=True)
    scatters = types.Array(types.float64, 4, "C")

    @kernel(signature=types.void(scatters, variances, weights, types.float64, stack))
    def turn_axes(scatters, of_features, weights, power, axes):
        n, d, _, k = scatters.shape
        slopes, before, least = np.empty(k), np.empty(k), np.zeros((d, k))
        for g in range(n):
            scatter = scatters[g]
            for _ in range(MOST_SWEEPS):
                take_slopes(scatter, weights[g], power, slopes)
                uneven = are_uneven(scatter)
                if uneven:
                    take_least(of_features[g], axes[g], least)
                largest = 0.0
                for i in range(d):
                    for j in range(i + 1, d):
                        # With a constant in place of the flag, each is compiled by itself.
                        if uneven:
                            phi = best_turn(scatter, True, least, i, j, slopes, power)
                        else:
                            phi = best_turn(scatter, False, least, i, j, slopes, power)
                        size = abs(phi)
                        if uneven and size < SETTLED:
                            size *= stretch(scatter, least, i, j)
                        if size < LEAST_TURN:
                            continue
                        largest = max(largest, size)
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
