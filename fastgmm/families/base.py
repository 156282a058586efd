"""What a family of mixtures is: its M-step, its bound, and its place in an estimator."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.estimates import Estimates, FixedMeans
from fastgmm.families.noise import Noise
from fastgmm.parameters import Background, Operands, Parameters
from fastgmm.statistics import SufficientStatistics


class Family(ABC):
    """What an M-step makes of estimates; all that follows from statistics without a look at rows.

    Attributes
    ----------
    structure : CovarianceStructure
    fit_dtype : dtype or None
        That rows are fitted in; None is their own type.
    density_attributes : tuple of str
        Attributes and arguments of an estimator that densities follow from, beside its structure.
    needed_attributes : tuple of str
        What `of_fitted` needs of an estimator.
    """

    structure: CovarianceStructure
    fit_dtype: ClassVar[Any] = None
    density_attributes: ClassVar[tuple[str, ...]]
    needed_attributes: ClassVar[tuple[str, ...]] = ()

    # -- the way to and from an estimator ----------------------------------------------------------
    @classmethod
    @abstractmethod
    def of_rows(
        cls,
        estimator: Any,
        structure: CovarianceStructure,
        n_features: int,
        n_rows: Any,
        total_weight: Any,
        weight_scale: float,
        pooled: Callable[[], Estimates],
    ) -> Self:
        """The family to fit.

        Parameters
        ----------
        estimator : estimator
            A copy, whose arguments scikit-learn has checked.
        structure : CovarianceStructure
        n_features, n_rows, total_weight, weight_scale
            See `fastgmm.passes.Pass`.
        pooled : callable
            Estimates from all rows as one component, without regularisation.
        """

    @classmethod
    @abstractmethod
    def of_fitted(cls, estimator: Any, structure: CovarianceStructure, weight_scale: float) -> Self:
        """The family that the attributes of a fitted estimator are of."""

    @classmethod
    @abstractmethod
    def parameters_of(cls, estimator: Any) -> Parameters:
        """The public attributes of an estimator as they stand, perhaps set by hand."""

    @abstractmethod
    def attributes(self, parameters: Any, dtype: np.dtype) -> dict[str, Any]:
        """Fitted attributes that this family has beside those of all mixtures, in a type."""

    @classmethod
    @abstractmethod
    def tolerance(cls, estimator: Any, total_weight: Any) -> Any:
        """Change of the bound below which EM stops, for rows of this weight."""

    # -- what does not move ------------------------------------------------------------------------
    @abstractmethod
    def fixed_means(self) -> FixedMeans | None:
        """Means that stay as they are, so that covariances are taken about them."""

    @abstractmethod
    def frozen_components(self) -> np.ndarray | None:
        """Which components (k,) have a part that is fixed; None if none has."""

    # -- noise -------------------------------------------------------------------------------------
    @classmethod
    @abstractmethod
    def background_of(cls, estimator: Any) -> Background | None:
        """`Operands.background` of a fitted estimator."""

    @abstractmethod
    def with_noise(self, noise: Noise) -> Self:
        """The same family with a component of noise."""

    @abstractmethod
    def background(self, parameters: Any) -> Background | None:
        """`Operands.background` of a mixture with these parameters."""

    # -- the M-step --------------------------------------------------------------------------------
    @abstractmethod
    def first_parameters(self) -> Parameters | None:
        """Parameters to start from, if that is settled beforehand."""

    @abstractmethod
    def start(self, estimates: Estimates, total_weight: Any) -> Parameters:
        """Parameters to start from, estimated from a start of rows of this weight."""

    @abstractmethod
    def maximize(self, estimates: Estimates) -> Parameters:
        """M-step; precision factors are NaN where a covariance is singular to rounding."""

    @abstractmethod
    def lower_bound(
        self, statistics: SufficientStatistics, operands: Operands, parameters: Any
    ) -> Any:
        """Bound from a pass with these operands, and the parameters of the M-step after it."""

    @abstractmethod
    def take(self, chosen: np.ndarray) -> Self:
        """Of a family for many data sets: that for those that a mask chooses."""
