"""The iteration itself, a template that is filled in with a structure's parts."""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.small_fits`)

import math
from importlib import import_module
from types import SimpleNamespace

import numpy as np
from numba import types

from fastgmm.kernels.compile import as_written, entry_point, filled_in, inlined, kernel
from fastgmm.kernels.layout import HEADER, REFRESH, START, STEP
from fastgmm.kernels.signatures import row_types
from fastgmm.kernels.small_fits.arithmetic import (
    FARTHEST_APART,
    GUARD,
    SINGULAR_ROOT,
    has_jumped,
    pairwise,
    set_origin,
)
from fastgmm.kernels.views import (
    fill,
    greater,
    lesser,
    part,
    stretch,
    sums_of_components,
    with_axis,
)


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


def _set_points(k, means, centre, origin, about, point):
    """What a pass under given responsibilities reads of means that its moments are about."""
    give_points(k, means, centre, origin, about)
    for c in range(k):
        for j in range(len(origin)):
            point[c, j] = about[c, j]


def _add_chunks(X, ends, labels, shares, k, operands, sums):
    """Make sums those of all chunks, one after another."""
    origin, about, panels, point, scale, constant = operands
    chunk, no_weights = np.empty(1, np.int64), np.empty(0)
    of_chunk = np.empty(len(sums))
    fill(sums, 0.0)
    for b in range(len(ends) - 1):
        chunk[0] = b
        fill(of_chunk, 0.0)
        add_statistics(
            X,
            no_weights,
            ends,
            chunk,
            labels,
            shares,
            False,
            with_axis(origin),
            with_axis(stretch(about, 0, k)),
            laid_factors(panels, k),
            with_axis(stretch(point, 0, k)),
            with_axis(stretch(scale, 0, k)),
            with_axis(stretch(constant, 0, k)),
            with_axis(of_chunk),
        )
        for i in range(len(sums)):
            sums[i] += of_chunk[i]


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
        One of `fastgmm.kernels.small_fits.STRUCTURES`.
    few : bool
        Whether there are at most `BLOCK` features, where that makes a kernel of its own.

    Returns
    -------
    callable (X, labels, shares, ends, what, places, scatter, centre, reg_covar, half_log,
              running, doubtful, numbers, weights, means, covariances, factors, inputs, logs,
              origins, centred, laid, projected, scales, constants, sums, bounds)
        X (n, d), in chunks from ends[i] to ends[i + 1]. For every fit, along the first axis: labels
        (n,) or responsibilities (n, k) to start from, or neither, if it starts from sums about its
        means; whether it is running, whether digits may count that were not kept, the
        number of components, and arrays with room for the most components that a fit has.
        Logarithms are taken outside, of inputs;
        bounds take the mean log-likelihoods. See `fastgmm.small_fits`.
    """
    parts = import_module(f"fastgmm.kernels.small_fits.{name}")
    rows, _, _ = row_types(np.float64)

    def array(n, dtype=types.float64):
        return types.Array(dtype, n, "C")

    flags, whole = array(1, types.boolean), array(1, types.int64)
    signature = types.void(
        rows,
        array(2, types.int32),
        array(3),
        array(1, types.int64),
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
        shares,
        ends,
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
        as_written()
        (n, d), most = X.shape, means.shape[1]
        n_roots, size = inputs.shape[1] - most, (sums.shape[1] - HEADER) // most
        no_labels, no_shares = np.empty(0, np.int32), np.empty((0, 0))
        n_passes = 2 if SECOND_PASS and what == START and labels.shape[1] else 1
        if what == START and not (labels.shape[1] or shares.shape[1]):
            n_passes = 0
        reference, weight, work = (
            np.empty((most, d)),
            np.empty(most),
            np.empty((d + 2, greater(d, most))),
        )
        for m in range(len(numbers)):
            if not running[m] and what != REFRESH:
                continue
            k = numbers[m]
            mean, matrices, roots = part(means, m), part(covariances, m), part(factors, m)
            origin, about, panels = part(origins, m), part(centred, m), part(laid, m)
            point, scale, constant = part(projected, m), part(scales, m), part(constants, m)
            its_sums = stretch(part(sums, m), 0, HEADER + k * size)
            blocks = sums_of_components(with_axis(its_sums), 0, k)
            if what != START:
                set_origin(k, part(weights, m), mean, origin, about)
                for c in range(k):
                    constant[c] = logs[m, c]
                logs_of_roots = stretch(part(logs, m), most, n_roots)
                far = refresh(
                    k, roots, logs_of_roots, origin, about, panels, point, scale, constant, half_log
                )
                if far:
                    doubtful[m], running[m] = True, False
                if far or what == REFRESH:
                    continue
            of_rows, of_pairs = no_labels, no_shares
            if what == START:
                of_rows, of_pairs = part(labels, m), part(shares, m)
                for c in range(k):
                    for j in range(d):
                        mean[c, j] = centre[j] if n_passes else mean[c, j]
                        reference[c, j] = mean[c, j]
            for again in range(n_passes):
                if what == START:
                    set_points(k, mean, centre, origin, about, point)
                operands = origin, about, panels, point, scale, constant
                add_chunks(X, ends, of_rows, of_pairs, k, operands, its_sums)
                add_origin(k, origin, about, reference)
                if again + 1 < n_passes:
                    move(k, blocks, places, reference, mean)
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
            of_all = lesser(k, len(matrices))  # of one, where components share it
            factors_of(stretch(matrices, 0, of_all), stretch(roots, 0, of_all))
            if is_doubtful(what, k, reference, weight, mean, matrices, roots):
                doubtful[m], running[m] = True, False
            total = float(n) if what == START else pairwise(weight, k)
            for c in range(k):
                weights[m, c] = inputs[m, c] = weight[c] / total
            pack(k, roots, stretch(part(inputs, m), most, n_roots))

    make = parts.statistics
    names = SimpleNamespace(
        **vars(parts),
        add_statistics=make(np.float64, few) if parts.FEW_APART else make(np.float64),
        factors_of=parts.factorize(few) if parts.FEW_APART else parts.factorize(),
        move=kernel(filled_in(_move, parts), variant=name, fused=False),
        set_points=inlined(filled_in(_set_points, parts)),
        is_doubtful=kernel(filled_in(_is_doubtful, parts), variant=name, fused=False),
    )
    names.add_chunks = inlined(filled_in(_add_chunks, names))
    iterate = filled_in(iterate, names)
    return kernel(iterate, signature=signature, variant=f"{name}{'_of_few' * few}", fused=False)
