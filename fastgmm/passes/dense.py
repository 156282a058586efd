"""The pass over the rows of a source: every row by every component, chunk by chunk."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.engines.base import Engine, merged_leaves
from fastgmm.engines.threads import ThreadEngine
from fastgmm.kernels.layout import HEADER, Forms, outer_place
from fastgmm.outer_moments import first_places
from fastgmm.passes.base import Pass, Shares
from fastgmm.passes.chunks import (
    ScatterOfChunks,
    TotalsOfChunks,
    labels_and_responsibilities,
    sets_of_rows,
)
from fastgmm.passes.kernel_operands import (
    KernelChoice,
    kernels_for,
    kernels_for_given,
    moment_operands,
)
from fastgmm.passes.shares import EStepAbout, LabelledEStep, SumsOfGiven
from fastgmm.sources.array import ArrayReader
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks
from fastgmm.statistics import MomentForm, SufficientStatistics

_FEW_NUMBERS = 1 << 22
"""In rows of float32 of which a copy in float64 may be kept: of no more than 32 MB."""


class DensePass(Pass):
    """Statistics of all rows of a source.

    The grid of chunks and the tree along which their sums are merged depend on the size of the
    problem alone, so that results have the same bits for any number of threads.

    Parameters
    ----------
    source : RowSource
    forms : Forms
        Of the structure.
    engine : Engine
    n_components : int
    labels : ndarray of int32, shape (n,), optional
        The components of rows, where they are known; -1 elsewhere. An E-step leaves a labelled row
        to its component, whose weighted density is then the row's likelihood.
    """

    def __init__(
        self,
        source: RowSource,
        forms: Forms,
        engine: Engine,
        n_components: int,
        labels: np.ndarray | None = None,
    ):
        source = source.scaled()
        self._source, self._forms, self._engine = source, forms, engine
        self._labels = labels
        self._grid = RowGrid.of(source.n_rows, source.n_features, n_components)
        self.n_rows, self.n_features, self.dtype = source.n_rows, source.n_features, source.dtype
        self.weight_scale = source.weight_scale
        self.total_weight = source.total_weight * source.weight_scale

    def statistics(self, operands, about=None, careful=False):
        choice = kernels_for(operands, self._forms, self.dtype, careful)
        if about is None:
            return self._summed(choice, None)
        return self._summed_about(choice, about)

    def given(self, shares, about, careful=False):
        return self._summed(kernels_for_given(self._forms, self.centre(), about, careful), shares)

    def scatter(self, point):
        return self._merged(ScatterOfChunks(point[np.newaxis]))

    def centre(self):
        return self._centre

    @cached_property
    def _centre(self) -> np.ndarray:
        return self._merged(TotalsOfChunks()) / self.n_rows

    def merged(
        self, function: Callable[[Chunk], Any], source: RowSource, *, one_by_one: bool = False
    ) -> Any:
        """Merge of a function of every chunk of these rows, or of a source that makes them.

        Parameters
        ----------
        function : callable
        source : RowSource
        one_by_one : bool, optional
            Whether chunks have to be taken in order, if they are here.
        """
        engine = ThreadEngine(1) if one_by_one else self._engine
        return merge_chunks(function, source, self._grid, engine)

    def _merged(
        self, function: Callable[[Chunk], Any], *, one_by_one: bool = False, careful: bool = False
    ) -> Any:
        source = self._careful_source if careful else self._source
        return self.merged(function, source, one_by_one=one_by_one)

    @cached_property
    def _careful_source(self) -> RowSource:
        """The same rows; in float64 where they are few, as after one such pass others follow."""
        source, exact = self._source, np.dtype(np.float64)
        few = source.is_at_hand and self.n_rows * self.n_features <= _FEW_NUMBERS
        if source.dtype == exact or not few or source.weighted:
            return source
        rows, _ = source.reader.read(0, self.n_rows)
        reader = ArrayReader(rows.astype(exact), name=source.name)
        return source.astype(exact).with_reader(reader, missing=source.missing)

    def _summed(self, choice: KernelChoice, shares: Shares | None) -> SufficientStatistics:
        """One pass over the rows, under the operands' responsibilities or given ones."""
        sums = SumsOfChunks(choice)
        if shares is not None:
            total = self._merged(SumsOfGiven(sums, shares), one_by_one=shares.in_order)
        elif self._labels is not None:
            total = self._merged(LabelledEStep(sums, self._labels), careful=choice.careful)
        else:
            total = self._merged(sums, careful=choice.careful)
        return self._record(choice, choice.operands.reference, total)

    def _summed_about(self, choice: KernelChoice, about: np.ndarray) -> SufficientStatistics:
        """One pass over the rows, with moments about other points than the means."""
        # Points that the new means are about are no reason to be less careful than about means.
        made = KernelChoice(choice.forms, np.dtype(np.float64), moment_operands(about))
        step = EStepAbout(SumsOfChunks(made), choice, self._labels)
        return self._record(made, about, self._merged(step, careful=choice.careful))

    def _record(
        self, choice: KernelChoice, reference: np.ndarray, sums: np.ndarray
    ) -> SufficientStatistics:
        record = SufficientStatistics(MomentForm(choice.forms.moments), reference, sums)
        return as_asked(record, self._forms, self, choice.operands.origin)


