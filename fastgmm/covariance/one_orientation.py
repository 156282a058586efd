"""mclust's structures whose components have their axes in common: EEE, VEE, EVE and VVE."""

import numpy as np

from fastgmm.covariance.base import register
from fastgmm.covariance.estimates import CentredStatistics, volumes_of_rounding
from fastgmm.covariance.linalg import (
    diagonals,
    from_axes,
    log_diagonals,
    principal_axes,
    shared_axes,
    squared,
)
from fastgmm.covariance.matrices import ConjugateInMatrices, PerComponent, regularized_scatter
from fastgmm.covariance.tied import Tied
from fastgmm.covariance.volumes import (
    first_volumes,
    of_equal_volumes,
    settled_volumes,
)
from fastgmm.kernels.layout import BLOCK
from fastgmm.parameters import Parameters

_MOST_STARTS = 16
"""Axes that a start's M-step looks for better ones from."""

_SAME = 1e-8
"""Costs that differ by no more, for each row, are the same: the first start is taken then."""


@register
class EEE(ConjugateInMatrices):
    """One volume, one shape."""

    name = "EEE"
    within = Tied()


@register
class VEE(PerComponent):
    """A volume for each component, one shape (Celeux & Govaert 1995, sec. 4.1)."""

    name = "VEE"
    rounded_again = True

    def n_free_parameters(self, n_components, n_features):
        return n_components + n_features * (n_features + 1) // 2 - 1

    def fit(self, statistics, reg_covar, previous):
        from fastgmm.kernels.linalg.common_shapes import common_matrix

        scatter, weight = regularized_scatter(statistics, reg_covar), statistics.weight
        d = scatter.shape[-1]
        spheres = diagonals(scatter).mean(axis=-1) / weight
        before = None if previous is None else log_diagonals(previous.precisions_cholesky)
        start = first_volumes(spheres, before, d)
        rounding = volumes_of_rounding(statistics, reg_covar)
        settle = common_matrix(d <= BLOCK)
        volumes, shared = settled_volumes(settle, scatter, weight, rounding, start)
        return volumes[..., np.newaxis, np.newaxis] * shared[..., np.newaxis, :, :]


@register
class EVE(PerComponent):
    """One volume, a shape for each component (Browne & McNicholas 2014)."""

    name = "EVE"
    rounded_again = sized_by_others = True

    def n_free_parameters(self, n_components, n_features):
        orientation = n_features * (n_features - 1) // 2
        return 1 + n_components * (n_features - 1) + orientation

    def fit(self, statistics, reg_covar, previous):
        d = statistics.means.shape[-1]
        spreads, axes = _along_shared_axes(statistics, reg_covar, previous, power=1.0 / d)
        return from_axes(axes, of_equal_volumes(spreads, statistics.weight))


@register
class VVE(PerComponent):
    """A volume and a shape for each component: common principal components (Flury 1984)."""

    name = "VVE"
    rounded_again = True

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features + n_features * (n_features - 1) // 2

    def fit(self, statistics, reg_covar, previous):
        spreads, axes = _along_shared_axes(statistics, reg_covar, previous, power=0.0)
        return from_axes(axes, spreads / statistics.weight[..., np.newaxis])


def _along_shared_axes(
    statistics: CentredStatistics,
    reg_covar: float | np.ndarray,
    previous: Parameters | None,
    power: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Spreads (k, d) along the axes that are the best for all components, and these (k, d, d).

    They are looked for from those before, so that no M-step makes the likelihood smaller, or from
    those of all scatters together. A start tries those of single components, too, as what is found
    is the best near by only. See `fastgmm.kernels.linalg.common_axes`.
    """
    scatter, weight = regularized_scatter(statistics, reg_covar), statistics.weight
    weights = weight if power == 0.0 else np.ones_like(weight)
    together = scatter.sum(axis=-3)
    if previous is not None:
        factors = np.asarray(previous.precisions_cholesky)
        before = _combined(squared(factors))
        usable = np.isfinite(before).all(axis=(-1, -2), keepdims=True)
        _, axes = principal_axes(np.where(usable, before, together))
        spreads, axes = shared_axes(scatter, weights, power, axes)
    else:
        heaviest = np.argsort(-weight, axis=-1, kind="stable")[..., : _MOST_STARTS - 1]
        alone = np.take_along_axis(scatter, heaviest[..., np.newaxis, np.newaxis], axis=-3)
        _, axes = principal_axes(np.stack([together, *np.moveaxis(alone, -3, 0)]))
        everywhere = np.broadcast_to(scatter, (len(axes), *scatter.shape))
        spreads, axes = shared_axes(
            everywhere, np.broadcast_to(weights, everywhere.shape[:-2]), power, axes
        )
        cost = _cost(spreads, weight, power)
        rows = np.moveaxis(np.take_along_axis(weight, heaviest, axis=-1), -1, 0)
        cost[1:][rows <= scatter.shape[-1] + 1] = np.inf  # which are singular by themselves
        near = cost <= cost.min(axis=0) + _SAME * weight.sum(axis=-1)
        best = near.argmax(axis=0)[np.newaxis, ..., np.newaxis, np.newaxis]
        spreads = np.take_along_axis(spreads, best, axis=0)[0]
        axes = np.take_along_axis(axes, best, axis=0)[0]
    return spreads, np.broadcast_to(axes[..., np.newaxis, :, :], scatter.shape)


def _cost(spreads: np.ndarray, weight: np.ndarray, power: float) -> np.ndarray:
    """-2 times the log-likelihood that is reached, but for constants; infinite if it is no number.

    Parameters
    ----------
    spreads : ndarray of shape (k, d)
    weight : ndarray of shape (k,)
    power : float
        See `fastgmm.kernels.linalg.common_axes`.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(spreads).sum(axis=-1)
        if power == 0.0:
            cost = (weight * logarithms).sum(axis=-1)
        else:
            cost = weight.sum(axis=-1) * np.log(np.exp(power * logarithms).sum(axis=-1)) / power
    return np.where(np.isfinite(cost), cost, np.inf)


def _combined(precisions: np.ndarray) -> np.ndarray:
    """A sum (d, d) of precisions (k, d, d) that has their axes, and hardly ever others besides.

    Multiples of the golden ratio set its terms apart, so that what differs along two axes in some
    components does not cancel.
    """
    parts = 1.0 + np.arange(precisions.shape[-3]) * 0.5 * (1.0 + np.sqrt(5.0)) % 1.0
    shares = parts / np.trace(precisions, axis1=-2, axis2=-1)
    return (shares[..., np.newaxis, np.newaxis] * precisions).sum(axis=-3)
