"""Every component has its own variance per feature (mclust's VVI)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.variances import PerFeature


@register
class Diag(PerFeature, Conjugate):
    """Covariances of shape (k, d): the diagonals."""

    name = compiled = "diag"

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features

    def fit(self, statistics, reg_covar, previous):
        variances = statistics.scatter / statistics.weight[..., np.newaxis]
        variances += reg_covar
        return variances

    def expected_exponent(self, statistics, operands):
        distances = (statistics.second * operands.factors**2).sum(axis=-1)
        return (operands.scales * distances).sum(axis=-1)

    def posterior_scatter(self, estimates, pull, offsets):
        weight = estimates.weight[..., np.newaxis]
        return weight * estimates.covariances + pull[..., np.newaxis] * offsets**2

    def degrees_gained(self, weight):
        return weight
