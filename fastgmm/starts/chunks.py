"""Rows in memory as k-means sees them: chunk by chunk, less a point amid them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.passes.chunks import TotalsOfChunks
from fastgmm.sources.array import array_source
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.sampling import rows_at
from fastgmm.sources.weights import NO_WEIGHTS

EPS = float(np.finfo(np.float64).eps)


class Undecided(Exception):
    """Only the last digits of scikit-learn's arithmetic tell what comes next."""


@dataclass(frozen=True, eq=False, slots=True)
class Chunks:
    """Rows, and who works on them.

    Parameters
    ----------
    source : RowSource
    origin : ndarray of float64, shape (d,)
        What the coordinates of k-means are relative to.
    grid : RowGrid
    engine : Engine
    """

    source: RowSource
    origin: np.ndarray
    grid: RowGrid
    engine: Engine

    @classmethod
    def about_zero(
        cls, X: np.ndarray, sample_weight: np.ndarray | None, n_trials: int, engine: Engine
    ) -> "Chunks":
        """Rows as they are.

        Most passes compute a few distances a row: to `n_trials` candidates, or of few rows to all
        centers.
        """
        n, d = X.shape
        source = array_source(X, sample_weight).scaled()
        grid = RowGrid.of(n, d, n_trials)
        return cls(source, np.zeros(d), grid, engine)

    @classmethod
    def about_mean(
        cls, X: np.ndarray, sample_weight: np.ndarray | None, n_trials: int, engine: Engine
    ) -> "Chunks":
        """Rows relative to their mean."""
        chunks = cls.about_zero(X, sample_weight, n_trials, engine)
        return replace(chunks, origin=chunks.reduce(TotalsOfChunks()) / len(X))

    def reduce(self, function: Callable[[Chunk], Any]) -> Any:
        """Sum of a function of every chunk."""
        read, bounds = self.source.read, self.grid.bounds
        return self.engine.reduce(lambda i: function(read(*bounds(i))), len(self.grid))

    def add_up(self, function: Callable[[Chunk], Any]) -> Any:
        """The same, of several chunks at a time: its last bits may depend on threads."""
        read, stretch = self.source.read, self.grid.stretch

        def of(chunks: range) -> Any:
            return function(read(*stretch(chunks)))

        return self.engine.reduce_stretches(of, len(self.grid), self.grid.longest_stretch)

    def for_each(self, function: Callable[[int, Chunk], None], numbers: Iterable[int]) -> None:
        """Call a function of the number of a chunk, and the chunk, for some of them."""
        read, bounds, numbers = self.source.read, self.grid.bounds, list(numbers)
        self.engine.for_each(
            lambda i: function(numbers[i], read(*bounds(numbers[i]))), len(numbers)
        )

    def at(self, numbers: np.ndarray) -> np.ndarray:
        """Rows by their numbers, relative to the origin, in float64."""
        return rows_at(self.source, numbers) - self.origin

    def squares(self) -> tuple[float, float]:
        """Sums of |row|^2, plain and weighted."""
        from fastgmm.kernels.kmeans.seeding import seeding_pass

        add = seeding_pass(self.source.dtype)
        here = np.zeros((1, len(self.origin)), self.source.dtype)

        def of(chunk: Chunk) -> np.ndarray:
            def total(weights: np.ndarray) -> float:
                near, found = np.full(len(chunk.rows), np.inf, here.dtype), np.zeros(1)
                add(chunk.rows, weights, self.origin, here[:0], here, near, found)
                return float(found[0])

            plain = total(NO_WEIGHTS)
            return np.array([plain, total(chunk.weights) if len(chunk.weights) else plain])

        plain, weighted = self.reduce(of).tolist()
        return plain, weighted


def rounding_of_sums(n_rows: int) -> float:
    """What rounding makes of a sum over rows at most, as a part of it.

    Beyond 65,536 rows that is no bound, but far more than errors that come and go by chance.
    """
    return EPS * min(n_rows, 1 << 16)
