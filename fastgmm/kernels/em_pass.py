"""The passes over rows: statistics for the M-step, predictions, and log-densities.

Those of statistics are written once for each form; the others are templates, filled in with the
form's parts.
"""

# ruff: noqa: F821  (names that templates leave open, see `fastgmm.kernels.forms`)

import math

from numba import types

from fastgmm.kernels.compile import as_written, entry_point, filled_in, kernel
from fastgmm.kernels.elementary import SMALLEST_EXP
from fastgmm.kernels.forms import of_density, parts_of
from fastgmm.kernels.layout import BLOCK, OUTPUTS, check_forms
from fastgmm.kernels.loading import load_tile
from fastgmm.kernels.responsibilities import assign, certainties, normalize, weigh_distances
from fastgmm.kernels.signatures import operand_types, row_types
from fastgmm.kernels.tiles import aligned_row, aligned_rows, tile_points
from fastgmm.kernels.transpose import store_numbers, store_rows
from fastgmm.kernels.views import fill, lesser, part

LOG_LIKELIHOODS, RESPONSIBILITIES, LABELS, *_ = range(len(OUTPUTS))


def statistics_pass(forms, dtype, n_features):
    """Kernel that adds the statistics of each of some data sets to its row of `sums`.

    A chunk of rows is a data set too, and may be the only one.

    Parameters
    ----------
    forms : tuple of (str, str)
        Density form and moment form, a pair of `fastgmm.kernels.layout.FORMS`.
    dtype : dtype
        float64 or float32: the type of the rows, and of all work on single points.
    n_features : int
        The Cholesky form has a kernel for few, and one for more.

    Returns
    -------
    callable (X, sample_weight, offsets, numbers, labels, given, careful, *operands, sums)
        Data set i has the rows offsets[i] to offsets[i + 1] of X (rows, d), and of sample_weight
        (rows,), which is empty for 1 everywhere. Only the data sets in numbers (m,) are read.
        Responsibilities are computed, or labels (rows,) say which component has a row for itself,
        or given (rows, k) holds them; what says nothing is empty. If careful, a bool, every
        component's moments are taken about its own mean, though it be near the origin. Operands,
        and sums as `SufficientStatistics` keeps them, have an axis of length m in front; that of
        operands may be of length 1, for the same mixture of all data sets.
    """
    parts = parts_of(check_forms(*forms))
    if parts.FEW_APART:
        return parts.statistics(dtype, n_features <= BLOCK)
    return parts.statistics(dtype)


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
    rows, _, real = row_types(dtype)
    written = (types.Array(real, 1, "C"), types.Array(real, 2, "C"))
    outputs = (*written, types.Array(types.int64, 1, "C"))

    smallest = SMALLEST_EXP[real == types.float64]

    signature = types.float64(rows, *operand_types(real), types.intp, *outputs)

    def predict(
        X, origin, means, factors, projected, scales, constants, what, vector, matrix, labels
    ):
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        weights, row = aligned_row(tile_size, X), aligned_row(tile_size, X)
        central = aligned_row(k, X)
        prepare(projected, central)
        fill(weights, 1.0)
        total = 0.0
        for start in range(0, n, tile_size):
            stop = lesser(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            distances_to_all(tile, points, means, factors, projected, central, scratch, distances)
            if what == LABELS:
                assign(distances, points, scales, constants, row)
                store_numbers(row, stop - start, labels, start)
            else:
                total += normalize(
                    distances, points, scales, constants, smallest, weights, distances, row
                )
                if what == LOG_LIKELIHOODS:
                    store_numbers(row, stop - start, vector, start)
                else:
                    store_rows(distances, stop - start, matrix, start)
        return total

    predict = filled_in(predict, of_density(density_form))
    return kernel(predict, signature=signature, variant=f"{density_form}_{real}")


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
    rows, _, real = row_types(dtype)
    signature = types.void(rows, *operand_types(real), types.Array(real, 2, "C"))

    def weigh_densities(X, origin, means, factors, projected, scales, constants, log_densities):
        as_written()
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        central = aligned_row(k, X)
        prepare(projected, central)
        for start in range(0, n, tile_size):
            stop = lesser(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            distances_to_all(tile, points, means, factors, projected, central, scratch, distances)
            weigh_distances(distances, points, scales, constants)
            store_rows(distances, stop - start, log_densities, start)

    weigh_densities = filled_in(weigh_densities, of_density(density_form))
    return kernel(weigh_densities, signature=signature, variant=f"{density_form}_{real}")


@entry_point
def certainty_pass(density_form, dtype):
    """Kernel that writes log-likelihoods and the largest responsibilities of a chunk of rows.

    Parameters
    ----------
    density_form : str
        One of `DENSITY_FORMS`.
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, *operands, written)
        written (2, rows): log-likelihoods, and the largest responsibilities, of noise too.
    """
    rows, _, real = row_types(dtype)
    smallest = SMALLEST_EXP[real == types.float64]
    signature = types.void(rows, *operand_types(real), types.Array(real, 2, "C"))

    def weigh_largest(X, origin, means, factors, projected, scales, constants, written):
        n = X.shape[0]
        k, d = means.shape
        tile_size = tile_points(n, d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        scratch = aligned_rows(d + BLOCK, tile_size, X)
        distances = aligned_rows(k, tile_size, X)
        largest, row, central = (
            aligned_row(tile_size, X),
            aligned_row(tile_size, X),
            aligned_row(k, X),
        )
        prepare(projected, central)
        for start in range(0, n, tile_size):
            stop = lesser(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            distances_to_all(tile, points, means, factors, projected, central, scratch, distances)
            certainties(distances, points, scales, constants, smallest, largest, row)
            if len(constants) > k:
                for t in range(stop - start):
                    largest[t] = max(math.exp(constants[k] - row[t]), largest[t])
            store_numbers(row, stop - start, part(written, 0), start)
            store_numbers(largest, stop - start, part(written, 1), start)

    weigh_largest = filled_in(weigh_largest, of_density(density_form))
    return kernel(weigh_largest, signature=signature, variant=f"{density_form}_{real}")
