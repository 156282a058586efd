"""Passes over rows without components: their sums, and their outer moments about a point."""

from numba import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.layout import BLOCK, HEADER
from fastgmm.kernels.loading import add_totals, load_tile, load_weights, take_roots
from fastgmm.kernels.outer_moments import outer_moments
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.tiles import aligned_rows, longest_of_all, tile_points

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
    def add_rows(X, offsets, totals):
        for i in range(len(totals)):
            for start in range(offsets[i], offsets[i + 1], _RUN):
                add_totals(X, start, min(start + _RUN, offsets[i + 1]), totals[i])

    return add_rows


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
        tile_size = tile_points(longest_of_all(offsets), d, 1, 8, True)
        tile = aligned_rows(d + 1, tile_size, sums)
        scratch = aligned_rows(d + BLOCK, tile_size, sums)
        weights = aligned_rows(1, tile_size, sums)
        zero = aligned_rows(1, d, sums)[0, :d]
        zero[:] = 0.0
        for i in range(n_sets):
            first, last, sums_i = offsets[i], offsets[i + 1], sums[i]
            for start in range(first, last, tile_size):
                stop = min(start + tile_size, last)
                points = load_tile(X, start, stop, references[i], tile)
                sums_i[1] += load_weights(sample_weight, start, stop, points, weights[0])
                if len(sample_weight):
                    take_roots(weights, points)
                outer_moments(tile, points, zero, weights[0], scratch, sums_i[HEADER:])
            sums_i[2] += last - first

    return add_scatter
