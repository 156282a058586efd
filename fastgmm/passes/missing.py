"""The pass over rows in which values are missing, by the marginal densities of what is there.

EM for values that are missing at random (Ghahramani and Jordan 1994).
"""

import uuid
from dataclasses import dataclass, replace

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance.linalg import diagonals
from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import Forms
from fastgmm.passes.base import Pass
from fastgmm.passes.dense import DensePass, SumsOfChunks, as_asked, with_own_scatter
from fastgmm.passes.groups import Groups, SumsOfBatch, SumsOfGroups
from fastgmm.passes.kernel_operands import kernels_for_given
from fastgmm.passes.marginal_e_step import MarginalEStep
from fastgmm.passes.patterns import Batch, Group
from fastgmm.passes.shares import Bounds, SumsOfGiven
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks
from fastgmm.sources.missing import MissingTally, filled, filled_rows
from fastgmm.statistics import MomentForm, SufficientStatistics

_MOST_SUMS = 1 << 20
"""Sums of all patterns, up to which they are kept apart until the end of a pass."""

_LEAST_CHUNKS = 16
"""Chunks that larger ones should leave, for threads..."""

_MOST_TIMES = 4
"""...and how many times as large they may be, for memory."""

_SMALL = 1 << 24
"""Bytes up to which a chunk is small, and may be all there is: for rare patterns, of few rows."""

_MOST_KEPT = 1 << 28
"""Bytes of rows, up to which they are kept in order of their patterns."""


