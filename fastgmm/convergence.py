"""When a run of EM has converged, and at what rate it did, as its lower bounds tell."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastgmm.em import Rule

TOL_KINDS = ("change", "aitken")
"""What a tolerance may be of: the change of the bound, or its distance from the limit."""

NOISE = 16 * np.finfo(np.float64).eps
"""Change of a bound, relative to it, that may be rounding alone."""


def aitken(tol: float) -> Rule:
    """The rule that the bound is within `tol` of its limit, as Aitken's extrapolation estimates it.

    Reached when strictly below, twice running: the changes of the first iterations shrink faster
    than later ones. With a `tol` above zero, a change that may be rounding is the end as well.
    """

    def has_converged(parameters: Any, bounds: Sequence[float]) -> bool:
        if len(bounds) < 2 or not np.isfinite(bounds[-2]):
            return False
        if tol > 0.0 and abs(bounds[-1] - bounds[-2]) <= NOISE * abs(bounds[-1]):
            return True
        if len(bounds) < 4:
            return False
        return max(distance_to_limit(bounds), distance_to_limit(bounds[:-1])) < tol

    return has_converged


def distance_to_limit(bounds: Sequence[float]) -> float:
    r"""How far the last of three or more bounds is from the limit, by Aitken's extrapolation.

    With :math:`c` the last change and :math:`q` its ratio to the one before, it is :math:`c q / (1
    - q)`; infinite where changes do not shrink (Boehning et al. 1994, Annals of the Institute of
    Statistical Mathematics 46(2)).
    """
    before, last = abs(bounds[-2] - bounds[-3]), abs(bounds[-1] - bounds[-2])
    if last == 0.0:
        return 0.0
    return last * (last / (before - last)) if last < before < np.inf else np.inf


@np.errstate(divide="ignore", invalid="ignore")
def convergence_rate(bounds: Sequence[Any]) -> Any:
    """Rate at which EM approaches its fixed point: the share of the error that an iteration leaves.

    It is the fraction of missing information (Dempster, Laird & Rubin 1977). Near the end the
    distance of the bound shrinks by the square of it, from which it is estimated; not a number
    where there are fewer than three bounds, or changes are rounding or grow.

    Parameters
    ----------
    bounds : sequence of float, or of ndarray
        Of many mixtures, arrays; not a number for those that had stopped.
    """
    *_, one, two, three = np.nan, np.nan, np.nan, *bounds
    if np.ndim(three):
        table = np.stack(np.broadcast_arrays(np.nan, np.nan, np.nan, *bounds))
        count = (~np.isnan(table)).sum(axis=0)[np.newaxis]
        one, two, three = (np.take_along_axis(table, 2 + count - i, 0)[0] for i in (2, 1, 0))
    before, last = np.abs(two - one), np.abs(three - two)
    known = (last < before) & (before > NOISE * np.abs(three))
    rates = np.where(known, np.sqrt(last / before), np.nan)
    return rates if np.ndim(rates) else float(rates)
