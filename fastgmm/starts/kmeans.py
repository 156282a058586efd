"""K-means and k-means++, with the draws and the results of scikit-learn's.

The package's kernels make them, and scikit-learn's arithmetic comes in only where a decision hangs
on the last digits. That happens to rounded data, such as counts or ratings, and to rows of float32,
and hardly ever to other rows of float64. The first clusters of few rows are made by scikit-learn's
own steps, for which nothing has to be compiled.
"""

import functools
import threading
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from fastgmm.covariance.linalg import BY_ONE_THREAD
from fastgmm.engines.base import Engine
from fastgmm.sources.weights import NO_WEIGHTS
from fastgmm.starts.chunks import Chunks, Undecided
from fastgmm.starts.few_rows import labels_of_few, sklearn_seeds
from fastgmm.starts.lloyd import SKLEARN_CHUNK, TOL, QuickSteps, SklearnSteps, lloyd
from fastgmm.starts.plusplus import Seeding, SingleSeeding, first_row, n_trials
from fastgmm.starts.records import LabelledRows, SingleRows

_OWN_ROWS = 8192
"""Rows from which on the kernels for many rows are asked."""


@functools.cache
def _thread_controller() -> ThreadpoolController:
    """Handle on the thread pools that are loaded; finding them takes milliseconds."""
    return ThreadpoolController()


class _OneBlasThread:
    """Context in which BLAS runs on one thread, for as long as any thread of Python is in it.

    The number holds for the whole process: contexts that overlap must not restore each other's.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._n_inside:
                self._limits = _thread_controller().limit(limits=1, user_api="blas")
            self._n_inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._limits.restore_original_limits()


_one_blas_thread = _OneBlasThread()


def kmeans(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
    engine: Engine,
) -> LabelledRows:
    """Clusters of k-means.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    n_clusters : int
    random_state : RandomState
    sample_weight : ndarray of shape (n,) or None
    engine : Engine
    """
    if len(X) >= _OWN_ROWS:
        labels = _labels(X, n_clusters, random_state, sample_weight, engine)
    else:
        labels = _labels_of_few(X, n_clusters, random_state, sample_weight)
    n_distinct = np.count_nonzero(np.bincount(labels, minlength=n_clusters))
    if n_distinct < n_clusters:
        warnings.warn(
            f"Number of distinct clusters ({n_distinct}) found smaller than "
            f"n_clusters ({n_clusters}). Possibly due to duplicate points in X.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return LabelledRows(labels, n_clusters)


def kmeans_plusplus(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
    engine: Engine,
) -> SingleRows:
    """Rows that k-means++ chooses.

    Parameters
    ----------
    X, n_clusters, random_state, sample_weight, engine
        See `kmeans`.
    """
    rows = None
    if len(X) >= _OWN_ROWS:
        # scikit-learn does not centre the rows first.
        if X.dtype == np.float32:
            chunks = Chunks.about_zero(X, sample_weight, n_trials(n_clusters), engine)
            rows = _decided(SingleSeeding(chunks, n_clusters), random_state)
        else:
            chunks = Chunks.about_mean(X, sample_weight, n_trials(n_clusters), engine)
            squares = chunks.squares()[1] + chunks.source.total_weight * (chunks.origin**2).sum()
            rows = _decided(Seeding(chunks, n_clusters, squares), random_state)
    if rows is None:
        rows = sklearn_seeds(X, n_clusters, random_state, sample_weight)
    return SingleRows(X[rows])


def _labels_of_few(X, n_clusters, random_state, sample_weight) -> np.ndarray:
    n_clusters = int(n_clusters)  # an estimator's number may be of a type as small as uint8
    # So small a product BLAS makes on one thread by itself.
    if SKLEARN_CHUNK * n_clusters * X.shape[1] <= BY_ONE_THREAD:
        return labels_of_few(X, n_clusters, random_state, sample_weight)
    with _one_blas_thread:
        return labels_of_few(X, n_clusters, random_state, sample_weight)


def _labels(X, n_clusters, random_state, sample_weight, engine) -> np.ndarray:
    trials, seeds = n_trials(n_clusters), None
    if n_clusters == 1:  # whose center is drawn all the same
        first_row(len(X), NO_WEIGHTS if sample_weight is None else sample_weight, random_state)
        return np.zeros(len(X), dtype=np.int32)
    if X.dtype == np.float64:
        chunks = Chunks.about_mean(X, sample_weight, trials, engine)
        plain, weighted = chunks.squares()
        seeds = _decided(Seeding(chunks, n_clusters, weighted), random_state)
        if seeds is not None:
            centers = chunks.at(seeds)
            try:
                steps = QuickSteps(chunks, centers, np.sqrt(plain / len(X)))
                return lloyd(steps, centers, TOL * plain / X.size)
            except Undecided:
                pass
    chunks, tolerance = centred_as_sklearn(X, sample_weight, trials, engine)
    rows = chunks.source.read(0, len(X)).rows
    if X.dtype == np.float32:
        seeds = _decided(SingleSeeding(chunks, n_clusters), random_state)
    if seeds is None:
        seeds = sklearn_seeds(rows, n_clusters, random_state, sample_weight)
    with _one_blas_thread:
        return lloyd(SklearnSteps(chunks, rows[seeds]), rows[seeds], tolerance)


def centred_as_sklearn(
    X: np.ndarray, sample_weight: np.ndarray | None, n_trials: int, engine: Engine
) -> tuple[Chunks, float]:
    """Rows less their mean, both with the bits of scikit-learn's; and its tolerance."""
    X = np.array(X, order="C")
    X -= X.mean(axis=0)
    chunks = Chunks.about_zero(X, sample_weight, n_trials, engine)
    return chunks, TOL * np.square(X).mean(axis=0).mean()


def _decided(
    seeding: Seeding | SingleSeeding, random_state: np.random.RandomState
) -> np.ndarray | None:
    """Rows chosen, or None if rounding decides; nothing is drawn then."""
    state = random_state.get_state()
    try:
        return seeding.rows(random_state)
    except Undecided:
        random_state.set_state(state)
        return None
