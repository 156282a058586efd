r"""The E-step over rows in cells: what a bound shows to be negligible is not computed.

Where many components lie far apart, most have no share in most rows. For a cell whose rows all lie
within r of its center m, and a component with mean mu and factor U,

.. math:: \|U^T (x - \mu)\| \ge \|U^T (m - \mu)\| - s r, \qquad s \ge \|U\|,

bounds the log-density of the cell's rows from above (the triangle inequality, which spares k-means
distances likewise: Elkan 2003). A cell computes only the components whose bound is not far below
what every row of it reaches with the likeliest.
"""

# ruff: noqa: F821  (names that the template leaves open, see `fastgmm.kernels.forms`)

import numpy as np

from fastgmm.kernels.compile import as_written, entry_point, filled_in, kernel
from fastgmm.kernels.forms import parts_of
from fastgmm.kernels.layout import BLOCK, HEADER, NEGLIGIBLE, check_forms
from fastgmm.kernels.loading import load_tile, load_weights
from fastgmm.kernels.moments import add_about_means
from fastgmm.kernels.outer_moments import pooled_second_moments
from fastgmm.kernels.signatures import near_signature
from fastgmm.kernels.tiles import aligned_row, aligned_rows, whole_groups
from fastgmm.kernels.views import (
    add_to,
    fill,
    lesser,
    part,
    stretch,
    sums_of_components,
    with_axis,
)

_BATCH = 64
"""Cells whose centers are compared with the components at once: a tile of centers."""

_SLACK = 1e-4
"""Relative error of a distance, generously, in float32 too."""


