"""Statistics of forms that read every row once: a template, filled in with the form's parts."""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.forms`)

import sys

import numpy as np

from fastgmm.kernels.compile import as_written, filled_in, kernel
from fastgmm.kernels.layout import BLOCK, HEADER, NEGLIGIBLE
from fastgmm.kernels.likely_distances import centred_distances_to_likely
from fastgmm.kernels.loading import load_given, load_tile, load_weights
from fastgmm.kernels.moments import add_about_means
from fastgmm.kernels.outer_moments import pooled_second_moments
from fastgmm.kernels.signatures import statistics_signature
from fastgmm.kernels.tiles import aligned_row, aligned_rows, longest, tile_points
from fastgmm.kernels.views import (
    add_to,
    fill,
    lesser,
    part,
    stretch,
    sums_of_components,
    with_axis,
)


def statistics_reading_once(form, dtype):
    """See `fastgmm.kernels.em_pass.statistics_pass`; careful or not is the same.

    Parameters
    ----------
    form : str
        A module of `fastgmm.kernels.forms`, by its whole name.
    dtype : dtype
    """

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
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, POOLED)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        responsibilities = aligned_rows(k, tile_size, X) if KEEPS_DISTANCES else distances
        weights, norms = aligned_row(tile_size, X), aligned_row(tile_size, X)
        # Behind the sums of the components stand those that are pooled over them.
        length = HEADER + k * (d + 1) if POOLED else sums.shape[1]
        size = (length - HEADER) // k
        about_origin = aligned_rows(k if SUMS_ABOUT_ORIGIN else 0, size, sums)
        central = aligned_row(k, X)
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            i = lesser(m, n_mixtures - 1)
            sums_m = part(sums, m)
            blocks = sums_of_components(with_axis(stretch(sums_m, 0, length)), 0, k)
            origin_m, means_m, projected_m = part(origin, i), part(means, i), part(projected, i)
            factors_m, scales_m, constants_m = part(factors, i), part(scales, i), part(constants, i)
            if SUMS_ABOUT_ORIGIN:
                fill(about_origin, 0.0)
            added = about_origin if SUMS_ABOUT_ORIGIN else blocks
            start = first
            while start < last:
                stop = lesser(start + tile_size, last)
                points = load_tile(X, start, stop, origin_m, tile)
                add_to(sums_m, 1, load_weights(sample_weight, start, stop, points, weights))
                if LIKELY_ALONE:
                    if computed:
                        axes = part(factors_m, 0)
                        centred_distances_to_likely(
                            tile, points, means_m, axes, scales_m, constants_m, central, distances
                        )
                elif computed or KEEPS_DISTANCES:
                    distances_to_all(
                        tile, points, means_m, factors_m, projected_m, central, scratch, distances
                    )
                if computed:
                    log_likelihood = weigh(
                        distances,
                        points,
                        scales_m,
                        constants_m,
                        NEGLIGIBLE,
                        weights,
                        responsibilities,
                        norms,
                    )
                    add_to(sums_m, 0, log_likelihood)
                else:
                    load_given(labels, given, start, stop, weights, responsibilities)
                add_moments_of_all(tile, points, means_m, distances, responsibilities, added)
                if POOLED:
                    pooled = stretch(sums_m, length, sums.shape[1] - length)
                    pooled_second_moments(tile, points, responsibilities, scratch, pooled)
                start = stop
            if SUMS_ABOUT_ORIGIN:
                add_about_means(about_origin, means_m, blocks)
            add_to(sums_m, 2, last - first)

    add_statistics = filled_in(add_statistics, sys.modules[form])
    variant = f"{form.rpartition('.')[2]}_{np.dtype(dtype)}"
    return kernel(add_statistics, signature=statistics_signature(dtype), variant=variant)
