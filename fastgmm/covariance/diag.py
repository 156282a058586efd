"""Every component has its own variance per feature (mclust's VVI)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.linalg import diagonals
from fastgmm.covariance.variances import roots_of_inverses
from fastgmm.kernels.layout import Forms
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Diag(Conjugate):
    """Covariances of shape (k, d): the diagonals."""

    name = "diag"
    forms = Forms("diagonal", MomentForm.DIAGONAL)

    def shape(self, n_components, n_features):
        return n_components, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features

    def fit(self, statistics, reg_covar, previous):
        return statistics.scatter / statistics.weight[..., np.newaxis] + reg_covar

    def factor(self, covariances):
        return roots_of_inverses(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        matrices = np.zeros((*arrays.shape, n_features), arrays.dtype)
        diagonals(matrices)[...] = arrays
        return matrices

    def operands(self, parameters):
        factors = parameters.precisions_cholesky
        with np.errstate(divide="ignore", invalid="ignore"):
            log_determinants = np.log(factors).sum(axis=-1)
        return make_operands(
            parameters,
            factors=factors,
            project=np.multiply,
            scales=np.full(factors.shape[:-1], -0.5),
            log_determinants=log_determinants,
        )

    def expected_exponent(self, statistics, operands):
        distances = (statistics.second * operands.factors**2).sum(axis=-1)
        return (operands.scales * distances).sum(axis=-1)

    def posterior_scatter(self, estimates, pull, offsets):
        weight = estimates.weight[..., np.newaxis]
        return weight * estimates.covariances + pull[..., np.newaxis] * offsets**2

    def degrees_gained(self, weight):
        return weight
