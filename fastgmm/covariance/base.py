"""What a covariance structure supplies, and the registry of all structures."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance.estimates import CentredStatistics, Estimates
from fastgmm.kernels.layout import FORMS, Forms, check_forms
from fastgmm.parameters import Operands, Parameters
from fastgmm.statistics import MomentForm, SufficientStatistics


class CovarianceStructure(ABC):
    """A family of covariance matrices: its M-step, and how densities look in it.

    A structure is the algebra between kernels that exist, which `forms` names; it knows nothing of
    rows. Arrays may have further axes in front of those that are named here, so that many mixtures
    are worked on at once.

    What is not asked for here follows from these members, in `fastgmm.covariance.algebra`.
    """

    name: ClassVar[str]
    """What ``covariance_type`` calls it."""

    forms: ClassVar[Forms] = FORMS[0]
    """The kernels that it asks for; these are right for every structure."""

    most_features: ClassVar[int | None] = None
    """Features that it is for at most; None if there may be any number."""

    turns: ClassVar[bool] = False
    """Whether it is the same in any coordinates: covariances turn as rows do."""

    rounded_again: ClassVar[bool] = False
    """Whether its M-step makes new matrices of the scatters, which rounds them once more."""

    axes_differ: ClassVar[bool] = False
    """Whether so made matrices have axes of their own: scatters may lack different directions."""

    sized_by_others: ClassVar[bool] = False
    """Whether other components say how wide one is along its axes, while these axes, or how its
    widths compare, come of its own rows."""

    compiled: ClassVar[str | None] = None
    """What `fastgmm.kernels.small_fits` calls its compiled M-step; None if it has none."""

    within: ClassVar["CovarianceStructure | None"] = None
    """The structure of fewer numbers that does its work, where its arrays hold matrices."""

    @abstractmethod
    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Shape of covariances, precisions and their Cholesky factors."""

    @abstractmethod
    def n_free_parameters(self, n_components: int, n_features: int) -> int:
        """Free parameters of the covariances."""

    @abstractmethod
    def fit(
        self,
        statistics: CentredStatistics,
        reg_covar: float | np.ndarray,
        previous: Parameters | None,
    ) -> np.ndarray:
        """Covariances of largest likelihood, given the responsibilities, and regularised.

        Parameters
        ----------
        statistics : CentredStatistics
            Of the structure's moment form. Its scatter is a sum, still to be divided by weights,
            and may be overwritten.
        reg_covar : float or ndarray of shape (d,)
            Added to every variance: the same for every feature, or one for each. Where that would
            leave the structure, see `fastgmm.covariance.matrices.regularized_scatter`.
        previous : Parameters or None
            Of the E-step before, to iterate from. None in a start.

        Returns
        -------
        ndarray
            Of the structure's shape. That of a component without a spread may be singular, infinite
            or NaN, but comes without a warning; `factor` makes NaN of it.
        """

    @abstractmethod
    def factor(self, covariances: np.ndarray) -> np.ndarray:
        """Square roots of the inverse covariances; NaN for one that is singular to rounding."""

    @abstractmethod
    def as_matrices(self, arrays: np.ndarray, n_components: int, n_features: int) -> np.ndarray:
        """Covariances, precisions or their factors as matrices (k, d, d)."""

    @abstractmethod
    def operands(self, parameters: Parameters) -> Operands:
        """What the E-step reads."""

    @property
    def core(self) -> "CovarianceStructure":
        """The structure that does the work."""
        return self if self.within is None else self.within

    # -- what follows from the shape ---------------------------------------------------------------
    @cached_property
    def holds_matrices(self) -> bool:
        """Whether its arrays are matrices, not variances."""
        return self.shape(3, 5)[-2:] == (5, 5)

    @cached_property
    def component_axis(self) -> int | None:
        """Which axis of its arrays counts components, from the end; None if they share one."""
        one, other = self.shape(3, 5), self.shape(4, 5)
        differing = [axis - len(one) for axis in range(len(one)) if one[axis] != other[axis]]
        return differing[0] if differing else None

    @cached_property
    def n_own_axes(self) -> int:
        """Axes of one covariance: 2 of a matrix, 1 of variances per feature, 0 of a number."""
        return len(self.shape(3, 5)) - (self.component_axis is not None)

    @cached_property
    def shares_covariance(self) -> bool:
        """Whether all components have one covariance, which their arrays may repeat."""
        return self.n_free_parameters(3, 5) == self.n_free_parameters(4, 5)

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


class Conjugate(CovarianceStructure):
    """A structure that a Wishart prior is conjugate to, and what it supplies besides.

    Variational Bayes needs it (Bishop 2006, sec. 10.2), maximum likelihood does not.
    """

    @abstractmethod
    def expected_exponent(self, statistics: SufficientStatistics, operands: Operands) -> Any:
        """Sum over rows and components of ``w * r * scale * q``, see `Operands`.

        Parameters
        ----------
        statistics : SufficientStatistics
            Of a pass with these operands.
        operands : Operands
        """

    @abstractmethod
    def posterior_scatter(
        self, estimates: Estimates, pull: np.ndarray, offsets: np.ndarray
    ) -> np.ndarray:
        """What rows add to the inverse scale of the Wishart distribution (Bishop 2006, eq. 10.62).

        Parameters
        ----------
        estimates : Estimates
        pull : ndarray of shape (k,)
            Weights of the offsets.
        offsets : ndarray of shape (k, d)
            Means less the prior's mean.
        """

    @abstractmethod
    def degrees_gained(self, weight: np.ndarray) -> np.ndarray:
        """What rows add to the degrees of freedom of the Wishart distribution (eq. 10.63)."""


STRUCTURES: dict[str, CovarianceStructure] = {}
"""Every covariance structure, by the name that ``covariance_type`` takes."""


def register(structure: type[CovarianceStructure]) -> type[CovarianceStructure]:
    """Class decorator that enters a structure into `STRUCTURES`.

    Raises
    ------
    ValueError
        If there are no kernels for its forms.
    """
    forms = structure.forms if structure.within is None else structure.within.forms
    density, moments = check_forms(*forms)
    structure.forms = Forms(density, MomentForm(moments))  # of a word, too
    STRUCTURES[structure.name] = structure()
    return structure