class MissingPass(Pass):
    """Statistics of rows in which values are missing.

    Parameters
    ----------
    source : RowSource
        Every row of which has a value.
    tally : MissingTally
        Of it.
    forms : Forms
        Of the structure.
    engine : Engine
    n_components : int
    labels : ndarray of int32, shape (n,), optional
        See `DensePass`.
    """

    def __init__(
        self,
        source: RowSource,
        tally: MissingTally,
        forms: Forms,
        engine: Engine,
        n_components: int,
        labels: np.ndarray | None = None,
    ):
        self._filled = DensePass(filled_rows(source, tally), forms, engine, n_components)
        self._source, self._tally, self._labels = source.scaled(), tally, labels
        self._forms, self._engine = forms, engine
        # A chunk takes a call for each number of features: it is larger than those of other passes.
        grid = RowGrid.of(source.n_rows, source.n_features, n_components)
        small = _SMALL // (8 * source.n_features * grid.rows_per_chunk)
        larger = max(min(len(grid) // _LEAST_CHUNKS, _MOST_TIMES), min(len(grid), small), 1)
        self._grid = RowGrid(grid.n_rows, larger * grid.rows_per_chunk)
        self.n_rows, self.n_features, self.dtype = source.n_rows, source.n_features, source.dtype
        self.weight_scale, self.total_weight = self._filled.weight_scale, self._filled.total_weight
        # Where patterns are few, what is made of them is made once a pass, not once a chunk.
        patterns = tally.patterns
        if patterns is not None:
            outer = MomentForm.OUTER.n_sums(n_components, source.n_features)
            patterns = patterns if outer * len(patterns) <= _MOST_SUMS else None
        self._groups = Groups(uuid.uuid4().hex, source.name, patterns, n_components)
        self._keeps = source.n_rows * source.n_features * self.dtype.itemsize <= _MOST_KEPT

    def statistics(self, operands, about=None, careful=False):
        e_step = MarginalEStep.of(operands, self._forms.density, about, careful, self.dtype)
        sums = SumsOfGroups(e_step, self._groups, self._labels, self._keeps)
        total = self._total(sums)
        record = SufficientStatistics(e_step.form, e_step.reference, total)
        if record.form is MomentForm.POOLED:
            return with_own_scatter(record, operands.origin)
        return record.traced() if self._forms.moments == MomentForm.TRACE else record

    def given(self, shares, about, careful=False):
        """Statistics under given responsibilities.

        What is missing is taken to have the mean and the variance of its feature.
        """
        choice = kernels_for_given(self._forms, self.centre(), about, careful)
        # In the type of the stored rows, as `FilledRows` fills them.
        values = self._tally.means.astype(self._source.reader.dtype)
        given = SumsOfGiven(SumsOfChunks(choice), shares)
        found = self._filled.merged(
            _GivenOfMissing(given, values, about.shape), self._source, one_by_one=shares.in_order
        )
        total, missing = np.split(found, [len(found) - about.size])
        record = SufficientStatistics(
            MomentForm(choice.forms.moments), choice.operands.reference, total
        )
        record = as_asked(record, self._forms, self._filled, choice.operands.origin)
        return _widened(record, missing.reshape(about.shape), self._tally.variances)

    def scatter(self, point):
        record = self._filled.scatter(point)
        missing = record.total_weight - self._tally.weight[np.newaxis]
        return _widened(record, missing, self._tally.variances)

    def centre(self):
        return self._filled.centre()

    def _total(self, sums: SumsOfGroups) -> np.ndarray:
        """Sums over all features, of all rows; here, rows that are kept in order are read once."""
        if self._source.place is not None:
            return sums.expanded(merge_chunks(sums, self._source, self._grid, self._engine))
        bounds, read = self._grid.bounds, self._source.read
        batches = self._groups.batches
        if batches is not None and self._keeps:
            return self._total_by_batch(sums.e_step, batches)
        found = self._engine.reduce(lambda i: sums.of_rows(bounds(i), read), len(self._grid))
        return sums.expanded(found)

    def _total_by_batch(self, e_step: MarginalEStep, batches: list[Batch]) -> np.ndarray:
        """The same, in the same bits, of rows that are kept: threads share a chunk's groups."""
        kept, in_order = self._tasks
        of_batches = [
            SumsOfBatch(e_step, batch, [of_chunk[i] for of_chunk in kept])
            for i, batch in enumerate(batches)
        ]

        def add(task: int) -> None:
            batch, chunk, group = in_order[task]
            of_batches[batch].add(chunk, group)

        self._engine.for_each(add, len(in_order))
        return np.sum([of_batch.expanded for of_batch in of_batches], axis=0)

    @cached_property
    def _tasks(self) -> tuple[list[list[tuple[Group, ...]]], list[tuple[int, int, int]]]:
        """Groups of chunks by batch; numbers of batches, chunks and groups, in order of work.

        What takes longest comes first, so that threads end together.
        """
        kept: list[list[tuple[Group, ...]]] = [[] for _ in range(len(self._grid))]

        def group(i: int) -> None:
            bounds = self._grid.bounds(i)
            _, kept[i] = self._groups.of_rows(bounds, self._source.read, self._labels, False)

        self._engine.for_each(group, len(kept))
        work = {
            (batch, chunk, number): of_some.rows.size
            for chunk, of_chunk in enumerate(kept)
            for batch, groups in enumerate(of_chunk)
            for number, of_some in enumerate(groups)
        }
        return kept, sorted(work, key=lambda task: work[task], reverse=True)


@dataclass(frozen=True, eq=False, slots=True)
class _GivenOfMissing:
    """Sums of a chunk under given shares; behind them, the weight of what components lack (k, d).

    Parameters
    ----------
    given : SumsOfGiven
    values : ndarray of shape (d,)
        Taken where values are missing.
    shape : tuple of int
        Components and features.
    """

    given: SumsOfGiven
    values: np.ndarray
    shape: tuple[int, ...]

    def __call__(self, chunk: Chunk) -> np.ndarray:
        shares = self.given.shares.chunk(chunk.start, chunk.stop)
        missing = np.isnan(chunk.rows) * (chunk.weights[:, np.newaxis] if len(chunk.weights) else 1)
        if shares.ndim == 1:
            lacking = np.zeros(self.shape)
            np.add.at(lacking, shares, missing)
        else:
            lacking = shares.T @ missing
        complete = chunk._replace(rows=filled(chunk.rows, self.values))
        return np.concatenate([self.given.sums(complete, shares), lacking.ravel()])

    def of_chunks(self, bounds: Bounds) -> "_GivenOfMissing":
        """The same with the shares of some chunks only."""
        return replace(self, given=self.given.of_chunks(bounds))


def _widened(
    record: SufficientStatistics, missing: np.ndarray, variances: np.ndarray
) -> SufficientStatistics:
    """Statistics of filled rows, with the variance of what was filled in.

    Parameters
    ----------
    record : SufficientStatistics
    missing : ndarray of shape (k, d)
        Weight of the rows that lack the feature.
    variances : ndarray of shape (d,)
    """
    scatter, second = record.scatter, None
    added = missing * variances
    if record.form is MomentForm.NONE:
        assert scatter is not None
        scatter = _widened(scatter, missing.sum(axis=0, keepdims=True), variances)
    else:
        second = record.second.copy()
        if record.form is MomentForm.OUTER:
            diagonals(second)[...] += added
        else:
            second += added.sum(axis=-1) if record.form is MomentForm.TRACE else added
    return record.with_second(record.form, second).with_scatter(scatter)
