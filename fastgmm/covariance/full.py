"""Every component has its own covariance matrix (mclust's VVV)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.linalg import (
    diagonals,
    log_diagonals,
    triangular,
    upper_precision_factors,
    whitened,
    whitened_traces,
)
from fastgmm.kernels.layout import Forms
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Full(Conjugate):
    """Covariances of shape (k, d, d)."""

    name = "full"
    forms = Forms("cholesky", MomentForm.OUTER)

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def fit(self, statistics, reg_covar, previous):
        covariances = statistics.scatter / statistics.weight[..., np.newaxis, np.newaxis]
        diagonals(covariances)[...] += reg_covar
        return covariances

    def factor(self, covariances):
        return upper_precision_factors(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        return arrays

    def operands(self, parameters):
        factors = triangular(parameters.precisions_cholesky)
        return make_operands(
            parameters,
            factors=factors,
            project=whitened,
            scales=np.full(factors.shape[:-2], -0.5),
            log_determinants=log_diagonals(parameters.precisions_cholesky),
        )

    def expected_exponent(self, statistics, operands):
        distances = whitened_traces(statistics.second, operands.factors)
        return (operands.scales * distances).sum(axis=-1)

    def posterior_scatter(self, estimates, pull, offsets):
        pulled = pull[..., np.newaxis] * offsets
        spread = pulled[..., :, np.newaxis] * offsets[..., np.newaxis, :]
        return estimates.weight[..., np.newaxis, np.newaxis] * estimates.covariances + spread

    def degrees_gained(self, weight):
        return weight
