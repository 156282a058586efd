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
    all_outer_moments,
    diagonal_moments,
    first_moments,
    outer_moments,
    trace_moments,
)
from fastgmm.kernels.responsibilities import assign, normalize, normalize_to_roots
from fastgmm.kernels.tiles import (
    aligned_rows,
    load_responsibilities,
    load_tile,
    load_weights,
    take_roots,
    tile_points,
)
from fastgmm.kernels.transpose import store_rows

CHOLESKY, SHARED_CHOLESKY, DIAGONAL, ISOTROPIC = range(len(DENSITY_FORMS))
LOG_LIKELIHOODS, RESPONSIBILITIES, LABELS, LOG_DENSITIES = range(len(OUTPUTS))

NEGLIGIBLE = -70.0
"""Responsibilities below exp of this change no sum in its last digit; statistics skip them."""

FARTHEST = {True: 8.0, False: 4.0}
"""Standard deviations from the origin up to which diagonal moments are taken about that, by whether
it is in float64: their squares are by how much more than a rounding the variances may be off. In
return each number takes two multiply-adds instead of four operations: from 32 features on, a pass
is 1.2 to 1.3 times as fast."""


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


def statistics_signature(dtype):
    """Signature of the kernels of `statistics_pass`."""
    rows, weights, real = row_types(dtype)
    given, sums = (
        types.Array(types.float64, 2, "A", readonly=True),
        types.Array(types.float64, 1, "C"),
    )
    return types.void(rows, weights, given, *operand_types(real), sums)


