"""The parameters of a mixture, and what the kernels read of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False, slots=True)
class MixtureParameters:
    """Parameters of a Gaussian mixture, in float64; of many at once, with an axis in front.

    Parameters
    ----------
    weights : ndarray of shape (k,)
        Mixing proportions.
    means : ndarray of shape (k, d)
        Means, in the data's units.
    covariances : ndarray
        In the shape of the covariance structure, in the data's units squared.
    precisions_cholesky : ndarray
        Square roots of the precisions, in the same shape: upper triangular U with
        ``U @ U.T = inv(covariance)`` for matrices, ``1 / sqrt(variance)`` for variances.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray

    @property
    def of_densities(self) -> tuple[np.ndarray, ...]:
        """The arrays that densities follow from: covariances are not among them."""
        return self.weights, self.means, self.precisions_cholesky

    @property
    def log_weights(self) -> np.ndarray:
        """(k,): what is added to the components' log-densities."""
        with np.errstate(divide="ignore"):
            return np.log(self.weights)


class Operands(NamedTuple):
    """What a kernel reads of a mixture, and all that it reads; of many, with an axis in front.

    The weighted log-density of component c at x is ``constants[c] + scales[c] * q``, with q the
    squared distance that the density form computes from the other fields.

    Parameters
    ----------
    origin : ndarray of shape (d,), float64
        Taken off every row before anything else, so that coordinates are small.
    means : ndarray of shape (k, d)
        Means, less the origin.
    factors : ndarray of shape (k or 1, panels * d, block) or (1, k, d)
        Precision factors, in the density form's shape: matrices in panels, see
        `fastgmm.kernels.layout`.
    projected : ndarray of shape (k, d)
        The means as the density form meets them: whitened, or scaled.
    scales : ndarray of shape (k,)
    constants : ndarray of shape (k,)
    """

    origin: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    projected: np.ndarray
    scales: np.ndarray
    constants: np.ndarray

    @property
    def reference(self) -> np.ndarray:
        """(k, d): the means that the kernels really used, in the data's coordinates."""
        return self.origin[..., np.newaxis, :] + self.means.astype(np.float64)


def make_operands(
    parameters: MixtureParameters,
    dtype: np.dtype,
    *,
    factors: np.ndarray,
    project,
    scales: np.ndarray,
    log_determinants: np.ndarray,
) -> Operands:
    r"""Operands of a Gaussian mixture: what all density forms have in common.

    The constant of component c is :math:`\log \pi_c + \log|U_c| - \tfrac d2 \log 2\pi`
    (Bishop 2006, eq. 2.43).

    Parameters
    ----------
    parameters : MixtureParameters
    dtype : dtype
        Of the rows: float64 or float32.
    factors : ndarray
        See `Operands`.
    project : callable
        From centred means (k, d) to `Operands.projected`.
    scales : ndarray of shape (k,)
    log_determinants : ndarray of shape (k,) or (1,)
        Logarithm of the determinant of each precision factor, or of the one they share.
    """
    means = parameters.means
    # Any point amid the data would do; it has to follow from the parameters alone.
    shares = parameters.weights / parameters.weights.sum(axis=-1, keepdims=True)
    origin = (shares[..., np.newaxis] * means).sum(axis=-2)
    centred = means - origin[..., np.newaxis, :]
    log_weights = parameters.log_weights
    constants = log_weights + log_determinants - 0.5 * means.shape[-1] * np.log(2.0 * np.pi)

    def cast(array):
        return np.ascontiguousarray(array, dtype=dtype)

    return Operands(
        origin,
        cast(centred),
        cast(factors),
        cast(project(centred)),
        cast(scales),
        cast(constants),
    )
