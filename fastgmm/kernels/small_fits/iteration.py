"""The iteration itself, a template that is filled in with a structure's parts."""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.small_fits`)

import math
from types import SimpleNamespace

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, filled_in, kernel
from fastgmm.kernels.layout import HEADER, REFRESH, START, STEP
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


@entry_point
def iteration(name):
    """Kernel that does an iteration of many fits to the same rows, each on its own.

    Parameters
    ----------
    name : str
        One of `STRUCTURES`.

    Returns
    -------
    callable (X, labels, what, places, scatter, centre, reg_covar, half_log,
              running, doubtful, numbers, weights, means, covariances, factors, inputs, logs,
              origins, centred, laid, projected, scales, constants, sums, bounds)
        X (n, d), and for every fit, along the first axis: labels (n,) to start from, whether it is
        running, whether digits may count that were not kept, the number of components, and arrays
        with room for the most components that a fit has. Logarithms are taken outside, of inputs;
        bounds take the mean log-likelihoods. See `fastgmm.batch.small_fits`.
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
        n, d = X.shape
        most = means.shape[1]
        ends, first_set = np.array([0, n]), np.zeros(1, dtype=np.int64)
        no_weights, no_shares = np.empty(0), np.empty((0, 0))
        no_labels = np.empty(0, dtype=np.int32)
        reference, weight, work = np.empty((most, d)), np.empty(most), np.empty((d + 2, d))
        for m in range(len(numbers)):
            if not running[m] and what != REFRESH:
                continue
            k = numbers[m]
            own = min(k, covariances.shape[1])
            size = (sums.shape[1] - HEADER) // most
            its_sums = sums[m, : HEADER + k * size]
            if what == START:
                for c in range(k):
                    for j in range(d):
                        means[m, c, j] = centre[j]
            else:
                set_origin(k, weights[m], means[m], origins[m], centred[m])
                for c in range(k):
                    constants[m, c] = logs[m, c]
                far = refresh(
                    k,
                    factors[m],
                    logs[m, most:],
                    origins[m],
                    centred[m],
                    laid[m],
                    projected[m],
                    scales[m],
                    constants[m],
                    half_log,
                )
                if far:
                    doubtful[m] = True
                    running[m] = False
                    continue
                if what == REFRESH:
                    continue
            for again in range(2 if what == START and SECOND_PASS else 1):
                if what == START:
                    give_points(means[m, :k], centre, origins[m], centred[m])
                    for c in range(k):
                        for j in range(d):
                            projected[m, c, j] = centred[m, c, j]
                its_sums[:] = 0.0
                add_statistics(
                    X,
                    no_weights,
                    ends,
                    first_set,
                    labels[m] if what == START else no_labels,
                    no_shares,
                    False,
                    origins[m].reshape(1, d),
                    centred[m, :k].reshape(1, k, d),
                    laid_factors(laid[m], k),
                    projected[m, :k].reshape(1, k, d),
                    scales[m, :k].reshape(1, k),
                    constants[m, :k].reshape(1, k),
                    its_sums.reshape(1, len(its_sums)),
                )
                for c in range(k):
                    for j in range(d):
                        reference[c, j] = origins[m, j] + centred[m, c, j]
                blocks = its_sums[HEADER:].reshape(k, size)
                if what == START and SECOND_PASS and again == 0:
                    for c in range(k):
                        guarded = first_moment(blocks, places, c, d) + GUARD
                        for j in range(d):
                            shift = first_moment(blocks, places, c, j) / guarded
                            means[m, c, j] = reference[c, j] + shift
                    continue
                estimate(
                    k,
                    blocks,
                    places,
                    scatter,
                    centre,
                    reference,
                    means[m],
                    weight,
                    covariances[m],
                    reg_covar,
                    work,
                )
            bounds[m] = its_sums[0] / its_sums[1]
            factorize(covariances[m, :own], factors[m, :own])
            doubt = False
            for c in range(k):
                for j in range(d):
                    deviation = math.sqrt(abs(of_feature(covariances[m], c, j)))
                    root = of_feature(factors[m], c, j)
                    doubt |= not root * deviation < SINGULAR_ROOT
                    if JUMPS_COUNT and what == STEP:
                        moved = means[m, c, j] - reference[c, j]
                        doubt |= has_jumped(moved, weight[c], deviation, root)
            if what == START and not SECOND_PASS:
                for j in range(d):
                    least, largest = means[m, 0, j], means[m, 0, j]
                    for c in range(k):
                        least = min(least, means[m, c, j])
                        largest = max(largest, means[m, c, j])
                    within = of_feature(covariances[m], 0, j)
                    doubt |= not (largest - least) ** 2 <= FARTHEST_APART * within
            if doubt:
                doubtful[m] = True
                running[m] = False
            total = float(n) if what == START else pairwise(weight, k)
            for c in range(k):
                weights[m, c] = weight[c] / total
                inputs[m, c] = weights[m, c]
            pack(k, factors[m], inputs[m, most:])

    names = SimpleNamespace(
        **vars(parts) | {"add_statistics": parts.statistics(np.float64)},
    )
    names.factorize = parts.factorize()
    iterate = filled_in(iterate, names)
    return kernel(iterate, signature=signature, variant=name, fused=False)
