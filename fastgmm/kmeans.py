"""K-means with scikit-learn's draws and stopping rule, on the rows of any source.

The same greedy k-means++ (Arthur and Vassilvitskii 2007) and the same Lloyd steps as
``KMeans(n_init=1)``, from the same random numbers; labels agree but for rows that lie between two
centers to the last digits. Nothing is stored per row but a distance while seeds are chosen, then a
label and the limit up to which it holds.
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

LEAST_SHARE = 1 / 16
"""Of the weight that a cluster had: with less left, sums are made anew, free of old rounding."""


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
        self.source = source.scaled()
        self.engine = engine
        self.n_clusters = n_clusters
        # Most passes compute a few distances a row: candidates', or few rows' to all centers.
        self.grid = RowGrid.of(source.n_rows, source.n_features, n_trials(n_clusters))
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
        step = LloydStep(self, centers)
        for _ in range(MAX_ITER):
            moved, changed = step(centers)
            if not changed:
                break
            shift = float(((moved - centers) ** 2).sum())
            centers = moved
            if shift <= self.tolerance:
                step(centers)
                break
        else:
            step(centers)
        self._warn_of_duplicates(step.labels)
        return step.labels

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
        shares = self._potentials(seeds[:0], seeds[:1], closest)[:, 0]
        for c in range(1, k):
            last = seeds[c - 1 : c]
            draws = random_state.uniform(size=n_trials(k)) * shares.sum()
            candidates = self._rows_at(draws, shares, last, closest)
            potentials = self._potentials(last, candidates, closest)
            best = np.argmin(potentials.sum(axis=0))
            seeds[c], shares = candidates[best], potentials[:, best]
        return seeds

    def _potentials(self, chosen, candidates, closest, chunks=None) -> np.ndarray:
        """Potentials (chunks, candidates) with each of some rows as one more center.

        `closest` is brought up to date with the center chosen last, in all chunks or in some.
        """
        from fastgmm.kernels.kmeans_pass import seeding_pass

        rows = self._centered(chosen), self._centered(candidates)
        potentials = np.zeros((len(self.grid), len(candidates)))
        seed = seeding_pass(self.source.dtype)

        def chunk_potentials(index: int) -> None:
            start, stop = self.grid.bounds(index)
            chunk = self.source.read(start, stop)
            near = closest[start:stop]
            seed(chunk.rows, chunk.weights, self.origin, *rows, near, potentials[index])

        chunks = range(len(self.grid)) if chunks is None else chunks
        self.engine.for_each(lambda i: chunk_potentials(chunks[i]), len(chunks))
        return potentials

    def _centered(self, numbers: np.ndarray) -> np.ndarray:
        """Rows of the source, by number, less the origin."""
        return (rows_at(self.source, numbers) - self.origin).astype(self.source.dtype)

    def _rows_at(self, draws, shares, chosen, closest) -> np.ndarray:
        """Rows where the running sum of weighted distances reaches each of the draws.

        First their chunks are found; only there need `closest` know the center chosen last.
        """
        ends = np.cumsum(shares)
        chunks = np.minimum(np.searchsorted(ends, draws), len(shares) - 1)
        self._potentials(chosen, chosen[:0], closest, np.unique(chunks))
        rows = np.empty(len(draws), dtype=np.int64)
        for i, index in enumerate(chunks):
            start, stop = self.grid.bounds(int(index))
            distances = closest[start:stop].astype(np.float64)
            weights = self.source.read(start, stop).weights
            if len(weights):
                distances *= weights
            before = ends[index - 1] if index else 0.0
            offset = int(np.searchsorted(np.cumsum(distances), draws[i] - before))
            rows[i] = min(start + offset, stop - 1)
        return rows

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


class LloydStep:
    """Lloyd's steps: labels of all rows, and what spares most of them the work of the next.

    A row whose nearest center leads by a margin keeps its label until the centers have moved that
    far, and is not even read (Hamerly 2010; here the moves are summed up, which takes no bound per
    row that every step rewrites). Sums over clusters change by the rows that change their label.

    Parameters
    ----------
    fit : KMeansFit
    centers : ndarray of float64, shape (k, d)
        Those of the first step, less the origin.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
    """

    def __init__(self, fit: KMeansFit, centers: np.ndarray):
        self.fit = fit
        n, (k, d) = fit.source.n_rows, centers.shape
        self.labels = np.full(n, k, dtype=np.int32)
        self._limits = np.empty(n, dtype=np.float32)
        self._drifts = np.append(np.zeros(k, dtype=np.float32), np.float32(np.inf))
        self._centers = centers
        self._sums = np.zeros((k, d + 1))
        self._largest = np.zeros(k)

    def __call__(self, centers: np.ndarray) -> tuple[np.ndarray, int]:
        """Bring labels up to date with centers, and find the next.

        Parameters
        ----------
        centers : ndarray of float64, shape (k, d)
            Less the origin.

        Returns
        -------
        moved : ndarray of float64, shape (k, d)
            Means of the clusters' rows; empty ones are moved to rows far from their centers.
        changed : int
            Number of labels that changed.
        """
        self._move(centers)
        changed = self._assign()
        if np.any(self._sums[:, -1] < LEAST_SHARE * self._largest):
            self.labels[:] = self.fit.n_clusters
            self._sums[:], self._largest[:] = 0.0, 0.0
            self._assign()
        sums, weights = self._sums[:, :-1].copy(), self._sums[:, -1].copy()
        if not weights.all():
            self._relocate(sums, weights, centers)
        present = weights > 0
        moved = centers.copy()
        moved[present] = sums[present] / weights[present, np.newaxis]
        return moved, changed

    def _move(self, centers: np.ndarray) -> None:
        """Take over centers; drifts grow by how far a row's own and any other moved, at most."""
        moves = np.sqrt(((centers - self._centers) ** 2).sum(axis=1))
        self._centers = centers
        farthest = np.argmax(moves)
        others = np.full(len(moves), moves[farthest])
        others[farthest] = np.delete(moves, farthest).max(initial=0.0)
        # Rounded up to what float32 holds: no rounding of margin + drift then passes it.
        drifts = _narrow(self._drifts[:-1] + (moves + others))
        self._drifts[:-1] = np.nextafter(drifts, np.float32(np.inf))

    def _assign(self) -> int:
        """Bring labels and sums up to date; how many labels changed."""
        from fastgmm.kernels.kmeans_pass import lloyd_pass

        fit, centers = self.fit, self._centers
        assign = lloyd_pass(fit.source.dtype)
        offsets = -0.5 * (centers**2).sum(axis=1)
        operands = centers, offsets, _narrow(centers), _narrow(offsets), self._drifts

        def chunk_changes(index: int) -> np.ndarray:
            start, stop = fit.grid.bounds(index)
            chunk = fit.source.read(start, stop)
            found = self.labels[start:stop], self._limits[start:stop]
            record = np.zeros((fit.n_clusters + 1, fit.source.n_features + 1))
            record[-1, 0] = assign(
                chunk.rows, chunk.weights, fit.origin, *operands, *found, record[:-1]
            )
            return record

        record = fit.engine.reduce(chunk_changes, len(fit.grid))
        self._sums += record[:-1]
        np.maximum(self._largest, self._sums[:, -1], out=self._largest)
        return int(record[-1, 0])

    def _relocate(self, sums, weights, centers) -> None:
        """Move empty clusters to the rows farthest from their centers, as scikit-learn does."""
        distances = np.empty(self.fit.source.n_rows)

        def chunk_distances(index: int) -> None:
            start, stop = self.fit.grid.bounds(index)
            rows = self.fit.source.read(start, stop).rows - self.fit.origin
            distances[start:stop] = ((rows - centers[self.labels[start:stop]]) ** 2).sum(axis=1)

        self.fit.engine.for_each(chunk_distances, len(self.fit.grid))
        empty = np.flatnonzero(weights == 0)
        if distances.max() == 0:
            return
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, row in zip(empty, farthest, strict=True):
            chunk = self.fit.source.read(int(row), int(row) + 1)
            weight = chunk.weights[0] if len(chunk.weights) else 1.0
            moved = (chunk.rows[0] - self.fit.origin) * weight
            sums[self.labels[row]] -= moved
            weights[self.labels[row]] -= weight
            sums[cluster], weights[cluster] = moved, weight


def _narrow(values: np.ndarray) -> np.ndarray:
    """In float32; infinite what is too large for it."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _moments(chunk: Chunk) -> np.ndarray:
    return np.ascontiguousarray(chunk.rows).sum(axis=0, dtype=np.float64)[np.newaxis]


def _squares(chunk: Chunk, origin: np.ndarray) -> np.ndarray:
    return ((np.ascontiguousarray(chunk.rows) - origin) ** 2).sum(axis=0)
