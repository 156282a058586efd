"""Every component has its own variance per feature (mclust's VVI)."""

import numpy as np

from fastgmm.covariance.base import register
from fastgmm.covariance.variances import Variances, guard_residue
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Diag(Variances):
    """Covariances of shape (k, d): the diagonals."""

    name = "diag"
    density_form = "diagonal"
    moment_form = MomentForm.DIAGONAL
    component_axis = -2

    def shape(self, n_components, n_features):
        return n_components, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features

    def covariances(self, statistics, shift, weight, scatter):
        moved = statistics.second - 2.0 * statistics.first * shift
        moved += statistics.weight[..., np.newaxis] * shift**2
        moved += guard_residue(statistics.reference + shift)
        return moved / weight[..., np.newaxis]

    def log_determinants(self, precisions_cholesky, n_features):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(precisions_cholesky).sum(axis=-1)

    def distance_spreads(self, operands, units):
        return np.abs(operands.factors[0] * units).max(axis=1)

    def expected_exponent(self, statistics, operands, scatter):
        factors = operands.factors[..., 0, :, :].astype(np.float64)
        distances = (statistics.second * factors**2).sum(axis=-1)
        return (operands.scales.astype(np.float64) * distances).sum(axis=-1)

    def posterior_scatter(self, gaussians, pull, offsets):
        weight = gaussians.weight[..., np.newaxis]
        return weight * gaussians.covariances + pull[..., np.newaxis] * offsets**2

    def operands(self, parameters, dtype):
        factors = parameters.precisions_cholesky
        return make_operands(
            parameters,
            dtype,
            factors=factors[..., np.newaxis, :, :],
            project=lambda means: means * factors,
            scales=np.full(factors.shape[:-1], -0.5),
            log_determinants=self.log_determinants(factors, factors.shape[-1]),
        )
