"""The pass over the rows of a source: every row by every component, chunk by chunk."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.engines.base import Engine
from fastgmm.engines.threads import ThreadEngine
from fastgmm.kernels.layout import HEADER, Forms, outer_place
from fastgmm.merging import Bounds, RowsOfChunks, merge_chunks, shares_of_chunks
from fastgmm.outer_moments import first_places
from fastgmm.passes.base import Pass, Shares
from fastgmm.passes.chunks import (
    ScatterOfChunks,
    SumsOfChunks,
    TotalsOfChunks,
    chunk_predictions,
    weighted_sum,
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

    def _merged(self, function: Callable[[Chunk], Any], *, one_by_one: bool = False) -> Any:
        return self.merged(function, self._source, one_by_one=one_by_one)

    def _summed(self, choice: KernelChoice, shares: Shares | None) -> SufficientStatistics:
        """One pass over the rows, under the operands' responsibilities or given ones."""
        sums = SumsOfChunks(choice.forms, choice.operands, choice.dtype, choice.careful)
        if shares is None:
            total = self._merged(
                _EStep(sums, choice.dtype)
                if self._labels is None
                else _LabelledEStep(sums, choice, self._labels)
            )
        else:
            given = SumsOfGiven(sums, choice.dtype, shares)
            total = self._merged(given, one_by_one=shares.in_order)
        return self._record(choice, choice.operands.reference, total)

    def _summed_about(self, choice: KernelChoice, about: np.ndarray) -> SufficientStatistics:
        """One pass over the rows, with moments about other points than the means."""
        # Points that the new means are about are no reason to be less careful than about means.
        made = choice._replace(operands=moment_operands(about), dtype=np.dtype(np.float64))
        sums = SumsOfChunks(made.forms, made.operands, made.dtype)
        return self._record(made, about, self._merged(_EStepAbout(sums, choice, self._labels)))

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


@dataclass(frozen=True, eq=False, slots=True)
class SumsOfGiven:
    """Sums of a chunk under given shares.

    Parameters
    ----------
    sums : SumsOfChunks
    dtype : dtype
        That its kernel works in.
    shares : Shares
    """

    sums: SumsOfChunks
    dtype: np.dtype
    shares: Any

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return self.of(chunk, self.shares.chunk(chunk.start, chunk.stop))

    def of(self, chunk: Chunk, shares: np.ndarray) -> np.ndarray:
        """The same with the shares of the chunk's rows."""
        return self.sums(_in_type(chunk, self.dtype), shares)

    def of_stretch(self, chunk: Chunk, rows_per_chunk: int) -> np.ndarray:
        """The merge of the sums of neighbouring chunks."""
        shares = self.shares.chunk(chunk.start, chunk.stop)
        return self.sums.of_stretch(_in_type(chunk, self.dtype), shares, rows_per_chunk)

    def of_chunks(self, bounds: Bounds) -> "SumsOfGiven":
        """The same with the shares of some chunks only."""
        return replace(self, shares=shares_of_chunks(self.shares, bounds))


@dataclass(frozen=True, eq=False, slots=True)
class _EStep:
    """Sums of a chunk under a mixture's own responsibilities.

    Parameters
    ----------
    sums : SumsOfChunks
    dtype : dtype
        That its kernel works in.
    """

    sums: SumsOfChunks
    dtype: np.dtype

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return self.sums(_in_type(chunk, self.dtype), None)

    def of_stretch(self, chunk: Chunk, rows_per_chunk: int) -> np.ndarray:
        """The merge of the sums of neighbouring chunks."""
        return self.sums.of_stretch(_in_type(chunk, self.dtype), None, rows_per_chunk)


@dataclass(frozen=True, eq=False, slots=True)
class _LabelledEStep:
    """The same, where components of some rows are known.

    Parameters
    ----------
    sums : SumsOfChunks
    choice : KernelChoice
    labels : ndarray of int32, shape (n,), or RowsOfChunks
        What is known of rows.
    """

    sums: SumsOfChunks
    choice: KernelChoice
    labels: Any

    def __call__(self, chunk: Chunk) -> np.ndarray:
        chunk = _in_type(chunk, self.choice.dtype)
        labels = known_labels(self.labels, chunk)
        if labels is None:
            return self.sums(chunk, None)
        return _sums_with_labels(chunk, labels, self.choice, self.sums)

    def of_chunks(self, bounds: Bounds) -> "_LabelledEStep":
        """The same with the labels of some chunks only."""
        return replace(self, labels=labels_of_chunks(self.labels, bounds))


@dataclass(frozen=True, eq=False, slots=True)
class _EStepAbout:
    """Sums of a chunk about other points than a mixture's means, under its responsibilities.

    Parameters
    ----------
    sums : SumsOfChunks
        About these points, in float64.
    choice : KernelChoice
        Of the mixture.
    labels : ndarray of int32, shape (n,), RowsOfChunks or None
        What is known of rows.
    """

    sums: SumsOfChunks
    choice: KernelChoice
    labels: Any

    def __call__(self, chunk: Chunk) -> np.ndarray:
        chunk = _in_type(chunk, np.dtype(np.float64))
        log_likelihoods, responsibilities = shared_out(
            chunk, self.choice, known_labels(self.labels, chunk)
        )
        total = self.sums(chunk, responsibilities)
        total[0] = weighted_sum(log_likelihoods, chunk.weights)
        return total

    def of_chunks(self, bounds: Bounds) -> "_EStepAbout":
        """The same with the labels of some chunks only."""
        return replace(self, labels=labels_of_chunks(self.labels, bounds))


def _in_type(chunk: Chunk, dtype: np.dtype) -> Chunk:
    """A chunk of rows in the type that kernels work in."""
    return chunk if chunk.rows.dtype == dtype else chunk._replace(rows=chunk.rows.astype(dtype))


def labels_of_chunks(labels: Any, bounds: Bounds) -> RowsOfChunks | None:
    """What is known of the rows of some chunks."""
    if labels is None:
        return None
    return RowsOfChunks.of(lambda start, stop: labels[start:stop], bounds)


def known_labels(labels: Any, chunk: Chunk) -> np.ndarray | None:
    """Labels of a chunk; None if it has none."""
    if labels is None:
        return None
    if isinstance(labels, RowsOfChunks):
        labels = labels.chunk(chunk.start, chunk.stop)
    else:
        labels = labels[chunk.start : chunk.stop]
    return labels if (labels >= 0).any() else None


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
    total[0] = weighted_sum(log_densities, inside.weights)
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
