"""All components share one variance per feature (mclust's EEI)."""

import numpy as np

from fastgmm.covariance.base import CovarianceStructure, register
from fastgmm.covariance.variances import (
    diagonal_matrices,
    operands_of_diagonals,
    roots_of_inverses,
)
from fastgmm.kernels.layout import Forms
from fastgmm.statistics import MomentForm


@register
class TiedDiag(CovarianceStructure):
    """Covariances of shape (d,): the diagonal."""

    name, compiled = "tied_diag", "diag"
    forms = Forms("diagonal", MomentForm.DIAGONAL)

    def shape(self, n_components, n_features):
        return (n_features,)

    def n_free_parameters(self, n_components, n_features):
        return n_features

    def fit(self, statistics, reg_covar, previous):
        total = statistics.weight.sum(axis=-1)[..., np.newaxis]
        return statistics.scatter.sum(axis=-2) / total + reg_covar

    def factor(self, covariances):
        return roots_of_inverses(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        return diagonal_matrices(np.repeat(arrays[..., np.newaxis, :], n_components, axis=-2))

    def operands(self, parameters):
        factors = parameters.precisions_cholesky[..., np.newaxis, :]
        n_components = parameters.means.shape[-2]
        return operands_of_diagonals(parameters, np.repeat(factors, n_components, axis=-2))
