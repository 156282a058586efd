"""K-means of few rows: by a kernel, or by scikit-learn's own steps, without the checks around them.

Among few rows, one halfway between two centers is common, and only the last digits of
scikit-learn's arithmetic say where it belongs. There the same operations are done on the same
arrays, and every label is scikit-learn's.
"""

from typing import Any

import numpy as np
from sklearn.cluster._k_means_lloyd import lloyd_iter_chunked_dense
from sklearn.cluster._kmeans import _kmeans_plusplus
from sklearn.utils.extmath import row_norms

from fastgmm.starts.lloyd import MAX_ITER, TOL
from fastgmm.starts.plusplus import n_draws, n_trials, rounding_of_distances


def labels_by_kernel(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels (n,) as `sklearn_labels` makes them, and seeds; None for what rounding may decide.

    Without seeds nothing has been drawn; with them all that `sklearn_seeds` draws.

    Parameters
    ----------
    X, n_clusters, random_state, sample_weight
        See `sklearn_seeds`.
    """
    from fastgmm.kernels.kmeans.many import small_kmeans

    cluster = small_kmeans.if_it_pays() if X.dtype == np.float64 else None
    if cluster is None:
        return None, None
    n, d = X.shape
    before = random_state.get_state()
    draws = random_state.random_sample((1, n_draws(n_clusters)))
    weights = np.empty(0) if sample_weight is None else sample_weight
    seeds, labels = np.empty((1, n_clusters), dtype=np.int64), np.empty(n, dtype=np.int32)
    ends, decided = np.array([0, n]), np.empty(1, dtype=bool)
    rounding = rounding_of_distances(d)
    cluster(X, weights, ends, draws, TOL, MAX_ITER, rounding, seeds, labels, decided)
    if decided[0]:
        return labels, seeds[0]
    if seeds[0, 0] < 0:
        random_state.set_state(before)
        return None, None
    return None, seeds[0]


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
    if X.dtype == np.float32:  # of which it takes distances in float64, in pieces
        norms = row_norms(X, squared=True)
        return _kmeans_plusplus(X, n_clusters, norms, weights, random_state)[1]
    norms = _square_norms(X)
    seeds = np.empty(n_clusters, dtype=np.int64)
    seeds[0] = _chosen(random_state, weights / weights.sum())
    closest = _squared_distances(X[seeds[:1]], X, norms)
    potential = closest @ weights
    for c in range(1, n_clusters):
        draws = random_state.uniform(size=n_trials(n_clusters)) * potential
        candidates = (weights * closest).cumsum().searchsorted(draws)
        np.minimum(candidates, len(X) - 1, out=candidates)
        distances = _squared_distances(X[candidates], X, norms)
        np.minimum(closest, distances, out=distances)
        potentials = distances @ weights[:, np.newaxis]
        best = potentials.argmin()
        seeds[c], potential, closest = candidates[best], potentials[best], distances[best]
    return seeds


def sklearn_labels(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
    seeds: np.ndarray | None = None,
) -> np.ndarray:
    """Labels (n,) of the clusters of ``KMeans(n_clusters, n_init=1)``.

    Parameters
    ----------
    X, n_clusters, random_state, sample_weight
        See `sklearn_seeds`.
    seeds : ndarray of int, shape (n_clusters,), optional
        What that would choose, if it is known.
    """
    X = np.array(X, order="C")
    X -= X.mean(axis=0)
    if seeds is None:
        seeds = sklearn_seeds(X, n_clusters, random_state, sample_weight)
    centers = X[seeds]
    tolerance = TOL * np.square(X).mean(axis=0).mean()
    weights, moved = _weights(X, sample_weight), np.zeros_like(centers)
    in_clusters, shifts = np.zeros((2, n_clusters), X.dtype)
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


def _chosen(random_state: np.random.RandomState, shares: np.ndarray) -> Any:
    """``random_state.choice(len(shares), p=shares)``, without its checks of the shares."""
    ends = shares.cumsum()
    ends /= ends[-1]
    return ends.searchsorted(random_state.random_sample(), side="right")


def _square_norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _squared_distances(points: np.ndarray, X: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Squared distances (m, n) of rows with these norms from points, as scikit-learn has them."""
    distances = -2 * (points @ X.T)
    distances += _square_norms(points)[:, np.newaxis]
    distances += norms
    return np.maximum(distances, 0, out=distances)
