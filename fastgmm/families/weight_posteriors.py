"""Posterior distributions of the mixing proportions: Dirichlet, and Dirichlet process."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import betaln, digamma, gammaln


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
    @abstractmethod
    def attribute(self) -> np.ndarray | tuple[np.ndarray, ...]:
        """The concentration as scikit-learn's attribute: (k,), or a tuple of such arrays."""

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

    @property
    def attribute(self):
        """As it is."""
        return self.concentration

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
