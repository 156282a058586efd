"""Rows that a start takes for noise."""

from typing import Any

import numpy as np

from fastgmm.starts.records import LabelledRows, SingleRows, Start, WithoutRows


def checked_noise(noise_init: Any, n_rows: int, present: Any = slice(None)) -> np.ndarray:
    """Which of the rows that count a caller takes for noise.

    Parameters
    ----------
    noise_init : array-like of bool
    n_rows : int
    present : ndarray of bool, shape (n_rows,), optional
        Rows that count; all by default.

    Raises
    ------
    ValueError
        If it is no boolean array (n_rows,) that chooses some of these rows.
    """
    chosen = np.asarray(noise_init)
    if chosen.dtype != bool or chosen.shape != (n_rows,):
        raise ValueError(
            f"noise_init should be a boolean array of shape {(n_rows,)}, but got shape "
            f"{chosen.shape} and dtype {chosen.dtype}."
        )
    chosen = chosen[present]
    if chosen.all() or not chosen.any():
        which = "all rows" if chosen.any() else "no row"
        raise ValueError(f"noise_init takes {which} for noise; it should choose some of them.")
    return chosen


def without_noise(
    start: Start,
    n_components: int,
    chosen: np.ndarray | None,
    share: float,
    X: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Start:
    """A start without the rows that are taken for noise.

    Unless the caller has chosen them, these are the farthest from the means of their clusters, if
    the start has clusters. Single rows get those that are nearest to them: with no spread, they
    would lose all others to noise at once.

    Parameters
    ----------
    start : Start
    n_components : int
    chosen : ndarray of bool, shape (n,), or None
    share : float
        The part of all weight that the farthest rows have at most.
    X : ndarray of shape (n, d), or None
    weights : ndarray of shape (n,) or None
    labels : ndarray of int, shape (n,), optional
        A row that is known to be of a component, and has no -1 here, is no noise.
    """
    if isinstance(start, SingleRows):
        if X is None:
            return start
        start = LabelledRows(_nearest(X, start.rows), n_components)
    if chosen is None:
        if X is None or start.in_order:
            return start
        clusters = start.chunk(0, len(X))
        if clusters.ndim == 2:
            return start
        chosen = farthest(X, clusters, weights, share)
    if labels is not None:
        chosen = chosen & (labels < 0)
    return WithoutRows(start, chosen, n_components)


def _nearest(X: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Which of the centers (k, d) is nearest to every row."""
    labels, least = np.zeros(len(X), dtype=np.int32), np.full(len(X), np.inf)
    for c, center in enumerate(np.asarray(centers, dtype=np.float64)):
        apart = X - center
        distances = np.einsum("nd,nd->n", apart, apart)
        nearer = distances < least
        labels[nearer], least[nearer] = c, distances[nearer]
    return labels


def farthest(
    X: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, share: float
) -> np.ndarray:
    """The rows (n,) that are farthest from the means of their clusters.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    labels : ndarray of int, shape (n,)
    weights : ndarray of shape (n,) or None
    share : float
        The part of all weight that they have at most.
    """
    weights = np.ones(len(X)) if weights is None else weights
    counts = np.bincount(labels, weights)
    sums = np.column_stack([np.bincount(labels, weights * column) for column in X.T])
    means = sums / np.where(counts > 0, counts, 1.0)[:, np.newaxis]
    apart = X - means[labels]
    distances = np.einsum("nd,nd->n", apart, apart)
    order = np.argsort(-distances, kind="stable")
    chosen = np.zeros(len(X), dtype=bool)
    chosen[order[np.cumsum(weights[order]) <= share * weights.sum()]] = True
    return chosen
