"""Sums over the chunks of a source: in this process, or in the place where its rows are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.sampling import Sample, draw_numbers, sample_rows

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
        knows of the rows of others.
    source : RowSource
    grid : RowGrid
    engine : Engine
        Of this process.
    """
    if source.place is not None:
        return source.place.merge(function, source, grid)
    return engine.reduce(lambda index: function(source.read(*grid.bounds(index))), len(grid))


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
