"""Variational Bayes: priors, the M-step and the bound of a mixture whose parameters are random.

The E-step is the same as that of maximum likelihood, with expected logarithms in the place of
logarithms (Bishop 2006, sec. 10.2).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import betaln, digamma, gammaln

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.base import Gaussians, TotalScatter
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.statistics import SufficientStatistics


@dataclass(frozen=True, eq=False, slots=True)
class WeightPosterior(ABC):
    """Posterior distribution of the mixing proportions.

    Parameters
    ----------
    concentration : ndarray of shape (k,) or (2, k)
    """

    concentration: np.ndarray

    n_dimensions: ClassVar[int]
    """Of the concentrations."""

    @classmethod
    @abstractmethod
    def of(cls, prior: float, weight: np.ndarray) -> "WeightPosterior":
        """Posterior from the prior's concentration and the components' weights (k,)."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Proportions (k,) to quote, which sum to one."""

    @property
    def attribute(self) -> np.ndarray | tuple[np.ndarray, ...]:
        """The concentration as scikit-learn's attribute: (k,), or a tuple of such arrays."""
        return self.concentration

    @abstractmethod
    def expected_log(self) -> np.ndarray:
        """Expected logarithms (k,) of the proportions."""

    @abstractmethod
    def log_normalizer(self) -> Any:
        """Logarithm of the constant that makes the density integrate to one."""


class Dirichlet(WeightPosterior):
    """Of a Dirichlet distribution, with its parameters (k,) (Bishop 2006, eq. 10.57)."""

    n_dimensions = 1

    @classmethod
    def of(cls, prior, weight):
        """Bishop 2006, eq. 10.58."""
        return cls(prior + weight)

    def mean(self):
        """Bishop 2006, eq. B.17."""
        return self.concentration / self.concentration.sum(axis=-1, keepdims=True)

    def expected_log(self):
        """Bishop 2006, eq. 10.66."""
        return digamma(self.concentration) - digamma(self.concentration.sum(axis=-1, keepdims=True))

    def log_normalizer(self):
        """Bishop 2006, eq. B.23."""
        return gammaln(self.concentration.sum(axis=-1)) - gammaln(self.concentration).sum(axis=-1)


class StickBreaking(WeightPosterior):
    """Of a Dirichlet process, truncated at k sticks, with the two parameters of every break (2, k).

    Blei & Jordan, Variational inference for Dirichlet process mixtures (2006), sec. 3.2.
    """

    n_dimensions = 2

    @classmethod
    def of(cls, prior, weight):
        """Blei & Jordan 2006, eq. 18 and 19."""
        beyond = np.zeros_like(weight)
        beyond[..., :-1] = np.cumsum(weight[..., ::-1], axis=-1)[..., -2::-1]
        return cls(np.stack([1.0 + weight, prior + beyond], axis=-2))

    @property
    def attribute(self):
        """Both parameters of every break."""
        return self._of_each(self.concentration)

    def mean(self):
        """Product of the mean breaks; what lies beyond the truncation is shared out."""
        broken, left = self._of_each(
            self.concentration / self.concentration.sum(axis=-2, keepdims=True)
        )
        proportions = broken.copy()
        proportions[..., 1:] *= np.cumprod(left[..., :-1], axis=-1)
        return proportions / proportions.sum(axis=-1, keepdims=True)

    def expected_log(self):
        """Blei & Jordan 2006, below eq. 21."""
        both = digamma(self.concentration.sum(axis=-2, keepdims=True))
        broken, left = self._of_each(digamma(self.concentration) - both)
        expected = broken.copy()
        expected[..., 1:] += np.cumsum(left[..., :-1], axis=-1)
        return expected

    def log_normalizer(self):
        """Of beta distributions (Bishop 2006, eq. 2.13)."""
        return -betaln(*self._of_each(self.concentration)).sum(axis=-1)

    @staticmethod
    def _of_each(pairs):
        """The first of the two of every break, and the second."""
        return pairs[..., 0, :], pairs[..., 1, :]


WEIGHT_POSTERIORS: dict[str, type[WeightPosterior]] = {
    "dirichlet_process": StickBreaking,
    "dirichlet_distribution": Dirichlet,
}
"""By the name that ``weight_concentration_prior_type`` takes."""


@dataclass(frozen=True, eq=False, slots=True)
class Priors:
    """Prior distributions: Dirichlet for the proportions, Gauss-Wishart for the components.

    Parameters
    ----------
    posterior_type : type
        Of the proportions.
    weight_concentration : float
    mean_precision : float
    mean : ndarray of shape (d,)
    degrees_of_freedom : float
        More than d - 1.
    covariance : ndarray
        Inverse scale of the Wishart distribution, in the structure's shape for one component.

    The last two have an axis in front if there are many data sets.
    """

    posterior_type: type[WeightPosterior]
    weight_concentration: float
    mean_precision: float
    mean: np.ndarray
    degrees_of_freedom: float
    covariance: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class VariationalParameters(MixtureParameters):
    """Posterior of a mixture, whose means in `MixtureParameters` are those of the posterior.

    The covariances are the inverse of the expected precisions.

    Parameters
    ----------
    weight_posterior : WeightPosterior
    mean_precision : ndarray of shape (k,)
        In units of the components' precision: how many rows the mean is worth.
    degrees_of_freedom : ndarray of shape (k,), or () where one covariance is shared
    """

    weight_posterior: WeightPosterior
    mean_precision: np.ndarray
    degrees_of_freedom: np.ndarray

    @property
    def of_densities(self) -> tuple[np.ndarray, ...]:
        """See `MixtureParameters.of_densities`."""
        concentration = self.weight_posterior.concentration
        counts = concentration, self.mean_precision, self.degrees_of_freedom
        return self.weights, self.means, self.precisions_cholesky, *counts

    @property
    def log_weights(self) -> np.ndarray:
        """(k,): what an expected log-density adds to that of the mean parameters.

        Bishop 2006, eq. 10.46, 10.64 to 10.66, with the factors of the normalised precisions.
        """
        d = self.means.shape[-1]
        freedom = _for_components(self.degrees_of_freedom, self.mean_precision)
        log_precision = d * np.log(2.0 / freedom) + _over_features(digamma, freedom, d)
        return self.weight_posterior.expected_log() + 0.5 * (
            log_precision - d / self.mean_precision
        )


