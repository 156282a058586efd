"""One Cholesky factor for all components, first moments, and outer ones that are pooled over them.

Where the scatter of all rows does not stand for that of the components: with noise, which has a
share of every row, or of the rows of one pattern of missing values.
"""

from fastgmm.kernels.compile import entry_point
from fastgmm.kernels.forms.reading_once import statistics_reading_once
from fastgmm.kernels.forms.shared_cholesky import (  # noqa: F401
    KEEPS_DISTANCES,
    LIKELY_ALONE,
    SUMS_ABOUT_ORIGIN,
    add_moments_of_all,
    add_moments_of_listed,
    distances_to_all,
    distances_to_listed,
    prepare,
    weigh,
)

POOLED = True
FEW_APART = False


@entry_point
def statistics(dtype):
    """See `fastgmm.kernels.em_pass.statistics_pass`; careful or not is the same."""
    return statistics_reading_once(__name__, dtype)
