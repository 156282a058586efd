"""The E-step of mixtures with many components, of which most are far from most rows.

Rows are brought, once a fit and block by block, into an order in which runs of neighbours, the
cells, lie close together. In every pass a bound on each cell then spares most pairs of cell and
component (`fastgmm.kernels.near_pass`). What is left out lies below rounding. Order and choice of
pass follow from rows and parameters alone, so results depend neither on threads nor on what ran
before.
"""

import threading
import uuid
from dataclasses import dataclass

import numpy as np

from fastgmm.covariance.linalg import norm_bounds
from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import FORMS, Forms
from fastgmm.parameters import Operands
from fastgmm.passes.base import Pass
from fastgmm.passes.cell_order import CellOrder, Cells, OrderedRows
from fastgmm.passes.chunks import cell_statistics, count_near
from fastgmm.passes.dense import DensePass, as_asked
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks, survey
from fastgmm.sources.sampling import rows_numbered
from fastgmm.statistics import MomentForm, SufficientStatistics

_BLOCK_ROWS, _BLOCK_NUMBERS = 1 << 18, 1 << 21
"""Rows that are ordered together, and their numbers, at most..."""

_LEAST_BLOCK_ROWS = 96
"""...and how many rows they are at least."""

_CHUNK_ROWS, _CHUNK_ROWS_PER_COMPONENT = 1 << 12, 16
"""Least rows of a chunk: its sums, a block per component, should be the smaller part of work."""

_SAMPLE_ROWS = 256
_LARGEST_SHARE = 1 / 8
"""Share of components near a row up to which cells pay; a cell has more near than its rows."""


