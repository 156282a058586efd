"""What a pass is: rows that can be asked for their statistics."""

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.parameters import Operands
from fastgmm.statistics import SufficientStatistics


class Shares(Protocol):
    """Responsibilities of all rows, or labels, which are given instead of computed."""

    @property
    def in_order(self) -> bool:
        """Whether chunks have to be asked for once, and in order."""
        ...

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k), or labels (rows,), of the rows start to stop."""
        ...


class Pass(ABC):
    """Rows that can be asked for their statistics, again and again.

    Where they are, how they are cut, on how many threads and by which kernels they are worked on is
    the pass's own business.

    Attributes
    ----------
    n_rows : int
        Of many data sets, (sets,); so are weights, and all that is returned has an axis in front.
    n_features : int
    dtype : dtype
        That rows are worked on in: float64 or float32.
    total_weight : float
        Sum of the weights, as the caller gave them.
    weight_scale : float
        A power of two near their mean, which the weights in statistics are divided by: it changes
        no digit, and keeps tiny weights above the guard against empty components. All that
        statistics sum is divided by it, `total_weight` here is not.
    """

    n_rows: Any
    n_features: int
    dtype: np.dtype
    total_weight: Any
    weight_scale: float = 1.0

    @abstractmethod
    def statistics(
        self, operands: Operands, about: np.ndarray | None = None, careful: bool = False
    ) -> SufficientStatistics:
        """E-step of all rows.

        Parameters
        ----------
        operands : Operands
            Of the mixture that responsibilities are computed under.
        about : ndarray of shape (k, d), optional
            Points to take moments about, if not about the mixture's means.
        careful : bool, optional
            Whether every digit counts: every component is then worked on in float64, about its own
            mean.
        """

    @abstractmethod
    def given(
        self, shares: Shares, about: np.ndarray, careful: bool = False
    ) -> SufficientStatistics:
        """Statistics under given responsibilities; their log-likelihood is 0.

        Parameters
        ----------
        shares : Shares
            Of which a chunk may be labels.
        about : ndarray of shape (k, d)
            Points to take moments about.
        careful : bool, optional
            See `statistics`.
        """

    @abstractmethod
    def scatter(self, point: np.ndarray) -> SufficientStatistics:
        """Outer moments of all rows, as of a single component, about a point (d,)."""

    @abstractmethod
    def centre(self) -> np.ndarray:
        """A point (d,) amid the rows: their mean, whatever they weigh."""

    @cached_property
    def total_scatter(self) -> SufficientStatistics:
        """Scatter of all rows about their centre, made once."""
        return self.scatter(self.centre())

    def close(self) -> None:  # noqa: B027  (most passes hold nothing that has to be let go)
        """Let go of what the pass holds; it is not used any more."""
