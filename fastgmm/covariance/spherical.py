"""Every component has one variance, the same for every feature (mclust's VII)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.variances import (
    diagonal_matrices,
    operands_of_spheres,
    roots_of_inverses,
)
from fastgmm.kernels.layout import Forms
from fastgmm.statistics import MomentForm


@register
class Spherical(Conjugate):
    """Covariances of shape (k,): the variances."""

    name = compiled = "spherical"
    forms = Forms("isotropic", MomentForm.TRACE)

    def shape(self, n_components, n_features):
        return (n_components,)

    def n_free_parameters(self, n_components, n_features):
        return n_components

    def fit(self, statistics, reg_covar, previous):
        n_features = statistics.means.shape[-1]
        added = reg_covar if isinstance(reg_covar, float) else np.mean(reg_covar)
        return statistics.scatter / (statistics.weight * n_features) + added

    def factor(self, covariances):
        return roots_of_inverses(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        return diagonal_matrices(np.repeat(arrays[..., np.newaxis], n_features, axis=-1))

    def operands(self, parameters):
        return operands_of_spheres(parameters, parameters.precisions_cholesky)

    def expected_exponent(self, statistics, operands):
        return (operands.scales * statistics.second).sum(axis=-1)

    def posterior_scatter(self, estimates, pull, offsets):
        return estimates.weight * estimates.covariances + pull * (offsets**2).mean(axis=-1)

    def degrees_gained(self, weight):
        return weight
