"""mclust's structures in which every component has axes of its own: EEV, VEV, EVV and VVV.

The M-steps are those of Celeux & Govaert, Gaussian parsimonious clustering models (1995), Pattern
Recognition 28(5), sec. 4.1.
"""

import numpy as np

from fastgmm.covariance.base import register
from fastgmm.covariance.estimates import volumes_of_rounding
from fastgmm.covariance.full import Full
from fastgmm.covariance.linalg import (
    from_axes,
    log_diagonals,
    principal_axes,
    upper_precision_factors,
)
from fastgmm.covariance.matrices import ConjugateInMatrices, PerComponent, regularized_scatter
from fastgmm.covariance.volumes import of_equal_shapes, per_weight


@register
class EEV(PerComponent):
    """One volume, one shape."""

    name = "EEV"
    rounded_again = sized_by_others = True
    axes_differ = True

    def n_free_parameters(self, n_components, n_features):
        return n_features + n_components * n_features * (n_features - 1) // 2

    def fit(self, statistics, reg_covar, previous):
        # Spreads are in order for every component: the largest lie along the same axis.
        spreads, axes = principal_axes(regularized_scatter(statistics, reg_covar))
        total = statistics.weight.sum(axis=-1)[..., np.newaxis, np.newaxis]
        variances = spreads.sum(axis=-2, keepdims=True) / total
        return from_axes(axes, np.broadcast_to(variances, spreads.shape))


@register
class VEV(PerComponent):
    """A volume for each component, one shape."""

    name = "VEV"
    rounded_again = sized_by_others = True
    axes_differ = True

    def n_free_parameters(self, n_components, n_features):
        orientations = n_components * n_features * (n_features - 1) // 2
        return n_components + n_features - 1 + orientations

    def fit(self, statistics, reg_covar, previous):
        spreads, axes = principal_axes(regularized_scatter(statistics, reg_covar))
        before = None if previous is None else log_diagonals(previous.precisions_cholesky)
        rounding = volumes_of_rounding(statistics, reg_covar)
        return from_axes(axes, of_equal_shapes(spreads, statistics.weight, rounding, before))


@register
class EVV(PerComponent):
    """One volume, a shape for each component."""

    name = "EVV"
    rounded_again = sized_by_others = True

    def n_free_parameters(self, n_components, n_features):
        return 1 - n_components + n_components * n_features * (n_features + 1) // 2

    def fit(self, statistics, reg_covar, previous):
        scatter = regularized_scatter(statistics, reg_covar)
        d = scatter.shape[-1]
        # The volumes of the scatters; NaN for one that is singular.
        sizes = np.exp(-2.0 / d * log_diagonals(upper_precision_factors(scatter)))
        total = statistics.weight.sum(axis=-1, keepdims=True)
        volume = np.nansum(sizes, axis=-1, keepdims=True) / total
        factors = per_weight(volume / sizes, sizes, statistics.weight)
        return scatter * factors[..., np.newaxis, np.newaxis]


@register
class VVV(ConjugateInMatrices):
    """A volume and a shape for each component."""

    name = "VVV"
    within = Full()