@entry_point
def statistics_pass(density_form, dtype):
    """Kernel that adds the statistics of a chunk of rows to `sums`.

    Parameters
    ----------
    density_form : str
        One of `DENSITY_FORMS`; it brings its moment form: outer, none, diagonal, trace.
    dtype : dtype
        float64 or float32: the type of the rows, and of all work on single points.

    Returns
    -------
    callable (X, sample_weight, given, *operands, sums)
        X (rows, d); sample_weight (rows,) or empty for 1 everywhere; given (rows, k)
        responsibilities, or empty to compute them; `sums` as `SufficientStatistics` keeps them.
    """
    form = DENSITY_FORMS.index(density_form)
    farthest = FARTHEST[np.dtype(dtype) == np.float64]

    @kernel(signature=statistics_signature(dtype), variant=f"{density_form}_{dtype}")
    def add_statistics(
        X, sample_weight, given, origin, means, factors, projected, scales, constants, sums
    ):
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize, form == CHOLESKY)
        tile = aligned_rows(2 * d + 1 if form == DIAGONAL else d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        # Their square roots, for outer moments.
        responsibilities = aligned_rows(k, tile_size, X) if form == ISOTROPIC else distances
        weights = np.empty(tile_size, dtype=X.dtype)
        norms = np.empty(tile_size, dtype=X.dtype)
        blocks = sums[HEADER:].reshape(k, (len(sums) - HEADER) // k)
        about_origin = blocks if form == CHOLESKY else np.zeros_like(blocks)
        near = np.zeros(k, dtype=np.bool_)
        if form == DIAGONAL and not len(given):
            mark_near(projected, farthest, near)
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            sums[1] += load_weights(sample_weight, start, stop, points, weights)
            # Distances serve the E-step, and as second moments where they are isotropic.
            if form == ISOTROPIC or not len(given):
                if form == CHOLESKY:
                    all_cholesky_distances(tile, points, means, factors, scratch, distances)
                elif form == SHARED_CHOLESKY:
                    whiten(tile, points, factors[0], scratch)
                    isotropic_distances(scratch, points, projected, distances)
                elif form == DIAGONAL:
                    diagonal_distances(tile, points, projected, factors[0], distances)
                else:
                    isotropic_distances(tile, points, projected, distances)
            if len(given):
                load_responsibilities(given, start, stop, points, weights, responsibilities)
                if form == CHOLESKY:
                    take_roots(responsibilities, points)
            elif form == CHOLESKY:
                # Outer moments take square roots of the responsibilities.
                sums[0] += normalize_to_roots(
                    distances, points, scales, constants, NEGLIGIBLE, weights, distances, norms
                )
            else:
                sums[0] += normalize(
                    distances,
                    points,
                    scales,
                    constants,
                    NEGLIGIBLE,
                    weights,
                    responsibilities,
                    norms,
                )
            if form == CHOLESKY:
                all_outer_moments(tile, points, means, responsibilities, scratch, blocks)
            elif form == DIAGONAL:
                if near.any():
                    append_squares(tile, points)
                    first_moments(tile, points, responsibilities, about_origin)
                for c in range(k):
                    if not near[c]:
                        diagonal_moments(tile, points, means[c], responsibilities[c], blocks[c])
            else:
                first_moments(tile, points, responsibilities, about_origin)
                if form == ISOTROPIC:
                    trace_moments(distances, points, responsibilities, about_origin, d + 1)
        sums[2] += n
        if form in (SHARED_CHOLESKY, ISOTROPIC):
            add_about_means(about_origin, means, blocks)
        elif form == DIAGONAL:
            add_squares_about_means(about_origin, means, near, blocks)

    return add_statistics


@kernel
def add_about_means(about_origin, means, blocks):
    """Add blocks whose first moments are about the origin to such about the means."""
    k, d = means.shape
    for c in range(k):
        for j in range(d):
            blocks[c, j] += about_origin[c, j] - about_origin[c, d] * means[c, j]
        for j in range(d, blocks.shape[1]):
            blocks[c, j] += about_origin[c, j]


@kernel
def mark_near(scaled_means, farthest, near):
    """Components so near to the origin, in standard deviations, that moments about it will do."""
    for c in range(len(near)):
        near[c] = True
        for j in range(scaled_means.shape[1]):
            near[c] &= abs(scaled_means[c, j]) <= farthest


@kernel
def append_squares(tile, points):
    """Below the rows of a tile and its row of ones: the squares of the rows."""
    d = len(tile) // 2
    for j in range(d):
        for t in range(points):
            tile[d + 1 + j, t] = tile[j, t] * tile[j, t]


@kernel
def add_squares_about_means(about_origin, means, near, blocks):
    """Add diagonal moments about the origin of the components that are near to it."""
    k, d = means.shape
    for c in range(k):
        if near[c]:
            weight = about_origin[c, d]
            blocks[c, d] += weight
            for j in range(d):
                mean, first = np.float64(means[c, j]), about_origin[c, j]
                second = about_origin[c, d + 1 + j]
                blocks[c, j] += first - weight * mean
                blocks[c, d + 1 + j] += second - mean * (2.0 * first - weight * mean)


@entry_point
def scatter_pass(dtype):
    """Kernel that adds the outer moments of all rows about one point, in float64.

    Parameters
    ----------
    dtype : dtype
        Type of the rows.

    Returns
    -------
    callable (X, sample_weight, reference, sums)
        reference (d,), sums as `SufficientStatistics` keeps them for one component.
    """
    rows, weights, _ = row_types(dtype)
    reference_type, sums_type = array_type(types.float64, 1), types.Array(types.float64, 1, "C")

    signature = types.void(rows, weights, reference_type, sums_type)

    @kernel(signature=signature, variant=str(rows.dtype))
    def add_scatter(X, sample_weight, reference, sums):
        n, d = X.shape
        tile_size = tile_points(n, d, 1, 8, True)
        tile = aligned_rows(d + 1, tile_size, sums)
        scratch = aligned_rows(d + BLOCK, tile_size, sums)
        weights = np.empty((1, tile_size))
        zero = np.zeros(d)
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, reference, tile)
            sums[1] += load_weights(sample_weight, start, stop, points, weights[0])
            take_roots(weights, points)
            outer_moments(tile, points, zero, weights[0], scratch, sums[HEADER:])
        sums[2] += n

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
    callable (X, *operands, what, vector, matrix, labels) -> float
        `what` is a place in `OUTPUTS`: vector (rows,) takes log-likelihoods, matrix (rows, k)
        responsibilities or log-densities, labels (rows,) labels; the other arrays are empty.
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
        tile_size = tile_points(n, d, k, X.itemsize)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        weights = np.ones(tile_size, dtype=X.dtype)
        row = np.empty(tile_size, dtype=X.dtype)
        total = 0.0
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
                for c in range(k):
                    for t in range(points):
                        distances[c, t] = constants[c] + scales[c] * distances[c, t]
                store_rows(distances, stop - start, matrix, start)
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
