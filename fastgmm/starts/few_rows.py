"""K-means of few rows: by a kernel, or by scikit-learn's own steps, without the checks around them.

Among few rows, one halfway between two centers is common, and only the last digits of
scikit-learn's arithmetic say where it belongs. There the same operations are done on the same
arrays, and every label is scikit-learn's.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster._k_means_lloyd import lloyd_iter_chunked_dense
from sklearn.cluster._kmeans import _kmeans_plusplus
from sklearn.utils import gen_batches
from sklearn.utils.extmath import row_norms

from fastgmm.kernels.layout import BEGIN, DECIDED, FROM_SEEDS, GO_ON, LEFT, SEEDS
from fastgmm.kernels.paying import WhereItPays
from fastgmm.starts.lloyd import MAX_ITER, TOL, settle
from fastgmm.starts.plusplus import n_draws, n_trials, rounding_of_distances, running_sums

_MANY_NUMBERS = 1 << 24
"""In rows of float32, from which on they are not held in float64 as well."""


def sklearn_seeds(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
) -> np.ndarray:
    """Rows that scikit-learn's own k-means++ chooses, by number.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    n_clusters : int
    random_state : RandomState
    sample_weight : ndarray of shape (n,) or None
    """
    weights = _weights(X, sample_weight)
    if X.dtype == np.float32 and X.size >= _MANY_NUMBERS:
        norms = row_norms(X, squared=True)
        return _kmeans_plusplus(X, n_clusters, norms, weights, random_state)[1]
    n_clusters = int(n_clusters)  # see `fastgmm.starts.kmeans`
    return _seeds_of(X, n_clusters, random_state.random_sample(n_draws(n_clusters)), weights)


def _seeds_of(X: np.ndarray, n_clusters: int, draws: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The same, by the numbers that are drawn."""
    distances_from, trials = _distances_to(X), n_trials(n_clusters)
    seeds = np.empty(n_clusters, dtype=np.int64)
    seeds[0] = _chosen(draws[0], weights / weights.sum())
    closest = distances_from(seeds[:1])
    potential = closest @ weights
    for c in range(1, n_clusters):
        shares = draws[1 + (c - 1) * trials : 1 + c * trials] * potential
        candidates = running_sums(weights * closest).searchsorted(shares)
        np.minimum(candidates, len(X) - 1, out=candidates)
        distances = distances_from(candidates)
        np.minimum(closest, distances, out=distances)
        potentials = distances @ weights[:, np.newaxis]
        best = potentials.argmin()
        seeds[c], potential, closest = candidates[best], potentials[best], distances[best]
    return seeds


def labels_of_few(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
) -> np.ndarray:
    """Labels (n,) of the clusters of ``KMeans(n_clusters, n_init=1)``.

    Parameters
    ----------
    X, n_clusters, random_state, sample_weight
        See `sklearn_seeds`.
    """
    if X.dtype == np.float64:
        draws = random_state.random_sample(n_draws(n_clusters))
        labels, seeds = _by_kernel(X, n_clusters, draws, sample_weight)
        if labels is not None:
            return labels
        X = _centred(X)
        if seeds is None:  # no kernel yet
            seeds = _seeds_of(X, n_clusters, draws, _weights(X, sample_weight))
    else:
        X = _centred(X)
        seeds = sklearn_seeds(X, n_clusters, random_state, sample_weight)
    return _labels_from(X, seeds, sample_weight)


def _centred(X: np.ndarray) -> np.ndarray:
    X = np.array(X, order="C")
    X -= X.mean(axis=0)
    return X


class Clusters(NamedTuple):
    """What `fastgmm.kernels.kmeans.many.small_kmeans` finds of several data sets.

    Parameters
    ----------
    seeds : ndarray of int64, shape (data sets, k)
    centers : ndarray of shape (data sets, k, d)
    labels : ndarray of int32, shape (n,)
    in_doubt : ndarray of bool, shape (n,)
    state : ndarray of int64, shape (data sets, 3)
    """

    seeds: np.ndarray
    centers: np.ndarray
    labels: np.ndarray
    in_doubt: np.ndarray
    state: np.ndarray

    @classmethod
    def blank(cls, n_sets: int, n_clusters: int, n_rows: int, n_features: int) -> "Clusters":
        """Nothing yet: seeds and labels that are never found are those of the first."""
        return cls(
            np.zeros((n_sets, n_clusters), dtype=np.int64),
            np.empty((n_sets, n_clusters, n_features)),
            np.zeros(n_rows, dtype=np.int32),
            np.empty(n_rows, dtype=bool),
            np.full((n_sets, 3), BEGIN),
        )


