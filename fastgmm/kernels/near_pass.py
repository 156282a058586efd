r"""The E-step over rows in cells: what a bound shows to be negligible is not computed.

Where many components lie far apart, most have no share in most rows. For a cell whose rows all lie
within r of its center m, and a component with mean mu and factor U,

.. math:: \|U^T (x - \mu)\| \ge \|U^T (m - \mu)\| - s r, \qquad s \ge \|U\|,

bounds the log-density of the cell's rows from above (the triangle inequality, which spares k-means
distances likewise: Elkan 2003). A cell computes only the components whose bound is not far below
what every row of it reaches with the likeliest.
"""

import numpy as np
from numba import types

from fastgmm.kernels.central import mark_central
from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.em_pass import (
    CHOLESKY,
    DIAGONAL,
    ISOTROPIC,
    NEGLIGIBLE,
    SHARED_CHOLESKY,
    array_type,
    operand_types,
    row_types,
)
from fastgmm.kernels.layout import BLOCK, DENSITY_FORMS, HEADER
from fastgmm.kernels.loading import load_tile, load_weights
from fastgmm.kernels.log_density import (
    cholesky_distances,
    diagonal_distances,
    distances_to_all,
    isotropic_distances,
    whiten,
)
from fastgmm.kernels.moments import (
    add_about_means,
    diagonal_moments,
    first_moments,
    trace_moments,
)
from fastgmm.kernels.outer_moments import outer_moments
from fastgmm.kernels.responsibilities import normalize, normalize_to_roots
from fastgmm.kernels.tiles import aligned_rows, whole_groups

_BATCH = 64
"""Cells whose centers are compared with the components at once: a tile of centers."""

_SLACK = 1e-4
"""Relative error of a distance, generously, in float32 too."""


