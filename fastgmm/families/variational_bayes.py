"""Variational Bayes: priors, the M-step and the bound of a mixture whose parameters are random.

The E-step is the same as that of maximum likelihood, with expected logarithms in the place of
logarithms (Bishop 2006, sec. 10.2).
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import digamma, gammaln

from fastgmm.covariance.algebra import defined_factors, log_determinants
from fastgmm.covariance.base import Conjugate
from fastgmm.families.base import Family
from fastgmm.families.weight_posteriors import WEIGHT_POSTERIORS, WeightPosterior
from fastgmm.parameters import Parameters

_PRIORS = ("weight_concentration", "mean_precision", "mean", "degrees_of_freedom", "covariance")


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
class VariationalParameters(Parameters):
    """Posterior of a mixture, whose means in `Parameters` are those of the posterior.

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
class VariationalBayes(Family):
    """Mixtures with priors (Bishop 2006, sec. 10.2.1 and 10.2.2).

    Parameters
    ----------
    structure : Conjugate
    priors : Priors
    weight_scale : float
        What the statistics' weights were divided by: beside a prior, their scale matters.

    Raises
    ------
    ValueError
        If there is no conjugate prior for the structure.
    """

    structure: Conjugate
    priors: Priors
    weight_scale: float

    # A bound that is a sum over rows, compared with `tol`, drowns in the rounding of float32.
    fit_dtype: ClassVar = np.float64
    density_attributes: ClassVar = (
        "weight_concentration_prior_type",
        "weight_concentration_",
        "means_",
        "precisions_cholesky_",
        "mean_precision_",
        "degrees_of_freedom_",
    )
    needed_attributes: ClassVar = tuple(f"{name}_prior_" for name in _PRIORS)

    def __post_init__(self) -> None:
        if not isinstance(self.structure, Conjugate):
            raise ValueError(
                f"covariance_type={self.structure.name!r} has no conjugate prior, which "
                "BayesianGaussianMixture needs; GaussianMixture takes it."
            )

    @classmethod
    def of_rows(cls, estimator, structure, n_features, n_rows, total_weight, weight_scale, pooled):
        """See `Family`; priors that are not given follow from the rows."""
        mean, covariance = estimator.mean_prior_, estimator.covariance_prior_
        if estimator.mean_prior is None or estimator.covariance_prior is None:
            estimates = pooled()
            if estimator.mean_prior is None:
                mean = estimates.means[..., 0, :]
            if estimator.covariance_prior is None:
                biased = structure.of_one(estimates.covariances)
                covariance = biased * _bessel_correction(total_weight, biased.ndim)
        sets = np.shape(n_rows)  # none, or a number of data sets
        priors = Priors(
            WEIGHT_POSTERIORS[estimator.weight_concentration_prior_type],
            estimator.weight_concentration_prior_,
            estimator.mean_precision_prior_,
            _for_sets(sets, mean, np.shape(estimator.mean_prior_)),
            estimator.degrees_of_freedom_prior_,
            _for_sets(sets, covariance, np.shape(estimator.covariance_prior_)),
        )
        return cls(structure, priors, weight_scale)

    @classmethod
    def of_fitted(cls, estimator, structure, weight_scale):
        priors = Priors(
            WEIGHT_POSTERIORS[estimator.weight_concentration_prior_type],
            estimator.weight_concentration_prior_,
            estimator.mean_precision_prior_,
            np.asarray(estimator.mean_prior_, dtype=np.float64),
            estimator.degrees_of_freedom_prior_,
            np.asarray(estimator.covariance_prior_, dtype=np.float64),
        )
        return cls(structure, priors, weight_scale)

    @classmethod
    def parameters_of(cls, estimator):
        """See `Family`.

        Raises
        ------
        ValueError
            If they are of another type of prior than the estimator's argument.
        """
        attributes = (
            estimator.weight_concentration_,
            estimator.means_,
            getattr(estimator, "covariances_", ()),  # predictions do without
            estimator.precisions_cholesky_,
            estimator.mean_precision_,
            estimator.degrees_of_freedom_,
        )
        prior_type = estimator.weight_concentration_prior_type
        posterior_type = WEIGHT_POSTERIORS[prior_type]
        if len(np.shape(estimator.weight_concentration_)) != posterior_type.n_dimensions:
            raise ValueError(
                f"weight_concentration_ is not of weight_concentration_prior_type={prior_type!r}. "
                "Set the argument back, or fit anew with warm_start=False."
            )
        concentration, *fields = (np.asarray(a, dtype=np.float64) for a in attributes)
        posterior = posterior_type(concentration)
        means, covariances, factors, mean_precision, freedom = fields
        return VariationalParameters(
            posterior.mean(), means, covariances, factors, posterior, mean_precision, freedom
        )

    def attributes(self, parameters, dtype):
        """See `Family`: the priors, and what the posterior has beside means and covariances."""
        attributes = {}
        for name in _PRIORS:
            prior = getattr(self.priors, name)
            # [()] makes a number of an array of no dimension.
            is_array = isinstance(prior, np.ndarray)
            attributes[f"{name}_prior_"] = prior.astype(dtype)[()] if is_array else prior
        concentration = parameters.weight_posterior.attribute
        return {
            **attributes,
            "weight_concentration_": (
                tuple(part.astype(dtype) for part in concentration)
                if isinstance(concentration, tuple)
                else concentration.astype(dtype)
            ),
            "mean_precision_": parameters.mean_precision.astype(dtype),
            "degrees_of_freedom_": parameters.degrees_of_freedom.astype(dtype)[()],
        }

    @classmethod
    def tolerance(cls, estimator, total_weight):
        """See `Family`; the bound is a sum over rows."""
        return estimator.tol * total_weight if estimator.tol_per_sample else estimator.tol

    @classmethod
    def background_of(cls, estimator):
        return None

    def with_noise(self, noise):
        raise TypeError("Bayesian mixtures have no noise.")

    def background(self, parameters):
        return None

    def fixed_means(self):
        return None

    def frozen_components(self):
        return None

    def first_parameters(self):
        """A start is needed always."""
        return None

    def start(self, estimates, total_weight):
        """M-step from a start, like any other."""
        return self.maximize(estimates)

    def maximize(self, estimates):
        """Posterior, given the responsibilities (Bishop 2006, eq. 10.58 to 10.63).

        The covariances are the inverse scale of the Wishart distribution, divided by its degrees
        of freedom.
        """
        priors, structure = self.priors, self.structure
        weight = estimates.weight * self.weight_scale
        estimates = estimates._replace(weight=weight)
        share = weight / (priors.mean_precision + weight)
        prior_mean = priors.mean[..., np.newaxis, :]
        offsets = estimates.means - prior_mean
        # Counted from the prior's mean, so that far from zero no digits are lost.
        means = prior_mean + share[..., np.newaxis] * offsets
        freedom = self._freedom(weight)
        scatter = structure.for_all(priors.covariance) + structure.posterior_scatter(
            estimates, priors.mean_precision * share, offsets
        )
        covariances = scatter / freedom.reshape(
            freedom.shape + (1,) * (scatter.ndim - freedom.ndim)
        )
        factors = defined_factors(structure, covariances, estimates.rounding)
        return self.posterior(weight, means, covariances, factors)

    def posterior(self, weight, means, covariances, factors):
        """Posterior whose components stand for so many rows, with these means and covariances.

        Parameters
        ----------
        weight : ndarray of shape (k,)
            Rows, in the units of the priors.
        means, covariances, factors : ndarray
            See `Parameters`.
        """
        priors = self.priors
        concentration = priors.posterior_type.of(priors.weight_concentration, weight)
        return VariationalParameters(
            concentration.mean(),
            means,
            covariances,
            factors,
            concentration,
            priors.mean_precision + weight,
            self._freedom(weight),
        )

    def _freedom(self, weight):
        gained = self.structure.degrees_gained(weight)
        return np.asarray(self.priors.degrees_of_freedom + gained)

    def lower_bound(self, statistics, operands, parameters):
        r"""Bound on the log-evidence, without its constant terms (Bishop 2006, eq. 10.70 ff.).

        After an M-step all that is left is the entropy of the responsibilities and what normalises
        the posterior. The entropy needs no pass of its own: with :math:`\log r = \log p - \log
        \sum p`, it is the sum of the logarithms that normalise the rows, less the expectation of
        the components' log-densities, which follows from the moments.
        """
        expected = (operands.constants * statistics.weight).sum(axis=-1)
        expected += self.structure.expected_exponent(statistics, operands)
        entropy = self.weight_scale * (statistics.log_likelihood - expected)
        d = parameters.means.shape[-1]
        freedom = _for_components(parameters.degrees_of_freedom, parameters.mean_precision)
        logarithms = log_determinants(self.structure, parameters.precisions_cholesky, d)
        logarithms = logarithms - 0.5 * d * np.log(0.5 * freedom)
        # Negative logarithm of eq. B.79, but for powers of pi.
        log_wishart = freedom * logarithms + _over_features(gammaln, freedom, d)
        log_wishart = np.broadcast_to(log_wishart, parameters.mean_precision.shape)
        return (
            entropy
            + log_wishart.sum(axis=-1)
            - parameters.weight_posterior.log_normalizer()
            - 0.5 * d * np.log(parameters.mean_precision).sum(axis=-1)
        )

    def take(self, chosen):
        priors = self.priors
        mean, covariance = priors.mean[chosen], priors.covariance[chosen]
        return replace(self, priors=replace(priors, mean=mean, covariance=covariance))


