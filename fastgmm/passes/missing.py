"""The pass over rows in which values are missing, by the marginal densities of what is there.

EM for values that are missing at random (Ghahramani and Jordan 1994).
"""

import numpy as np

from fastgmm.covariance.linalg import diagonals
from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import Forms
from fastgmm.passes.base import Pass, Shares
from fastgmm.passes.dense import DensePass, part_of
from fastgmm.passes.marginal_e_step import MarginalEStep
from fastgmm.passes.patterns import Batch, Group, KnownPatterns, batches_of, groups_of, patterns_of
from fastgmm.sources.base import RowGrid, RowSource
from fastgmm.sources.missing import MissingTally, filled_rows
from fastgmm.statistics import MomentForm, SufficientStatistics

_MOST_SUMS = 1 << 20
"""Sums of all patterns, up to which they are kept apart until the end of a pass."""

_LEAST_CHUNKS = 16
"""Chunks that larger ones should leave, for threads..."""

_MOST_TIMES = 4
"""...and how many times as large they may be, for memory."""

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
        Of the structure. Moments are outer ones where features may correlate, in place of none.
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
        source = source.at_home()  # what is found there about patterns stays there
        self._filled = DensePass(filled_rows(source, tally), forms, engine, n_components)
        self._source, self._tally, self._labels = source.scaled(), tally, labels
        self._forms, self._engine = forms, engine
        # A chunk takes a call for each number of features: it is larger than those of other passes.
        grid = RowGrid.of(source.n_rows, source.n_features, n_components)
        larger = min(max(len(grid) // _LEAST_CHUNKS, 1), _MOST_TIMES)
        self._grid = RowGrid(grid.n_rows, larger * grid.rows_per_chunk)
        self.n_rows, self.n_features, self.dtype = source.n_rows, source.n_features, source.dtype
        self.weight_scale, self.total_weight = self._filled.weight_scale, self._filled.total_weight
        self._n_components = n_components
        # Where patterns are few, what is made of them is made once a pass, not once a chunk.
        self._batches: list[Batch] | None = None
        if tally.patterns is not None:
            outer = MomentForm.OUTER.n_sums(n_components, source.n_features)
            if outer * len(tally.patterns) <= _MOST_SUMS:
                self._batches = batches_of(tally.patterns, n_components)
                self._known = KnownPatterns(tally.patterns)
        self._keeps = source.n_rows * source.n_features * self.dtype.itemsize <= _MOST_KEPT
        self._kept: dict[int, tuple[list[Batch], list[tuple[Group, ...]]]] = {}

    def statistics(self, operands, about=None, careful=False):
        e_step = MarginalEStep.of(operands, self._forms.density, about, careful, self.dtype)
        if self._batches is None:
            # Every chunk for itself, a batch at a time: all of them may be larger than the rows.
            def expanded(index: int) -> np.ndarray:
                batches, groups = self._grouped(index)
                total = np.zeros(e_step.form.n_sums(*e_step.reference.shape))
                for batch, of_batch in zip(batches, groups, strict=True):
                    made = e_step.kernels(batch)
                    sums = np.zeros(made.n_sums)
                    for group in of_batch:
                        e_step.add(made, group, sums)
                    total += e_step.expanded(made, sums)
                return total

            total = self._engine.reduce(expanded, len(self._grid))
        else:
            made = [e_step.kernels(batch) for batch in self._batches]
            ends = np.cumsum([m.n_sums for m in made])

            def sums(index: int) -> np.ndarray:
                sums = np.zeros(ends[-1])
                parts = zip(made, self._grouped(index)[1], np.split(sums, ends[:-1]), strict=True)
                for of_batch, groups, part in parts:
                    for group in groups:
                        e_step.add(of_batch, group, part)
                return sums

            by_batch = np.split(self._engine.reduce(sums, len(self._grid)), ends[:-1])
            pairs = zip(made, by_batch, strict=True)
            total = np.sum([e_step.expanded(m, s) for m, s in pairs], axis=0)
        record = SufficientStatistics(e_step.form, e_step.reference, total)
        return record.traced() if self._forms.moments == MomentForm.TRACE else record

    def given(self, shares, about, careful=False):
        """Statistics under given responsibilities.

        What is missing is taken to have the mean and the variance of its feature.
        """
        counted = _SharesOfMissing(shares, self._source, about.shape)
        record = self._filled.given(counted, about, careful)
        return _widened(record, counted.weight(), self._tally.variances)

    def scatter(self, point):
        record = self._filled.scatter(point)
        missing = record.total_weight - self._tally.weight[np.newaxis]
        return _widened(record, missing, self._tally.variances)

    def centre(self):
        return self._filled.centre()

    def _grouped(self, index: int) -> tuple[list[Batch], list[tuple[Group, ...]]]:
        """Batches, and the rows of a chunk by batch: those without labels, and those with."""
        found = self._kept.get(index)
        if found is None:
            chunk = self._source.read(*self._grid.bounds(index))
            batches = self._batches
            if batches is None:
                patterns, numbers = patterns_of(chunk.rows)
                batches = batches_of(patterns, self._n_components)
            else:
                numbers = self._known.numbers(chunk.rows)
                if (numbers < 0).any():
                    raise ValueError(f"{self._source.name} has changed since it was opened.")
            if self._labels is None:
                parts = [groups_of(chunk, numbers, batches)]
            else:
                labels = self._labels[chunk.start : chunk.stop]
                free, known = labels < 0, labels >= 0
                parts = [groups_of(part_of(chunk, free), numbers[free], batches)]
                if known.any():
                    of_known = part_of(chunk, known), numbers[known], batches, labels[known]
                    parts.append(groups_of(*of_known))
            found = batches, list(zip(*parts, strict=True))
            if self._keeps:
                self._kept[index] = found
        return found


class _SharesOfMissing:
    """Given shares, which add up by component and feature what is missing as they are asked for.

    Parameters
    ----------
    shares : Shares
    source : RowSource
    shape : tuple of int
        Components and features.
    """

    def __init__(self, shares: Shares, source: RowSource, shape: tuple[int, int]):
        self._shares, self._source, self._shape = shares, source, shape
        self.in_order = shares.in_order
        self._found: dict[int, np.ndarray] = {}

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Shares of the rows start to stop."""
        shares = self._shares.chunk(start, stop)
        chunk = self._source.read(start, stop)
        missing = np.isnan(chunk.rows) * (chunk.weights[:, np.newaxis] if len(chunk.weights) else 1)
        if shares.ndim == 1:
            found = np.zeros(self._shape)
            np.add.at(found, shares, missing)
        else:
            found = shares.T @ missing
        self._found[start] = found
        return shares

    def weight(self) -> np.ndarray:
        """(k, d): sum of the weights of rows that lack the feature, shared out."""
        return np.sum([self._found[start] for start in sorted(self._found)], axis=0)


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