@entry_point
def near_statistics_pass(forms, dtype):
    """Kernel that adds the statistics of a chunk of cells to `sums`.

    Parameters
    ----------
    forms, dtype
        See `fastgmm.kernels.em_pass.statistics_pass`.

    Returns
    -------
    callable (X, sample_weight, ends, centers, radii, spreads, careful, *operands, sums)
        X (rows, d); sample_weight (rows,) or empty for 1 everywhere; ends (m,), where in X each
        cell ends; centers (m, d); radii (m,), around them; spreads (k,), by how much at most a
        component's distances, not squared, change per unit of the radii; `careful` and `sums` as
        for `statistics_pass`, without an axis for data sets.
    """
    forms = check_forms(*forms)

    def add_near_statistics(
        X,
        sample_weight,
        ends,
        centers,
        radii,
        spreads,
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
        n_cells, n_noise = len(ends), len(constants) - len(means)
        k, d = means.shape
        tile_size = whole_groups(_largest(ends), X.itemsize)
        tile, scratch = aligned_rows(d + 1, tile_size, X), aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        responsibilities = aligned_rows(k, tile_size, X) if KEEPS_DISTANCES else distances
        weights, norms = aligned_row(tile_size, X), aligned_row(tile_size, X)
        batch, batch_scratch = aligned_rows(d + 1, _BATCH, X), aligned_rows(d + BLOCK, _BATCH, X)
        to_centers = aligned_rows(k, _BATCH, X)
        listed, counts = np.empty((_BATCH, k + 1), np.int64), np.empty(_BATCH, np.int64)
        # Operands and sums of the components that are near, side by side.
        near_scales, near_constants = aligned_row(k, X), aligned_row(k + n_noise, X)
        room = np.empty((2, k, d), X.dtype)
        # Behind the sums of the components stand those that are pooled over them.
        length = HEADER + k * (d + 1) if POOLED else len(sums)
        blocks = sums_of_components(with_axis(stretch(sums, 0, length)), 0, k)
        pooled = stretch(sums, length, len(sums) - length)
        moved, size = k if SUMS_ABOUT_ORIGIN else 0, (length - HEADER) // k
        about_origin, near_sums = aligned_rows(moved, size, sums), aligned_rows(moved, size, sums)
        fill(about_origin, 0.0)
        added = about_origin if SUMS_ABOUT_ORIGIN else blocks
        central = aligned_row(k, X)
        fill(central, 0.0)
        operands = means, factors, projected, central
        if not careful:
            prepare(projected, central)
        start = 0
        for first in range(0, n_cells, _BATCH):
            last = lesser(first + _BATCH, n_cells)
            points = load_tile(centers, first, last, origin, batch)
            distances_to_all(
                batch, points, means, factors, projected, central, batch_scratch, to_centers
            )
            reach = stretch(radii, first, last - first)
            _list_near(to_centers, reach, spreads, scales, constants, listed, counts)
            for cell in range(first, last):
                stop = ends[cell]
                points = load_tile(X, start, stop, origin, tile)
                add_to(sums, 1, load_weights(sample_weight, start, stop, points, weights))
                near, count = part(listed, cell - first), counts[cell - first]
                # The likeliest first: its distances tell which others have to be computed.
                for begin, end in ((0, 1), (1, count)):
                    end = lesser(end, count)
                    for i in range(begin, end):
                        near_scales[i], near_constants[i] = scales[near[i]], constants[near[i]]
                    distances_to_listed(
                        tile, points, near, begin, end, operands, room, scratch, distances
                    )
                    if begin == 0:
                        found = distances, stop - start, to_centers, cell - first
                        given = radii[cell], spreads, scales, constants
                        count = _keep_near(near, count, *found, *given)
                if n_noise:
                    near_constants[count] = constants[k]
                to_near, shares = stretch(distances, 0, count), stretch(responsibilities, 0, count)
                scale = stretch(near_scales, 0, count)
                constant = stretch(near_constants, 0, count + n_noise)
                log_likelihood = weigh(
                    to_near, points, scale, constant, NEGLIGIBLE, weights, shares, norms
                )
                add_to(sums, 0, log_likelihood)
                add_moments_of_listed(
                    tile, points, near, count, means, to_near, shares, scratch, near_sums, added
                )
                if POOLED:
                    pooled_second_moments(tile, points, shares, scratch, pooled)
                start = stop
        add_to(sums, 2, len(X))
        if SUMS_ABOUT_ORIGIN:
            add_about_means(about_origin, means, blocks)

    add_near_statistics = filled_in(add_near_statistics, parts_of(forms))
    variant = f"{forms.density}_{forms.moments}_{np.dtype(dtype)}"
    return kernel(add_near_statistics, signature=near_signature(dtype), variant=variant)


@kernel
def _largest(ends):
    largest, start = 1, 0
    for end in ends:
        largest, start = max(largest, end - start), end
    return largest


@kernel
def _bound(distance, reach, scale, constant):
    """Upper bound of the log-density within reach of a center at this squared distance."""
    nearest = max(np.sqrt(np.float64(distance)) * (1 - _SLACK) - reach, 0.0)
    return constant + scale * (nearest * nearest)


@kernel
def _keep_near(near, count, distances, rows, to_centers, cell, radius, spreads, scales, constants):
    """Of the components listed for a cell, those that its rows' likeliest leaves; their number.

    distances[0, :rows] to the first that is listed, to_centers[:, cell].
    """
    farthest = distances[0, 0]
    for t in range(1, rows):
        farthest = max(farthest, distances[0, t])
    least = constants[near[0]] + scales[near[0]] * farthest + NEGLIGIBLE
    kept = 1
    for i in range(1, count):
        c = near[i]
        bound = _bound(to_centers[c, cell], spreads[c] * radius, scales[c], constants[c])
        # What is not a number is computed, so that it shows.
        near[kept] = c
        kept += not (bound < least)
    return kept


@kernel
def _list_near(to_centers, radii, spreads, scales, constants, listed, counts):
    """Components that may matter in the cells, as far as the distances of their centers tell.

    Out: listed (cells, k + 1), the likeliest at the center first, of which counts (cells,) count.
    """
    m = len(radii)
    best, likeliest = np.empty(m), np.empty(m, np.int64)
    for cell in range(m):
        best[cell], likeliest[cell] = -np.inf, 0
    for c in range(len(scales)):
        for cell in range(m):
            log_density = constants[c] + scales[c] * to_centers[c, cell]
            better = log_density > best[cell]
            best[cell] = log_density if better else best[cell]
            likeliest[cell] = c if better else likeliest[cell]
    least = best
    for cell in range(m):
        c = likeliest[cell]
        farthest = np.sqrt(to_centers[c, cell]) * (1 + _SLACK) + spreads[c] * radii[cell]
        least[cell] = constants[c] + scales[c] * (farthest * farthest) + NEGLIGIBLE
        listed[cell, 0], counts[cell] = c, 1
    near = np.empty(m, np.int64)
    for c in range(len(scales)):
        some = 0
        for cell in range(m):
            bound = _bound(to_centers[c, cell], spreads[c] * radii[cell], scales[c], constants[c])
            near[cell] = not (bound < least[cell])
            some += near[cell]
        if some:
            for cell in range(m):
                listed[cell, counts[cell]] = c
                counts[cell] += near[cell] and c != likeliest[cell]
