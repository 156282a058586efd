"""A variance for each feature of each component, about whose own mean all is taken.

Careful passes over structures without correlations take this form: rows are not moved, and what
lies near a mean is exactly so far from it.
"""

from fastgmm.kernels.compile import entry_point, inlined, kernel
from fastgmm.kernels.layout import HEADER, NEGLIGIBLE
from fastgmm.kernels.loading import load_labels, load_responsibilities, load_tile, load_weights
from fastgmm.kernels.log_density import centred_diagonal_distances
from fastgmm.kernels.moments import diagonal_moments
from fastgmm.kernels.responsibilities import normalize
from fastgmm.kernels.signatures import statistics_signature
from fastgmm.kernels.tiles import aligned_rows, longest, tile_points

KEEPS_DISTANCES = False
SUMS_ABOUT_ORIGIN = False
weigh = normalize


@inlined
def prepare(projected, central):
    pass


@inlined
def distances_to_all(tile, points, means, factors, projected, central, scratch, distances):
    centred_diagonal_distances(tile, points, means, factors[0], distances)


@inlined
def distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances):
    means, factors, _, _ = operands
    near_means, near_factors = room[0], room[1]
    for i in range(begin, end):
        # Number by number: Numba would compile the words of an error else.
        for j in range(tile.shape[0] - 1):
            near_means[i, j] = means[near[i], j]
            near_factors[i, j] = factors[0, near[i], j]
    centred_diagonal_distances(
        tile, points, near_means[begin:end], near_factors[begin:end], distances[begin:end]
    )


@inlined
def add_moments_of_listed(
    tile, points, near, count, means, distances, responsibilities, scratch, near_sums, blocks
):
    for i in range(count):
        c = near[i]
        diagonal_moments(tile, points, means[c], responsibilities[i], blocks[c])


@entry_point
def centred_diagonal_statistics(dtype):
    """See `fastgmm.kernels.em_pass.statistics_pass`; careful or not is the same."""

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
        _, k, d = means.shape
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        size = (sums.shape[1] - HEADER) // k
        # Distances first, then responsibilities.
        responsibilities = aligned_rows(k, tile_size, X)
        weights, norms = aligned_rows(2, tile_size, X)
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            blocks = sums[m][HEADER:].reshape(k, size)
            for start in range(first, last, tile_size):
                stop = min(start + tile_size, last)
                points = load_tile(X, start, stop, origin[m], tile)
                sums[m, 1] += load_weights(sample_weight, start, stop, points, weights)
                if len(labels):
                    load_labels(labels, start, stop, weights, responsibilities)
                elif len(given):
                    load_responsibilities(given, start, stop, weights, responsibilities)
                else:
                    centred_diagonal_distances(
                        tile, points, means[m], factors[m, 0], responsibilities
                    )
                    sums[m, 0] += normalize(
                        responsibilities,
                        points,
                        scales[m],
                        constants[m],
                        NEGLIGIBLE,
                        weights,
                        responsibilities,
                        norms,
                    )
                for c in range(k):
                    diagonal_moments(tile, points, means[m, c], responsibilities[c], blocks[c])
            sums[m, 2] += last - first

    return add_statistics
