"""What a covariance structure has to supply, and what all of them share."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.statistics import MomentForm, SufficientStatistics

ILL_DEFINED = (
    "Fitting the mixture model failed because some components have "
    "ill-defined empirical covariance (for instance caused by singleton "
    "or collapsed samples). Try to decrease the number of components, "
    "increase reg_covar, or scale the input data."
)
"""scikit-learn's words."""

FLOAT32_HINT = (
    " The numerical accuracy can also be improved by passing float64 data instead of float32."
)

EMPTY_GUARD = 10 * np.finfo(np.float64).eps
"""Added to every component's weight, as scikit-learn does, so that an empty one divides."""


def ill_defined(dtype: np.dtype) -> ValueError:
    """scikit-learn's error for a covariance that is not positive definite.

    Parameters
    ----------
    dtype : dtype
        Of the rows.
    """
    return ValueError(ILL_DEFINED + (FLOAT32_HINT if dtype == np.float32 else ""))


class TotalScatter(NamedTuple):
    """Moments of all rows about one point, whatever the components: constant during a fit.

    Of many data sets, with an axis in front.

    Parameters
    ----------
    reference : ndarray of shape (d,)
    weight : float
    first : ndarray of shape (d,)
    second : ndarray of shape (d, d)
    """

    reference: np.ndarray
    weight: Any
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def of(cls, statistics: SufficientStatistics) -> "TotalScatter":
        """From outer moments as of a single component."""
        return cls(
            statistics.reference[..., 0, :],
            statistics.weight[..., 0][()],
            statistics.first[..., 0, :],
            statistics.second[..., 0, :, :],
        )


