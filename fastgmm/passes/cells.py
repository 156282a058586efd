"""The E-step of mixtures with many components, of which most are far from most rows.

Rows are brought, once a fit and block by block, into an order in which runs of neighbours, the
cells, lie close together. In every pass a bound on each cell then spares most pairs of cell and
component (`fastgmm.kernels.near_pass`). What is left out lies below rounding. Order and choice of
pass follow from rows and parameters alone, so results depend neither on threads nor on what ran
before.
"""

import threading
from typing import NamedTuple

import numpy as np

from fastgmm.covariance.linalg import norm_bounds
from fastgmm.engines.base import Engine
from fastgmm.kernels.layout import FORMS, Forms
from fastgmm.parameters import Operands
from fastgmm.passes.base import Pass
from fastgmm.passes.chunks import cell_statistics, count_near
from fastgmm.passes.dense import DensePass, as_asked
from fastgmm.passes.kernel_operands import KernelChoice, kernels_for
from fastgmm.sources.base import Chunk, RowSource
from fastgmm.statistics import SufficientStatistics

LEAST_COMPONENTS = 64
"""From so many components on, cells are thought of at all."""

_LEAST_ROWS, _MOST_ROWS = 1 << 14, 1 << 25
"""Of a source: with fewer nothing is gained, with more the order itself takes much memory."""

_BLOCK_ROWS, _BLOCK_NUMBERS = 1 << 18, 1 << 21
"""Rows that are ordered together, and their numbers, at most."""

_CELL_ROWS = 96
"""Rows of a cell at most: many enough to share a bound, few enough to lie close."""

_CHUNK_ROWS, _CHUNK_ROWS_PER_COMPONENT = 1 << 12, 16
"""Least rows of a chunk: its sums, a block per component, should be the smaller part of work."""

_SAMPLE_ROWS = 256
_LARGEST_SHARE = 1 / 8
"""Share of components near a row up to which cells pay; a cell has more near than its rows."""


class Cells(NamedTuple):
    """Runs of rows that lie close together.

    Parameters
    ----------
    ends : ndarray of shape (m,), int64
        Where each ends; the first begins at 0.
    centers : ndarray of shape (m, d)
    radii : ndarray of shape (m,)
        Largest distance of a row of each from its center, in units of the features.
    """

    ends: np.ndarray
    centers: np.ndarray
    radii: np.ndarray


class _Block(NamedTuple):
    """Rows start to stop of a source, ``order`` of which are in cells."""

    start: int
    stop: int
    order: np.ndarray
    cells: Cells


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
        self._sample = _strided_rows(source)
        with np.errstate(over="ignore", invalid="ignore"):
            deviations = self._sample.std(axis=0, dtype=np.float64)
            self._origin = self._sample.mean(axis=0, dtype=np.float64)
        # Any unit will do, but bounds are tightest where features are comparable.
        usable = np.isfinite(deviations) & (deviations > 0)
        self._units = np.where(usable, deviations, 1.0)
        self._blocks: list[_Block] = []
        self._recent: dict[int, Chunk] = {}
        self._reading = threading.Lock()

    @staticmethod
    def may_pay(source: RowSource, n_components: int) -> bool:
        """Whether a problem of this size is worth a closer look."""
        here = source.place is None
        return (
            here and n_components >= LEAST_COMPONENTS and _LEAST_ROWS <= source.n_rows <= _MOST_ROWS
        )

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
        if not self._blocks:
            self._order_rows()
        reference = choice.operands.reference
        spreads = distance_spreads(operands, self._forms, self._units)
        least = max(_CHUNK_ROWS, _CHUNK_ROWS_PER_COMPONENT * len(reference))
        chunks = [
            (number, first, last)
            for number, block in enumerate(self._blocks)
            for first, last in _cut(block.cells.ends, least)
        ]

        def statistics(index: int) -> SufficientStatistics:
            chunk, cells = self._read(*chunks[index])
            return cell_statistics(chunk, cells, spreads, choice.forms, choice.operands, reference)

        total = self._engine.reduce(statistics, len(chunks))
        return as_asked(total, self._forms, self._dense)

    def _order_rows(self) -> None:
        n_rows, n_features = self._source.n_rows, self._source.n_features
        size = max(min(_BLOCK_ROWS, _BLOCK_NUMBERS // n_features), _CELL_ROWS)
        blocks: list[_Block | None] = [None] * -(-n_rows // size)

        def order(index: int) -> None:
            start, stop = index * size, min((index + 1) * size, n_rows)
            rows = self._source.read(start, stop).rows
            blocks[index] = _Block(start, stop, *self._ordered(rows))

        self._engine.for_each(order, len(blocks))
        self._blocks = [block for block in blocks if block is not None]

    def _ordered(self, rows: np.ndarray) -> tuple[np.ndarray, Cells]:
        """Order of some rows, and its cells."""
        from fastgmm.kernels.cells import cell_bounds, cell_order

        with np.errstate(over="ignore", invalid="ignore"):
            comparable = ((rows - self._origin) / self._units).astype(np.float32, order="C")
        order = np.empty(len(rows), np.int64)
        ends = np.empty(len(rows), np.int64)
        n_cells = cell_order()(comparable, _CELL_ROWS, order, ends)
        centers, radii = np.empty((n_cells, rows.shape[1])), np.empty(n_cells)
        ends = ends[:n_cells].copy()
        enclose = cell_bounds(rows.dtype)
        enclose(rows, order, ends, self._units, centers, radii)
        return order.astype(np.int32), Cells(ends, centers, radii)

    def _read(self, number: int, first: int, last: int) -> tuple[Chunk, Cells]:
        """The cells first to last of a block, and their rows."""
        cells, whole = self._blocks[number].cells, self._whole(number)
        start = cells.ends[first - 1] if first else 0
        stop = cells.ends[last - 1]
        order = self._blocks[number].order[start:stop]
        weights = whole.weights.take(order) if len(whole.weights) else whole.weights
        chunk = Chunk(whole.start, whole.stop, whole.rows.take(order, axis=0), weights)
        within = Cells(cells.ends[first:last] - start, *(a[first:last] for a in cells[1:]))
        return chunk, within

    def _whole(self, number: int) -> Chunk:
        """All rows of a block, which its chunks are taken from; the last two are kept."""
        with self._reading:
            if number not in self._recent:
                while len(self._recent) > 1:
                    del self._recent[next(iter(self._recent))]
                block = self._blocks[number]
                self._recent[number] = self._source.read(block.start, block.stop)
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


def _strided_rows(source: RowSource) -> np.ndarray:
    """Rows from all over a source, always the same."""
    numbers = np.linspace(0, source.n_rows - 1, _SAMPLE_ROWS).astype(np.int64)
    return np.concatenate([source.read(i, i + 1).rows for i in numbers.tolist()])


def _cut(ends: np.ndarray, n_rows: int) -> list[tuple[int, int]]:
    """Runs of cells of at least so many rows each, but for the last."""
    targets = np.arange(n_rows, ends[-1], n_rows)
    lasts = np.unique(np.append(np.searchsorted(ends, targets) + 1, len(ends))).tolist()
    return list(zip([0, *lasts[:-1]], lasts, strict=True))
