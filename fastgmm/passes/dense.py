"""The pass over the rows of a source: every row by every component, chunk by chunk."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.engines.base import Engine
from fastgmm.engines.threads import ThreadEngine
from fastgmm.kernels.layout import Forms
from fastgmm.passes.base import Pass, Shares
from fastgmm.passes.chunks import (
    chunk_predictions,
    chunk_scatter,
    sums_of_chunks,
    totals_of_each,
)
from fastgmm.passes.kernel_operands import (
    KernelChoice,
    kernels_for,
    kernels_for_given,
    moment_operands,
)
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.statistics import MomentForm, SufficientStatistics


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
        reference = point[np.newaxis]

        def scatter(index: int) -> SufficientStatistics:
            return chunk_scatter(self._source.read(*self._grid.bounds(index)), reference)

        return self._engine.reduce(scatter, len(self._grid))

    def centre(self):
        return self._centre

    @cached_property
    def _centre(self) -> np.ndarray:
        def total(index: int) -> np.ndarray:
            rows = self._source.read(*self._grid.bounds(index)).rows
            return totals_of_each(rows, np.array([0, len(rows)]))[0]

        return self._engine.reduce(total, len(self._grid)) / self.n_rows

    def _summed(self, choice: KernelChoice, shares: Shares | None) -> SufficientStatistics:
        """One pass over the rows, under the operands' responsibilities or given ones."""
        sums_of_chunk = sums_of_chunks(choice.forms, choice.operands, choice.dtype, choice.careful)

        def sums(index: int) -> np.ndarray:
            chunk = self._read(index, choice.dtype)
            if shares is not None:
                return sums_of_chunk(chunk, shares.chunk(chunk.start, chunk.stop))
            labels = self._known(chunk)
            if labels is None:
                return sums_of_chunk(chunk, None)
            return _sums_with_labels(chunk, labels, choice, sums_of_chunk)

        in_order = shares is not None and shares.in_order
        engine = ThreadEngine(1) if in_order else self._engine
        total = engine.reduce(sums, len(self._grid))
        return self._record(choice, choice.operands.reference, total)

    def _summed_about(self, choice: KernelChoice, about: np.ndarray) -> SufficientStatistics:
        """One pass over the rows, with moments about other points than the means."""
        # Points that the new means are about are no reason to be less careful than about means.
        made = choice._replace(operands=moment_operands(about), dtype=np.dtype(np.float64))
        sums_of_chunk = sums_of_chunks(made.forms, made.operands, made.dtype)

        def sums(index: int) -> np.ndarray:
            chunk = self._read(index, made.dtype)
            log_likelihoods, responsibilities = shared_out(chunk, choice, self._known(chunk))
            total = sums_of_chunk(chunk, responsibilities)
            weighted = len(chunk.weights) > 0
            total[0] = chunk.weights @ log_likelihoods if weighted else log_likelihoods.sum()
            return total

        return self._record(made, about, self._engine.reduce(sums, len(self._grid)))

    def _known(self, chunk: Chunk) -> np.ndarray | None:
        """Labels of a chunk; None if it has none."""
        if self._labels is None:
            return None
        labels = self._labels[chunk.start : chunk.stop]
        return labels if (labels >= 0).any() else None

    def _read(self, index: int, dtype: np.dtype) -> Chunk:
        """A chunk of rows in the type that kernels work in."""
        chunk = self._source.read(*self._grid.bounds(index))
        return chunk if dtype == self.dtype else chunk._replace(rows=chunk.rows.astype(dtype))

    def _record(
        self, choice: KernelChoice, reference: np.ndarray, sums: np.ndarray
    ) -> SufficientStatistics:
        record = SufficientStatistics(MomentForm(choice.forms.moments), reference, sums)
        return as_asked(record, self._forms, self)


def as_asked(record: SufficientStatistics, forms: Forms, rows: Pass) -> SufficientStatistics:
    """Statistics from whatever kernels, as a structure with these forms takes them.

    Parameters
    ----------
    record : SufficientStatistics
    forms : Forms
        Of the structure.
    rows : Pass
        That the statistics are of.
    """
    if record.form is MomentForm.NONE:
        return record.with_scatter(rows.total_scatter)
    if record.form is MomentForm.DIAGONAL and forms.moments == MomentForm.TRACE:
        return record.traced()
    return record


def _sums_with_labels(
    chunk: Chunk,
    labels: np.ndarray,
    choice: KernelChoice,
    sums_of_chunk: Callable[[Chunk, np.ndarray | None], np.ndarray],
) -> np.ndarray:
    """Sums of a chunk some of whose rows are known to be of a component."""
    known = labels >= 0
    inside, its_labels = part_of(chunk, known), labels[known]
    total = sums_of_chunk(inside, its_labels)
    log_densities = _log_densities(inside, choice)[np.arange(len(its_labels)), its_labels]
    weighted = len(inside.weights) > 0
    total[0] = inside.weights @ log_densities if weighted else log_densities.sum()
    return total if known.all() else total + sums_of_chunk(part_of(chunk, ~known), None)


def part_of(chunk: Chunk, chosen: np.ndarray) -> Chunk:
    """Those rows of a chunk that a mask chooses."""
    weights = chunk.weights[chosen] if len(chunk.weights) else chunk.weights
    return chunk._replace(rows=chunk.rows[chosen], weights=weights)


def _log_densities(chunk: Chunk, choice: KernelChoice) -> np.ndarray:
    """Weighted log-densities (rows, k) in float64."""
    densities = np.empty((len(chunk.rows), len(choice.operands.means)), choice.dtype)
    rows = chunk._replace(rows=chunk.rows.astype(choice.dtype, copy=False))
    chunk_predictions(rows, choice.forms, choice.operands, "log_densities", densities)
    return densities.astype(np.float64, copy=False)


def shared_out(
    chunk: Chunk, choice: KernelChoice, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods (rows,) and responsibilities (rows, k) in float64."""
    densities = _log_densities(chunk, choice)
    noise = -np.inf if choice.operands.background is None else choice.operands.background
    if labels is None:
        return shared_out_of(densities, noise)
    known = labels[:, np.newaxis] >= 0
    densities[known & (labels[:, np.newaxis] != np.arange(densities.shape[1]))] = -np.inf
    return shared_out_of(densities, np.where(known, -np.inf, noise))


def shared_out_of(
    log_densities: np.ndarray, of_noise: Any = -np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods (n,) and responsibilities (n, k) that follow from log-densities.

    Parameters
    ----------
    log_densities : ndarray of shape (n, k)
        Of the components, with their weights.
    of_noise : float, or ndarray of shape (n, 1), optional
        Of noise.
    """
    largest = np.maximum(log_densities.max(axis=1, keepdims=True), of_noise)
    responsibilities = np.exp(log_densities - largest)
    totals = responsibilities.sum(axis=1, keepdims=True) + np.exp(of_noise - largest)
    responsibilities /= totals
    return (largest + np.log(totals))[:, 0], responsibilities