@dataclass(frozen=True, eq=False, slots=True)
class VariationalBayes:
    """Model of a mixture with priors (Bishop 2006, sec. 10.2.1 and 10.2.2).

    Parameters
    ----------
    structure : CovarianceStructure
    dtype : dtype
        Of the rows, for the advice in an error.
    priors : Priors
    weight_scale : float
        What the statistics' weights were divided by: beside a prior, their scale matters.
    """

    structure: CovarianceStructure
    dtype: np.dtype
    priors: Priors
    weight_scale: float

    def first_parameters(self) -> None:
        """A start is needed always."""

    def start(self, gaussians: Gaussians, total_weight: float) -> VariationalParameters:
        """M-step from a start, like any other."""
        return self.maximize(gaussians)

    def maximize(self, gaussians: Gaussians) -> VariationalParameters:
        """Posterior, given the responsibilities (Bishop 2006, eq. 10.58 to 10.63).

        The covariances are the inverse scale of the Wishart distribution, divided by its degrees
        of freedom.
        """
        priors, structure = self.priors, self.structure
        weight = gaussians.weight * self.weight_scale
        gaussians = gaussians._replace(weight=weight)
        posterior = priors.posterior_type.of(priors.weight_concentration, weight)
        mean_precision = priors.mean_precision + weight
        share = weight / mean_precision
        prior_mean = priors.mean[..., np.newaxis, :]
        offsets = gaussians.means - prior_mean
        # Counted from the prior's mean, so that far from zero no digits are lost.
        means = prior_mean + share[..., np.newaxis] * offsets
        freedom = np.asarray(priors.degrees_of_freedom + structure.degrees_gained(weight))
        scatter = structure.for_all(priors.covariance) + structure.posterior_scatter(
            gaussians, priors.mean_precision * share, offsets
        )
        covariances = scatter / freedom.reshape(
            freedom.shape + (1,) * (scatter.ndim - freedom.ndim)
        )
        factors = structure.precisions_cholesky(covariances)
        return VariationalParameters(
            posterior.mean(), means, covariances, factors, posterior, mean_precision, freedom
        )

    def lower_bound(
        self,
        statistics: SufficientStatistics,
        operands: Operands,
        parameters: VariationalParameters,
        scatter: TotalScatter | None,
    ) -> Any:
        r"""Bound on the log-evidence, without its constant terms (Bishop 2006, eq. 10.70 ff.).

        After an M-step all that is left is the entropy of the responsibilities and what normalises
        the posterior. The entropy needs no pass of its own: with :math:`\log r = \log p - \log
        \sum p`, it is the sum of the logarithms that normalise the rows, less the expectation of
        the components' log-densities, which follows from the moments.
        """
        expected = (operands.constants.astype(np.float64) * statistics.weight).sum(axis=-1)
        expected += self.structure.expected_exponent(statistics, operands, scatter)
        entropy = self.weight_scale * (statistics.log_likelihood - expected)
        d = parameters.means.shape[-1]
        freedom = _for_components(parameters.degrees_of_freedom, parameters.mean_precision)
        log_determinants = self.structure.log_determinants(parameters.precisions_cholesky, d)
        log_determinants = log_determinants - 0.5 * d * np.log(0.5 * freedom)
        # Negative logarithm of eq. B.79, but for powers of pi.
        log_wishart = freedom * log_determinants + _over_features(gammaln, freedom, d)
        log_wishart = np.broadcast_to(log_wishart, parameters.mean_precision.shape)
        return (
            entropy
            + log_wishart.sum(axis=-1)
            - parameters.weight_posterior.log_normalizer()
            - 0.5 * d * np.log(parameters.mean_precision).sum(axis=-1)
        )

    def take(self, chosen: np.ndarray) -> "VariationalBayes":
        """The model of chosen data sets among many."""
        priors = self.priors
        mean, covariance = priors.mean[chosen], priors.covariance[chosen]
        return replace(self, priors=replace(priors, mean=mean, covariance=covariance))


def _for_components(freedom: np.ndarray, per_component: np.ndarray) -> np.ndarray:
    """Degrees of freedom (k,), or (1,) where all components share them."""
    return freedom if freedom.ndim == per_component.ndim else freedom[..., np.newaxis]


def _over_features(function, freedom: np.ndarray, n_features: int) -> np.ndarray:
    """Sum of ``function((freedom - i) / 2)`` for i from 0 to d - 1."""
    return function(0.5 * (freedom[..., np.newaxis] - np.arange(n_features))).sum(axis=-1)