class Gaussians(NamedTuple):
    """Maximum-likelihood estimates from statistics (Bishop 2006, eq. 9.24 to 9.27).

    Parameters
    ----------
    weight : ndarray of shape (k,)
        Sum of responsibilities, with the guard against empty components.
    means : ndarray of shape (k, d)
    covariances : ndarray
    """

    weight: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class CovarianceStructure(ABC):
    """A family of covariance matrices: how densities, moments and the M-step look in it.

    A structure names kernels that exist, in `density_form` and `moment_form`, and owns the algebra
    between them. It knows nothing of rows. The algebra is written for any axes in front of those
    that are named, so that many mixtures can be worked on at once.
    """

    name: ClassVar[str]
    density_form: ClassVar[str]
    moment_form: ClassVar[MomentForm]
    needs_total_scatter: ClassVar[bool] = False
    component_axis: ClassVar[int | None]
    """Which axis of the covariances counts components, from the end; None if they share one."""

    @abstractmethod
    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances, precisions and their Cholesky factors."""

    @abstractmethod
    def n_free_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""

    @abstractmethod
    def covariances(
        self,
        statistics: SufficientStatistics,
        shift: np.ndarray,
        weight: np.ndarray,
        scatter: TotalScatter | None,
    ) -> np.ndarray:
        """Covariances about the new means, without regularisation.

        Parameters
        ----------
        statistics : SufficientStatistics
        shift : ndarray of shape (k, d)
            New means less the statistics' reference.
        weight : ndarray of shape (k,)
            Guarded weights to divide by.
        scatter : TotalScatter or None
            Given when `needs_total_scatter`.
        """

    @abstractmethod
    def regularize(self, covariances: np.ndarray, reg_covar: float | np.ndarray) -> np.ndarray:
        """Covariances with `reg_covar` added to every variance; may work in place.

        Parameters
        ----------
        covariances : ndarray
        reg_covar : float or ndarray of shape (d,)
            The same for every feature, or one for each.
        """

    @abstractmethod
    def precisions_cholesky(self, covariances: np.ndarray) -> np.ndarray:
        """Square roots of the inverse covariances; NaN for one that is not positive definite."""

    @abstractmethod
    def cholesky_of_precisions(self, precisions: np.ndarray) -> np.ndarray:
        """Square roots of given precisions, of the same form as `precisions_cholesky`."""

    @abstractmethod
    def precisions(self, precisions_cholesky: np.ndarray) -> np.ndarray:
        """Precisions from their square roots."""

    @abstractmethod
    def covariances_from_cholesky(self, precisions_cholesky: np.ndarray) -> np.ndarray:
        """Covariances from the square roots of their inverses."""

    @abstractmethod
    def log_determinants(self, precisions_cholesky: np.ndarray, n_features: int) -> np.ndarray:
        """Logarithms of the determinants (k,) of the square roots; (1,) where they share one."""

    @abstractmethod
    def operands(self, parameters: MixtureParameters, dtype: np.dtype) -> Operands:
        """What the kernels read."""

    @abstractmethod
    def distance_spreads(self, operands: Operands, units: np.ndarray) -> np.ndarray:
        """Upper bounds (k,) of the change of a component's distance from a row that moves by one.

        Of the distance itself, not its square, which `Operands` speaks of.

        Parameters
        ----------
        operands : Operands
        units : ndarray of shape (d,)
            In which the features' part of the way is measured.
        """

    # -- for variational Bayes ---------------------------------------------------------------------
    @abstractmethod
    def expected_exponent(
        self, statistics: SufficientStatistics, operands: Operands, scatter: TotalScatter | None
    ) -> float:
        """Sum over rows and components of ``w * r * scale * q``, see `Operands`.

        Parameters
        ----------
        statistics : SufficientStatistics
            Of a pass with these operands.
        operands : Operands
        scatter : TotalScatter or None
            Given when `needs_total_scatter`.
        """

    @abstractmethod
    def posterior_scatter(
        self, gaussians: Gaussians, pull: np.ndarray, offsets: np.ndarray
    ) -> np.ndarray:
        """What rows add to the inverse scale of the Wishart distribution (Bishop 2006, eq. 10.62).

        Parameters
        ----------
        gaussians : Gaussians
        pull : ndarray of shape (k,)
            Weights of the offsets.
        offsets : ndarray of shape (k, d)
            Means less the prior's mean.
        """

    def degrees_gained(self, weight: np.ndarray) -> np.ndarray:
        """What rows add to the degrees of freedom of the Wishart distribution (eq. 10.63)."""
        return weight

    def of_one(self, covariances: np.ndarray) -> np.ndarray:
        """The covariance of the only component."""
        if self.component_axis is None:
            return covariances
        return covariances.take(0, axis=self.component_axis)

    def for_all(self, covariance: np.ndarray) -> np.ndarray:
        """One covariance, shaped to be added to those of all components."""
        if self.component_axis is None:
            return covariance
        return np.expand_dims(covariance, self.component_axis)

    def feature_variances(self, gaussians: Gaussians) -> np.ndarray:
        """Variances (d,) of the features in the only component."""
        covariance = self.of_one(gaussians.covariances)
        if covariance.ndim == 2:
            return np.diagonal(covariance)
        return np.broadcast_to(covariance, gaussians.means.shape[1])

    def estimate(
        self,
        statistics: SufficientStatistics,
        reg_covar: float | np.ndarray,
        scatter: TotalScatter | None = None,
    ) -> Gaussians:
        r"""Weights, means and covariances of largest likelihood.

        With :math:`N, f, S` the statistics about the reference :math:`m`, :math:`\epsilon` the
        guard, the new mean is :math:`m + \delta`, :math:`\delta = (f - \epsilon m)/(N + \epsilon)`,
        and the moments about it follow from those about m.
        """
        weight = statistics.weight + EMPTY_GUARD
        shift = (statistics.first - EMPTY_GUARD * statistics.reference) / weight[..., np.newaxis]
        covariances = self.covariances(statistics, shift, weight, scatter)
        return Gaussians(
            weight, statistics.reference + shift, self.regularize(covariances, reg_covar)
        )


STRUCTURES: dict[str, CovarianceStructure] = {}
"""Every covariance structure, by the name that ``covariance_type`` takes."""


def register(structure: type[CovarianceStructure]) -> type[CovarianceStructure]:
    """Class decorator that enters a structure into `STRUCTURES`."""
    STRUCTURES[structure.name] = structure()
    return structure
