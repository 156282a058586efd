"""All components share one variance, the same for every feature (mclust's EII)."""

import numpy as np

from fastgmm.covariance.base import CovarianceStructure, register
from fastgmm.covariance.variances import (
    diagonal_matrices,
    operands_of_spheres,
    roots_of_inverses,
)
from fastgmm.kernels.layout import Forms
from fastgmm.statistics import MomentForm


@register
class TiedSpherical(CovarianceStructure):
    """Covariances of no dimension: the variance."""

    name, compiled = "tied_spherical", "spherical"
    forms = Forms("isotropic", MomentForm.TRACE)

    def shape(self, n_components, n_features):
        return ()

    def n_free_parameters(self, n_components, n_features):
        return 1

    def fit(self, statistics, reg_covar, previous):
        n_numbers = statistics.weight.sum(axis=-1) * statistics.means.shape[-1]
        return np.asarray(statistics.scatter.sum(axis=-1) / n_numbers + np.mean(reg_covar))

    def factor(self, covariances):
        return roots_of_inverses(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        variances = np.asarray(arrays)[..., np.newaxis, np.newaxis]
        shape = (*variances.shape[:-2], n_components, n_features)
        return diagonal_matrices(np.broadcast_to(variances, shape))

    def operands(self, parameters):
        factors = parameters.precisions_cholesky[..., np.newaxis]
        n_components = parameters.means.shape[-2]
        return operands_of_spheres(parameters, np.repeat(factors, n_components, axis=-1))
