"""Statistics of forms that read every row once: a template, filled in with the form's parts."""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.forms`)

import sys

import numpy as np

from fastgmm.kernels.compile import filled_in, kernel
from fastgmm.kernels.layout import BLOCK, HEADER, NEGLIGIBLE
from fastgmm.kernels.loading import load_given, load_tile, load_weights
from fastgmm.kernels.moments import add_about_means
from fastgmm.kernels.signatures import statistics_signature
from fastgmm.kernels.tiles import aligned_rows, longest, tile_points


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
        _, k, d = means.shape
        computed = not (len(labels) or len(given))
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        responsibilities = aligned_rows(k, tile_size, X) if KEEPS_DISTANCES else distances
        weights, norms = aligned_rows(2, tile_size, X)
        size = (sums.shape[1] - HEADER) // k
        about_origin = aligned_rows(k if SUMS_ABOUT_ORIGIN else 0, size, sums)
        central = aligned_rows(1, k, X)[0]
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            blocks = sums[m][HEADER:].reshape(k, size)
            if SUMS_ABOUT_ORIGIN:
                about_origin[:] = 0.0
            added = about_origin if SUMS_ABOUT_ORIGIN else blocks
            for start in range(first, last, tile_size):
                stop = min(start + tile_size, last)
                points = load_tile(X, start, stop, origin[m], tile)
                sums[m, 1] += load_weights(sample_weight, start, stop, points, weights)
                if computed or KEEPS_DISTANCES:
                    distances_to_all(
                        tile,
                        points,
                        means[m],
                        factors[m],
                        projected[m],
                        central,
                        scratch,
                        distances,
                    )
                if computed:
                    sums[m, 0] += weigh(
                        distances,
                        points,
                        scales[m],
                        constants[m],
                        NEGLIGIBLE,
                        weights,
                        responsibilities,
                        norms,
                    )
                else:
                    load_given(labels, given, start, stop, weights, responsibilities)
                add_moments_of_all(tile, points, means[m], distances, responsibilities, added)
            if SUMS_ABOUT_ORIGIN:
                add_about_means(about_origin, means[m], blocks)
            sums[m, 2] += last - first

    add_statistics = filled_in(add_statistics, sys.modules[form])
    variant = f"{form.rpartition('.')[2]}_{np.dtype(dtype)}"
    return kernel(add_statistics, signature=statistics_signature(dtype), variant=variant)
