"""Rows chosen by greedy k-means++ (Arthur and Vassilvitskii 2007), as scikit-learn chooses them.

A draw falls on the row where the running sum of squared distances reaches it, and the candidate
that leaves the least sum is taken. Both are decided with a margin for all rounding, ours and
scikit-learn's. Where that is not enough, scikit-learn itself has to choose.
"""

import numpy as np
from sklearn.cluster import _kmeans

from fastgmm.sources.base import Chunk
from fastgmm.starts.chunks import EPS, Chunks, Undecided, rounding_of_sums

_LEAST_PART = 1e4
"""How many times as large squared norms may be as squared distances, by their sums, in float32."""

_SUMMED_IN = np.float64 if hasattr(_kmeans, "stable_cumsum") else None
"""Type of scikit-learn's running sums: that of the distances, but for older versions."""


def n_draws(n_clusters: int) -> int:
    """Uniform numbers that greedy k-means++ draws: one, and then one per candidate."""
    return 1 + (n_clusters - 1) * n_trials(n_clusters)


def n_trials(n_clusters: int) -> int:
    """Candidates for a center, of which the best is taken."""
    return 2 + int(np.log(n_clusters))


def rounding_of_distances(n_features: int) -> float:
    """What rounding makes of squared distances, as a part of the squared norms of the rows.

    scikit-learn takes |x|^2 - 2 x c + |c|^2, of which each part is rounded.
    """
    return 12 * EPS * (n_features + 4)


def running_sums(distances: np.ndarray) -> np.ndarray:
    """Sums (n,) of weighted distances, in whose order scikit-learn draws rows."""
    return distances.cumsum(dtype=_SUMMED_IN)


def first_row(n_rows: int, weights: np.ndarray, random_state: np.random.RandomState) -> int:
    """``random_state.choice(n_rows, p=weights / weights.sum())``; without weights, of equal ones.

    Without any, a draw nearly always tells by itself which row it falls on.

    Parameters
    ----------
    n_rows : int
    weights : ndarray of shape (n_rows,), or (0,) when all are 1
    random_state : RandomState
    """
    if len(weights):
        return int(random_state.choice(n_rows, p=weights / weights.sum()))
    draw = random_state.random_sample()
    place = draw * n_rows
    # Ends of rows are sums of so many parts, each rounded.
    if abs(place - np.rint(place)) > 2 * EPS * n_rows * n_rows:
        return int(place)
    ends = np.full(n_rows, 1 / n_rows).cumsum()
    return int((ends / ends[-1]).searchsorted(draw, side="right"))


class Seeding:
    """Greedy k-means++ on rows of float64.

    Parameters
    ----------
    chunks : Chunks
    n_clusters : int
    squares : float
        Weighted sum of |row|^2, of the rows that scikit-learn would compute with: relative to the
        origin, or as they are.
    """

    def __init__(self, chunks: Chunks, n_clusters: int, squares: float):
        self._chunks, self._n_clusters = chunks, n_clusters
        n, d = chunks.source.n_rows, chunks.source.n_features
        self._part, self._least = rounding_of_sums(n), rounding_of_distances(d) * squares
        self._closest = np.full(n, np.inf)

    def rows(self, random_state: np.random.RandomState) -> np.ndarray:
        """Numbers (k,) of the rows chosen.

        Raises
        ------
        Undecided
            If rounding may decide; some numbers have been drawn then.
        """
        n, k = self._chunks.source.n_rows, self._n_clusters
        seeds = np.empty(k, dtype=np.int64)
        seeds[0] = first_row(n, self._chunks.source.read(0, n).weights, random_state)
        shares = self._potentials(seeds[:0], seeds[:1])[:, 0]
        for c in range(1, k):
            last = seeds[c - 1 : c]
            slack = self._part * shares.sum() + self._least
            draws = random_state.uniform(size=n_trials(k)) * shares.sum()
            candidates = self._rows_at(draws, shares, last, slack)
            potentials = self._potentials(last, candidates)
            best = self._best(potentials.sum(axis=0), candidates, slack)
            seeds[c], shares = candidates[best], potentials[:, best]
        return seeds

    def _best(self, totals, candidates, slack) -> np.intp:
        """The candidate of the least potential; of equal rows, any."""
        best = np.argmin(totals)
        rivals = self._chunks.at(candidates[totals - totals[best] <= 2 * slack])
        if (rivals != rivals[0]).any():
            raise Undecided
        return best

    def _potentials(self, chosen, candidates, numbers=None) -> np.ndarray:
        """Potentials (chunks, candidates) with each of some rows as one more center.

        The distances to the closest center are brought up to date with the center chosen last, in
        all chunks or in some.
        """
        from fastgmm.kernels.kmeans.seeding import seeding_pass

        chunks = self._chunks
        rows = chunks.at(chosen), chunks.at(candidates)
        potentials = np.zeros((len(chunks.grid), len(candidates)))
        seed = seeding_pass(chunks.source.dtype)

        def of(number: int, chunk: Chunk) -> None:
            near = self._closest[chunk.start : chunk.stop]
            seed(chunk.rows, chunk.weights, chunks.origin, *rows, near, potentials[number])

        chunks.for_each(of, range(len(chunks.grid)) if numbers is None else numbers)
        return potentials

    def _rows_at(self, draws, shares, chosen, slack) -> np.ndarray:
        """Rows where the running sum of weighted distances reaches each of the draws.

        First their chunks are found; only there need the distances know the center chosen last.
        """
        chunks, ends = self._chunks, np.cumsum(shares)
        numbers = np.minimum(np.searchsorted(ends, draws), len(shares) - 1)
        self._potentials(chosen, chosen[:0], np.unique(numbers))
        rows = np.empty(len(draws), dtype=np.int64)
        for i, number in enumerate(numbers.tolist()):
            chunk = chunks.source.read(*chunks.grid.bounds(number))
            distances = self._closest[chunk.start : chunk.stop]
            sums = np.cumsum(distances * chunk.weights if len(chunk.weights) else distances)
            draw = draws[i] - (ends[number - 1] if number else 0.0)
            offset = min(int(np.searchsorted(sums, draw)), len(sums) - 1)
            before = sums[offset - 1] if offset else 0.0
            if not before + slack < draw < sums[offset] - slack:
                raise Undecided
            rows[i] = chunk.start + offset
        return rows


