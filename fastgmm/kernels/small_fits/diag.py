"""Whole iterations with a variance for every feature of every component, or of all together."""

from fastgmm.kernels.compile import inlined, kernel
from fastgmm.kernels.forms.diagonal import statistics
from fastgmm.kernels.small_fits.arithmetic import GUARD, lies_far, pairwise, spread_of_means
from fastgmm.kernels.small_fits.full import give_points
from fastgmm.kernels.small_fits.tied import first_moment
from fastgmm.kernels.small_fits.variances import factorize
from fastgmm.kernels.views import lesser, part, stretch, with_axis

__all__ = ["factorize", "first_moment", "give_points", "statistics"]

FEW_APART = False
JUMPS_COUNT = SECOND_PASS = True
_FARTHEST = 1e5


@inlined
def laid_factors(laid, k):
    return with_axis(with_axis(stretch(part(laid, 0), 0, k)))


@inlined
def of_feature(arrays, c, j):
    return arrays[lesser(c, len(arrays) - 1), 0, j]


@inlined
def pack(k, factors, inputs):
    d = factors.shape[2]
    for c in range(lesser(k, len(factors))):
        for j in range(d):
            inputs[c * d + j] = factors[c, 0, j]


@kernel(fused=False)
def refresh(k, factors, logs, origin, centred, laid, projected, scales, constants, half_log):
    d = centred.shape[1]
    for c in range(k):
        own = lesser(c, len(factors) - 1)
        scales[c] = -0.5
        constants[c] = (constants[c] + pairwise(stretch(logs, own * d, d), d)) - half_log
        for j in range(d):
            laid[0, c, j] = factors[own, 0, j]
            projected[c, j] = centred[c, j] * factors[own, 0, j]
    return lies_far(k, projected, _FARTHEST)


@kernel(fused=False)
def estimate(
    k, blocks, places, scatter, centre, reference, means, weight, covariances, reg_covar, work
):
    d, n_own = means.shape[1], len(covariances)
    some = False
    for c in range(k):
        weight[c] = blocks[c, d] + GUARD
        some |= weight[c] != blocks[c, d]
        for j in range(d):
            shift = (blocks[c, j] - GUARD * reference[c, j]) / weight[c]
            means[c, j] = reference[c, j] + shift
            work[1, j] = 0.0
    if some:
        spread_of_means(k, means, part(work, 0))
    for c in range(k):
        own = blocks[c, d]
        for j in range(d):
            first = blocks[c, j]
            shift = (first - GUARD * reference[c, j]) / weight[c]
            scattered = (blocks[c, d + 1 + j] - 2.0 * first * shift) + own * (shift * shift)
            if some:
                scattered += (weight[c] - own) * min(abs(means[c, j]), work[0, j]) ** 2
            if n_own < k:
                work[1, j] += scattered
            else:
                covariances[c, 0, j] = scattered / weight[c] + reg_covar
    if n_own < k:
        total = pairwise(weight, k)
        for j in range(d):
            covariances[0, 0, j] = work[1, j] / total + reg_covar
