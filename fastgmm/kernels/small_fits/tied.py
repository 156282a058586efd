"""Whole iterations with one covariance matrix for all components."""

from fastgmm.kernels.compile import inlined, kernel
from fastgmm.kernels.forms.shared_cholesky import statistics
from fastgmm.kernels.linalg.factors import precision_factors
from fastgmm.kernels.small_fits.arithmetic import GUARD, lies_far, pairwise, to_panels, whiten
from fastgmm.kernels.views import part, stretch, with_axis

__all__ = ["statistics"]

FEW_APART = False
JUMPS_COUNT = SECOND_PASS = False
_FARTHEST = 1e4


def factorize():
    """See the package."""
    return precision_factors()


@inlined
def give_points(k, about, centre, origin, centred):
    for c in range(k):
        for j in range(about.shape[1]):
            origin[j] = centre[j]
            centred[c, j] = about[c, j] - centre[j]


@inlined
def laid_factors(laid, k):
    return with_axis(laid)


@inlined
def first_moment(blocks, places, c, j):
    return blocks[c, j]


@inlined
def of_feature(arrays, c, j):
    return arrays[0, j, j]


@inlined
def pack(k, factors, inputs):
    for j in range(factors.shape[2]):
        inputs[j] = factors[0, j, j]


@kernel(fused=False)
def refresh(k, factors, logs, origin, centred, laid, projected, scales, constants, half_log):
    d = centred.shape[1]
    to_panels(part(factors, 0), part(laid, 0))
    determinant = pairwise(logs, d)
    for c in range(k):
        scales[c] = -0.5
        constants[c] = (constants[c] + determinant) - half_log
        whiten(part(centred, c), part(factors, 0), part(projected, c))
    return lies_far(k, projected, _FARTHEST)


@kernel(fused=False)
def estimate(
    k, blocks, places, scatter, centre, reference, means, weight, covariances, reg_covar, work
):
    d = means.shape[1]
    half, about_centre, cross = part(work, 0), part(work, 1), stretch(work, 2, d)
    for i in range(d):
        for j in range(d):
            cross[i, j] = 0.0
    for c in range(k):
        own = blocks[c, d]
        weight[c] = own + GUARD
        for j in range(d):
            first = blocks[c, j]
            shift = (first - GUARD * reference[c, j]) / weight[c]
            means[c, j] = reference[c, j] + shift
            offset = reference[c, j] - centre[j]
            about_centre[j] = offset + shift
            half[j] = (first + own * offset) - 0.5 * own * about_centre[j]
        for i in range(d):
            for j in range(d):
                cross[i, j] += half[i] * about_centre[j]
    total = pairwise(weight, k)
    for i in range(d):
        for j in range(d):
            within = scatter[i, j] - (cross[i, j] + cross[j, i])
            covariances[0, i, j] = within / total
        covariances[0, i, i] += reg_covar
