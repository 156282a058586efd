"""Scales of the features for each component, and moments of each feature by itself.

The moments of components near the origin are taken about it, many at once, and then moved to their
means (`fastgmm.kernels.central`).
"""

import numpy as np

from fastgmm.kernels.central import MOST_LOST, mark_central_along_axes, mark_none
from fastgmm.kernels.compile import as_written, entry_point, inlined, kernel
from fastgmm.kernels.forms.listed import take_listed
from fastgmm.kernels.layout import HEADER, NEGLIGIBLE
from fastgmm.kernels.loading import load_given, load_tile, load_weights
from fastgmm.kernels.log_density import diagonal_distances
from fastgmm.kernels.moments import (
    add_squares_about_means,
    append_squares,
    diagonal_moments,
    diagonal_moments_of_others,
    first_moments,
)
from fastgmm.kernels.responsibilities import normalize
from fastgmm.kernels.signatures import statistics_signature
from fastgmm.kernels.tiles import aligned_row, aligned_rows, longest, tile_points
from fastgmm.kernels.views import add_to, fill, lesser, part, stretch, sums_of_components

KEEPS_DISTANCES = False
SUMS_ABOUT_ORIGIN = False
POOLED = False
FEW_APART = False
prepare = mark_none
weigh = normalize


@inlined
def distances_to_all(tile, points, means, factors, projected, central, scratch, distances):
    diagonal_distances(tile, points, projected, part(factors, 0), distances)


@inlined
def distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances):
    _, factors, projected, _ = operands
    near_projected, near_factors = part(room, 0), part(room, 1)
    take_listed(projected, near, begin, end, near_projected)
    take_listed(part(factors, 0), near, begin, end, near_factors)
    count = end - begin
    diagonal_distances(
        tile,
        points,
        stretch(near_projected, begin, count),
        stretch(near_factors, begin, count),
        stretch(distances, begin, count),
    )


@inlined
def add_moments_of_listed(
    tile, points, near, count, means, distances, responsibilities, scratch, near_sums, blocks
):
    for i in range(count):
        c = near[i]
        diagonal_moments(tile, points, part(means, c), part(responsibilities, i), part(blocks, c))


@entry_point
def statistics(dtype):
    """See `fastgmm.kernels.em_pass.statistics_pass`."""
    most_lost = MOST_LOST[np.dtype(dtype) == np.float64]

    @kernel(signature=statistics_signature(dtype), variant=str(dtype))
    def add_statistics(
        X,
        sample_weight,
        offsets,
        numbers,
        labels,
        given,
        careful,
        origin,
        means,
        factors,
        projected,
        scales,
        constants,
        sums,
    ):
        as_written()
        n_mixtures, k, d = means.shape
        computed = not (len(labels) or len(given))
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, False)
        tile = aligned_rows(2 * d + 1, tile_size, X)
        size = (sums.shape[1] - HEADER) // k
        about_origin = aligned_rows(k, size, sums)
        # Distances first, then responsibilities.
        responsibilities = aligned_rows(k, tile_size, X)
        weights, norms = aligned_row(tile_size, X), aligned_row(tile_size, X)
        central = aligned_row(k, X)
        fill(central, 0.0)
        n_central = 0
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            i = lesser(m, n_mixtures - 1)
            sums_m, blocks = part(sums, m), sums_of_components(sums, m, k)
            origin_m, means_m, projected_m = part(origin, i), part(means, i), part(projected, i)
            scales_m, constants_m = part(scales, i), part(constants, i)
            axes = part(part(factors, i), 0)
            fill(about_origin, 0.0)
            if computed and not careful:
                n_central = mark_central_along_axes(projected_m, central)
            again = False
            while True:
                start = first
                while start < last:
                    stop = lesser(start + tile_size, last)
                    points = load_tile(X, start, stop, origin_m, tile)
                    total_weight = load_weights(sample_weight, start, stop, points, weights)
                    if not again:
                        add_to(sums_m, 1, total_weight)
                    if computed:
                        diagonal_distances(tile, points, projected_m, axes, responsibilities)
                        log_likelihood = normalize(
                            responsibilities,
                            points,
                            scales_m,
                            constants_m,
                            NEGLIGIBLE,
                            weights,
                            responsibilities,
                            norms,
                        )
                        if not again:
                            add_to(sums_m, 0, log_likelihood)
                    else:
                        load_given(labels, given, start, stop, weights, responsibilities)
                    if n_central:
                        append_squares(tile, points)
                        first_moments(tile, points, responsibilities, about_origin)
                    diagonal_moments_of_others(
                        tile, points, means_m, responsibilities, central, blocks
                    )
                    start = stop
                again = False
                if n_central:
                    again = add_squares_about_means(
                        about_origin, means_m, most_lost, central, blocks
                    )
                if not again:
                    break
                # Of components that shrank, digits were lost: theirs alone, about their means.
                n_central = 0
            add_to(sums_m, 2, last - first)

    return add_statistics