def _for_components(freedom: np.ndarray, per_component: np.ndarray) -> np.ndarray:
    """Degrees of freedom (k,), or (1,) where all components share them."""
    return freedom if freedom.ndim == per_component.ndim else freedom[..., np.newaxis]


def _over_features(function, freedom: np.ndarray, n_features: int) -> np.ndarray:
    """Sum of ``function((freedom - i) / 2)`` for i from 0 to d - 1."""
    return function(0.5 * (freedom[..., np.newaxis] - np.arange(n_features))).sum(axis=-1)


def _for_sets(sets: tuple[int, ...], prior: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A prior of this shape, for each of many data sets if there are many."""
    return np.broadcast_to(np.asarray(prior, dtype=np.float64), sets + shape)


def _bessel_correction(total_weight: Any, n_axes: int) -> float | np.ndarray:
    """What makes a covariance unbiased, with weights that count repeats."""
    total = total_weight
    if np.ndim(total):  # of many data sets, which are not weighted
        total = total.reshape(total.shape + (1,) * (n_axes - total.ndim))
    elif total <= 1.0:
        raise ValueError(
            f"The sample weights sum to {total:.6g}, that is, to no more than one row, which has "
            "no covariance to take as covariance_prior. Give a covariance_prior, or scale the "
            "weights to count rows."
        )
    return total / (total - 1.0)
