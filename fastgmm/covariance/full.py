"""Every component has its own covariance matrix (mclust's VVV)."""

import numpy as np

from fastgmm.covariance import matrices
from fastgmm.covariance.base import register
from fastgmm.kernels.layout import to_panels
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Full(matrices.Matrices):
    """Covariances of shape (k, d, d)."""

    name = "full"
    density_form = "cholesky"
    moment_form = MomentForm.OUTER
    component_axis = -3

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def covariances(self, statistics, shift, weight, scatter):
        # S - f d^T - d f^T + N d d^T: all four terms, since d is not exactly f / N.
        half = statistics.first - 0.5 * statistics.weight[..., np.newaxis] * shift
        cross = half[..., :, np.newaxis] * shift[..., np.newaxis, :]
        moved = statistics.second
        moved -= cross + cross.swapaxes(-1, -2)
        moved /= weight[..., np.newaxis, np.newaxis]
        return moved

    def log_determinants(self, precisions_cholesky, n_features):
        return matrices.log_diagonals(precisions_cholesky)

    def distance_spreads(self, operands, units):
        return matrices.spreads(operands.factors, units)

    def expected_exponent(self, statistics, operands, scatter):
        distances = matrices.whitened_traces(statistics.second, operands.factors)
        return (operands.scales.astype(np.float64) * distances).sum(axis=-1)

    def posterior_scatter(self, gaussians, pull, offsets):
        pulled = pull[..., np.newaxis] * offsets
        spread = pulled[..., :, np.newaxis] * offsets[..., np.newaxis, :]
        return gaussians.weight[..., np.newaxis, np.newaxis] * gaussians.covariances + spread

    def operands(self, parameters, dtype):
        factors = parameters.precisions_cholesky
        triangles = matrices.triangular(factors)
        return make_operands(
            parameters,
            dtype,
            factors=to_panels(triangles),
            # Not by BLAS, whose threads would spin beside the pass that follows.
            project=lambda means: np.einsum("...j,...ji->...i", means, triangles),
            scales=np.full(factors.shape[:-2], -0.5),
            log_determinants=self.log_determinants(factors, factors.shape[-1]),
        )
