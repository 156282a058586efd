"""Whole iterations with one variance for every component, or of all together."""

from fastgmm.kernels.compile import inlined, kernel
from fastgmm.kernels.forms.isotropic import statistics
from fastgmm.kernels.small_fits.arithmetic import GUARD, lies_far, pairwise, spread_of_means
from fastgmm.kernels.small_fits.tied import first_moment, give_points
from fastgmm.kernels.small_fits.variances import factorize
from fastgmm.kernels.views import lesser, part, with_axis

__all__ = ["factorize", "first_moment", "give_points", "statistics"]

FEW_APART = False
JUMPS_COUNT = SECOND_PASS = True
_FARTHEST = 1e5


@inlined
def laid_factors(laid, k):
    return with_axis(laid)


@inlined
def of_feature(arrays, c, j):
    return arrays[lesser(c, len(arrays) - 1), 0, 0]


@inlined
def pack(k, factors, inputs):
    for c in range(lesser(k, len(factors))):
        inputs[c] = factors[c, 0, 0]


@kernel(fused=False)
def refresh(k, factors, logs, origin, centred, laid, projected, scales, constants, half_log):
    d = centred.shape[1]
    for c in range(k):
        own = lesser(c, len(factors) - 1)
        root = factors[own, 0, 0]
        scales[c] = -0.5 * (root * root)
        constants[c] = (constants[c] + d * logs[own]) - half_log
        for j in range(d):
            projected[c, j] = centred[c, j] * root
    far = lies_far(k, projected, _FARTHEST)
    for c in range(k):
        for j in range(d):
            projected[c, j] = centred[c, j]
    return far


@kernel(fused=False)
def estimate(
    k, blocks, places, scatter, centre, reference, means, weight, covariances, reg_covar, work
):
    d, n_own = means.shape[1], len(covariances)
    crossed, squared, scattered = part(work, 0), part(work, 1), part(work, 2)
    some = False
    for c in range(k):
        own = blocks[c, d]
        weight[c] = own + GUARD
        some |= weight[c] != own
        for j in range(d):
            first = blocks[c, j]
            shift = (first - GUARD * reference[c, j]) / weight[c]
            means[c, j] = reference[c, j] + shift
            crossed[j] = first * shift
            squared[j] = shift * shift
        second = blocks[c, d + 1] - 2.0 * pairwise(crossed, d)
        scattered[c] = second + own * pairwise(squared, d)
    if some:
        spread_of_means(k, means, part(work, 0))
        for c in range(k):
            guard = weight[c] - blocks[c, d]
            for j in range(d):
                work[1, j] = guard * min(abs(means[c, j]), work[0, j]) ** 2
            scattered[c] += pairwise(part(work, 1), d)
    if n_own < k:
        covariances[0, 0, 0] = pairwise(scattered, k) / (pairwise(weight, k) * d) + reg_covar
    else:
        for c in range(k):
            covariances[c, 0, 0] = scattered[c] / (weight[c] * d) + reg_covar
