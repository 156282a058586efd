"""Sufficient statistics: the additive record between the E-step and the M-step.

Sums over rows, taken about a reference (the means that the pass started from), so that nothing
cancels when the data lie far from zero, and records of different rows simply add.
"""

import functools
from dataclasses import dataclass
from enum import Enum
from typing import Any

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

    Of many data sets at once, all arrays have an axis in front: ``(..., k, d)`` is then what is
    called ``(k, d)`` here.

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
        *leading, k, d = reference.shape
        return cls(form, reference, np.zeros((*leading, HEADER + k * form.block_size(d))))

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
    def log_likelihood(self) -> Any:
        """Weighted sum of the rows' log-likelihoods under the parameters of the pass."""
        return self.sums[..., 0][()]

    @property
    def total_weight(self) -> Any:
        """Sum of the rows' weights."""
        return self.sums[..., 1][()]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.sums[2])

    @property
    def _blocks(self) -> np.ndarray:
        return self.sums[..., HEADER:].reshape(*self.reference.shape[:-1], -1)

    @property
    def _outer_blocks(self) -> np.ndarray:
        """(k, blocks, BLOCK, BLOCK)."""
        return self._blocks.reshape(*self.reference.shape[:-1], -1, BLOCK, BLOCK)

    @property
    def weight(self) -> np.ndarray:
        r"""(k,): :math:`N_c = \sum_t w_t r_{tc}` (Bishop 2006, eq. 9.27)."""
        d = self.reference.shape[-1]
        if self.form is MomentForm.OUTER:
            return self._outer_blocks[..., -1, d % BLOCK, d % BLOCK]
        return self._blocks[..., d]

    @property
    def first(self) -> np.ndarray:
        r"""(k, d): :math:`\sum_t w_t r_{tc} (x_t - \text{reference}_c)`."""
        *leading, d = self.reference.shape
        if self.form is MomentForm.OUTER:
            last_rows = self._outer_blocks[..., -outer_blocks(d) :, d % BLOCK, :]
            return last_rows.reshape(*leading, -1)[..., :d]
        return self._blocks[..., :d]

    @property
    def second(self) -> np.ndarray:
        r"""Second moments about the reference.

        (k, d, d) for OUTER, new each time; (k, d) for DIAGONAL; (k,), summed over features, for
        TRACE.
        """
        d = self.reference.shape[-1]
        if self.form is MomentForm.OUTER:
            return self._outer()[..., :d, :d]
        if self.form is MomentForm.DIAGONAL:
            return self._blocks[..., d + 1 :]
        if self.form is MomentForm.TRACE:
            return self._blocks[..., d + 1]
        raise AttributeError("These statistics hold no second moments.")

    def _outer(self) -> np.ndarray:
        """Symmetric matrices (k, >= d + 1, >= d + 1) from the blocks that are kept."""
        *leading, d = self.reference.shape
        n = outer_blocks(d)
        if n == 1:
            full = self._outer_blocks[..., 0, :, :].copy()
        else:
            full = np.zeros((*leading, n, BLOCK, n, BLOCK))
            row, column = _lower(n)
            full[..., row, :, column, :] = np.moveaxis(self._outer_blocks, -3, 0)
            full = full.reshape(*leading, n * BLOCK, n * BLOCK)
        np.einsum("...ii->...i", full)[...] *= 0.5  # a view of the diagonals
        return full + full.swapaxes(-1, -2)