class SingleSeeding:
    """Greedy k-means++ on rows of float32.

    scikit-learn rounds distances to float32, and draws by running sums of that type, whose rounding
    decides which row is drawn. So sums are taken as it takes them. The distances come out of other
    additions in float64, after which all but one in some ten million are rounded alike.

    Parameters
    ----------
    chunks : Chunks
        Relative to zero.
    n_clusters : int
    """

    def __init__(self, chunks: Chunks, n_clusters: int):
        self._chunks, self._n_clusters = chunks, n_clusters

    def rows(self, random_state: np.random.RandomState) -> np.ndarray:
        """See `Seeding`."""
        n, k = self._chunks.source.n_rows, self._n_clusters
        weights = self._chunks.source.read(0, n).weights.astype(np.float32)
        weights = weights if len(weights) else np.ones(n, dtype=np.float32)
        seeds = np.empty(k, dtype=np.int64)
        seeds[0] = random_state.choice(n, p=weights / weights.sum())
        closest = self._distances(seeds[:1])
        squares = self._chunks.reduce(_squares)
        potential = closest @ weights
        for c in range(1, k):
            # Beside much larger rows, scikit-learn's distances have lost their last digits.
            if not potential * _LEAST_PART > squares:
                raise Undecided
            draws = random_state.uniform(size=n_trials(k)) * potential
            candidates = running_sums(weights * closest).searchsorted(draws)
            candidates = np.minimum(candidates, n - 1)
            distances = self._distances(candidates)
            np.minimum(closest, distances, out=distances)
            potentials = distances @ weights[:, np.newaxis]
            best = np.argmin(potentials)
            seeds[c], potential, closest = candidates[best], potentials[best], distances[best]
        return seeds

    def _distances(self, numbers: np.ndarray) -> np.ndarray:
        """Squared distances (len(numbers), n) of all rows to some of them."""
        from fastgmm.kernels.kmeans.seeding import distances_pass

        chunks, measure = self._chunks, distances_pass()
        distances = np.empty((len(numbers), chunks.source.n_rows), dtype=np.float32)
        points = chunks.at(numbers)
        chunks.for_each(
            lambda _, chunk: measure(chunk.rows, points, distances[:, chunk.start : chunk.stop]),
            range(len(chunks.grid)),
        )
        return distances


def _squares(chunk: Chunk) -> float:
    """Weighted sum of |row|^2 in float64."""
    rows = chunk.rows.astype(np.float64)
    squares = np.einsum("ij,ij->i", rows, rows)
    return float(squares @ chunk.weights if len(chunk.weights) else squares.sum())
