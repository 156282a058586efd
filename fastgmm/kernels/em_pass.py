"""The passes over rows: statistics for the M-step, predictions, and log-densities.

All are made for one density form at a time, an integer that the compiler sees as a constant, so
that what belongs to other forms is not compiled.
"""

import numpy as np
from numba import types

from fastgmm.kernels.central import MOST_LOST, mark_central
from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.elementary import SMALLEST_EXP
from fastgmm.kernels.layout import BLOCK, DENSITY_FORMS, HEADER, OUTPUTS
from fastgmm.kernels.loading import (
    load_labels,
    load_responsibilities,
    load_tile,
    load_weights,
    take_roots,
)
from fastgmm.kernels.log_density import distances_to_all
from fastgmm.kernels.moments import (
    add_about_means,
    add_squares_about_means,
    append_squares,
    diagonal_moments,
    first_moments,
    trace_moments,
)
from fastgmm.kernels.outer_moments import outer_moments_of_each
from fastgmm.kernels.responsibilities import assign, normalize, normalize_to_roots
from fastgmm.kernels.shared_moments import (
    MOST_FEATURES,
    POINTS,
    PRODUCTS,
    add_shared_about_means,
    choose_shared,
    shared_outer_moments,
)
from fastgmm.kernels.tiles import aligned_rows, longest, tile_points, whole_groups
from fastgmm.kernels.transpose import store_rows

