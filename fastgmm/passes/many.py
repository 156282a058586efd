"""The pass over many small data sets at once: one call of a kernel for them all."""

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.kernels.layout import Forms
from fastgmm.passes.base import Pass
from fastgmm.passes.chunks import scatter_of_each, statistics_of_each, totals_of_each
from fastgmm.passes.dense import shared_out
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for, moment_operands
from fastgmm.sources.base import Chunk
from fastgmm.sources.weights import NO_WEIGHTS
from fastgmm.statistics import MomentForm, SufficientStatistics


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
        if "_total_scatter" in self.__dict__:
            other.__dict__["_total_scatter"] = _taken(self._total_scatter, chosen)
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
            own = choice._replace(
                operands=type(choice.operands)(*(part[i] for part in choice.operands))
            )
            values, responsibilities[start:stop] = shared_out(chunk, own)
            log_likelihoods[i] = values.sum()
        made = choice._replace(operands=moment_operands(about), dtype=np.dtype(np.float64))
        statistics = self._summed(made, responsibilities)
        statistics.sums[..., 0] = log_likelihoods
        return statistics

    def given(self, shares, about):
        forms, centre = self._forms, self.centre()
        if forms.moments in (MomentForm.NONE, MomentForm.TRACE):
            # Their kernels sum first moments about the origin.
            made = moment_operands(about - centre[:, np.newaxis])._replace(origin=centre)
        else:
            made = moment_operands(about)
        choice = KernelChoice(forms, np.dtype(np.float64), made)
        return self._summed(choice, shares.chunk(0, len(self._rows)))

    def scatter(self, point):
        offsets = self._offsets
        if len(self._numbers) == len(offsets) - 1:
            return scatter_of_each(self._rows, offsets, point)
        of_all = np.zeros((len(offsets) - 1, self.n_features))
        of_all[self._numbers] = point
        return _taken(scatter_of_each(self._rows, offsets, of_all), self._numbers)

    def centre(self):
        return self._centre

    @cached_property
    def _centre(self) -> np.ndarray:
        totals = totals_of_each(self._rows, self._offsets)[self._numbers]
        return totals / self.n_rows[:, np.newaxis]

    @cached_property
    def _total_scatter(self) -> SufficientStatistics:
        return self.scatter(self._centre)

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
        if choice.forms.moments is MomentForm.NONE:
            record = record.with_scatter(self._total_scatter)
        return record


def _taken(record: SufficientStatistics, chosen: np.ndarray) -> SufficientStatistics:
    return SufficientStatistics(record.form, record.reference[chosen], record.sums[chosen])
