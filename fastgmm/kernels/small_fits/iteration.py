"""The iteration itself, a template that is filled in with a structure's parts."""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.small_fits`)

import math
from types import SimpleNamespace

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, filled_in, inlined, kernel
from fastgmm.kernels.layout import BLOCK, HEADER, REFRESH, START, STEP
from fastgmm.kernels.signatures import row_types
from fastgmm.kernels.small_fits import diag, full, spherical, tied
from fastgmm.kernels.small_fits.arithmetic import (
    FARTHEST_APART,
    GUARD,
    SINGULAR_ROOT,
    has_jumped,
    pairwise,
    set_origin,
)

STRUCTURES = {"full": full, "tied": tied, "diag": diag, "spherical": spherical}
"""By the names that `CovarianceStructure.compiled` has."""

VARIANTS = (("full", True), *((name, False) for name in STRUCTURES))
"""What `iteration` takes."""


def variant_for(name, n_features):
    """The variant for rows with so many features."""
    return name, (name, True) in VARIANTS and n_features <= BLOCK


@inlined
def add_origin(k, origin, about, reference):
    """What moments are about, of what the kernel took them about."""
    for c in range(k):
        for j in range(len(origin)):
            reference[c, j] = origin[j] + about[c, j]


def _move(k, blocks, places, reference, means):
    """Means of moments about others."""
    d = means.shape[1]
    for c in range(k):
        guarded = first_moment(blocks, places, c, d) + GUARD
        for j in range(d):
            means[c, j] = reference[c, j] + first_moment(blocks, places, c, j) / guarded


def _is_doubtful(what, k, reference, weight, means, covariances, factors):
    """Whether digits may count that were not kept."""
    d = means.shape[1]
    doubt = False
    for c in range(k):
        for j in range(d):
            deviation = math.sqrt(abs(of_feature(covariances, c, j)))
            root = of_feature(factors, c, j)
            doubt |= not root * deviation < SINGULAR_ROOT
            if JUMPS_COUNT and what == STEP:
                moved = means[c, j] - reference[c, j]
                doubt |= has_jumped(moved, weight[c], deviation, root)
    if what == START and not SECOND_PASS:
        for j in range(d):
            least, largest = means[0, j], means[0, j]
            for c in range(k):
                least = min(least, means[c, j])
                largest = max(largest, means[c, j])
            within = of_feature(covariances, 0, j)
            doubt |= not (largest - least) ** 2 <= FARTHEST_APART * within
    return doubt


@entry_point
def iteration(name, few):
    """Kernel that does an iteration of many fits to the same rows, each on its own.

    Parameters
    ----------
    name : str
        One of `STRUCTURES`.
    few : bool
        Whether there are at most `BLOCK` features, where that makes a kernel of its own.

    Returns
    -------
    callable (X, labels, what, places, scatter, centre, reg_covar, half_log,
              running, doubtful, numbers, weights, means, covariances, factors, inputs, logs,
              origins, centred, laid, projected, scales, constants, sums, bounds)
        X (n, d), and for every fit, along the first axis: labels (n,) to start from, whether it is
        running, whether digits may count that were not kept, the number of components, and arrays
        with room for the most components that a fit has. Logarithms are taken outside, of inputs;
        bounds take the mean log-likelihoods. See `fastgmm.small_fits`.
    """
    parts = STRUCTURES[name]
    rows, _, _ = row_types(np.float64)

    def array(n, dtype=types.float64):
        return types.Array(dtype, n, "C")

    flags, whole = array(1, types.boolean), array(1, types.int64)
    signature = types.void(
        rows,
        array(2, types.int32),
        types.int64,
        array(2, types.int64),
        array(2),
        array(1),
        types.float64,
        types.float64,
        *(flags, flags, whole),
        *(array(2), array(3), array(4), array(4), array(2), array(2)),
        *(array(2), array(3), array(4), array(3), array(2), array(2), array(2), array(1)),
    )

    def iterate(
        X,
        labels,
        what,
        places,
        scatter,
        centre,
        reg_covar,
        half_log,
        running,
        doubtful,
        numbers,
        weights,
        means,
        covariances,
        factors,
        inputs,
        logs,
        origins,
        centred,
        laid,
        projected,
        scales,
        constants,
        sums,
        bounds,
    ):
        (n, d), most = X.shape, means.shape[1]
        ends, first_set = np.array([0, n]), np.zeros(1, dtype=np.int64)
        no_weights, no_shares = np.empty(0), np.empty((0, 0))
        no_labels = np.empty(0, dtype=np.int32)
        reference, weight, work = np.empty((most, d)), np.empty(most), np.empty((d + 2, d))
        for m in range(len(numbers)):
            if not running[m] and what != REFRESH:
                continue
            k = numbers[m]
            mean, matrices, roots = means[m], covariances[m], factors[m]
            origin, about, panels, point = origins[m], centred[m], laid[m], projected[m]
            size = (sums.shape[1] - HEADER) // most
            its_sums = sums[m, : HEADER + k * size]
            if what == START:
                mean[:k] = centre
            else:
                set_origin(k, weights[m], mean, origin, about)
                constants[m, :k] = logs[m, :k]
                scale, constant, logs_of_roots = scales[m], constants[m], logs[m, most:]
                far = refresh(
                    k, roots, logs_of_roots, origin, about, panels, point, scale, constant, half_log
                )
                if far:
                    doubtful[m], running[m] = True, False
                if far or what == REFRESH:
                    continue
            for again in range(2 if what == START and SECOND_PASS else 1):
                if what == START:
                    give_points(mean[:k], centre, origin, about)
                    point[:k] = about[:k]
                its_sums[:] = 0.0
                add_statistics(
                    X,
                    no_weights,
                    ends,
                    first_set,
                    labels[m] if what == START else no_labels,
                    no_shares,
                    False,
                    origin.reshape(1, d),
                    about[:k].reshape(1, k, d),
                    laid_factors(panels, k),
                    point[:k].reshape(1, k, d),
                    scales[m, :k].reshape(1, k),
                    constants[m, :k].reshape(1, k),
                    its_sums.reshape(1, len(its_sums)),
                )
                add_origin(k, origin, about, reference)
                blocks = its_sums[HEADER:].reshape(k, size)
                if what == START and SECOND_PASS and again == 0:
                    move(k, blocks, places, reference, mean)
                    continue
                estimate(
                    k,
                    blocks,
                    places,
                    scatter,
                    centre,
                    reference,
                    mean,
                    weight,
                    matrices,
                    reg_covar,
                    work,
                )
            bounds[m] = its_sums[0] / its_sums[1]
            factors_of(matrices[:k], roots[:k])  # of one, where components share it
            if is_doubtful(what, k, reference, weight, mean, matrices, roots):
                doubtful[m], running[m] = True, False
            total = float(n) if what == START else pairwise(weight, k)
            for c in range(k):
                weights[m, c] = inputs[m, c] = weight[c] / total
            pack(k, roots, inputs[m, most:])

    make = parts.statistics
    names = SimpleNamespace(
        **vars(parts),
        add_statistics=make(np.float64, few) if parts.FEW_APART else make(np.float64),
        factors_of=parts.factorize(few) if parts.FEW_APART else parts.factorize(),
        move=inlined(filled_in(_move, parts)),
        is_doubtful=inlined(filled_in(_is_doubtful, parts)),
    )
    iterate = filled_in(iterate, names)
    return kernel(iterate, signature=signature, variant=f"{name}{'_of_few' * few}", fused=False)