CHOLESKY, SHARED_CHOLESKY, DIAGONAL, ISOTROPIC = range(len(DENSITY_FORMS))
LOG_LIKELIHOODS, RESPONSIBILITIES, LABELS, _ = range(len(OUTPUTS))

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
    is_double = np.dtype(dtype) == np.float64
    most_lost, most_features = MOST_LOST[is_double], MOST_FEATURES[is_double]
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
        computed = not (len(labels) or len(given))
        # What is needed while at work is shared by the data sets: to get it anew takes as long as
        # a hundred points.
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, form == CHOLESKY)
        tile = aligned_rows(2 * d + 1 if form == DIAGONAL else d + 1, tile_size, X)
        size = (sums.shape[1] - HEADER) // k
        scratch_rows = d + BLOCK
        if form == CHOLESKY:
            products, columns = 0, 0
            if BLOCK < d <= most_features and computed:
                products = (d + 1) * (d + 2) // 2 + PRODUCTS  # n_products(d)
                columns = whole_groups(k, sums.itemsize)
            about_origin = aligned_rows(products, columns, sums)
            # The same memory serves distances, and moments of one component or of all together.
            shared_size = POINTS * (PRODUCTS + about_origin.shape[1])
            scratch_rows = max(scratch_rows, shared_size // tile_size + 1)
        else:
            about_origin = aligned_rows(k, size, sums)
        scratch = aligned_rows(scratch_rows, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        responsibilities = aligned_rows(k, tile_size, X) if form == ISOTROPIC else distances
        weights, norms = aligned_rows(2, tile_size, X)
        central, order = aligned_rows(2, k, X)
        for c in range(k):
            central[c], order[c] = 0.0, c
        n_central = n_shared = 0
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            blocks = sums[m][HEADER:].reshape(k, size)
            means_m = means[m]
            if form == CHOLESKY:
                if computed:
                    mark_central(form, projected[m], central)
                    n_shared = choose_shared(central, means_m, last - first, order)
                if n_shared:
                    about_origin[:] = 0.0
            else:
                about_origin[:] = 0.0
            if form == DIAGONAL:
                if computed:
                    n_central = mark_central(form, projected[m], central)
            begin, again = n_shared, False
            for _ in range(2):
                for start in range(first, last, tile_size):
                    stop = min(start + tile_size, last)
                    points = load_tile(X, start, stop, origin[m], tile)
                    total_weight = load_weights(sample_weight, start, stop, points, weights)
                    if not again:
                        sums[m, 1] += total_weight
                    # Distances serve the E-step, and as second moments where they are isotropic.
                    if form == ISOTROPIC or computed:
                        distances_to_all(
                            form,
                            tile,
                            points,
                            means_m,
                            factors[m],
                            projected[m],
                            central,
                            scratch,
                            distances,
                        )
                    if computed:
                        if form == CHOLESKY:
                            # Outer moments take square roots of the responsibilities.
                            weigh = normalize_to_roots
                        else:
                            weigh = normalize
                        log_likelihood = weigh(
                            distances,
                            points,
                            scales[m],
                            constants[m],
                            NEGLIGIBLE,
                            weights,
                            responsibilities,
                            norms,
                        )
                        if not again:
                            sums[m, 0] += log_likelihood
                    elif len(labels):
                        load_labels(labels, start, stop, weights, responsibilities)
                    else:
                        load_responsibilities(given, start, stop, weights, responsibilities)
                    # Those of 0 and 1 are the same.
                    weighted_labels = len(labels) and len(sample_weight)
                    if form == CHOLESKY and (len(given) or weighted_labels):
                        take_roots(responsibilities, points)
                    if form == CHOLESKY:
                        if n_shared:
                            shared_outer_moments(
                                tile,
                                points,
                                responsibilities,
                                order,
                                n_shared,
                                scratch,
                                about_origin,
                            )
                        outer_moments_of_each(
                            tile, points, means_m, responsibilities, order, begin, scratch, blocks
                        )
                    elif form == DIAGONAL:
                        if n_central:
                            append_squares(tile, points)
                            first_moments(tile, points, responsibilities, about_origin)
                        for c in range(k):
                            if not central[c]:
                                diagonal_moments(
                                    tile, points, means_m[c], responsibilities[c], blocks[c]
                                )
                    else:
                        first_moments(tile, points, responsibilities, about_origin)
                        if form == ISOTROPIC:
                            trace_moments(distances, points, responsibilities, about_origin, d + 1)
                if form == CHOLESKY:
                    begin = k
                    if n_shared:
                        begin -= add_shared_about_means(
                            about_origin, order, n_shared, means_m, blocks
                        )
                    again = begin < k
                elif form == DIAGONAL:
                    again = False
                    if n_central:
                        again = add_squares_about_means(
                            about_origin, means_m, most_lost, central, blocks
                        )
                else:
                    add_about_means(about_origin, means_m, blocks)
                if not again:
                    break
                # Of components that shrank, digits were lost: theirs alone, about their means.
                n_shared = n_central = 0
            sums[m, 2] += last - first

    return add_statistics


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
    callable (X, *operands, what, vector, matrix, labels) -> float
        `what` is a place in `OUTPUTS`: vector (rows,) takes log-likelihoods, matrix (rows, k)
        responsibilities, labels (rows,) labels; the other arrays are empty.
        Returns a number that is finite if all rows have likelihoods, where these are computed.
    """
    form = DENSITY_FORMS.index(density_form)
    rows, _, real = row_types(dtype)
    written = (types.Array(real, 1, "C"), types.Array(real, 2, "C"))
    outputs = (*written, types.Array(types.int64, 1, "C"))

    smallest = SMALLEST_EXP[real == types.float64]

    signature = types.float64(rows, *operand_types(real), types.intp, *outputs)

    @kernel(signature=signature, variant=f"{density_form}_{real}")
    def predict(
        X, origin, means, factors, projected, scales, constants, what, vector, matrix, labels
    ):
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        weights, row = aligned_rows(2, tile_size, X)
        central = aligned_rows(1, k, X)[0]
        if form == CHOLESKY:
            mark_central(form, projected, central)
        for t in range(tile_size):
            weights[t] = 1.0
        total = 0.0
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            distances_to_all(
                form, tile, points, means, factors, projected, central, scratch, distances
            )
            if what == LABELS:
                assign(distances, points, scales, constants, row)
                for t in range(stop - start):
                    labels[start + t] = int(row[t])
            else:
                total += normalize(
                    distances, points, scales, constants, smallest, weights, distances, row
                )
                if what == LOG_LIKELIHOODS:
                    for t in range(stop - start):
                        vector[start + t] = row[t]
                else:
                    store_rows(distances, stop - start, matrix, start)
        return total

    return predict


@entry_point
def log_density_pass(density_form, dtype):
    """Kernel that writes the weighted log-densities of a chunk of rows.

    Parameters
    ----------
    density_form : str
        One of `DENSITY_FORMS`.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, *operands, log_densities)
        log_densities (rows, k).
    """
    form = DENSITY_FORMS.index(density_form)
    rows, _, real = row_types(dtype)
    signature = types.void(rows, *operand_types(real), types.Array(real, 2, "C"))

    @kernel(signature=signature, variant=f"{density_form}_{real}")
    def weigh(X, origin, means, factors, projected, scales, constants, log_densities):
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        central = aligned_rows(1, k, X)[0]
        if form == CHOLESKY:
            mark_central(form, projected, central)
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            distances_to_all(
                form, tile, points, means, factors, projected, central, scratch, distances
            )
            for c in range(k):
                for t in range(points):
                    distances[c, t] = constants[c] + scales[c] * distances[c, t]
            store_rows(distances, stop - start, log_densities, start)

    return weigh
