"""Sums over the chunks of a source: in this process, or in the place where its rows are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.engines.base import Engine, MergeTree
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.sampling import Sample, draw_numbers, rows_at, sample_rows

Bounds = list[tuple[int, int]]
"""First row of chunks, and the row after the last."""


def merge_chunks(
    function: Callable[[Chunk], Any], source: RowSource, grid: RowGrid, engine: Engine
) -> Any:
    """Merge of a function of every chunk, by ``+`` along a fixed tree.

    The bits are the same wherever the rows are.

    Parameters
    ----------
    function : callable
        It pickles, if the rows may be elsewhere. Then it may also have a method
        ``of_chunks(bounds)``, which makes the same function of some chunks only, without what it
        knows of the rows of others. And, for a place of whole chunks, it may have ``leaves``, see
        `tree_of`; for rows at hand ``of_stretch(chunk, rows_per_chunk)``, which makes the merge of
        neighbouring chunks in one call.
    source : RowSource
    grid : RowGrid
    engine : Engine
        Of this process.
    """
    if source.place is not None:
        return source.place.merge(function, source, grid)
    of_stretch = getattr(function, "of_stretch", None)

    def of(chunks: range) -> Any:
        rows = source.read(*grid.stretch(chunks))
        if of_stretch is None or len(chunks) == 1:
            return function(rows)
        return of_stretch(rows, grid.rows_per_chunk)

    longest = grid.longest_stretch if source.is_at_hand and of_stretch is not None else 1
    return engine.reduce_stretches(of, len(grid), longest)


def tree_of(function: Callable[[Chunk], Any], grid: RowGrid) -> MergeTree:
    """The tree along which what a function gives for every chunk is merged.

    Usually every chunk is a leaf. But a function may have an attribute ``leaves``, the numbers of
    the first leaf of every chunk and of all leaves, and give a list of what belongs to these.
    """
    leaves = getattr(function, "leaves", None)
    return MergeTree(len(grid) if leaves is None else int(leaves[-1]))


def enter(tree: MergeTree, function: Callable[[Chunk], Any], index: int, made: Any) -> None:
    """Enter what a function gave for a chunk."""
    leaves = getattr(function, "leaves", None)
    if leaves is None:
        tree.add(index, made)
        return
    for leaf, record in enumerate(made, int(leaves[index])):
        tree.add(leaf, record)


class RowsOfChunks:
    """What is known of the rows of some chunks; shares of a start, or labels.

    Parameters
    ----------
    pieces : dict
        By the first row of a chunk: an array, or the one value that all rows have and their number.
    """

    in_order = False

    def __init__(self, pieces: dict[int, Any]):
        self._pieces = pieces

    @classmethod
    def of(cls, make: Callable[[int, int], np.ndarray], bounds: Bounds) -> "RowsOfChunks":
        """What a function of the first row and the end of a chunk gives for some chunks."""
        return cls({start: _brief(make(start, stop)) for start, stop in bounds})

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """What is known of the rows start to stop, which are a chunk."""
        piece = self._pieces[start]
        return np.repeat(*piece) if isinstance(piece, tuple) else piece


def shares_of_chunks(shares: Any, bounds: Bounds) -> Any:
    """Shares of all rows, without those of the rows of other chunks."""
    of_chunks = getattr(shares, "of_chunks", None)
    return RowsOfChunks.of(shares.chunk, bounds) if of_chunks is None else of_chunks(bounds)


def _brief(array: np.ndarray) -> Any:
    """An array, or its one value and its length."""
    if array.ndim == 1 and len(array) and (array == array[0]).all():
        return array[:1].copy(), len(array)
    return array


def sample_of(
    source: RowSource, n_rows: int, random_state: np.random.RandomState, engine: Engine
) -> Sample:
    """The same rows as `fastgmm.sources.sampling.sample_rows` takes, from wherever they are.

    Parameters
    ----------
    source : RowSource
    n_rows : int
    random_state : RandomState
    engine : Engine
    """
    if source.place is None:
        return sample_rows(source, n_rows, random_state)
    numbers = draw_numbers(source.n_rows, n_rows, random_state)
    grid = RowGrid.of(source.n_rows, source.n_features, 1)
    found = merge_chunks(_Chosen(numbers), source, grid, engine)
    return Sample(found.rows, found.weights if source.weighted else None, numbers)


def rows_numbered(source: RowSource, numbers: np.ndarray, engine: Engine) -> np.ndarray:
    """Rows (len(numbers), d) of a source by their numbers, from wherever they are.

    Parameters
    ----------
    source : RowSource
    numbers : ndarray of int
        In any order.
    engine : Engine
    """
    if source.place is None:
        return rows_at(source, numbers)
    order = np.argsort(numbers, kind="stable")
    grid = RowGrid.of(source.n_rows, source.n_features, 1)
    found = merge_chunks(_Chosen(numbers[order]), source, grid, engine)
    rows = np.empty_like(found.rows)
    rows[order] = found.rows
    return rows


@dataclass(frozen=True, eq=False, slots=True)
class _Rows:
    """Rows of neighbouring chunks; they add by following one another."""

    rows: np.ndarray
    weights: np.ndarray

    def __add__(self, other: "_Rows") -> "_Rows":
        rows = np.concatenate([self.rows, other.rows])
        return _Rows(rows, np.concatenate([self.weights, other.weights]))


@dataclass(frozen=True, eq=False, slots=True)
class _Chosen:
    """Those rows of a chunk that are among some.

    Parameters
    ----------
    numbers : ndarray of int or None
        In order; None for all.
    """

    numbers: np.ndarray | None

    def __call__(self, chunk: Chunk) -> _Rows:
        if self.numbers is None:
            return _Rows(np.array(chunk.rows), np.array(chunk.weights))
        begin, end = np.searchsorted(self.numbers, (chunk.start, chunk.stop))
        local = self.numbers[begin:end] - chunk.start
        weights = chunk.weights[local] if len(chunk.weights) else chunk.weights
        return _Rows(chunk.rows[local], weights)

    def of_chunks(self, bounds: Bounds) -> "_Chosen":
        """The same with the numbers of rows in some chunks only."""
        if self.numbers is None:
            return self
        places = [np.searchsorted(self.numbers, pair) for pair in bounds]
        return _Chosen(np.concatenate([self.numbers[begin:end] for begin, end in places]))