class CellPass(Pass):
    """Statistics of all rows of a source, by cells where that pays.

    Parameters
    ----------
    dense : DensePass
        Over the same rows; it does what cells are no help with.
    source : RowSource
    forms : Forms
        Of the structure.
    engine : Engine
    """

    def __init__(self, dense: DensePass, source: RowSource, forms: Forms, engine: Engine):
        self._dense = dense
        self._source = source.scaled()
        self._forms = forms
        self._engine = engine
        self.n_rows, self.n_features, self.dtype = dense.n_rows, dense.n_features, dense.dtype
        self.total_weight, self.weight_scale = dense.total_weight, dense.weight_scale
        numbers = np.linspace(0, source.n_rows - 1, _SAMPLE_ROWS).astype(np.int64)
        self._sample = rows_numbered(source, numbers, engine)
        with np.errstate(over="ignore", invalid="ignore"):
            deviations = self._sample.std(axis=0, dtype=np.float64)
            origin = self._sample.mean(axis=0, dtype=np.float64)
        # Any unit will do, but bounds are tightest where features are comparable.
        usable = np.isfinite(deviations) & (deviations > 0)
        self._units = np.where(usable, deviations, 1.0)
        self._order = CellOrder(uuid.uuid4().hex, origin, self._units)
        size = max(min(_BLOCK_ROWS, _BLOCK_NUMBERS // self.n_features), _LEAST_BLOCK_ROWS)
        self._grid = RowGrid(self.n_rows, size)
        self._blocks: list[OrderedRows] = []
        self._leaves: np.ndarray | None = None
        self._recent: dict[int, Chunk] = {}
        self._reading = threading.Lock()

    def statistics(self, operands, about=None, careful=False):
        if about is None and not careful:
            choice = kernels_for(operands, self._forms, self.dtype)
            if self._pays(choice):
                return self._by_cells(operands, choice)
        return self._dense.statistics(operands, about, careful)

    def given(self, shares, about, careful=False):
        return self._dense.given(shares, about, careful)

    def scatter(self, point):
        return self._dense.scatter(point)

    def centre(self):
        return self._dense.centre()

    def _pays(self, choice: KernelChoice) -> bool:
        """Whether few enough components are near a row, judged by a sample of rows."""
        near = count_near(self._sample, choice.forms, choice.operands)
        return near < _LARGEST_SHARE * len(self._sample) * len(choice.operands.means)

    def _by_cells(self, operands: Operands, choice: KernelChoice) -> SufficientStatistics:
        reference = choice.operands.reference
        spreads = distance_spreads(operands, self._forms, self._units)
        least = max(_CHUNK_ROWS, _CHUNK_ROWS_PER_COMPONENT * len(reference))
        if self._source.place is None:
            total = self._summed_here(choice, spreads, least)
        else:
            total = self._summed_there(choice, spreads, least)
        return as_asked(total, self._forms, self._dense, choice.operands.origin)

    def _summed_here(
        self, choice: KernelChoice, spreads: np.ndarray, least: int
    ) -> SufficientStatistics:
        if not self._blocks:
            self._order_rows()
        reference = choice.operands.reference
        chunks = [
            (number, *run) for number, block in enumerate(self._blocks) for run in block.cut(least)
        ]

        def statistics(index: int) -> SufficientStatistics:
            chunk, cells = self._read(*chunks[index])
            return cell_statistics(chunk, cells, spreads, choice.forms, choice.operands, reference)

        total: SufficientStatistics = self._engine.reduce(statistics, len(chunks))
        return total

    def _summed_there(
        self, choice: KernelChoice, spreads: np.ndarray, least: int
    ) -> SufficientStatistics:
        """The same sums by those who have the rows, and a block whole."""
        rows = self._grid.rows_per_chunk
        if self._leaves is None:
            counts = survey(_LeavesOf(self._order, least), self._source, rows)
            self._leaves = np.cumsum([0, *counts])
        sums = _SumsOfBlock(self._order, least, spreads, choice, self._leaves)
        total = merge_chunks(sums, self._source, self._grid, self._engine)
        form = MomentForm(choice.forms.moments)
        return SufficientStatistics(form, choice.operands.reference, total)

    def _order_rows(self) -> None:
        blocks: list[OrderedRows | None] = [None] * len(self._grid)

        def order(index: int) -> None:
            blocks[index] = self._order.of(self._source.read(*self._grid.bounds(index)))

        self._engine.for_each(order, len(blocks))
        self._blocks = [block for block in blocks if block is not None]

    def _read(self, number: int, first: int, last: int) -> tuple[Chunk, Cells]:
        """The cells first to last of a block, and their rows."""
        return self._blocks[number].take(self._whole(number), first, last)

    def _whole(self, number: int) -> Chunk:
        """All rows of a block, which its chunks are taken from; the last two are kept."""
        with self._reading:
            if number not in self._recent:
                while len(self._recent) > 1:
                    del self._recent[next(iter(self._recent))]
                self._recent[number] = self._source.read(*self._grid.bounds(number))
            return self._recent[number]


def distance_spreads(operands: Operands, forms: Forms, units: np.ndarray) -> np.ndarray:
    """Upper bounds (k,) of the change of a component's distance from a row that moves by one.

    Of the distance itself, not its square, which `Operands` speaks of.

    Parameters
    ----------
    operands : Operands
    forms : Forms
    units : ndarray of shape (d,)
        In which the features' part of the way is measured.
    """
    cholesky, shared, diagonal, *_ = (pair.density for pair in FORMS)
    shape = operands.means.shape[:-1]
    if forms.density in (cholesky, shared):
        bounds = norm_bounds(operands.factors * units[:, np.newaxis])
        return (
            bounds
            if forms.density == cholesky
            else np.repeat(bounds[..., np.newaxis], shape[-1], -1)
        )
    if forms.density == diagonal:
        return np.abs(operands.factors * units).max(axis=-1)
    return np.full(shape, units.max())


@dataclass(frozen=True, eq=False, slots=True)
class _LeavesOf:
    """How many leaves of the merge tree the rows of a block are."""

    order: CellOrder
    least: int

    def __call__(self, block: Chunk) -> int:
        return len(self.order.of(block).cut(self.least))


@dataclass(frozen=True, eq=False, slots=True)
class _SumsOfBlock:
    """Sums of the leaves of a block.

    Parameters
    ----------
    order : CellOrder
    least : int
        Rows of a leaf.
    spreads : ndarray of shape (k,)
    choice : KernelChoice
    leaves : ndarray of int, shape (blocks + 1,)
        First leaf of every block, and their number; see `fastgmm.distributed.held.tree_of`.
    """

    order: CellOrder
    least: int
    spreads: np.ndarray
    choice: KernelChoice
    leaves: np.ndarray

    def __call__(self, block: Chunk) -> list[np.ndarray]:
        found, choice = self.order.of(block), self.choice
        return [
            cell_statistics(
                *found.take(block, *run),
                self.spreads,
                choice.forms,
                choice.operands,
                choice.operands.reference,
            ).sums
            for run in found.cut(self.least)
        ]
