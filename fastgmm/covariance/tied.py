"""All components share one covariance matrix (mclust's EEE)."""

import numpy as np

from fastgmm.covariance import matrices
from fastgmm.covariance.base import CovarianceStructure, register
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Tied(CovarianceStructure):
    """Covariances of shape (d, d).

    The responsibilities of a row sum to one, so the scatter of all rows is a constant of the fit:
    one pass makes it, and an iteration needs only weights and first moments.
    """

    name = "tied"
    density_form = "shared_cholesky"
    moment_form = MomentForm.NONE
    needs_total_scatter = True

    def shape(self, n_components, n_features):
        return n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def covariances(self, statistics, shift, weight, scatter):
        # What the means explain, about the scatter's reference, comes off the total.
        offsets = statistics.reference - scatter.reference
        first = statistics.first + statistics.weight[:, np.newaxis] * offsets
        means = offsets + shift
        cross = first.T @ means
        between = cross + cross.T - (statistics.weight * means.T) @ means
        return (scatter.second - between) / weight.sum()

    def regularize(self, covariances, reg_covar):
        return matrices.add_to_diagonals(covariances[np.newaxis], reg_covar)[0]

    def precisions_cholesky(self, covariances):
        return matrices.upper_precision_factors(covariances[np.newaxis])[0]

    def cholesky_of_precisions(self, precisions):
        return matrices.upper_factors(precisions[np.newaxis])[0]

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ precisions_cholesky.T

    def covariances_from_cholesky(self, precisions_cholesky):
        return matrices.covariances_of(precisions_cholesky[np.newaxis])[0]

    def log_determinants(self, precisions_cholesky, n_features):
        return matrices.log_diagonals(precisions_cholesky[np.newaxis])[0]

    def expected_exponent(self, statistics, operands, scatter):
        # The scatter within components, about the means of the pass.
        unmoved = np.zeros_like(statistics.reference)
        within = self.covariances(statistics, unmoved, np.ones(1), scatter)
        factor = operands.factors[0].astype(np.float64)
        return float(operands.scales[0]) * ((within @ factor) * factor).sum()

    def degrees_gained(self, weight):
        return weight.mean()

    def posterior_scatter(self, gaussians, pull, offsets):
        k = len(pull)
        return (gaussians.weight.sum() * gaussians.covariances + (pull * offsets.T) @ offsets) / k

    def of_one(self, covariances):
        return covariances

    def operands(self, parameters, dtype):
        k = len(parameters.weights)
        factor = parameters.precisions_cholesky[np.newaxis]
        triangle = matrices.triangular(factor)
        return make_operands(
            parameters,
            dtype,
            factors=triangle,
            project=lambda means: means @ triangle[0],
            scales=np.full(k, -0.5),
            log_determinants=matrices.log_diagonals(factor),
        )
