"""Coordinates of posteriors about a reference: those of a mixture, in units of rows."""

from dataclasses import dataclass

import numpy as np

from fastgmm.acceleration.chart import Chart
from fastgmm.caching import cached_property
from fastgmm.families.variational_bayes import VariationalBayes, VariationalParameters
from fastgmm.parameters import MixtureParameters


@dataclass(frozen=True, eq=False)
class PosteriorChart:
    """Coordinates of posteriors of a Bayesian mixture about one of them.

    A posterior follows from the rows that its components stand for, their means and covariances. It
    has the coordinates of the mixture with these means and covariances, whose weights are in
    proportion to what the means are worth: the rows, and the prior's. So a component that runs
    empty, as many do, comes to rest. The bound is all that is climbed.

    Parameters
    ----------
    family : VariationalBayes
    reference : VariationalParameters
    """

    family: VariationalBayes
    reference: VariationalParameters

    regularized_share = 0.0

    def point(self, position: np.ndarray) -> VariationalParameters:
        """The posterior at a position."""
        mixture = self._chart.point(position)
        prior = self.family.priors.mean_precision
        weight = np.maximum(mixture.weights * self._total - prior, 0.0)
        return self.family.posterior(
            weight, mixture.means, mixture.covariances, mixture.precisions_cholesky
        )

    def position(self, parameters: VariationalParameters) -> np.ndarray:
        """The coordinates of a posterior."""
        return self._chart.position(_mixture(parameters))

    def largest_change(self, direction: np.ndarray) -> float:
        """See `Chart`."""
        return self._chart.largest_change(direction)

    def penalty(self, parameters: VariationalParameters) -> float:
        """Nothing: see `Chart`."""
        return 0.0

    @cached_property
    def _chart(self) -> Chart:
        worth = self.reference.mean_precision
        return Chart(self.family.structure, _mixture(self.reference), 0.0, worth)

    @cached_property
    def _total(self) -> float:
        return float(self.reference.mean_precision.sum())


def _mixture(parameters: VariationalParameters) -> MixtureParameters:
    worth = parameters.mean_precision
    return MixtureParameters(
        worth / worth.sum(),
        parameters.means,
        parameters.covariances,
        parameters.precisions_cholesky,
    )
