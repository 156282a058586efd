"""Functions of rows, of a chunk or of some data sets: their sums, and predictions.

Each calls one kernel, and knows neither threads nor estimators.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastgmm.engines.base import merged_leaves
from fastgmm.kernels.layout import BLOCK, NEGLIGIBLE, OUTPUTS, RUN, SIDE_BY_SIDE, Forms
from fastgmm.kernels.paying import WhereItPays
from fastgmm.passes.kernel_operands import KernelOperands
from fastgmm.sources.base import Chunk
from fastgmm.sources.weights import NO_WEIGHTS
from fastgmm.statistics import MomentForm, SufficientStatistics

_FEW_NUMBERS = 1 << 15
"""In the rows, up to which NumPy adds them sooner than a kernel is compiled, or even loaded."""

_FEW_SETS = 32
"""Data sets up to which that is so."""

_NO_LABELS, _NO_SHARES = np.empty(0, dtype=np.int32), np.empty((0, 0))


@functools.lru_cache(maxsize=256)
def sets_of_rows(n_rows: int, rows_per_set: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and numbers of data sets of so many rows each, but for the last.

    They are made once, as an iteration on few rows takes little longer.
    """
    offsets = np.append(np.arange(0, max(n_rows, 1), max(rows_per_set, 1)), n_rows)
    numbers = np.arange(len(offsets) - 1)
    offsets.flags.writeable = numbers.flags.writeable = False
    return offsets, numbers


def adder_of_sets(
    forms: Forms, operands: KernelOperands, dtype: np.dtype, careful: bool
) -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None, int, np.ndarray], None]:
    """The E-step of some data sets of weighted rows, as a function.

    Parameters
    ----------
    forms : Forms
    operands : KernelOperands
        With an axis in front, of length m.
    dtype : dtype
    careful : bool

    Returns
    -------
    callable (rows, weights, offsets, shares, first, sums)
        Adds to sums (n, ...) those of the rows offsets[i] to offsets[i + 1] of each of n data sets,
        whose operands are those from `first` on.
    """
    from fastgmm.kernels.em_pass import statistics_pass

    add_statistics = statistics_pass(forms, dtype, operands.means.shape[-1])

    def add(
        rows: np.ndarray,
        weights: np.ndarray,
        offsets: np.ndarray,
        shares: np.ndarray | None,
        first: int,
        sums: np.ndarray,
    ) -> None:
        n = len(sums)
        own = [array[first : first + n] for array in operands]
        given = *labels_and_responsibilities(shares), careful
        add_statistics(rows, weights, offsets, np.arange(n), *given, *own, sums)

    return add


def statistics_of_each(
    rows: np.ndarray,
    offsets: np.ndarray,
    numbers: np.ndarray,
    forms: Forms,
    operands: KernelOperands,
    shares: np.ndarray | None = None,
    careful: bool = False,
) -> SufficientStatistics:
    """Sufficient statistics of each of some data sets.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    offsets : ndarray of int, shape (sets + 1,)
        Data set i has the rows offsets[i] to offsets[i + 1].
    numbers : ndarray of int, shape (m,)
        The data sets to work on.
    forms : Forms
    operands : KernelOperands
        With an axis of length m in front.
    shares : ndarray of shape (n, k) or (n,), optional
    careful : bool, optional
        See `KernelChoice`.
    """
    from fastgmm.kernels.em_pass import statistics_pass

    statistics = SufficientStatistics.zero(MomentForm(forms.moments), operands.reference)
    given = *labels_and_responsibilities(shares), careful
    add_statistics = statistics_pass(forms, rows.dtype, rows.shape[1])
    add_statistics(rows, NO_WEIGHTS, offsets, numbers, *given, *operands, statistics.sums)
    return statistics


