"""The parameters of a mixture, and what the kernels read of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

LOG_TWO_PI = np.log(2.0 * np.pi)


@dataclass(frozen=True, eq=False, slots=True)
class Parameters(ABC):
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
        ``U @ U.T = inv(covariance)`` for matrices, ``1 / sqrt(variance)`` for variances. Those of
        large matrices are made when `numpy.asarray` reads them.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray

    @property
    @abstractmethod
    def log_weights(self) -> np.ndarray:
        """(k,): what is added to the components' log-densities."""


@dataclass(frozen=True, eq=False, slots=True)
class MixtureParameters(Parameters):
    """Parameters that are numbers, without a distribution of their own."""

    @property
    def log_weights(self) -> np.ndarray:
        """See `Parameters`."""
        with np.errstate(divide="ignore"):
            return np.log(self.weights)


class Background(NamedTuple):
    """Noise, as an E-step meets it.

    Parameters
    ----------
    log_density : float, or ndarray with the axes in front
        Weighted log-density of complete rows: the same everywhere.
    log_weight : float
    log_widths : tuple of float, or None
        Logarithms of the widths of the box of noise along the features, which make the volume where
        values are missing. None if the volume was given without them.
    """

    log_density: Any
    log_weight: float
    log_widths: tuple[float, ...] | None

    def of_some(self, known: np.ndarray) -> "Background":
        """The same of rows of which only some features (m, p) are known, with an axis in front.

        Raises
        ------
        ValueError
            If the volume was given.
        """
        if self.log_widths is None:
            raise ValueError(
                "The volume of noise was given, and does not tell what is left of it where values "
                "are missing (NaN). Fit with noise='box', which knows the range of every feature."
            )
        widths = np.array(self.log_widths)[known].sum(axis=1)
        return self._replace(log_density=self.log_weight - widths)


class Operands(NamedTuple):
    """What an E-step reads of a mixture, in float64; of many, with an axis in front.

    The weighted log-density of component c at x is ``constants[c] + scales[c] * q``, with q the
    squared distance of x from the component's mean in the density form: of ``U.T @ (x - mean)`` for
    matrices U, of ``factor * (x - mean)`` for a factor per feature, of ``x - mean`` itself where
    one number per component enters with the scale.

    Parameters
    ----------
    origin : ndarray of shape (d,)
        A point amid the means, which kernels may count coordinates from.
    means : ndarray of shape (k, d)
    factors : ndarray
        Precision factors: upper triangular matrices (k, d, d), or (d, d) where components share
        one; (k, d), or (k,).
    projected : ndarray of shape (k, d)
        Means less the origin, as the density form meets them: whitened, scaled, or as they are.
    scales : ndarray of shape (k,)
    constants : ndarray of shape (k,)
    background : Background, optional
        None where there is no noise.
    """

    origin: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    projected: np.ndarray
    scales: np.ndarray
    constants: np.ndarray
    background: Background | None = None


def log_constants(log_weights: np.ndarray, log_determinants: np.ndarray, n_features: int) -> Any:
    r"""Logarithms of the weighted densities at the components' means.

    :math:`\log \pi_c + \log|U_c| - \tfrac d2 \log 2\pi` (Bishop 2006, eq. 2.43).

    Parameters
    ----------
    log_weights : ndarray of shape (k,)
        See `Parameters.log_weights`.
    log_determinants : ndarray of shape (k,) or (1,)
        Logarithm of the determinant of each precision factor, or of the one they share.
    n_features : int
    """
    return log_weights + log_determinants - 0.5 * n_features * LOG_TWO_PI


def make_operands(
    parameters: Parameters,
    *,
    factors: np.ndarray,
    project: Callable[[np.ndarray, np.ndarray], np.ndarray],
    scales: np.ndarray,
    log_determinants: np.ndarray,
) -> Operands:
    """Operands of a Gaussian mixture: what all density forms have in common.

    Parameters
    ----------
    parameters : Parameters
    factors : ndarray
        See `Operands`.
    project : callable
        From means (k, d), less the origin, and the factors to `Operands.projected`; it may
        overwrite the former.
    scales : ndarray of shape (k,)
    log_determinants : ndarray of shape (k,) or (1,)
        See `log_constants`.
    """
    means = parameters.means
    # Any point amid the data would do; it has to follow from the parameters alone.
    shares = parameters.weights / parameters.weights.sum(axis=-1, keepdims=True)
    origin = (shares[..., np.newaxis] * means).sum(axis=-2)
    constants = log_constants(parameters.log_weights, log_determinants, means.shape[-1])
    projected = project(means - origin[..., np.newaxis, :], factors)
    return Operands(origin, means, factors, projected, scales, constants)
