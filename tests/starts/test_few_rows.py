"""K-means of few rows has scikit-learn's labels, whatever decides."""

from functools import cache

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_iris

from fastgmm.engines.threads import ThreadEngine
from fastgmm.kernels.kmeans import many
from fastgmm.starts import few_rows
from fastgmm.starts.few_rows import sklearn_seeds
from fastgmm.starts.kmeans import kmeans

N_SETS = 30


@pytest.fixture(params=["by scikit-learn", "by a kernel"], autouse=True)
def way(request, monkeypatch):
    """Whether a kernel is there."""
    make = many.small_kmeans if request.param == "by a kernel" else lambda: None
    monkeypatch.setattr(few_rows, "small_kmeans", make)
    return request.param


def _gaussian(random, shape):
    return random.standard_normal(shape) + 4.0 * random.integers(0, 3, (shape[0], 1))


ROWS = {
    "gaussian": _gaussian,
    "far": lambda random, shape: 1e7 + _gaussian(random, shape),
    "integers": lambda random, shape: random.integers(0, 4, shape).astype(float),
    "one digit": lambda random, shape: np.round(_gaussian(random, shape), 1),
    "repeated": lambda random, shape: np.repeat(
        _gaussian(random, shape)[: shape[0] // 8 + 1], 8, 0
    ),
}


@cache
def by_scikit_learn(kind, dtype, weighted):
    """Problems, and its labels, the draw after them, and its seeds."""
    random, found = np.random.default_rng(0), []
    for seed in range(N_SETS):
        shape = int(random.integers(20, 600)), int(random.integers(1, 7))
        X = ROWS[kind](random, shape).astype(dtype)
        k = int(random.integers(1, 8))
        weights = random.uniform(0.5, 2.0, len(X)) if weighted else None
        state = np.random.RandomState(seed)
        labels = KMeans(k, n_init=1, random_state=state).fit(X, sample_weight=weights).labels_
        _, rows = kmeans_plusplus(X, k, random_state=seed, sample_weight=weights)
        found.append(((X, k, weights), labels, state.random_sample(), rows))
    return found


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_labels_and_draws_are_those_of_scikit_learn(kind, dtype, weighted):
    problems = by_scikit_learn(kind, dtype, weighted)
    for seed, ((X, k, weights), labels, draw, rows) in enumerate(problems):
        state = np.random.RandomState(seed)
        found = kmeans(X, k, state, weights, ThreadEngine(1))
        np.testing.assert_array_equal(found.labels, labels)
        assert state.random_sample() == draw
        np.testing.assert_array_equal(
            sklearn_seeds(X, k, np.random.RandomState(seed), weights), rows
        )


@pytest.mark.parametrize("order", "CF")
def test_rows_of_float32_are_taken_in_the_same_batches(order):
    X = np.random.default_rng(0).standard_normal((3000, 60))
    X = np.asarray(X, dtype=np.float32, order=order)
    _, rows = kmeans_plusplus(X, 12, random_state=0)
    np.testing.assert_array_equal(sklearn_seeds(X, 12, np.random.RandomState(0), None), rows)


def test_one_thread_of_blas_for_wide_rows():
    X = np.random.default_rng(0).standard_normal((400, 300))
    expected = KMeans(8, n_init=1, random_state=0).fit(X).labels_
    found = kmeans(X, 8, np.random.RandomState(0), None, ThreadEngine(1))
    np.testing.assert_array_equal(found.labels, expected)


def test_what_rounding_decides_is_settled_row_by_row(way, monkeypatch):
    """Of iris, whose lengths have one digit, no k-means is run by scikit-learn's steps alone."""
    if way == "by a kernel":
        monkeypatch.setattr(few_rows, "_labels_from", None)
    X = load_iris().data
    for seed in range(20):
        expected = KMeans(3, n_init=1, random_state=seed).fit(X).labels_
        found = kmeans(X, 3, np.random.RandomState(seed), None, ThreadEngine(1))
        np.testing.assert_array_equal(found.labels, expected)
