"""A variance for each feature of each component, about whose own mean all is taken.

Careful passes over structures without correlations take this form: rows are not moved, and what
lies near a mean is exactly so far from it.
"""

from fastgmm.kernels.central import mark_none
from fastgmm.kernels.compile import entry_point, inlined
from fastgmm.kernels.forms import diagonal
from fastgmm.kernels.forms.listed import take_listed
from fastgmm.kernels.forms.reading_once import statistics_reading_once
from fastgmm.kernels.log_density import centred_diagonal_distances
from fastgmm.kernels.moments import diagonal_moments_of_few
from fastgmm.kernels.responsibilities import normalize
from fastgmm.kernels.views import part, stretch

KEEPS_DISTANCES = False
SUMS_ABOUT_ORIGIN = False
POOLED = False
LIKELY_ALONE = True
FEW_APART = False
prepare = mark_none
weigh = normalize


@inlined
def distances_to_all(tile, points, means, factors, projected, central, scratch, distances):
    centred_diagonal_distances(tile, points, means, part(factors, 0), distances)


@inlined
def distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances):
    means, factors, _, _ = operands
    near_means, near_factors = part(room, 0), part(room, 1)
    take_listed(means, near, begin, end, near_means)
    take_listed(part(factors, 0), near, begin, end, near_factors)
    count = end - begin
    centred_diagonal_distances(
        tile,
        points,
        stretch(near_means, begin, count),
        stretch(near_factors, begin, count),
        stretch(distances, begin, count),
    )


@inlined
def add_moments_of_all(tile, points, means, distances, responsibilities, sums):
    for c in range(len(means)):
        diagonal_moments_of_few(tile, points, means[c], responsibilities[c], sums[c])


add_moments_of_listed = diagonal.add_moments_of_listed


@entry_point
def statistics(dtype):
    """See `fastgmm.kernels.em_pass.statistics_pass`; careful or not is the same."""
    return statistics_reading_once(__name__, dtype)
