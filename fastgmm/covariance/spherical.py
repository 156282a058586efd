"""Every component has one variance, the same for every feature (mclust's VII)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.linalg import diagonals
from fastgmm.covariance.variances import roots_of_inverses
from fastgmm.kernels.layout import Forms
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Spherical(Conjugate):
    """Covariances of shape (k,): the variances."""

    name = "spherical"
    forms = Forms("isotropic", MomentForm.TRACE)

    def shape(self, n_components, n_features):
        return (n_components,)

    def n_free_parameters(self, n_components, n_features):
        return n_components

    def fit(self, statistics, reg_covar, previous):
        n_features = statistics.means.shape[-1]
        return statistics.scatter / (statistics.weight * n_features) + np.mean(reg_covar)

    def factor(self, covariances):
        return roots_of_inverses(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        matrices = np.zeros((*arrays.shape, n_features, n_features), arrays.dtype)
        diagonals(matrices)[...] = arrays[..., np.newaxis]
        return matrices

    def operands(self, parameters):
        factors = parameters.precisions_cholesky
        n_features = parameters.means.shape[-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            log_determinants = n_features * np.log(factors)
        return make_operands(
            parameters,
            factors=factors,
            project=lambda means, factors: means,
            # The variance enters with the scale: distances are those in space.
            scales=-0.5 * factors**2,
            log_determinants=log_determinants,
        )

    def expected_exponent(self, statistics, operands):
        return (operands.scales * statistics.second).sum(axis=-1)

    def posterior_scatter(self, estimates, pull, offsets):
        return estimates.weight * estimates.covariances + pull * (offsets**2).mean(axis=-1)

    def degrees_gained(self, weight):
        return weight
