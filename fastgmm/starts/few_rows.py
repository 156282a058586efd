"""K-means of few rows, by scikit-learn's own steps, without the checks around them.

Among few rows, one halfway between two centers is common, and a step takes less time than the
checks that scikit-learn makes of its arguments. So the same operations are done on the same arrays,
and every label, also of rows where rounding decides, is scikit-learn's.
"""

from typing import Any

import numpy as np
from sklearn.cluster._k_means_lloyd import lloyd_iter_chunked_dense
from sklearn.cluster._kmeans import _kmeans_plusplus
from sklearn.utils.extmath import row_norms

from fastgmm.starts.lloyd import MAX_ITER, TOL
from fastgmm.starts.plusplus import n_trials


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
) -> np.ndarray:
    """Labels (n,) of the clusters of ``KMeans(n_clusters, n_init=1)``.

    Parameters
    ----------
    X, n_clusters, random_state, sample_weight
        See `sklearn_seeds`.
    """
    X = np.array(X, order="C")
    X -= X.mean(axis=0)
    centers = X[sklearn_seeds(X, n_clusters, random_state, sample_weight)]
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
