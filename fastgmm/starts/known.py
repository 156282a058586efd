"""Starts of rows whose components are known in part: labels, -1 where they are not known."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import KMeans

from fastgmm.starts.plusplus import n_trials
from fastgmm.starts.records import KnownShares, LabelledRows, SingleRows, Start


class Known(NamedTuple):
    """What is known of rows.

    Parameters
    ----------
    labels : ndarray of int32, shape (n,)
        -1 where a row may be of any component.
    means : ndarray of shape (k, d)
        Of the labelled rows of every component; NaN where it has none.
    """

    labels: np.ndarray
    means: np.ndarray


def checked_labels(labels: Any, n_rows: int, n_components: int) -> np.ndarray:
    """Labels that a caller gives, as int32.

    Parameters
    ----------
    labels : array-like of shape (n_rows,)
        Integers, of any type of numbers.
    n_rows, n_components : int

    Raises
    ------
    ValueError
        If they are no integers from -1 to the number of components less one.
    """
    labels = np.asarray(labels)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"labels should have the shape of {(n_rows,)}, one for every row, but got "
            f"{labels.shape}."
        )
    if labels.dtype.kind not in "iuf":
        raise ValueError(
            f"labels should be integers, -1 where they are unknown, but got dtype {labels.dtype}."
        )
    broken = np.flatnonzero(labels != np.round(labels))
    if len(broken):
        raise ValueError(
            f"labels should be integers, -1 where they are unknown, but row {broken[0]}, counted "
            f"from 0, has {labels[broken[0]]}."
        )
    outside = np.flatnonzero((labels < -1) | (labels >= n_components))
    if len(outside):
        raise ValueError(
            f"labels should be from 0 to {n_components - 1}, or -1 where they are unknown, but row "
            f"{outside[0]}, counted from 0, has {labels[outside[0]]}."
        )
    return labels.astype(np.int32)


def check_unlabelled(labels: np.ndarray, n_components: int) -> None:
    """Check that components without a labelled row can get other rows.

    Raises
    ------
    ValueError
        If all rows are labelled, and a component has none of them.
    """
    counts = np.bincount(labels[labels >= 0], minlength=n_components)
    if not counts.all() and counts.sum() == len(labels):
        raise ValueError(
            f"All rows are labelled, and none of them as component {np.argmin(counts)}."
        )


def known_starts(
    found: Iterator[Start],
    known: Known,
    method: Any,
    X: np.ndarray | None,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
) -> Iterator[Start]:
    """Starts that follow the labels, without end.

    K-means begins with the means of labelled rows, and with others by k-means++; of any other start
    what contradicts the labels is put right.

    Parameters
    ----------
    found : iterator of Start
        As they would be without labels.
    known : Known
        Of the same rows.
    method : str, callable or Start
        See `fastgmm.starts.make_starts`.
    X : ndarray of shape (n, d), or None
        Rows; for k-means and k-means++.
    random_state : RandomState
    sample_weight : ndarray of shape (n,) or None
    """
    k = len(known.means)
    while True:
        if X is not None and isinstance(method, str) and method in ("kmeans", "k-means++"):
            weights = np.ones(len(X)) if sample_weight is None else sample_weight
            seeds = _seeds(X, known, weights, random_state)
            if method == "k-means++":
                yield SingleRows(seeds)
                continue
            clusters = KMeans(k, init=seeds.astype(X.dtype), n_init=1)
            start: Start = LabelledRows(clusters.fit(X, sample_weight=weights).labels_, k)
        else:
            start = next(found)
        yield with_labels(start, known)


def with_labels(start: Start, known: Known) -> Start:
    """A start, put right where it contradicts what is known."""
    if isinstance(start, SingleRows):
        return SingleRows(np.where(np.isnan(known.means), start.rows, known.means))
    return KnownShares(known.labels, len(known.means), start)


def _seeds(
    X: np.ndarray, known: Known, weights: np.ndarray, random_state: np.random.RandomState
) -> np.ndarray:
    """Means of labelled rows, and unlabelled rows by greedy k-means++ (k, d)."""
    seeds = known.means.copy()
    missing = np.flatnonzero(np.isnan(seeds).any(axis=1))
    rest = np.asarray(X[known.labels < 0], dtype=np.float64)
    weights = weights[known.labels < 0]
    closest = np.full(len(rest), np.inf)
    for seed in np.delete(seeds, missing, axis=0):
        closest = np.minimum(closest, _squared_distances(rest, seed))
    for component in missing:
        shares = weights * closest
        if not 0.0 < shares.sum() < np.inf:  # no labelled row is known, or all rows are seeds
            shares = weights
        drawn = random_state.choice(len(rest), n_trials(len(seeds)), p=shares / shares.sum())
        trials = [np.minimum(closest, _squared_distances(rest, rest[row])) for row in drawn]
        best = int(np.argmin([weights @ trial for trial in trials]))
        seeds[component], closest = rest[drawn[best]], trials[best]
    return seeds


def _squared_distances(rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    apart = rows - point
    return np.einsum("nd,nd->n", apart, apart)
