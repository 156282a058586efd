"""All components share one covariance matrix (mclust's EEE)."""

import numpy as np

from fastgmm.covariance import matrices
from fastgmm.covariance.base import register
from fastgmm.kernels.layout import to_panels
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Tied(matrices.Matrices):
    """Covariances of shape (d, d).

    The responsibilities of a row sum to one, so the scatter of all rows is a constant of the fit:
    one pass makes it, and an iteration needs only weights and first moments.
    """

    name = "tied"
    density_form = "shared_cholesky"
    moment_form = MomentForm.NONE
    component_axis = None
    needs_total_scatter = True

    def shape(self, n_components, n_features):
        return n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def covariances(self, statistics, shift, weight, scatter):
        # What the means explain, about the scatter's reference, comes off the total.
        offsets = statistics.reference - scatter.reference[..., np.newaxis, :]
        counts = statistics.weight[..., np.newaxis]
        first = statistics.first + counts * offsets
        means = offsets + shift
        cross = matrices.product(first.swapaxes(-1, -2), means)
        squares = matrices.product((counts * means).swapaxes(-1, -2), means)
        between = cross + cross.swapaxes(-1, -2) - squares
        return (scatter.second - between) / weight.sum(axis=-1)[..., np.newaxis, np.newaxis]

    def log_determinants(self, precisions_cholesky, n_features):
        return matrices.log_diagonals(precisions_cholesky)[..., np.newaxis]

    def distance_spreads(self, operands, units):
        return matrices.spreads(operands.factors, units).repeat(len(operands.means))

    def expected_exponent(self, statistics, operands, scatter):
        # The scatter within components, about the means of the pass.
        unmoved = np.zeros_like(statistics.reference)
        within = self.covariances(statistics, unmoved, np.ones(1), scatter)
        scale = operands.scales[..., 0].astype(np.float64)
        return scale * matrices.whitened_traces(within, operands.factors[..., 0, :, :])

    def degrees_gained(self, weight):
        return weight.mean(axis=-1)

    def posterior_scatter(self, gaussians, pull, offsets):
        total = gaussians.weight.sum(axis=-1)[..., np.newaxis, np.newaxis]
        spread = matrices.product((pull[..., np.newaxis] * offsets).swapaxes(-1, -2), offsets)
        return (total * gaussians.covariances + spread) / pull.shape[-1]

    def operands(self, parameters, dtype):
        factor = parameters.precisions_cholesky
        triangle = matrices.triangular(factor)
        return make_operands(
            parameters,
            dtype,
            factors=to_panels(triangle)[..., np.newaxis, :, :],
            project=lambda means: matrices.product(means, triangle, upper=True),
            scales=np.full(parameters.weights.shape, -0.5),
            log_determinants=self.log_determinants(factor, factor.shape[-1]),
        )
