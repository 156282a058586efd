"""Every component has its own covariance matrix (mclust's VVV)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.linalg import diagonals, whitened_traces
from fastgmm.covariance.matrices import PerComponent


@register
class Full(PerComponent, Conjugate):
    """Covariances of shape (k, d, d)."""

    name = compiled = "full"
    turns = True

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def fit(self, statistics, reg_covar, previous):
        covariances = statistics.scatter
        covariances /= statistics.weight[..., np.newaxis, np.newaxis]
        diagonals(covariances)[...] += reg_covar
        return covariances

    def expected_exponent(self, statistics, operands):
        distances = whitened_traces(statistics.second, operands.factors)
        return (operands.scales * distances).sum(axis=-1)

    def posterior_scatter(self, estimates, pull, offsets):
        pulled = pull[..., np.newaxis] * offsets
        spread = pulled[..., :, np.newaxis] * offsets[..., np.newaxis, :]
        return estimates.weight[..., np.newaxis, np.newaxis] * estimates.covariances + spread

    def degrees_gained(self, weight):
        return weight
