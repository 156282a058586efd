"""Passes over rows without components: their sums, and their outer moments about a point."""

# ruff: noqa: F821  (names that the template leaves open)

from types import SimpleNamespace

from numba import types

from fastgmm.kernels.compile import as_written, entry_point, filled_in, kernel
from fastgmm.kernels.layout import BLOCK
from fastgmm.kernels.loading import add_totals, load_tile, load_weights, take_roots
from fastgmm.kernels.outer_moments import outer_moments_of_few, outer_moments_of_many
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.tiles import aligned_row, aligned_rows, longest_of_all, tile_points
from fastgmm.kernels.views import add_to, fill, lesser, part, sums_of_components


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
        as_written()
        for i in range(len(totals)):
            add_totals(X, offsets[i], offsets[i + 1], part(totals, i))

    return add_rows


_FEW = SimpleNamespace(moments_of_each=outer_moments_of_few)
_MANY = SimpleNamespace(moments_of_each=outer_moments_of_many)


@entry_point
def scatter_pass(dtype, few):
    """Kernel that adds the outer moments of all rows of each of some data sets, in float64.

    Parameters
    ----------
    dtype : dtype
        Type of the rows.
    few : bool
        Whether there are at most `BLOCK` features.

    Returns
    -------
    callable (X, sample_weight, offsets, references, origin, sums)
        Data sets as `statistics_pass` takes them; references (sets, d): a point for each to take
        moments about; origin (1, d), all zeros; sums, an axis in front, as `SufficientStatistics`
        keeps them for one component.
    """
    rows, weights, _ = row_types(dtype)
    signature = types.void(
        rows,
        weights,
        array_type(types.int64, 1),
        array_type(types.float64, 2),
        array_type(types.float64, 2),
        types.Array(types.float64, 2, "C"),
    )

    def add_scatter(X, sample_weight, offsets, references, origin, sums):
        as_written()
        n_sets, d = references.shape
        tile_size = tile_points(longest_of_all(offsets), d, 1, 8, True)
        tile = aligned_rows(d + 1, tile_size, sums)
        scratch = aligned_rows(d + BLOCK, tile_size, sums)
        roots, order = aligned_rows(1, tile_size, sums), aligned_row(1, sums)
        weights = part(roots, 0)
        fill(order, 0.0)
        for i in range(n_sets):
            sums_i, block, reference = (
                part(sums, i),
                sums_of_components(sums, i, 1),
                part(references, i),
            )
            first, last = offsets[i], offsets[i + 1]
            start = first
            while start < last:
                stop = lesser(start + tile_size, last)
                points = load_tile(X, start, stop, reference, tile)
                add_to(sums_i, 1, load_weights(sample_weight, start, stop, points, weights))
                if len(sample_weight):
                    take_roots(roots, points)
                moments_of_each(tile, points, origin, roots, order, 0, scratch, block)
                start = stop
            add_to(sums_i, 2, last - first)

    add_scatter = filled_in(add_scatter, _FEW if few else _MANY)
    return kernel(
        add_scatter, signature=signature, variant=f"{rows.dtype}_{'few' if few else 'many'}"
    )
