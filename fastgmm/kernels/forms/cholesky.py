"""A Cholesky factor of the precision for each component, and outer moments.

The only form with components whose moments are taken about the origin, many at once, and then moved
to their means (`fastgmm.kernels.central`, `fastgmm.kernels.shared_moments`).
"""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.forms`)

from types import SimpleNamespace

import numpy as np

from fastgmm.kernels.central import mark_central
from fastgmm.kernels.compile import as_written, entry_point, filled_in, inlined, kernel
from fastgmm.kernels.layout import BLOCK, NEGLIGIBLE
from fastgmm.kernels.loading import load_given, load_tile, load_weights, take_roots
from fastgmm.kernels.log_density import (
    cholesky_distances,
    cholesky_distances_of_few,
    cholesky_distances_of_many,
    cholesky_distances_to_all,
)
from fastgmm.kernels.outer_moments import (
    outer_moments,
    outer_moments_of_few,
    outer_moments_of_many,
)
from fastgmm.kernels.responsibilities import normalize_to_roots
from fastgmm.kernels.shared_moments import (
    MOST_FEATURES,
    POINTS,
    PRODUCTS,
    add_shared_about_means,
    choose_shared,
    shared_outer_moments,
)
from fastgmm.kernels.signatures import statistics_signature
from fastgmm.kernels.tiles import aligned_row, aligned_rows, longest, tile_points, whole_groups
from fastgmm.kernels.views import add_to, count_up, fill, greater, lesser, part, sums_of_components

KEEPS_DISTANCES = False
SUMS_ABOUT_ORIGIN = False
POOLED = False
FEW_APART = True
prepare = mark_central
weigh = normalize_to_roots
"""Outer moments take square roots of the responsibilities."""


@inlined
def distances_to_all(tile, points, means, factors, projected, central, scratch, distances):
    cholesky_distances_to_all(tile, points, means, factors, projected, central, scratch, distances)


@inlined
def distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances):
    means, factors, projected, central = operands
    for i in range(begin, end):
        c = near[i]
        cholesky_distances(
            tile,
            points,
            part(means, c),
            part(factors, c),
            part(projected, c),
            central[c],
            scratch,
            part(distances, i),
        )


@inlined
def add_moments_of_listed(
    tile, points, near, count, means, distances, roots, scratch, near_sums, blocks
):
    for i in range(count):
        c = near[i]
        outer_moments(tile, points, part(means, c), part(roots, i), scratch, part(blocks, c))


_FEW = SimpleNamespace(
    distances_of_all=cholesky_distances_of_few, moments_of_each=outer_moments_of_few, SHARED=False
)
_MANY = SimpleNamespace(
    distances_of_all=cholesky_distances_of_many, moments_of_each=outer_moments_of_many, SHARED=True
)
"""What `statistics` takes for up to `BLOCK` features, and for more.

A first fit should not wait for both to be compiled.
"""


@entry_point
def statistics(dtype, few):
    """See `fastgmm.kernels.em_pass.statistics_pass`.

    Parameters
    ----------
    dtype : dtype
    few : bool
        Whether there are at most `BLOCK` features.
    """
    most_features = MOST_FEATURES[np.dtype(dtype) == np.float64]

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
        # What is needed while at work is shared by the data sets: to get it anew takes as long as
        # a hundred points.
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, True)
        tile = aligned_rows(d + 1, tile_size, X)
        products, columns = 0, 0
        if SHARED and d <= most_features and computed and not careful:
            products = (d + 1) * (d + 2) // 2 + PRODUCTS  # n_products(d)
            columns = whole_groups(k, sums.itemsize)
        about_origin = aligned_rows(products, columns, sums)
        # The same memory serves distances, and moments of one component or of all together.
        shared_size = POINTS * (PRODUCTS + about_origin.shape[1])
        scratch = aligned_rows(greater(d + BLOCK, shared_size // tile_size + 1), tile_size, X)
        # Distances first, then the square roots of responsibilities, which outer moments take.
        roots = aligned_rows(k, tile_size, X)
        weights, norms = aligned_row(tile_size, X), aligned_row(tile_size, X)
        central, order = aligned_row(k, X), aligned_row(k, X)
        fill(central, 0.0)
        count_up(order)
        # The square roots of 0 and 1 are 0 and 1.
        rooted = computed or (len(labels) > 0 and len(sample_weight) == 0)
        n_shared = 0
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            i = lesser(m, n_mixtures - 1)
            sums_m, blocks = part(sums, m), sums_of_components(sums, m, k)
            origin_m, means_m, projected_m = part(origin, i), part(means, i), part(projected, i)
            factors_m, scales_m, constants_m = part(factors, i), part(scales, i), part(constants, i)
            if SHARED:
                if computed and not careful:
                    mark_central(projected_m, central)
                    n_shared = choose_shared(central, means_m, last - first, order)
                if n_shared:
                    fill(about_origin, 0.0)
            begin, again = n_shared, False
            while True:
                start = first
                while start < last:
                    stop = lesser(start + tile_size, last)
                    points = load_tile(X, start, stop, origin_m, tile)
                    total_weight = load_weights(sample_weight, start, stop, points, weights)
                    if not again:
                        add_to(sums_m, 1, total_weight)
                    if computed:
                        distances_of_all(
                            tile, points, means_m, factors_m, projected_m, central, scratch, roots
                        )
                        log_likelihood = normalize_to_roots(
                            roots,
                            points,
                            scales_m,
                            constants_m,
                            NEGLIGIBLE,
                            weights,
                            roots,
                            norms,
                        )
                        if not again:
                            add_to(sums_m, 0, log_likelihood)
                    else:
                        load_given(labels, given, start, stop, weights, roots)
                    if not rooted:
                        take_roots(roots, points)
                    if SHARED and n_shared:
                        shared_outer_moments(
                            tile, points, roots, order, n_shared, scratch, about_origin
                        )
                    moments_of_each(tile, points, means_m, roots, order, begin, scratch, blocks)
                    start = stop
                begin = k
                if SHARED and n_shared:
                    begin -= add_shared_about_means(about_origin, order, n_shared, means_m, blocks)
                again = begin < k
                if not again:
                    break
                # Of components that shrank, digits were lost: theirs alone, about their means.
                n_shared = 0
            add_to(sums_m, 2, last - first)

    add_statistics = filled_in(add_statistics, _FEW if few else _MANY)
    variant = f"{dtype}_{'few' if few else 'many'}"
    return kernel(add_statistics, signature=statistics_signature(dtype), variant=variant)
