"""All components share one covariance matrix (mclust's EEE)."""

import numpy as np

from fastgmm.covariance.base import Conjugate, register
from fastgmm.covariance.estimates import scatter_within
from fastgmm.covariance.linalg import (
    diagonals,
    log_diagonals,
    precision_factors,
    product,
    triangular,
    whitened_by_one,
    whitened_traces,
)
from fastgmm.kernels.layout import Forms
from fastgmm.parameters import make_operands
from fastgmm.statistics import MomentForm


@register
class Tied(Conjugate):
    """Covariances of shape (d, d).

    The responsibilities of a row sum to one, so the scatter of all rows is a constant of the fit:
    one pass makes it, and an iteration needs only weights and first moments.
    """

    name = compiled = "tied"
    turns = True
    forms = Forms("shared_cholesky", MomentForm.NONE)

    def shape(self, n_components, n_features):
        return n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return n_features * (n_features + 1) // 2

    def fit(self, statistics, reg_covar, previous):
        weight = statistics.weight.sum(axis=-1)[..., np.newaxis, np.newaxis]
        covariance = statistics.scatter / weight
        diagonals(covariance)[...] += reg_covar
        return covariance

    def factor(self, covariances):
        return precision_factors(covariances, alone=covariances.ndim == 2)

    def as_matrices(self, arrays, n_components, n_features):
        shared = np.asarray(arrays)[..., np.newaxis, :, :]
        return np.repeat(shared, n_components, axis=-3)

    def operands(self, parameters):
        factor = parameters.precisions_cholesky
        return make_operands(
            parameters,
            factors=triangular(factor),
            project=whitened_by_one,
            scales=np.full(parameters.weights.shape, -0.5),
            log_determinants=log_diagonals(factor)[..., np.newaxis],
        )

    def expected_exponent(self, statistics, operands):
        if statistics.form is MomentForm.OUTER:
            within = statistics.second.sum(axis=-3)
        else:
            within = scatter_within(statistics, np.zeros_like(statistics.reference))
        return operands.scales[..., 0] * whitened_traces(within, operands.factors)

    def posterior_scatter(self, estimates, pull, offsets):
        total = estimates.weight.sum(axis=-1)[..., np.newaxis, np.newaxis]
        spread = product((pull[..., np.newaxis] * offsets).swapaxes(-1, -2), offsets)
        return (total * estimates.covariances + spread) / pull.shape[-1]

    def degrees_gained(self, weight):
        return weight.mean(axis=-1)