def _entry_point() -> Callable:
    from fastgmm.kernels.kmeans.many import small_kmeans

    return small_kmeans


small_kmeans = WhereItPays(_entry_point)


def _by_kernel(
    X: np.ndarray, n_clusters: int, draws: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels (n,) and seeds, if there is a kernel; None for what rounding decides in earnest.

    Where it decides single draws or rows, scikit-learn's arithmetic does so here.
    """
    cluster = small_kmeans()
    if cluster is None:
        return None, None
    n, d = X.shape
    weights = np.empty(0) if sample_weight is None else sample_weight
    of_all = X, weights, np.array([0, n]), draws[np.newaxis]
    found, centred = Clusters.blank(1, n_clusters, n, d), None
    seeds, centers, labels, in_doubt, state = found
    while True:
        cluster(*of_all, TOL, MAX_ITER, rounding_of_distances(d), *found)
        phase, changed = int(state[0, 0]), int(state[0, 2])
        if phase == DECIDED:
            return labels, seeds[0]
        if phase == LEFT:
            return None, seeds[0]
        if centred is None:
            centred = _centred(X)
        if phase == SEEDS:
            seeds[0] = _seeds_of(centred, n_clusters, draws, _weights(X, sample_weight))
            state[0, 0] = FROM_SEEDS
        else:
            settled = settle(centred, in_doubt, centers[0], labels)
            if changed < 0 or not changed + settled:
                return labels, seeds[0]
            state[0, 0] = GO_ON


def _labels_from(X: np.ndarray, seeds: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    """Labels by scikit-learn's own steps, from rows that are less their mean."""
    centers = X[seeds]
    tolerance = TOL * np.square(X).mean(axis=0).mean()
    weights, moved = _weights(X, sample_weight), np.zeros_like(centers)
    in_clusters, shifts = np.zeros((2, len(seeds)), X.dtype)
    labels, before = np.full(len(X), -1, dtype=np.int32), b""
    for _ in range(MAX_ITER):
        lloyd_iter_chunked_dense(X, weights, centers, moved, in_clusters, labels, shifts, 1)
        centers, moved = moved, centers
        found = labels.tobytes()
        if found == before:
            return labels
        if np.add.reduce(np.square(shifts)) <= tolerance:
            break
        before = found
    rest = in_clusters, labels, shifts, 1, False
    lloyd_iter_chunked_dense(X, weights, centers, centers, *rest)
    return labels


def _weights(X: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
    if sample_weight is None:
        return np.ones(len(X), X.dtype)
    return sample_weight.astype(X.dtype, copy=False)


def _chosen(draw: float, shares: np.ndarray) -> Any:
    """``random_state.choice(len(shares), p=shares)``, without its checks of the shares."""
    ends = shares.cumsum(dtype=np.float64)
    ends /= ends[-1]
    return ends.searchsorted(draw, side="right")


def _distances_to(X: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Function from m numbers of rows to the squared distances (m, n) of all rows from these.

    scikit-learn takes those of float32 in float64, in batches, and rounds them then.
    """
    rows = X.astype(np.float64, copy=False)
    norms = _square_norms(rows)
    if X.dtype == np.float64:
        return lambda numbers: _squared_distances(rows[numbers], rows, norms)

    def distances_from(numbers: np.ndarray) -> np.ndarray:
        distances = np.empty((len(numbers), len(X)), np.float32)
        size = _batch_size(len(numbers), *X.shape)
        for some in gen_batches(len(numbers), size):
            points = rows[numbers[some]]
            for part in gen_batches(len(X), size):
                distances[some, part] = _squared_distances(points, rows[part], norms[part])
        return distances

    return distances_from


def _batch_size(m: int, n: int, d: int) -> int:
    """Rows that scikit-learn takes in float64 at a time, for distances of n rows from m of them."""
    most = max(((m + n) * d + m * n) / 10, 10 * 2**17)
    return max(int((-2 * d + math.sqrt((2 * d) ** 2 + 4 * most)) / 2), 1)


def _square_norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _squared_distances(points: np.ndarray, X: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Squared distances (m, n) of rows with these norms from points, as scikit-learn has them."""
    distances = -2 * (points @ X.T)
    distances += _square_norms(points)[:, np.newaxis]
    distances += norms
    return np.maximum(distances, 0, out=distances)
