"""The pass over many small data sets at once: one call of a kernel for them all."""

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.kernels.layout import Forms
from fastgmm.passes.base import Pass
from fastgmm.passes.chunks import scatter_of_each, statistics_of_each, totals_of_each
from fastgmm.passes.dense import as_asked
from fastgmm.passes.kernel_operands import (
    KernelChoice,
    kernels_for,
    kernels_for_given,
    moment_operands,
)
from fastgmm.passes.shares import shared_out
from fastgmm.records import taken
from fastgmm.sources.base import Chunk
from fastgmm.sources.weights import NO_WEIGHTS
from fastgmm.statistics import SufficientStatistics


class ManyPass(Pass):
    """Statistics of many data sets, each row of which weighs 1.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Of all data sets, one after another; float64 or float32.
    offsets : ndarray of int, shape (sets + 1,)
        Where each data set begins; the last ends at n.
    forms : Forms
        Of the structure.
    numbers : ndarray of int, optional
        The data sets to work on; all of them by default.
    """

    def __init__(
        self,
        rows: np.ndarray,
        offsets: np.ndarray,
        forms: Forms,
        numbers: np.ndarray | None = None,
    ):
        self._rows, self._offsets, self._forms = rows, offsets, forms
        self._numbers = np.arange(len(offsets) - 1) if numbers is None else numbers
        self.dtype, self.n_features = rows.dtype, rows.shape[1]
        self.n_rows = np.diff(offsets)[self._numbers]
        self.total_weight = self.n_rows.astype(np.float64)

    def take(self, chosen: np.ndarray) -> "ManyPass":
        """The pass over those data sets that a mask chooses."""
        other = ManyPass(self._rows, self._offsets, self._forms, self._numbers[chosen])
        if "_centre" in self.__dict__:
            other.__dict__["_centre"] = self._centre[chosen]
        if "total_scatter" in self.__dict__:
            other.__dict__["total_scatter"] = taken(self.total_scatter, chosen)
        return other

    def statistics(self, operands, about=None, careful=False):
        choice = kernels_for(operands, self._forms, self.dtype, careful)
        if about is None:
            return self._summed(choice, None)
        responsibilities = np.empty((len(self._rows), operands.means.shape[-2]))
        log_likelihoods = np.empty(len(self._numbers))
        for i, number in enumerate(self._numbers.tolist()):
            start, stop = self._offsets[number], self._offsets[number + 1]
            chunk = Chunk(start, stop, self._rows[start:stop], NO_WEIGHTS)
            own = choice._replace(operands=taken(choice.operands, i))
            values, responsibilities[start:stop] = shared_out(chunk, own)
            log_likelihoods[i] = values.sum()
        made = choice._replace(operands=moment_operands(about), dtype=np.dtype(np.float64))
        statistics = self._summed(made, responsibilities)
        statistics.sums[..., 0] = log_likelihoods
        return statistics

    def given(self, shares, about, careful=False):
        choice = kernels_for_given(self._forms, self.centre(), about, careful)
        return self._summed(choice, shares.chunk(0, len(self._rows)))

    def scatter(self, point):
        offsets = self._offsets
        if len(self._numbers) == len(offsets) - 1:
            return scatter_of_each(self._rows, offsets, point)
        of_all = np.zeros((len(offsets) - 1, self.n_features))
        of_all[self._numbers] = point
        return taken(scatter_of_each(self._rows, offsets, of_all), self._numbers)

    def centre(self):
        return self._centre

    @cached_property
    def _centre(self) -> np.ndarray:
        totals = totals_of_each(self._rows, self._offsets)[self._numbers]
        return totals / self.n_rows[:, np.newaxis]

    def _summed(self, choice: KernelChoice, shares: np.ndarray | None) -> SufficientStatistics:
        rows = self._rows.astype(choice.dtype, copy=False)
        record = statistics_of_each(
            rows,
            self._offsets,
            self._numbers,
            choice.forms,
            choice.operands,
            shares,
            choice.careful,
        )
        return as_asked(record, self._forms, self, choice.operands.origin)