@entry_point
def near_statistics_pass(density_form, dtype):
    """Kernel that adds the statistics of a chunk of cells to `sums`.

    Parameters
    ----------
    density_form, dtype
        See `fastgmm.kernels.em_pass.statistics_pass`.

    Returns
    -------
    callable (X, sample_weight, ends, centers, radii, spreads, *operands, sums)
        X (rows, d); sample_weight (rows,) or empty for 1 everywhere; ends (m,), where in X each
        cell ends; centers (m, d); radii (m,), around them; spreads (k,), by how much at most a
        component's distances, not squared, change per unit of the radii; `sums` as
        `SufficientStatistics` keeps them.
    """
    form = DENSITY_FORMS.index(density_form)
    rows, weights, real = row_types(dtype)
    numbers, vector = array_type(types.int64, 1), array_type(types.float64, 1)
    centers_type, sums_type = array_type(types.float64, 2), types.Array(types.float64, 1, "C")
    cell_types = numbers, centers_type, vector

    signature = types.void(rows, weights, *cell_types, vector, *operand_types(real), sums_type)

    @kernel(signature=signature, variant=f"{density_form}_{real}")
    def add_near_statistics(
        X,
        sample_weight,
        ends,
        centers,
        radii,
        spreads,
        origin,
        means,
        factors,
        projected,
        scales,
        constants,
        sums,
    ):
        n_cells = len(ends)
        k, d = means.shape
        tile_size = whole_groups(_largest(ends), X.itemsize)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        responsibilities = aligned_rows(k, tile_size, X) if form == ISOTROPIC else distances
        weights, norms = aligned_rows(2, tile_size, X)
        batch = aligned_rows(d + 1, _BATCH, X)
        batch_scratch = aligned_rows(d + BLOCK, _BATCH, X)
        to_centers = aligned_rows(k, _BATCH, X)
        listed, counts = np.empty((_BATCH, k + 1), np.int64), np.empty(_BATCH, np.int64)
        # Operands and sums of the components that are near, side by side.
        near_scales, near_constants = np.empty_like(scales), np.empty_like(constants)
        near_projected = np.empty((k, d), dtype=X.dtype)
        near_factors = np.empty((k if form == DIAGONAL else 1, d), dtype=X.dtype)
        blocks = sums[HEADER:].reshape(k, (len(sums) - HEADER) // k)
        if form != CHOLESKY and form != DIAGONAL:
            about_origin, near_sums = np.zeros((2, *blocks.shape))
        central = aligned_rows(1, k, X)[0]
        if form == CHOLESKY:
            mark_central(form, projected, central)
        start = 0
        for first in range(0, n_cells, _BATCH):
            last = min(first + _BATCH, n_cells)
            points = load_tile(centers, first, last, origin, batch)
            distances_to_all(
                form, batch, points, means, factors, projected, central, batch_scratch, to_centers
            )
            _list_near(to_centers, radii[first:last], spreads, scales, constants, listed, counts)
            for cell in range(first, last):
                stop = ends[cell]
                points = load_tile(X, start, stop, origin, tile)
                sums[1] += load_weights(sample_weight, start, stop, points, weights)
                if form == SHARED_CHOLESKY:
                    whiten(tile, points, d, factors[0], scratch)
                near, count = listed[cell - first], counts[cell - first]
                # The likeliest first: its distances tell which others have to be computed.
                for begin, end in ((0, 1), (1, count)):
                    end = min(end, count)
                    for i in range(begin, end):
                        c = near[i]
                        near_scales[i], near_constants[i] = scales[c], constants[c]
                        if form == CHOLESKY:
                            cholesky_distances(
                                tile,
                                points,
                                means[c],
                                factors[c],
                                projected[c],
                                central[c],
                                scratch,
                                distances[i],
                            )
                        else:
                            # Number by number: Numba would compile the words of an error else.
                            for j in range(d):
                                near_projected[i, j] = projected[c, j]
                        if form == DIAGONAL:
                            for j in range(d):
                                near_factors[i, j] = factors[0, c, j]
                    if form == SHARED_CHOLESKY:
                        isotropic_distances(
                            scratch, points, near_projected[begin:end], distances[begin:end]
                        )
                    elif form == DIAGONAL:
                        diagonal_distances(
                            tile,
                            points,
                            near_projected[begin:end],
                            near_factors[begin:end],
                            distances[begin:end],
                        )
                    elif form == ISOTROPIC:
                        isotropic_distances(
                            tile, points, near_projected[begin:end], distances[begin:end]
                        )
                    if begin == 0:
                        count = _keep_near(
                            near,
                            count,
                            distances[0, : stop - start],
                            to_centers[:, cell - first],
                            radii[cell],
                            spreads,
                            scales,
                            constants,
                        )
                if form == CHOLESKY:
                    # Outer moments take square roots of the responsibilities.
                    weigh = normalize_to_roots
                else:
                    weigh = normalize
                sums[0] += weigh(
                    distances[:count],
                    points,
                    near_scales[:count],
                    near_constants[:count],
                    NEGLIGIBLE,
                    weights,
                    responsibilities[:count],
                    norms,
                )
                if form == CHOLESKY:
                    for i in range(count):
                        c = near[i]
                        outer_moments(
                            tile, points, means[c], responsibilities[i], scratch, blocks[c]
                        )
                elif form == DIAGONAL:
                    for i in range(count):
                        c = near[i]
                        diagonal_moments(tile, points, means[c], responsibilities[i], blocks[c])
                else:
                    for i in range(count):
                        for j in range(near_sums.shape[1]):
                            near_sums[i, j] = 0.0
                    first_moments(tile, points, responsibilities[:count], near_sums[:count])
                    if form == ISOTROPIC:
                        trace_moments(
                            distances[:count],
                            points,
                            responsibilities[:count],
                            near_sums[:count],
                            d + 1,
                        )
                    for i in range(count):
                        for j in range(near_sums.shape[1]):
                            about_origin[near[i], j] += near_sums[i, j]
                start = stop
        sums[2] += X.shape[0]
        if form != CHOLESKY and form != DIAGONAL:
            add_about_means(about_origin, means, blocks)

    return add_near_statistics


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
def _keep_near(near, count, distances, to_center, radius, spreads, scales, constants):
    """Of the components listed for a cell, those that its rows' likeliest leaves; their number.

    distances (rows,) of the first that is listed, to_center (k,).
    """
    farthest = distances[0]
    for t in range(1, len(distances)):
        farthest = max(farthest, distances[t])
    least = constants[near[0]] + scales[near[0]] * farthest + NEGLIGIBLE
    kept = 1
    for i in range(1, count):
        c = near[i]
        bound = _bound(to_center[c], spreads[c] * radius, scales[c], constants[c])
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
