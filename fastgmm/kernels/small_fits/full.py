"""Whole iterations with a covariance matrix for every component."""

from fastgmm.kernels.compile import inlined, kernel
from fastgmm.kernels.forms.cholesky import statistics
from fastgmm.kernels.linalg.factors import precision_factors
from fastgmm.kernels.linalg.few_features import few_precision_factors
from fastgmm.kernels.small_fits.arithmetic import GUARD, lies_far, pairwise, to_panels, whiten
from fastgmm.kernels.views import part, stretch, with_axis

__all__ = ["statistics"]

JUMPS_COUNT = SECOND_PASS = FEW_APART = True
_FARTHEST = 1e5


def factorize(few):
    """See the package."""
    return few_precision_factors() if few else precision_factors()


@inlined
def give_points(k, about, centre, origin, centred):
    for c in range(k):
        for j in range(about.shape[1]):
            origin[j] = 0.0
            centred[c, j] = about[c, j]


@inlined
def laid_factors(laid, k):
    return with_axis(stretch(laid, 0, k))


@inlined
def first_moment(blocks, places, c, j):
    return blocks[c, places[places.shape[0] - 1, j]]


@inlined
def of_feature(arrays, c, j):
    return arrays[c, j, j]


@inlined
def pack(k, factors, inputs):
    d = factors.shape[2]
    for c in range(k):
        for j in range(d):
            inputs[c * d + j] = factors[c, j, j]


@kernel(fused=False)
def refresh(k, factors, logs, origin, centred, laid, projected, scales, constants, half_log):
    d = centred.shape[1]
    for c in range(k):
        to_panels(part(factors, c), part(laid, c))
        scales[c] = -0.5
        constants[c] = (constants[c] + pairwise(stretch(logs, c * d, d), d)) - half_log
        whiten(part(centred, c), part(factors, c), part(projected, c))
    return lies_far(k, projected, _FARTHEST)


@kernel(fused=False)
def estimate(
    k, blocks, places, scatter, centre, reference, means, weight, covariances, reg_covar, work
):
    d = means.shape[1]
    half, shift = part(work, 0), part(work, 1)
    for c in range(k):
        own = blocks[c, places[d, d]]
        weight[c] = own + GUARD
        for j in range(d):
            first = blocks[c, places[d, j]]
            shift[j] = (first - GUARD * reference[c, j]) / weight[c]
            means[c, j] = reference[c, j] + shift[j]
            half[j] = first - 0.5 * own * shift[j]
        for i in range(d):
            for j in range(d):
                cross = half[i] * shift[j] + half[j] * shift[i]
                covariances[c, i, j] = (blocks[c, places[i, j]] - cross) / weight[c]
            covariances[c, i, i] += reg_covar
