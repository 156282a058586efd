"""The two passes over rows: statistics for the M-step, and predictions.

Both are made for one density form at a time, an integer that the compiler sees as a constant, so
that what belongs to other forms is not compiled.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.elementary import SMALLEST_EXP
from fastgmm.kernels.layout import BLOCK, DENSITY_FORMS, HEADER, OUTPUTS
from fastgmm.kernels.log_density import (
    all_cholesky_distances,
    diagonal_distances,
    isotropic_distances,
    whiten,
)
from fastgmm.kernels.moments import (
    all_diagonal_moments,
    all_outer_moments,
    first_moments,
    outer_moments,
    trace_moments,
)
from fastgmm.kernels.responsibilities import assign, normalize, normalize_to_roots
from fastgmm.kernels.tiles import (
    aligned_rows,
    load_labels,
    load_responsibilities,
    load_tile,
    load_weights,
    take_roots,
    tile_points,
)

CHOLESKY, SHARED_CHOLESKY, DIAGONAL, ISOTROPIC = range(len(DENSITY_FORMS))
LOG_LIKELIHOODS, RESPONSIBILITIES, LABELS, LOG_DENSITIES = range(len(OUTPUTS))

NEGLIGIBLE = -70.0
"""Responsibilities below exp of this change no sum in its last digit; statistics skip them."""


def array_type(dtype, ndim):
    """Type of a contiguous array that is only read."""
    return types.Array(dtype, ndim, "C", readonly=True)


def row_types(dtype):
    """Types of a chunk's rows and weights, of any layout, and of the rows' numbers.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.
    """
    real = getattr(types, np.dtype(dtype).name)
    rows = types.Array(real, 2, "A", readonly=True)
    return rows, types.Array(types.float64, 1, "A", readonly=True), real


def operand_types(real):
    """Types of the fields of `fastgmm.parameters.Operands`."""
    matrix, vector = array_type(real, 2), array_type(real, 1)
    return array_type(types.float64, 1), matrix, array_type(real, 3), matrix, vector, vector


def _with_axis(array):
    """Type of arrays of many data sets, with an axis in front."""
    return array.copy(ndim=array.ndim + 1)


@entry_point
def statistics_pass(density_form, dtype):
    """Kernel that adds the statistics of each of some data sets to its row of `sums`.

    A chunk of rows is a data set too, and may be the only one.

    Parameters
    ----------
    density_form : str
        One of `DENSITY_FORMS`; it brings its moment form: outer, none, diagonal, trace.
    dtype : dtype
        float64 or float32: the type of the rows, and of all work on single points.

    Returns
    -------
    callable (X, sample_weight, offsets, numbers, labels, given, *operands, sums)
        Data set i has the rows offsets[i] to offsets[i + 1] of X (rows, d), and of sample_weight
        (rows,), which is empty for 1 everywhere. Only the data sets in numbers (m,) are read.
        Responsibilities are computed, or labels (rows,) say which component has a row for itself,
        or given (rows, k) holds them; what says nothing is empty. Operands, and sums as
        `SufficientStatistics` keeps them, have an axis of length m in front.
    """
    form = DENSITY_FORMS.index(density_form)
    rows, row_weights, real = row_types(dtype)
    integers = array_type(types.int64, 1)
    signature = types.void(
        rows,
        row_weights,
        integers,
        integers,
        array_type(types.int32, 1),
        types.Array(types.float64, 2, "A", readonly=True),
        *(_with_axis(array) for array in operand_types(real)),
        types.Array(types.float64, 2, "C"),
    )

    @kernel(signature=signature, variant=f"{density_form}_{dtype}")
    def add_statistics(
        X,
        sample_weight,
        offsets,
        numbers,
        labels,
        given,
        origin,
        means,
        factors,
        projected,
        scales,
        constants,
        sums,
    ):
        _, k, d = means.shape
        # What is needed while at work is shared by the data sets: to get it anew takes as long as
        # a hundred points.
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, form == CHOLESKY)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        # Their square roots, for outer moments.
        responsibilities = aligned_rows(k, tile_size, X) if form == ISOTROPIC else distances
        weights = np.empty(tile_size, dtype=X.dtype)
        norms = np.empty(tile_size, dtype=X.dtype)
        size = (sums.shape[1] - HEADER) // k
        about_origin = np.empty((k, size))
        computed = not (len(labels) or len(given))
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            blocks = sums[m][HEADER:].reshape(k, size)
            about_origin[:] = 0.0
            for start in range(first, last, tile_size):
                stop = min(start + tile_size, last)
                points = load_tile(X, start, stop, origin[m], tile)
                load_weights(sample_weight, start, stop, points, weights)
                # Distances serve the E-step, and as second moments where they are isotropic.
                if form == ISOTROPIC or computed:
                    if form == CHOLESKY:
                        all_cholesky_distances(
                            tile, points, means[m], factors[m], scratch, distances
                        )
                    elif form == SHARED_CHOLESKY:
                        whiten(tile, points, factors[m, 0], scratch)
                        isotropic_distances(scratch, points, projected[m], distances)
                    elif form == DIAGONAL:
                        diagonal_distances(tile, points, projected[m], factors[m, 0], distances)
                    else:
                        isotropic_distances(tile, points, projected[m], distances)
                if computed and form == CHOLESKY:
                    sums[m, 0] += normalize_to_roots(
                        distances,
                        points,
                        scales[m],
                        constants[m],
                        NEGLIGIBLE,
                        weights,
                        distances,
                        norms,
                    )
                elif computed:
                    sums[m, 0] += normalize(
                        distances,
                        points,
                        scales[m],
                        constants[m],
                        NEGLIGIBLE,
                        weights,
                        responsibilities,
                        norms,
                    )
                elif len(labels):
                    load_labels(labels, start, stop, points, weights, responsibilities)
                else:
                    load_responsibilities(given, start, stop, points, weights, responsibilities)
                # Those of 0 and 1 are the same.
                weighted_labels = len(labels) and len(sample_weight)
                if form == CHOLESKY and (len(given) or weighted_labels):
                    take_roots(responsibilities, points)
                if len(sample_weight):
                    sums[m, 1] = total_after(sums[m, 1], weights, stop - start)
                else:
                    sums[m, 1] += stop - start
                if form == CHOLESKY:
                    all_outer_moments(tile, points, means[m], responsibilities, scratch, blocks)
                elif form == DIAGONAL:
                    all_diagonal_moments(tile, points, means[m], responsibilities, blocks)
                else:
                    first_moments(tile, points, responsibilities, about_origin)
                    if form == ISOTROPIC:
                        trace_moments(distances, points, responsibilities, about_origin, d + 1)
            sums[m, 2] += last - first
            if form in (SHARED_CHOLESKY, ISOTROPIC):
                add_about_means(about_origin, means[m], blocks)

    return add_statistics


@kernel
def longest(offsets, numbers):
    """Rows of the longest of some data sets."""
    most = 0
    for number in numbers:
        most = max(most, offsets[number + 1] - offsets[number])
    return most


@kernel
def total_after(total, weights, count):
    """A sum, and then some weights added one after another: from a register, not from memory."""
    for t in range(count):
        total += weights[t]
    return total


@kernel
def add_about_means(about_origin, means, blocks):
    """Add blocks whose first moments are about the origin to such about the means."""
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            blocks[c, j] += about_origin[c, j] - about_origin[c, d] * means[c, j]
        for j in range(d, blocks.shape[1]):
            blocks[c, j] += about_origin[c, j]


_RUN = 256
"""Rows of which one feature after another is summed: they stay in a cache meanwhile."""


@entry_point
def totals_pass(dtype):
    """Kernel that adds the rows of each of some data sets to its row of `totals`, in float64.

    Parameters
    ----------
    dtype : dtype
        Type of the rows.

    Returns
    -------
    callable (X, offsets, totals)
        Data set i has the rows offsets[i] to offsets[i + 1] of X (rows, d); totals (sets, d).
    """
    rows, _, _ = row_types(dtype)
    totals_type = types.Array(types.float64, 2, "C")
    signature = types.void(rows, array_type(types.int64, 1), totals_type)

    @kernel(signature=signature, variant=str(rows.dtype))
    def add_totals(X, offsets, totals):
        for i in range(len(totals)):
            for start in range(offsets[i], offsets[i + 1], _RUN):
                run = X[start : min(start + _RUN, offsets[i + 1])]
                whole = len(run) // 4 * 4
                for j in range(X.shape[1]):
                    # Four sums side by side, for every addition waits for the one before.
                    a = b = c = d = np.float64(0.0)
                    for t in range(0, whole, 4):
                        a += run[t, j]
                        b += run[t + 1, j]
                        c += run[t + 2, j]
                        d += run[t + 3, j]
                    for t in range(whole, len(run)):
                        a += run[t, j]
                    totals[i, j] += (a + b) + (c + d)

    return add_totals


@entry_point
def scatter_pass(dtype):
    """Kernel that adds the outer moments of all rows of each of some data sets, in float64.

    Parameters
    ----------
    dtype : dtype
        Type of the rows.

    Returns
    -------
    callable (X, sample_weight, offsets, references, sums)
        Data sets as `statistics_pass` takes them; references (sets, d): a point for each to take
        moments about; sums, an axis in front, as `SufficientStatistics` keeps them for one
        component.
    """
    rows, weights, _ = row_types(dtype)
    signature = types.void(
        rows,
        weights,
        array_type(types.int64, 1),
        array_type(types.float64, 2),
        types.Array(types.float64, 2, "C"),
    )

    @kernel(signature=signature, variant=str(rows.dtype))
    def add_scatter(X, sample_weight, offsets, references, sums):
        n_sets, d = references.shape
        tile_size = tile_points(longest(offsets, np.arange(n_sets)), d, 1, 8, True)
        tile = aligned_rows(d + 1, tile_size, sums)
        scratch = aligned_rows(d + BLOCK, tile_size, sums)
        weights = np.empty((1, tile_size))
        zero = np.zeros(d)
        for i in range(n_sets):
            for start in range(offsets[i], offsets[i + 1], tile_size):
                stop = min(start + tile_size, offsets[i + 1])
                points = load_tile(X, start, stop, references[i], tile)
                load_weights(sample_weight, start, stop, points, weights[0])
                sums[i, 1] = total_after(sums[i, 1], weights[0], stop - start)
                if len(sample_weight):
                    take_roots(weights, points)
                outer_moments(tile, points, zero, weights[0], scratch, sums[i][HEADER:])
            sums[i, 2] += offsets[i + 1] - offsets[i]

    return add_scatter


@entry_point
def prediction_pass(density_form, dtype):
    """Kernel that writes predictions for a chunk of rows.

    Parameters
    ----------
    density_form : str
        One of `DENSITY_FORMS`.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, *operands, what, vector, matrix, labels)
        `what` is a place in `OUTPUTS`: vector (rows,) takes log-likelihoods, matrix (rows, k)
        responsibilities or log-densities, labels (rows,) labels; the other arrays are empty.
    """
    form = DENSITY_FORMS.index(density_form)
    rows, _, real = row_types(dtype)
    written = (types.Array(real, 1, "C"), types.Array(real, 2, "C"))
    outputs = (*written, types.Array(types.int64, 1, "C"))

    smallest = SMALLEST_EXP[real == types.float64]

    signature = types.void(rows, *operand_types(real), types.intp, *outputs)

    @kernel(signature=signature, variant=f"{density_form}_{real}")
    def predict(
        X, origin, means, factors, projected, scales, constants, what, vector, matrix, labels
    ):
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        weights = np.ones(tile_size, dtype=X.dtype)
        row = np.empty(tile_size, dtype=X.dtype)
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            if form == CHOLESKY:
                all_cholesky_distances(tile, points, means, factors, scratch, distances)
            elif form == SHARED_CHOLESKY:
                whiten(tile, points, factors[0], scratch)
                isotropic_distances(scratch, points, projected, distances)
            elif form == DIAGONAL:
                diagonal_distances(tile, points, projected, factors[0], distances)
            else:
                isotropic_distances(tile, points, projected, distances)
            if what == LABELS:
                assign(distances, points, scales, constants, row)
                for t in range(stop - start):
                    labels[start + t] = int(row[t])
            elif what == LOG_DENSITIES:
                for t in range(stop - start):
                    for c in range(k):
                        matrix[start + t, c] = constants[c] + scales[c] * distances[c, t]
            else:
                normalize(distances, points, scales, constants, smallest, weights, distances, row)
                if what == LOG_LIKELIHOODS:
                    for t in range(stop - start):
                        vector[start + t] = row[t]
                else:
                    for t in range(stop - start):
                        for c in range(k):
                            matrix[start + t, c] = distances[c, t]

    return predict
