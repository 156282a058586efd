"""A covariance structure that is none of the package's own, by its core alone.

As a plugin, it lets every test that goes by the list of structures have it as well::

    python -m pytest -p tests.compound
"""

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.base import register
from fastgmm.covariance.linalg import (
    diagonals,
    log_diagonals,
    triangular,
    upper_precision_factors,
    whitened,
)
from fastgmm.parameters import make_operands


class CompoundSymmetry(CovarianceStructure):
    """Equal variances and one common correlation for every component."""

    name = "compound"

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_components * min(n_features, 2)

    def fit(self, statistics, reg_covar, previous):
        scatter = statistics.scatter / statistics.weight[..., np.newaxis, np.newaxis]
        d = scatter.shape[-1]
        variance = diagonals(scatter).mean(axis=-1)
        total = scatter.sum(axis=(-1, -2))
        covariance = (total - d * variance) / max(d * (d - 1), 1)
        ones = np.ones((d, d))
        fitted = covariance[..., np.newaxis, np.newaxis] * ones
        diagonals(fitted)[...] = variance[..., np.newaxis] + np.mean(reg_covar)
        return fitted

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
            log_determinants=log_diagonals(factors),
        )


def pytest_configure():
    """What pytest calls of a plugin, before it collects tests."""
    register(CompoundSymmetry)