def as_asked(
    record: SufficientStatistics, forms: Forms, rows: Pass, origin: np.ndarray
) -> SufficientStatistics:
    """Statistics from whatever kernels, as a structure with these forms takes them.

    Parameters
    ----------
    record : SufficientStatistics
    forms : Forms
        Of the structure.
    rows : Pass
        That the statistics are of.
    origin : ndarray of shape (d,)
        That the kernels counted coordinates from.
    """
    if record.form is MomentForm.POOLED:
        return with_own_scatter(record, origin)
    if record.form is MomentForm.NONE:
        return record.with_scatter(rows.total_scatter)
    if record.form is MomentForm.DIAGONAL and forms.moments == MomentForm.TRACE:
        return record.traced()
    return record


def with_own_scatter(record: SufficientStatistics, point: np.ndarray) -> SufficientStatistics:
    """Statistics with pooled moments about a point (d,), as such without any but with a scatter."""
    k, d = record.reference.shape[-2:]
    split = MomentForm.NONE.n_sums(k, d)
    own = SufficientStatistics(MomentForm.NONE, record.reference, record.sums[..., :split])
    outer = np.concatenate([own.sums[..., :HEADER], record.sums[..., split:]], axis=-1)
    about = point[..., np.newaxis, :]
    shifts = own.weight[..., np.newaxis] * (own.reference - about)
    # The log-likelihood is that of the components' own record.
    outer[..., 0] = 0.0
    blocks = outer[..., HEADER:]
    blocks[..., first_places(d)] = (own.first + shifts).sum(axis=-2)
    blocks[..., outer_place(d, d)] = own.weight.sum(axis=-1)
    scatter = SufficientStatistics(MomentForm.OUTER, about, outer)
    return own.with_scatter(scatter)


class SumsOfChunks:
    """The E-step of chunks, as a function: what they share is made once.

    Its bare sums are merged as they are; records of every chunk would double the time, some 6 us a
    chunk, that a pass spends outside of kernels. It pickles, without the kernel.

    Parameters
    ----------
    choice : KernelChoice
        With the operands of one mixture.
    """

    def __init__(self, choice: KernelChoice):
        from fastgmm.kernels.em_pass import statistics_pass

        self.choice = choice
        forms, dtype, operands, self._careful = choice
        self._add_statistics = statistics_pass(forms, dtype, operands.means.shape[-1])
        self._with_axis = [array[np.newaxis] for array in operands]
        self._n_sums = MomentForm(forms.moments).n_sums(*operands.means.shape)

    def __reduce__(self) -> tuple:
        return SumsOfChunks, (self.choice,)

    def __call__(self, chunk: Chunk, shares: np.ndarray | None = None) -> np.ndarray:
        """`SufficientStatistics.sums` of a chunk about ``operands.reference``.

        Parameters
        ----------
        chunk : Chunk
        shares : ndarray of shape (rows, k) or (rows,), optional
            Responsibilities, or labels, taken instead of the operands' own; the log-likelihood is
            then 0.
        """
        return self.of_stretch(chunk, len(chunk.rows), shares)

    def of_stretch(
        self, chunk: Chunk, rows_per_chunk: int, shares: np.ndarray | None = None
    ) -> np.ndarray:
        """The merge of the sums of neighbouring chunks, whose rows are read as one."""
        rows = chunk.rows.astype(self.choice.dtype, copy=False)
        offsets, numbers = sets_of_rows(len(rows), rows_per_chunk)
        sums = np.zeros((len(numbers), self._n_sums))
        given = *labels_and_responsibilities(shares), self._careful
        self._add_statistics(rows, chunk.weights, offsets, numbers, *given, *self._with_axis, sums)
        return merged_leaves(sums)
