"""Every component has its own covariance matrix (mclust's VVV)."""

import numpy as np

from fastgmm.covariance import matrices
from fastgmm.covariance.base import CovarianceStructure, register
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Full(CovarianceStructure):
    """Covariances of shape (k, d, d)."""

    name = "full"
    density_form = "cholesky"
    moment_form = MomentForm.OUTER

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_components * n_features * (n_features + 1) // 2

    def covariances(self, statistics, shift, weight, scatter):
        second = statistics.second
        cross = statistics.first[:, :, np.newaxis] * shift[:, np.newaxis, :]
        square = shift[:, :, np.newaxis] * shift[:, np.newaxis, :]
        moved = second - cross - cross.transpose(0, 2, 1)
        moved += statistics.weight[:, np.newaxis, np.newaxis] * square
        return moved / weight[:, np.newaxis, np.newaxis]

    def regularize(self, covariances, reg_covar):
        return covariances + reg_covar * np.eye(covariances.shape[1])

    def precisions_cholesky(self, covariances):
        return np.stack([matrices.upper_precision_factor(c) for c in covariances])

    def cholesky_of_precisions(self, precisions):
        return np.stack([matrices.upper_factor_of(p) for p in precisions])

    def precisions(self, precisions_cholesky):
        return precisions_cholesky @ precisions_cholesky.transpose(0, 2, 1)

    def covariances_from_cholesky(self, precisions_cholesky):
        return np.stack([matrices.covariance_of(factor) for factor in precisions_cholesky])

    def operands(self, parameters, dtype):
        factors = parameters.precisions_cholesky
        return make_operands(
            parameters,
            dtype,
            factors=np.stack([matrices.upper_triangular(factor) for factor in factors]),
            project=lambda means: means,
            scales=np.full(len(factors), -0.5),
            log_determinants=np.array([matrices.log_diagonal(factor) for factor in factors]),
        )
