"""Maximum likelihood: the M-step and the bound of a plain Gaussian mixture."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import (
    covariances_of_factors,
    defined_factors,
    factors_of_precisions,
)
from fastgmm.covariance.estimates import FixedMeans
from fastgmm.families.base import Family
from fastgmm.families.frozen import Frozen
from fastgmm.families.noise import Noise, weight_left
from fastgmm.parameters import MixtureParameters


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
class MaximumLikelihood(Family):
    """Mixtures whose parameters have no priors (Bishop 2006, sec. 9.2.2).

    Parameters
    ----------
    structure : CovarianceStructure
    given : GivenParameters
    frozen : Frozen, optional
        What of them stays as it is.
    noise : Noise, optional
        Its weight is what those of the components leave.
    """

    structure: CovarianceStructure
    given: GivenParameters
    frozen: Frozen | None = None
    noise: Noise | None = None

    density_attributes: ClassVar = ("weights_", "means_", "precisions_cholesky_")

    @classmethod
    def of_rows(cls, estimator, structure, n_features, n_rows, total_weight, weight_scale, pooled):
        given = GivenParameters(
            estimator.weights_init, estimator.means_init, estimator.precisions_init
        )
        k = estimator.n_components
        return cls(structure, given, Frozen.of(estimator, structure, k, n_features))

    @classmethod
    def of_fitted(cls, estimator, structure, weight_scale):
        k, d = np.shape(estimator.means_)
        frozen = Frozen.of(estimator, structure, k, d)
        return cls(structure, GivenParameters(), frozen, Noise.of_fitted(estimator))

    @classmethod
    def parameters_of(cls, estimator):
        # Predictions do without covariances, which a model set up by hand may lack.
        covariances = getattr(estimator, "covariances_", ())
        means, factors = estimator.means_, estimator.precisions_cholesky_
        attributes = (estimator.weights_, means, covariances, factors)
        return MixtureParameters(*(np.asarray(a, dtype=np.float64) for a in attributes))

    def attributes(self, parameters, dtype):
        if self.noise is None:
            return {}
        return {
            "noise_weight_": weight_left(parameters.weights),
            "noise_volume_": self.noise.volume,
            "noise_box_": self.noise.box,
        }

    @classmethod
    def background_of(cls, estimator):
        noise = Noise.of_fitted(estimator)
        return None if noise is None else noise.background(estimator.noise_weight_)

    def with_noise(self, noise):
        return replace(self, noise=noise)

    def background(self, parameters):
        if self.noise is None:
            return None
        return self.noise.background(weight_left(parameters.weights))

    @classmethod
    def tolerance(cls, estimator, total_weight):
        return estimator.tol

    def fixed_means(self):
        if self.frozen is None or self.frozen.means is None:
            return None
        return FixedMeans(self.frozen.masks.means, self.frozen.means)

    def frozen_components(self):
        return None if self.frozen is None else self.frozen.components

    def first_parameters(self):
        """The given parameters, if they leave nothing to a start."""
        given = self.given
        if not given.complete:
            return None
        return self._parameters(given.weights, given.means, None, None)

    def start(self, estimates, total_weight):
        """M-step from a start, where the caller gives nothing else (scikit-learn's order)."""
        weights, means = self.given.weights, self.given.means
        if weights is None:
            weights = estimates.weight / np.expand_dims(total_weight, -1)
            if self.noise is not None:
                weights *= (1.0 - self.noise.share) / weights.sum()
        return self._parameters(
            weights,
            estimates.means if means is None else means,
            estimates.covariances,
            estimates.rounding,
        )

    def maximize(self, estimates):
        """Parameters of largest likelihood, given the responsibilities."""
        total = estimates.weight.sum(axis=-1, keepdims=True)
        if self.noise is not None:
            total = max(total, estimates.total_weight)
        weights = estimates.weight / total
        factors = defined_factors(self.structure, estimates.covariances, estimates.rounding)
        parameters = MixtureParameters(weights, estimates.means, estimates.covariances, factors)
        return parameters if self.frozen is None else self.frozen.holding(parameters)

    def lower_bound(self, statistics, operands, parameters):
        """Mean log-likelihood per unit of weight, under the parameters of the pass."""
        return statistics.log_likelihood / statistics.total_weight

    def take(self, chosen):
        return self

    def _parameters(self, weights, means, covariances, rounding) -> MixtureParameters:
        """Parameters with the precision factors that belong to them; given precisions win."""
        structure = self.structure
        if self.given.precisions is None:
            factors = defined_factors(structure, covariances, rounding)
        else:
            try:
                factors = factors_of_precisions(structure, self.given.precisions)
                covariances = covariances_of_factors(structure, factors)
            except np.linalg.LinAlgError:  # no matrix of a covariance
                covariances = factors = np.full_like(self.given.precisions, np.nan)
        weights, means, covariances = (
            np.asarray(field, dtype=np.float64) for field in (weights, means, covariances)
        )
        return MixtureParameters(weights, means, covariances, factors)
