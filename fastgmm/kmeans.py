"""K-means with scikit-learn's draws and stopping rule, on the rows of any source.

The same greedy k-means++ (Arthur and Vassilvitskii 2007) and the same Lloyd steps as
``KMeans(n_init=1)``, from the same random numbers; labels agree but for rows that lie between two
centers to the last digits. Nothing is stored per row but a label and a distance.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm.engines.base import Engine
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.sampling import rows_at

MAX_ITER = 300
TOL = 1e-4
"""Of the squared shift of the centers, relative to the mean variance of the features."""


def n_draws(n_clusters: int) -> int:
    """Uniform numbers that greedy k-means++ draws: one, and then one per candidate."""
    return 1 + (n_clusters - 1) * n_trials(n_clusters)


def n_trials(n_clusters: int) -> int:
    """Candidates for a center, of which the best is taken."""
    return 2 + int(np.log(n_clusters))


class KMeansFit:
    """A run of k-means.

    Parameters
    ----------
    source : RowSource
    engine : Engine
    n_clusters : int
    """

    def __init__(self, source: RowSource, engine: Engine, n_clusters: int):
        self.source = source
        self.engine = engine
        self.n_clusters = n_clusters
        self.grid = RowGrid.of(source.n_rows, source.n_features, n_clusters)
        moments = self._reduce(_moments)
        self.origin = moments[0] / source.n_rows
        squares = self._reduce(lambda chunk: _squares(chunk, self.origin))
        self.tolerance = TOL * float(np.mean(squares / source.n_rows))

    def labels(self, seeds: np.ndarray) -> np.ndarray:
        """Labels of the clusters that Lloyd's iterations end with.

        Parameters
        ----------
        seeds : ndarray of shape (k, d)
            First centers, in the data's coordinates.

        Returns
        -------
        labels : ndarray of int32, shape (n,)
        """
        centers = seeds - self.origin
        labels = np.full(self.source.n_rows, -1, dtype=np.int32)
        for _ in range(MAX_ITER):
            moved, changed = self._lloyd_step(centers, labels)
            if not changed:
                break
            shift = float(((moved - centers) ** 2).sum())
            centers = moved
            if shift <= self.tolerance:
                self._lloyd_step(centers, labels)
                break
        else:
            self._lloyd_step(centers, labels)
        self._warn_of_duplicates(labels)
        return labels

    # -- seeding -----------------------------------------------------------------------------------
    def seeds(self, random_state: np.random.RandomState) -> np.ndarray:
        """Rows chosen by greedy k-means++: each the best of 2 + log(k) candidates.

        Parameters
        ----------
        random_state : RandomState

        Returns
        -------
        rows : ndarray of int, shape (k,)
            Their numbers in the source.
        """
        n, k = self.source.n_rows, self.n_clusters
        weights = self._weights()
        seeds = np.empty(k, dtype=np.int64)
        seeds[0] = random_state.choice(n, p=weights / weights.sum())
        del weights
        closest = np.full(n, np.inf, dtype=self.source.dtype)
        shares = self._potentials(seeds[:1], closest, take=True)
        for c in range(1, k):
            draws = random_state.uniform(size=n_trials(k)) * shares.sum()
            candidates = np.array([self._row_at(draw, shares[:, 0], closest) for draw in draws])
            potentials = self._potentials(candidates, closest, take=False).sum(axis=0)
            seeds[c] = candidates[np.argmin(potentials)]
            shares = self._potentials(seeds[c : c + 1], closest, take=True)
        return seeds

    def _potentials(self, rows, closest, take: bool) -> np.ndarray:
        """Potentials (chunks, candidates) with each of some rows as a center."""
        from fastgmm.kernels.kmeans_pass import seeding_pass

        candidates = (rows_at(self.source, rows) - self.origin).astype(self.source.dtype)
        potentials = np.zeros((len(self.grid), len(candidates)))
        seed = seeding_pass(self.source.dtype)

        def chunk_potentials(index: int) -> None:
            start, stop = self.grid.bounds(index)
            chunk = self.source.read(start, stop)
            near = closest[start:stop]
            seed(chunk.rows, chunk.weights, self.origin, candidates, take, near, potentials[index])

        self.engine.for_each(chunk_potentials, len(self.grid))
        return potentials

    def _row_at(self, draw: float, shares: np.ndarray, closest: np.ndarray) -> int:
        """Row where the running sum of weighted distances reaches `draw`: first its chunk."""
        ends = np.cumsum(shares)
        index = min(int(np.searchsorted(ends, draw)), len(shares) - 1)
        start, stop = self.grid.bounds(index)
        distances = closest[start:stop].astype(np.float64)
        weights = self.source.read(start, stop).weights
        if len(weights):
            distances *= weights
        before = ends[index - 1] if index else 0.0
        offset = int(np.searchsorted(np.cumsum(distances), draw - before))
        return min(start + offset, stop - 1)

    # -- Lloyd steps -------------------------------------------------------------------------------
    def _lloyd_step(self, centers, labels) -> tuple[np.ndarray, int]:
        """New centers, and how many labels changed; `labels` are brought up to date."""
        from fastgmm.kernels.kmeans_pass import lloyd_pass

        step = lloyd_pass(self.source.dtype)
        cast = np.ascontiguousarray(centers, dtype=self.source.dtype)
        offsets = -0.5 * (cast**2).sum(axis=1)

        def chunk_step(index: int) -> np.ndarray:
            start, stop = self.grid.bounds(index)
            chunk = self.source.read(start, stop)
            record = np.zeros((self.n_clusters + 1, self.source.n_features + 1))
            record[-1, 0] = step(
                chunk.rows,
                chunk.weights,
                self.origin,
                cast,
                offsets,
                labels[start:stop],
                record[:-1],
            )
            return record

        record = self.engine.reduce(chunk_step, len(self.grid))
        sums, weights = record[:-1, :-1], record[:-1, -1]
        if not weights.all():
            self._relocate(sums, weights, centers, labels)
        present = weights > 0
        moved = centers.copy()
        moved[present] = sums[present] / weights[present, np.newaxis]
        return moved, int(record[-1, 0])

    def _relocate(self, sums, weights, centers, labels) -> None:
        """Move empty clusters to the rows farthest from their centers, as scikit-learn does."""
        distances = np.empty(self.source.n_rows)

        def chunk_distances(index: int) -> None:
            start, stop = self.grid.bounds(index)
            rows = self.source.read(start, stop).rows - self.origin
            distances[start:stop] = ((rows - centers[labels[start:stop]]) ** 2).sum(axis=1)

        self.engine.for_each(chunk_distances, len(self.grid))
        empty = np.flatnonzero(weights == 0)
        if distances.max() == 0:
            return
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, row in zip(empty, farthest, strict=True):
            chunk = self.source.read(int(row), int(row) + 1)
            weight = chunk.weights[0] if len(chunk.weights) else 1.0
            moved = (chunk.rows[0] - self.origin) * weight
            sums[labels[row]] -= moved
            weights[labels[row]] -= weight
            sums[cluster], weights[cluster] = moved, weight

    def _warn_of_duplicates(self, labels) -> None:
        distinct = np.count_nonzero(np.bincount(labels, minlength=self.n_clusters))
        if distinct < self.n_clusters:
            warnings.warn(
                f"Number of distinct clusters ({distinct}) found smaller than "
                f"n_clusters ({self.n_clusters}). Possibly due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=2,
            )

    # -- rows --------------------------------------------------------------------------------------
    def _reduce(self, function):
        return self.engine.reduce(
            lambda index: function(self.source.read(*self.grid.bounds(index))), len(self.grid)
        )

    def _weights(self) -> np.ndarray:
        """Weights of all rows."""
        weights = self.source.read(0, self.source.n_rows).weights
        return weights if len(weights) else np.ones(self.source.n_rows)


def _moments(chunk: Chunk) -> np.ndarray:
    return np.ascontiguousarray(chunk.rows).sum(axis=0, dtype=np.float64)[np.newaxis]


def _squares(chunk: Chunk, origin: np.ndarray) -> np.ndarray:
    return ((np.ascontiguousarray(chunk.rows) - origin) ** 2).sum(axis=0)
