"""From sufficient statistics to what every M-step begins with: weights, means, centred moments."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastgmm.covariance.linalg import (
    diagonals,
    kept_variances,
    product,
    subtract_crossed,
    upper_precision_factors,
)
from fastgmm.kernels.paying import WhereItPays
from fastgmm.parameters import Parameters
from fastgmm.statistics import MomentForm, SufficientStatistics

if TYPE_CHECKING:
    from fastgmm.covariance.base import CovarianceStructure

EMPTY_GUARD = 10 * np.finfo(np.float64).eps
"""Added to every component's weight, as scikit-learn does, so that an empty one divides."""

_OF_VARIANCES = (MomentForm.DIAGONAL, MomentForm.TRACE)

_LEAST_VARIANCE = np.finfo(np.float64).tiny
"""So that it divides: what is less is none."""

_LARGE = 1 << 15
"""Numbers of outer moments as matrices, from which on NumPy takes 0.1 ms or more for them."""

_LEAST_FEATURES, _MANY = 16, 1 << 9
"""Features and numbers of means from which on compiled code is ahead of some twenty NumPy calls."""

_OFTEN = 2000
"""M-steps from which on a second for the compiler pays."""


def _outer_kernel() -> Callable:
    from fastgmm.kernels.linalg.centred_moments import centred_outer

    return centred_outer


def _variances_kernel() -> Callable:
    from fastgmm.kernels.linalg.centred_moments import centred_variances

    return centred_variances