def labels_and_responsibilities(shares: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """As kernels take them: what is not given is empty."""
    if shares is None:
        return _NO_LABELS, _NO_SHARES
    if shares.ndim == 1:
        return np.ascontiguousarray(shares, dtype=np.int32), _NO_SHARES
    return _NO_LABELS, shares


def cell_statistics(
    chunk: Chunk,
    cells: tuple[np.ndarray, np.ndarray, np.ndarray],
    spreads: np.ndarray,
    forms: Forms,
    operands: KernelOperands,
    reference: np.ndarray,
) -> SufficientStatistics:
    """Sufficient statistics of a chunk whose rows are in cells.

    Parameters
    ----------
    chunk : Chunk
    cells : tuple of ndarray
        Ends, centers and radii: see `fastgmm.passes.cells.Cells`.
    spreads : ndarray of shape (k,)
        See `fastgmm.passes.cells.distance_spreads`, for the units of the radii.
    forms : Forms
    operands : KernelOperands
    reference : ndarray of shape (k, d)
        ``operands.reference``; one object for all chunks of a pass.
    """
    from fastgmm.kernels.near_pass import near_statistics_pass

    statistics = SufficientStatistics.zero(MomentForm(forms.moments), reference)
    add_statistics = near_statistics_pass(forms, chunk.rows.dtype)
    careful = False  # as those are who come here
    add_statistics(chunk.rows, chunk.weights, *cells, spreads, careful, *operands, statistics.sums)
    return statistics


def count_near(rows: np.ndarray, forms: Forms, operands: KernelOperands) -> int:
    """Pairs of row and component whose responsibility the E-step would not leave out.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    forms : Forms
    operands : KernelOperands
    """
    log_densities = np.empty((len(rows), len(operands.means)), rows.dtype)
    chunk = Chunk(0, len(rows), rows, NO_WEIGHTS)
    chunk_predictions(chunk, forms, operands, "log_densities", log_densities)
    least = log_densities.max(axis=1, keepdims=True) + NEGLIGIBLE
    return int(np.count_nonzero(~(log_densities < least)))  # what is not a number counts


def _totals_pass() -> Callable:
    from fastgmm.kernels.scatter_pass import totals_pass

    return totals_pass


_where_it_pays = WhereItPays(_totals_pass)


def totals_of_each(rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sums (sets, d), in float64, of the rows of each of some data sets.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    offsets : ndarray of int, shape (sets + 1,)
        Data set i has the rows offsets[i] to offsets[i + 1].
    """
    are_few = len(offsets) <= _FEW_SETS and rows.size <= _FEW_NUMBERS
    add_totals = (_where_it_pays if are_few else _totals_pass())(rows.dtype)
    if add_totals is None:
        bounds = itertools.pairwise(offsets)
        return np.stack([totals_of_few(rows[first:end]) for first, end in bounds])
    totals = np.zeros((len(offsets) - 1, rows.shape[1]))
    add_totals(rows, offsets, totals)
    return totals


def totals_of_few(rows: np.ndarray) -> np.ndarray:
    """Sums (d,) of rows, by NumPy: the bits of `fastgmm.kernels.loading.add_totals`."""
    totals = np.zeros(rows.shape[1])
    for first in range(0, len(rows), RUN):
        run = np.ascontiguousarray(rows[first : first + RUN], dtype=np.float64)
        in_turn, left = divmod(len(run), SIDE_BY_SIDE)
        whole = len(run) - left
        a, b, c, d = run[:whole].reshape(in_turn, SIDE_BY_SIDE, run.shape[1]).sum(axis=0)
        for row in run[whole:]:
            a += row
        totals += (a + b) + (c + d)
    return totals


@dataclass(frozen=True, eq=False, slots=True)
class TotalsOfChunks:
    """Sums (d,) of the rows of chunks, as a function."""

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return self.of_stretch(chunk, len(chunk.rows))

    def of_stretch(self, chunk: Chunk, rows_per_chunk: int) -> np.ndarray:
        """The merge of the sums of neighbouring chunks."""
        offsets, _ = sets_of_rows(len(chunk.rows), rows_per_chunk)
        return merged_leaves(totals_of_each(chunk.rows, offsets))


@dataclass(frozen=True, eq=False, slots=True)
class ScatterOfChunks:
    """Outer moments of chunks about one point, in float64, as a function: as of one component.

    Parameters
    ----------
    reference : ndarray of shape (1, d)
    """

    reference: np.ndarray

    def __call__(self, chunk: Chunk) -> SufficientStatistics:
        return self.of_stretch(chunk, len(chunk.rows))

    def of_stretch(self, chunk: Chunk, rows_per_chunk: int) -> SufficientStatistics:
        """The merge of the moments of neighbouring chunks."""
        offsets, numbers = sets_of_rows(len(chunk.rows), rows_per_chunk)
        references = np.repeat(self.reference, len(numbers), axis=0)
        found = SufficientStatistics.zero(MomentForm.OUTER, references[:, np.newaxis])
        _add_scatter(chunk.rows, chunk.weights, offsets, references, found.sums)
        return SufficientStatistics(MomentForm.OUTER, self.reference, merged_leaves(found.sums))


def scatter_of_each(
    rows: np.ndarray, offsets: np.ndarray, references: np.ndarray
) -> SufficientStatistics:
    """Outer moments of the rows of each of some data sets: as of single components.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    offsets : ndarray of int, shape (sets + 1,)
        Data set i has the rows offsets[i] to offsets[i + 1].
    references : ndarray of shape (sets, d)
    """
    statistics = SufficientStatistics.zero(MomentForm.OUTER, references[:, np.newaxis])
    _add_scatter(rows, NO_WEIGHTS, offsets, references, statistics.sums)
    return statistics


def _add_scatter(rows, weights, offsets, references, sums) -> None:
    """See `fastgmm.kernels.scatter_pass.scatter_pass`."""
    from fastgmm.kernels.scatter_pass import scatter_pass

    d = rows.shape[1]
    add_scatter = scatter_pass(rows.dtype, d <= BLOCK)
    add_scatter(rows, weights, offsets, references, np.zeros((1, d)), sums)


def weighted_sum(values: np.ndarray, weights: np.ndarray) -> float:
    """Sum of values by their weights, in float64; the bits of a product would depend on threads.

    Parameters
    ----------
    values : ndarray of shape (n,)
    weights : ndarray of shape (n,), or (0,) when all are 1
    """
    if not len(weights):
        return float(values.sum(dtype=np.float64))
    return float((values.astype(np.float64, copy=False) * weights).sum())


def chunk_predictions(
    chunk: Chunk,
    forms: Forms,
    operands: KernelOperands,
    output: str,
    out: np.ndarray,
) -> float:
    """Write the predictions for a chunk.

    Parameters
    ----------
    chunk : Chunk
    forms : Forms
    operands : KernelOperands
    output : str
        One of `fastgmm.kernels.layout.OUTPUTS`.
    out : ndarray of shape (rows,) or (rows, k)
        int64 for labels, else of the rows' dtype. Responsibilities have the shape (rows, k + 1) to
        hold that of noise last; certainties (rows, 2), of log-likelihood and largest
        responsibility.

    Returns
    -------
    float
        Finite, if every row has a likelihood, where these are computed.
    """
    from fastgmm.kernels.em_pass import log_density_pass, prediction_pass

    dtype = chunk.rows.dtype
    if output == "log_densities":
        log_density_pass(forms.density, dtype)(chunk.rows, *operands, out)
        return 0.0
    if output == "certainties":
        out[:] = certainties(chunk, forms, operands).T
        return 0.0
    if output == "responsibilities" and out.shape[1] > len(operands.means):
        return _with_noise(chunk, forms, operands, out)
    vector, matrix, labels = np.empty(0, dtype), np.empty((0, 0), dtype), np.empty(0, np.int64)
    if output == "labels":
        labels = out
    elif out.ndim == 1:
        vector = out
    else:
        matrix = out
    predict = prediction_pass(forms.density, dtype)
    return predict(chunk.rows, *operands, OUTPUTS.index(output), vector, matrix, labels)


def certainties(chunk: Chunk, forms: Forms, operands: KernelOperands) -> np.ndarray:
    """Log-likelihoods and largest responsibilities, of noise too, as two rows (2, rows).

    Parameters
    ----------
    chunk : Chunk
    forms : Forms
    operands : KernelOperands
    """
    from fastgmm.kernels.em_pass import certainty_pass

    dtype = chunk.rows.dtype
    found = np.empty((2, len(chunk.rows)), dtype)
    certainty_pass(forms.density, dtype)(chunk.rows, *operands, found)
    return found


def _with_noise(chunk: Chunk, forms: Forms, operands: KernelOperands, out: np.ndarray) -> float:
    """Responsibilities of the components and, behind them, of noise (rows, k + 1)."""
    dtype, n = chunk.rows.dtype, len(chunk.rows)
    of_components, log_likelihoods = np.empty((n, out.shape[1] - 1), dtype), np.empty(n, dtype)
    chunk_predictions(chunk, forms, operands, "log_likelihoods", log_likelihoods)
    total = chunk_predictions(chunk, forms, operands, "responsibilities", of_components)
    out[:, :-1] = of_components
    background = np.float64(operands.constants[-1])
    out[:, -1] = np.exp(background - log_likelihoods.astype(np.float64))
    return total
