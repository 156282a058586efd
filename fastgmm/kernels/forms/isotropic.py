"""One variance for each component, and moments whose second is the trace."""

from fastgmm.kernels.compile import entry_point, inlined, kernel
from fastgmm.kernels.layout import HEADER, NEGLIGIBLE
from fastgmm.kernels.loading import load_labels, load_responsibilities, load_tile, load_weights
from fastgmm.kernels.log_density import isotropic_distances
from fastgmm.kernels.moments import add_about_means, first_moments, trace_moments
from fastgmm.kernels.responsibilities import normalize
from fastgmm.kernels.signatures import statistics_signature
from fastgmm.kernels.tiles import aligned_rows, longest, tile_points

KEEPS_DISTANCES = True
SUMS_ABOUT_ORIGIN = True
weigh = normalize


@inlined
def prepare(projected, central):
    pass


@inlined
def distances_to_all(tile, points, means, factors, projected, central, scratch, distances):
    isotropic_distances(tile, points, projected, distances)


@inlined
def distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances):
    _, _, projected, _ = operands
    near_projected = room[0]
    for i in range(begin, end):
        # Number by number: Numba would compile the words of an error else.
        for j in range(tile.shape[0] - 1):
            near_projected[i, j] = projected[near[i], j]
    isotropic_distances(tile, points, near_projected[begin:end], distances[begin:end])


@inlined
def add_moments_of_listed(
    tile, points, near, count, means, distances, responsibilities, scratch, near_sums, blocks
):
    for i in range(count):
        for j in range(near_sums.shape[1]):
            near_sums[i, j] = 0.0
    first_moments(tile, points, responsibilities[:count], near_sums[:count])
    trace_moments(
        distances[:count], points, responsibilities[:count], near_sums[:count], means.shape[1] + 1
    )
    for i in range(count):
        for j in range(near_sums.shape[1]):
            blocks[near[i], j] += near_sums[i, j]


@entry_point
def isotropic_statistics(dtype):
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
        computed = not (len(labels) or len(given))
        tile_size = tile_points(longest(offsets, numbers), d, k, X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, X)
        size = (sums.shape[1] - HEADER) // k
        about_origin = aligned_rows(k, size, sums)
        distances = aligned_rows(k, tile_size, X)
        responsibilities = aligned_rows(k, tile_size, X)
        weights, norms = aligned_rows(2, tile_size, X)
        for m in range(len(numbers)):
            first, last = offsets[numbers[m]], offsets[numbers[m] + 1]
            about_origin[:] = 0.0
            for start in range(first, last, tile_size):
                stop = min(start + tile_size, last)
                points = load_tile(X, start, stop, origin[m], tile)
                sums[m, 1] += load_weights(sample_weight, start, stop, points, weights)
                # They serve the E-step, and as second moments.
                isotropic_distances(tile, points, projected[m], distances)
                if computed:
                    sums[m, 0] += normalize(
                        distances,
                        points,
                        scales[m],
                        constants[m],
                        NEGLIGIBLE,
                        weights,
                        responsibilities,
                        norms,
                    )
                elif len(labels):
                    load_labels(labels, start, stop, weights, responsibilities)
                else:
                    load_responsibilities(given, start, stop, weights, responsibilities)
                first_moments(tile, points, responsibilities, about_origin)
                trace_moments(distances, points, responsibilities, about_origin, d + 1)
            add_about_means(about_origin, means[m], sums[m][HEADER:].reshape(k, size))
            sums[m, 2] += last - first

    return add_statistics
