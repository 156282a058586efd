"""What structures share that hold variances instead of matrices."""

import numpy as np

from fastgmm.covariance.base import CovarianceStructure
from fastgmm.covariance.linalg import diagonals
from fastgmm.kernels.layout import Forms
from fastgmm.parameters import Operands, Parameters, make_operands
from fastgmm.statistics import MomentForm


def roots_of_inverses(variances: np.ndarray) -> np.ndarray:
    """``1 / sqrt(variance)``; NaN where that is no positive number."""
    roots = np.where((variances > 0) & (variances < np.inf), variances, np.nan)
    np.sqrt(roots, out=roots)
    return np.divide(1.0, roots, out=roots)


def diagonal_matrices(variances: np.ndarray) -> np.ndarray:
    """Matrices (..., d, d) with these diagonals (..., d)."""
    matrices = np.zeros((*variances.shape, variances.shape[-1]), variances.dtype)
    diagonals(matrices)[...] = variances
    return matrices


def operands_of_diagonals(parameters: Parameters, factors: np.ndarray) -> Operands:
    """Operands of a precision factor for every feature of every component (k, d)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_determinants = np.log(factors).sum(axis=-1)
    return make_operands(
        parameters,
        factors=factors,
        project=lambda means, factors: np.multiply(means, factors, out=means),
        scales=np.full(factors.shape[:-1], -0.5),
        log_determinants=log_determinants,
    )


def operands_of_spheres(parameters: Parameters, factors: np.ndarray) -> Operands:
    """Operands of one precision factor for every component (k,)."""
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


class PerFeature(CovarianceStructure):
    """A variance for every feature of every component: covariances of shape (k, d)."""

    forms = Forms("diagonal", MomentForm.DIAGONAL)

    def shape(self, n_components, n_features):
        return n_components, n_features

    def factor(self, covariances):
        return roots_of_inverses(covariances)

    def as_matrices(self, arrays, n_components, n_features):
        return diagonal_matrices(arrays)

    def operands(self, parameters):
        return operands_of_diagonals(parameters, parameters.precisions_cholesky)
