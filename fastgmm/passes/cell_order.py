"""The order that brings rows which lie close together into cells."""

from typing import NamedTuple

import numpy as np

from fastgmm.passes.remembered import remembered
from fastgmm.sources.base import Chunk

_CELL_ROWS = 96
"""Rows of a cell at most: many enough to share a bound, few enough to lie close."""


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


class OrderedRows(NamedTuple):
    """Rows of a block, in cells.

    Parameters
    ----------
    order : ndarray of int32, shape (n,)
        Rows of the block, in the order of the cells.
    cells : Cells
    """

    order: np.ndarray
    cells: Cells

    def cut(self, n_rows: int) -> list[tuple[int, int]]:
        """Runs of cells, first to last, of at least so many rows each, but for the last."""
        ends = self.cells.ends
        targets = np.arange(n_rows, ends[-1], n_rows)
        lasts = np.unique(np.append(np.searchsorted(ends, targets) + 1, len(ends))).tolist()
        return list(zip([0, *lasts[:-1]], lasts, strict=True))

    def take(self, block: Chunk, first: int, last: int) -> tuple[Chunk, Cells]:
        """The cells first to last of a block, and their rows."""
        ends = self.cells.ends
        start = ends[first - 1] if first else 0
        order = self.order[start : ends[last - 1]]
        weights = block.weights.take(order) if len(block.weights) else block.weights
        rows = block._replace(rows=block.rows.take(order, axis=0), weights=weights)
        return rows, Cells(ends[first:last] - start, *(a[first:last] for a in self.cells[1:]))


class CellOrder:
    """How the rows of blocks are ordered; that of a block is found once.

    Another process finds that of the blocks that it works on, and keeps it, too.

    Parameters
    ----------
    token : str
        Tells it from others.
    origin : ndarray of shape (d,)
        Amid the rows.
    units : ndarray of shape (d,)
        In which features are comparable.
    """

    def __init__(self, token: str, origin: np.ndarray, units: np.ndarray):
        self._arguments = token, origin, units
        self._origin, self._units = origin, units
        self._found: dict[int, OrderedRows] = {}

    def __reduce__(self) -> tuple:
        token, *rest = self._arguments
        return remembered, (token, CellOrder, *rest)

    def of(self, block: Chunk) -> OrderedRows:
        """Order of a block, and its cells."""
        if block.start not in self._found:
            self._found[block.start] = self._ordered(block.rows)
        return self._found[block.start]

    def _ordered(self, rows: np.ndarray) -> OrderedRows:
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
        return OrderedRows(order.astype(np.int32), Cells(ends, centers, radii))
