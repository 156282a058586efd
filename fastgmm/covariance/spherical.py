"""Every component has one variance, the same for every feature (mclust's VII)."""

import numpy as np

from fastgmm.covariance.base import register
from fastgmm.covariance.variances import Variances, guard_residue
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Spherical(Variances):
    """Covariances of shape (k,): the variances."""

    name = "spherical"
    density_form = "isotropic"
    moment_form = MomentForm.TRACE
    component_axis = -1

    def shape(self, n_components, n_features):
        return (n_components,)

    def n_free_parameters(self, n_components, n_features):
        return n_components

    def regularize(self, covariances, reg_covar):
        return covariances + np.mean(reg_covar)

    def covariances(self, statistics, shift, weight, scatter):
        moved = statistics.second - 2.0 * (statistics.first * shift).sum(axis=-1)
        moved += statistics.weight * (shift**2).sum(axis=-1)
        moved += guard_residue(statistics.reference + shift).sum(axis=-1)
        return moved / (weight * shift.shape[-1])

    def log_determinants(self, precisions_cholesky, n_features):
        with np.errstate(divide="ignore", invalid="ignore"):
            return n_features * np.log(precisions_cholesky)

    def distance_spreads(self, operands, units):
        return np.full(len(operands.means), units.max())

    def expected_exponent(self, statistics, operands, scatter):
        return (operands.scales.astype(np.float64) * statistics.second).sum(axis=-1)

    def posterior_scatter(self, gaussians, pull, offsets):
        return gaussians.weight * gaussians.covariances + pull * (offsets**2).mean(axis=-1)

    def operands(self, parameters, dtype):
        factors = parameters.precisions_cholesky
        return make_operands(
            parameters,
            dtype,
            # The variance enters with the scale; the factors stay unread.
            factors=np.zeros((*factors.shape[:-1], 1, 1, 1)),
            project=lambda means: means,
            scales=-0.5 * factors**2,
            log_determinants=self.log_determinants(factors, parameters.means.shape[-1]),
        )
