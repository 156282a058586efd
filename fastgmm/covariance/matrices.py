"""What structures share that hold a matrix of its own for every component."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from fastgmm.covariance.base import Conjugate, CovarianceStructure
from fastgmm.covariance.estimates import CentredStatistics
from fastgmm.covariance.linalg import (
    diagonals,
    log_diagonals,
    precision_factors,
    triangular,
    whitened,
)
from fastgmm.kernels.layout import Forms
from fastgmm.parameters import Parameters, make_operands
from fastgmm.statistics import MomentForm

_ROUNDING = 1e-6
"""By which what is set by hand may miss a structure, in units of the features."""


class PerComponent(CovarianceStructure):
    """Covariances of shape (k, d, d), whose densities are those of any matrices."""

    forms = Forms("cholesky", MomentForm.OUTER)

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def factor(self, covariances):
        return precision_factors(covariances, alone=covariances.ndim == 3)

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


class InMatrices(CovarianceStructure):
    """A structure of fewer numbers, whose arrays hold matrices (k, d, d).

    Forms, kernels and M-step are those of the structure within.
    """

    within: ClassVar[CovarianceStructure]

    def shape(self, n_components, n_features):
        return n_components, n_features, n_features

    def n_free_parameters(self, n_components, n_features):
        return self.within.n_free_parameters(n_components, n_features)

    def fit(self, statistics, reg_covar, previous):
        k, d = statistics.means.shape[-2:]
        before = None if previous is None else self._fewer_parameters(previous)
        return self.within.as_matrices(self.within.fit(statistics, reg_covar, before), k, d)

    def factor(self, covariances):
        factors = self.within.factor(self._fewer(covariances))
        return self.within.as_matrices(factors, *covariances.shape[-3:-1])

    def as_matrices(self, arrays, n_components, n_features):
        return arrays

    def operands(self, parameters):
        return self.within.operands(self._fewer_parameters(parameters))

    def holds(self, arrays: np.ndarray) -> bool:
        """Whether matrices (k, d, d), set by hand, are of this structure, but for rounding."""
        held = self.within.as_matrices(self._fewer(arrays), *arrays.shape[-3:-1])
        units = np.sqrt(np.abs(diagonals(arrays)).max(axis=-2, keepdims=True))
        off = np.abs(arrays - held) / units / units.swapaxes(-1, -2)
        return bool((off <= _ROUNDING).all())

    @property
    def description(self) -> str:
        """What its matrices are, in words."""
        kinds = ("multiples of the identity matrix", "diagonal matrices", "matrices")
        kind = kinds[self.within.n_own_axes]
        return f"{kind}, the same for every component" if self.shares_covariance else kind

    def _fewer(self, arrays: np.ndarray) -> np.ndarray:
        """The arrays of the structure within."""
        n_own_axes = self.within.n_own_axes
        if n_own_axes < 2:
            arrays = diagonals(arrays)
        if n_own_axes == 0:
            arrays = arrays[..., 0]
        if self.within.component_axis is None:
            arrays = arrays.take(0, axis=-1 - n_own_axes)
        return arrays

    def _fewer_parameters(self, parameters: Parameters) -> Parameters:
        factors = self._fewer(parameters.precisions_cholesky)
        return replace(parameters, precisions_cholesky=factors)


class ConjugateInMatrices(InMatrices, Conjugate):
    """The same of a structure that a Wishart prior is conjugate to."""

    within: ClassVar[Conjugate]

    def expected_exponent(self, statistics, operands):
        return self.within.expected_exponent(statistics, operands)

    def posterior_scatter(self, estimates, pull, offsets):
        fewer = estimates._replace(covariances=self._fewer(estimates.covariances))
        scatter = self.within.posterior_scatter(fewer, pull, offsets)
        return self.within.as_matrices(scatter, *offsets.shape[-2:])

    def degrees_gained(self, weight):
        return self.within.degrees_gained(weight)


def regularized_scatter(statistics: CentredStatistics, reg_covar: float | np.ndarray) -> np.ndarray:
    """Scatter (k, d, d) that a regularisation is part of, so that it keeps to the structure."""
    scatter = statistics.scatter.copy()
    diagonals(scatter)[...] += statistics.weight[..., np.newaxis] * reg_covar
    return scatter
