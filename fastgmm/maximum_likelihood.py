"""Maximum likelihood: the M-step and the bound of a plain Gaussian mixture."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.base import Gaussians, TotalScatter, ill_defined
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.statistics import SufficientStatistics


@dataclass(frozen=True, slots=True)
class GivenParameters:
    """Initial parameters that the caller fixes; None where the start decides.

    Parameters
    ----------
    weights : ndarray of shape (k,) or None
    means : ndarray of shape (k, d) or None
    precisions : ndarray or None
        In the structure's shape.
    """

    weights: np.ndarray | None = None
    means: np.ndarray | None = None
    precisions: np.ndarray | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to a start."""
        return not any(part is None for part in (self.weights, self.means, self.precisions))


@dataclass(frozen=True, slots=True)
class MaximumLikelihood:
    """Model of a mixture whose parameters have no priors (Bishop 2006, sec. 9.2.2).

    Parameters
    ----------
    structure : CovarianceStructure
    dtype : dtype
        Of the rows, for the advice in an error.
    given : GivenParameters
    """

    structure: CovarianceStructure
    dtype: np.dtype
    given: GivenParameters

    def first_parameters(self) -> MixtureParameters | None:
        """The given parameters, if they leave nothing to a start."""
        given = self.given
        if not given.complete:
            return None
        return self._parameters(given.weights, given.means, None)

    def start(self, gaussians: Gaussians, total_weight: Any) -> MixtureParameters:
        """M-step from a start, where the caller gives nothing else (scikit-learn's order)."""
        weights, means = self.given.weights, self.given.means
        return self._parameters(
            gaussians.weight / np.expand_dims(total_weight, -1) if weights is None else weights,
            gaussians.means if means is None else means,
            gaussians.covariances,
        )

    def maximize(self, gaussians: Gaussians) -> MixtureParameters:
        """Parameters of largest likelihood, given the responsibilities."""
        weights = gaussians.weight / gaussians.weight.sum(axis=-1, keepdims=True)
        factors = self.structure.precisions_cholesky(gaussians.covariances)
        return MixtureParameters(weights, gaussians.means, gaussians.covariances, factors)

    def lower_bound(
        self,
        statistics: SufficientStatistics,
        operands: Operands,
        parameters: MixtureParameters,
        scatter: TotalScatter | None,
    ) -> Any:
        """Mean log-likelihood per unit of weight, under the parameters of the pass."""
        return statistics.log_likelihood / statistics.total_weight

    def take(self, chosen: np.ndarray) -> "MaximumLikelihood":
        """The model of chosen data sets among many: the same."""
        return self

    def _parameters(self, weights, means, covariances) -> MixtureParameters:
        """Parameters with the precision factors that belong to them; given precisions win."""
        structure = self.structure
        if self.given.precisions is None:
            factors = structure.precisions_cholesky(covariances)
        else:
            try:
                factors = structure.cholesky_of_precisions(self.given.precisions)
            except np.linalg.LinAlgError:
                raise ill_defined(self.dtype) from None
            covariances = structure.covariances_from_cholesky(factors)
        fields = (weights, means, covariances, factors)
        return MixtureParameters(*(np.asarray(field, dtype=np.float64) for field in fields))
