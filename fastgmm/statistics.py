"""Sufficient statistics: the additive record between the E-step and the M-step.

Sums over rows, taken about a reference (the means that the pass started from), so that nothing
cancels when the data lie far from zero, and records of different rows simply add.
"""

import functools
from dataclasses import dataclass
from enum import Enum

import numpy as np

from fastgmm.kernels.layout import BLOCK, HEADER, outer_blocks, outer_size


@functools.lru_cache(maxsize=8)
def _lower(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the blocks on and below the diagonal."""
    return np.tril_indices(n)


class MomentForm(Enum):
    """Which second moments a record holds; a block per component in `SufficientStatistics.sums`.

    - ``OUTER``: lower triangle of a ``(d + 1, d + 1)`` matrix, whose last row holds the first
      moments and the weight, in blocks (see `fastgmm.kernels.layout`);
    - ``DIAGONAL``: first (d), weight, second (d);
    - ``TRACE``: first (d), weight, second (1);
    - ``NONE``: first (d), weight.
    """

    OUTER = "outer"
    DIAGONAL = "diagonal"
    TRACE = "trace"
    NONE = "none"

    def block_size(self, n_features: int) -> int:
        """Numbers per component."""
        sizes = {
            MomentForm.OUTER: outer_size(n_features),
            MomentForm.DIAGONAL: 2 * n_features + 1,
            MomentForm.TRACE: n_features + 2,
            MomentForm.NONE: n_features + 1,
        }
        return sizes[self]


@dataclass(frozen=True, eq=False, slots=True)
class SufficientStatistics:
    """Weighted sums over rows, about a reference.

    Parameters
    ----------
    form : MomentForm
        Which second moments are held.
    reference : ndarray of shape (k, d)
        The points that moments are taken about, one per component.
    sums : ndarray of shape (HEADER + k * block_size,)
        All sums in one float64 array, which the properties read.
    """

    form: MomentForm
    reference: np.ndarray
    sums: np.ndarray

    @classmethod
    def zero(cls, form: MomentForm, reference: np.ndarray) -> "SufficientStatistics":
        """The statistics of no rows, neutral under addition."""
        k, d = reference.shape
        return cls(form, reference, np.zeros(HEADER + k * form.block_size(d)))

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        """Statistics of the rows of both.

        Raises
        ------
        ValueError
            If the two have another form or another reference.
        """
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        if self.form is not other.form:
            raise ValueError(
                f"Statistics of different moment forms do not add: {self.form.value!r} and "
                f"{other.form.value!r}."
            )
        if self.reference is not other.reference and not np.array_equal(
            self.reference, other.reference
        ):
            raise ValueError("Statistics about different references do not add.")
        return SufficientStatistics(self.form, self.reference, self.sums + other.sums)

    @property
    def log_likelihood(self) -> float:
        """Weighted sum of the rows' log-likelihoods under the parameters of the pass."""
        return float(self.sums[0])

    @property
    def total_weight(self) -> float:
        """Sum of the rows' weights."""
        return float(self.sums[1])

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.sums[2])

    @property
    def _blocks(self) -> np.ndarray:
        return self.sums[HEADER:].reshape(len(self.reference), -1)

    @property
    def weight(self) -> np.ndarray:
        r"""(k,): :math:`N_c = \sum_t w_t r_{tc}` (Bishop 2006, eq. 9.27)."""
        k, d = self.reference.shape
        if self.form is MomentForm.OUTER:
            return self._blocks.reshape(k, -1, BLOCK, BLOCK)[:, -1, d % BLOCK, d % BLOCK]
        return self._blocks[:, d]

    @property
    def first(self) -> np.ndarray:
        r"""(k, d): :math:`\sum_t w_t r_{tc} (x_t - \text{reference}_c)`."""
        k, d = self.reference.shape
        if self.form is MomentForm.OUTER:
            blocks = self._blocks.reshape(k, -1, BLOCK, BLOCK)
            return blocks[:, -outer_blocks(d) :, d % BLOCK].reshape(k, -1)[:, :d]
        return self._blocks[:, :d]

    @property
    def second(self) -> np.ndarray:
        r"""Second moments about the reference.

        (k, d, d) for OUTER, new each time; (k, d) for DIAGONAL; (k,), summed over features, for
        TRACE.
        """
        d = self.reference.shape[1]
        if self.form is MomentForm.OUTER:
            return self._outer()[:, :d, :d]
        if self.form is MomentForm.DIAGONAL:
            return self._blocks[:, d + 1 :]
        if self.form is MomentForm.TRACE:
            return self._blocks[:, d + 1]
        raise AttributeError("These statistics hold no second moments.")

    def _outer(self) -> np.ndarray:
        """Symmetric matrices (k, >= d + 1, >= d + 1) from the blocks that are kept."""
        k, d = self.reference.shape
        n = outer_blocks(d)
        full = np.zeros((k, n, BLOCK, n, BLOCK))
        row, column = _lower(n)
        blocks = self._blocks.reshape(k, -1, BLOCK, BLOCK).transpose(1, 0, 2, 3)
        full[:, row, :, column, :] = blocks
        full = full.reshape(k, n * BLOCK, n * BLOCK)
        diagonal = np.arange(n * BLOCK)
        full[:, diagonal, diagonal] *= 0.5
        return full + full.transpose(0, 2, 1)