_where_outer_pay = WhereItPays(_outer_kernel, often=_OFTEN // 10)
_where_variances_pay = WhereItPays(_variances_kernel, often=_OFTEN)


class CentredStatistics(NamedTuple):
    """Moments about the new means, which is what covariances are made of.

    Parameters
    ----------
    form : MomentForm
    weight : ndarray of shape (k,)
        Sum of responsibilities, with the guard against empty components.
    means : ndarray of shape (k, d)
        The new means (Bishop 2006, eq. 9.24).
    scatter : ndarray
        Sum of ``w * r * (x - mean) (x - mean)'``: (k, d, d) for OUTER; its diagonals (k, d) for
        DIAGONAL; its traces (k,) for TRACE; the sum over components (d, d) for NONE.
    """

    form: MomentForm
    weight: np.ndarray
    means: np.ndarray
    scatter: np.ndarray


class FixedMeans(NamedTuple):
    """Means that an M-step leaves as they are.

    Parameters
    ----------
    chosen : ndarray of bool, shape (k,)
        Whose means.
    means : ndarray of shape (k, d)
    """

    chosen: np.ndarray
    means: np.ndarray


class Estimates(NamedTuple):
    """Maximum-likelihood estimates from statistics (Bishop 2006, eq. 9.24 to 9.27).

    Parameters
    ----------
    weight : ndarray of shape (k,)
        Sum of responsibilities, with the guard against empty components.
    means : ndarray of shape (k, d)
    covariances : ndarray
        In the structure's shape, regularised.
    rounding : ndarray of shape (k, d), or None
        Variances that are no more than rounding of the rows. None if a regularisation is above
        all rounding.
    total_weight : float
        Of all rows, those of noise among them.
    deviations : ndarray of shape (k, d), or None
        Of the features among each component's own rows. None where the covariances tell: see
        `CovarianceStructure.sized_by_others`.
    """

    weight: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    rounding: np.ndarray | None
    total_weight: Any
    deviations: np.ndarray | None = None


def estimate(
    statistics: SufficientStatistics,
    structure: "CovarianceStructure",
    reg_covar: float | np.ndarray,
    *,
    previous: Parameters | None = None,
    dtype: Any = np.float64,
    fixed: FixedMeans | None = None,
) -> Estimates:
    """Weights, means and covariances of largest likelihood.

    Parameters
    ----------
    statistics : SufficientStatistics
    structure : CovarianceStructure
    reg_covar : float or ndarray of shape (d,)
    previous : Parameters, optional
        That the statistics were taken under.
    dtype : dtype, optional
        That the rows are stored in.
    fixed : FixedMeans, optional
    """
    centred = centre(statistics, fixed, pooled=structure.forms.moments == MomentForm.NONE)
    covariances = structure.fit(centred, reg_covar, previous)
    rounding = rounding_of(centred, reg_covar, dtype)
    if rounding is not None and structure.rounded_again:
        singular = _are_singular(structure, centred, rounding)
        rounding = np.where(singular[..., np.newaxis, np.newaxis], np.inf, rounding)
    deviations = own_deviations(centred, reg_covar) if structure.core.sized_by_others else None
    total_weight = statistics.total_weight
    return Estimates(centred.weight, centred.means, covariances, rounding, total_weight, deviations)


def own_deviations(centred: CentredStatistics, reg_covar: float | np.ndarray) -> np.ndarray:
    """Standard deviations (k, d) of the features among each component's own rows, never 0.

    Parameters
    ----------
    centred : CentredStatistics
        With outer moments, or their diagonals.
    reg_covar : float or ndarray of shape (d,)
        Part of them.
    """
    spreads = centred.scatter
    if centred.form is MomentForm.OUTER:
        spreads = diagonals(spreads)
    variances = spreads / centred.weight[..., np.newaxis] + reg_covar
    return np.sqrt(np.maximum(variances, _LEAST_VARIANCE))


def rounding_of(
    centred: CentredStatistics, reg_covar: float | np.ndarray, dtype: Any = np.float64
) -> np.ndarray | None:
    """Variances (k, d) that are no more than rounding of the rows; None with a regularisation.

    Parameters
    ----------
    centred : CentredStatistics
    reg_covar : float or ndarray of shape (d,)
    dtype : dtype, optional
        That the rows are stored in.
    """
    if reg_covar if isinstance(reg_covar, float) else np.all(reg_covar):
        return None
    # A stored number is off by up to eps of itself, the mean of a few by the guard's share.
    share = np.maximum(np.finfo(dtype).eps, 2.0 * EMPTY_GUARD / centred.weight)
    return (share[..., np.newaxis] * centred.means) ** 2


@np.errstate(over="ignore", invalid="ignore")
def _are_singular(
    structure: "CovarianceStructure", centred: CentredStatistics, rounding: np.ndarray
) -> np.ndarray:
    """Whether all scatters of a mixture lack a direction, so that its covariances do.

    Of matrices that were made anew nobody could tell: they are rounded as their largest feature is.

    Parameters
    ----------
    structure : CovarianceStructure
    centred : CentredStatistics
        Of the form OUTER.
    rounding : ndarray of shape (k, d)
        See `Estimates`.

    Returns
    -------
    ndarray of bool
        Of the axes in front.
    """
    scatter = centred.scatter
    rounding = rounding * centred.weight[..., np.newaxis]
    singular = np.all(~_exceed(scatter, rounding), axis=-1)
    if structure.axes_differ or not singular.any():
        return singular
    # They may lack different directions; each counts by its size, as volumes may differ much.
    sizes = diagonals(scatter).sum(axis=-1)[..., np.newaxis]
    sizes = np.where(sizes > 0.0, sizes, 1.0)
    together = (scatter / sizes[..., np.newaxis]).sum(axis=-3)
    return singular & ~_exceed(together, (rounding / sizes).sum(axis=-2))


def _exceed(scatters: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """Whether every feature keeps more than rounding (..., d) when the others are known."""
    kept = kept_variances(diagonals(scatters), upper_precision_factors(scatters))
    return np.all(kept > rounding, axis=-1)


def volumes_of_rounding(centred: CentredStatistics, reg_covar: float | np.ndarray) -> np.ndarray:
    """Volumes (k,) that are no more than rounding: those of spheres; 0 with a regularisation."""
    rounding = rounding_of(centred, reg_covar)
    return np.zeros_like(centred.weight) if rounding is None else rounding.mean(axis=-1)


def centre(
    statistics: SufficientStatistics, fixed: FixedMeans | None = None, *, pooled: bool = False
) -> CentredStatistics:
    r"""Moments about the new means.

    With :math:`N, f, S` the statistics about the reference :math:`m` and :math:`\epsilon` the
    guard, the new mean is :math:`m + \delta`, :math:`\delta = (f - \epsilon m)/(N + \epsilon)`, and
    the scatter about it is :math:`S - f \delta^T - \delta f^T + N \delta \delta^T`. All four terms
    are needed, since :math:`\delta` is not exactly :math:`f / N`; least of all
    for a mean that is fixed, which the scatter is then about.

    Parameters
    ----------
    statistics : SufficientStatistics
    fixed : FixedMeans, optional
    pooled : bool, optional
        Whether outer moments are wanted as their sum over components, as without any of their own.
    """
    form, reference = statistics.form, statistics.reference
    if fixed is None and form in _OF_VARIANCES and reference.ndim == 2:
        made = _centred_variances(statistics)
        if made is not None:
            return made
    weight, first = statistics.weight, statistics.first
    guarded = weight + EMPTY_GUARD
    # In place, as these arrays are large where features and components are many.
    shift = EMPTY_GUARD * reference
    np.subtract(first, shift, out=shift)
    shift /= guarded[..., np.newaxis]
    means = reference + shift
    if fixed is not None:
        means = np.where(fixed.chosen[:, np.newaxis], fixed.means, means)
        shift = means - reference
    if form is MomentForm.OUTER:
        half = first - 0.5 * weight[..., np.newaxis] * shift
        scatter = _centred_outer(statistics, half, shift, pooled)
        form = MomentForm.NONE if pooled else form
    elif form is MomentForm.DIAGONAL:
        scatter = 2.0 * first
        scatter *= shift
        np.subtract(statistics.second, scatter, out=scatter)
        shift *= shift
        shift *= weight[..., np.newaxis]
        scatter += shift
        if (guarded != weight).any():
            scatter += _guard_residue(guarded - weight, means, shift)
    elif form is MomentForm.TRACE:
        scatter = statistics.second - 2.0 * (first * shift).sum(axis=-1)
        shift *= shift
        scatter += weight * shift.sum(axis=-1)
        if (guarded != weight).any():
            scatter += _guard_residue(guarded - weight, means, shift).sum(axis=-1)
    else:
        scatter = scatter_within(statistics, shift)
    return CentredStatistics(form, guarded, means, scatter)


def _centred_outer(
    statistics: SufficientStatistics, half: np.ndarray, shift: np.ndarray, pooled: bool
) -> np.ndarray:
    """Outer moments (k, d, d), less what is crossed; pooled over components (d, d)."""
    *leading, k, d = shift.shape
    centred = None
    if not leading and k * d * d >= _LARGE:
        centred = _where_outer_pay()
    if centred is not None:
        scatter = np.empty((1 if pooled else k, d, d))
        centred(statistics.blocks, half, shift, scatter)
        return scatter[0] if pooled else scatter
    scatter = statistics.second
    subtract_crossed(scatter, half, shift)
    return scatter.sum(axis=-3) if pooled else scatter


def _centred_variances(statistics: SufficientStatistics) -> CentredStatistics | None:
    """The same as `centre`, by compiled code where it pays."""
    form, reference = statistics.form, statistics.reference
    k, d = reference.shape
    if d < _LEAST_FEATURES or k * d < _MANY:
        return None
    centred = _where_variances_pay()
    if centred is None:
        return None
    of_diagonals = form is MomentForm.DIAGONAL
    means, made = np.empty((k, d)), np.empty((1 if of_diagonals else 3, k, d))
    some = centred(statistics.blocks, np.ascontiguousarray(reference), EMPTY_GUARD, means, made)
    weight = statistics.weight
    if of_diagonals:
        scatter = made[0]
    else:
        products, squares, added = made.sum(axis=-1)
        scatter = statistics.second - 2.0 * products
        scatter += weight * squares
        if some:
            scatter += added
    return CentredStatistics(form, weight + EMPTY_GUARD, means, scatter)


def scatter_within(statistics: SufficientStatistics, shift: np.ndarray) -> np.ndarray:
    """Scatter (d, d) of all rows about points near their components' means, summed.

    Parameters
    ----------
    statistics : SufficientStatistics
        Without second moments of their own, but with the scatter of all rows.
    shift : ndarray of shape (k, d)
        The points, less the statistics' reference.
    """
    assert statistics.scatter is not None
    total = statistics.scatter
    # What the means explain, about the reference of the total, comes off the total.
    offsets = statistics.reference - total.reference
    counts = statistics.weight[..., np.newaxis]
    first = statistics.first + counts * offsets
    means = offsets + shift
    half = first - 0.5 * counts * means
    cross = product(half.swapaxes(-1, -2), means)
    within = total.second[..., 0, :, :]
    within -= cross + cross.swapaxes(-1, -2)
    return within


def _guard_residue(guard: np.ndarray, means: np.ndarray, out: np.ndarray) -> np.ndarray:
    """What the guard of the weights adds to second moments (k, d).

    In scikit-learn it acts like a point at zero, of the weight that the guard has after rounding:
    none, for a component of more than some twenty rows. It keeps the variance of a component that
    sits on one point just positive. Far from zero that point would swamp the variances, so it is
    kept within the spread of the means.

    Parameters
    ----------
    guard : ndarray of shape (k,)
    means : ndarray of shape (k, d)
    out : ndarray of shape (k, d)
        To write it to.
    """
    middle = means.mean(axis=-2, keepdims=True)
    above = means.max(axis=-2, keepdims=True) - middle
    spread = np.maximum(above, middle - means.min(axis=-2, keepdims=True))
    np.minimum(np.abs(means, out=out), spread, out=out)
    out *= out
    out *= guard[..., np.newaxis]
    return out
