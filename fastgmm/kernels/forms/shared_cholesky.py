"""One Cholesky factor of the precision for all components, and first moments alone.

The scatter that they share follows from the total scatter of the rows, which needs no pass.
"""

from fastgmm.kernels.central import mark_none
from fastgmm.kernels.compile import entry_point, inlined
from fastgmm.kernels.forms.listed import add_listed, take_listed
from fastgmm.kernels.forms.reading_once import statistics_reading_once
from fastgmm.kernels.log_density import isotropic_distances, whiten
from fastgmm.kernels.moments import first_moments
from fastgmm.kernels.responsibilities import normalize
from fastgmm.kernels.views import fill, part, stretch

KEEPS_DISTANCES = False
SUMS_ABOUT_ORIGIN = True
POOLED = False
LIKELY_ALONE = False
FEW_APART = False
prepare = mark_none
weigh = normalize


@inlined
def distances_to_all(tile, points, means, factors, projected, central, scratch, distances):
    whiten(tile, points, means.shape[1], part(factors, 0), scratch)
    isotropic_distances(scratch, points, projected, distances)


@inlined
def distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances):
    means, factors, projected, _ = operands
    if begin == 0:
        whiten(tile, points, means.shape[1], part(factors, 0), scratch)
    near_projected = part(room, 0)
    take_listed(projected, near, begin, end, near_projected)
    count = end - begin
    isotropic_distances(
        scratch, points, stretch(near_projected, begin, count), stretch(distances, begin, count)
    )


@inlined
def add_moments_of_all(tile, points, means, distances, responsibilities, sums):
    first_moments(tile, points, responsibilities, sums)


@inlined
def add_moments_of_listed(
    tile, points, near, count, means, distances, responsibilities, scratch, near_sums, blocks
):
    fill(stretch(near_sums, 0, count), 0.0)
    first_moments(tile, points, responsibilities, stretch(near_sums, 0, count))
    add_listed(near_sums, near, count, blocks)


@entry_point
def statistics(dtype):
    """See `fastgmm.kernels.em_pass.statistics_pass`; careful or not is the same."""
    return statistics_reading_once(__name__, dtype)
