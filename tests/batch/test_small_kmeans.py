"""K-means of small data sets: scikit-learn's labels, or none at all."""

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus

from fastgmm.kernels.kmeans.many import small_kmeans
from fastgmm.kernels.layout import BEGIN, DECIDED
from fastgmm.starts.lloyd import MAX_ITER, TOL
from fastgmm.starts.plusplus import n_draws, rounding_of_distances

KINDS = {
    "normal": lambda X, random: X,
    "clusters": lambda X, random: (
        X + 9 * random.normal(size=(5, 1))[random.randint(5, size=len(X))]
    ),
    "whole numbers": lambda X, random: np.round(5 * X),
    "one digit": lambda X, random: np.round(3 * X, 1),
    "few values": lambda X, random: np.sign(X),
    "far away": lambda X, random: 1e-2 * X + 1e4,
    "repeated": lambda X, random: X[random.randint(len(X), size=len(X))],
}


def clustered(X, k, seed, sample_weight=None, max_iter=MAX_ITER):
    draws = np.random.RandomState(seed).random_sample((1, n_draws(k)))
    seeds, labels = np.empty((1, k), dtype=np.int64), np.empty(len(X), dtype=np.int32)
    centers, in_doubt = np.empty((1, k, X.shape[1])), np.empty(len(X), dtype=bool)
    state = np.array([[BEGIN, 0, 0]])
    weights = np.empty(0) if sample_weight is None else sample_weight
    offsets = np.array([0, len(X)])
    rounding = rounding_of_distances(X.shape[1])
    found = seeds, centers, labels, in_doubt, state
    small_kmeans()(X, weights, offsets, draws, TOL, max_iter, rounding, *found)
    return seeds[0], labels, state[0, 0] == DECIDED


def problems(kind, n_problems=60):
    for number in range(n_problems):
        random = np.random.RandomState(number)
        n, d = random.randint(2, 200), random.randint(1, 6)
        n *= 10 if number % 4 == 1 else 1  # more than a tile
        k = random.randint(1, min(n, 12) + 1)
        X = np.ascontiguousarray(KINDS[kind](random.normal(size=(n, d)), random))
        weights = random.uniform(0.1, 3, size=n) if number % 3 == 0 else None
        yield X, k, number, weights


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_scikit_learns(kind):
    n_decided = 0
    for X, k, seed, weights in problems(kind):
        _, labels, decided = clustered(X, k, seed, weights)
        n_decided += decided
        if decided:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # what is decided has no duplicate clusters
                model = KMeans(k, n_init=1, random_state=seed).fit(X, sample_weight=weights)
            np.testing.assert_array_equal(labels, model.labels_)
    # Otherwise the test shows nothing; data with ties are often given back.
    assert n_decided > (40 if kind not in ("whole numbers", "one digit", "few values") else 5)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_are_scikit_learns(kind):
    for X, k, seed, weights in problems(kind, 30):
        rows, _, decided = clustered(X, k, seed, weights, max_iter=0)
        if decided:
            expected, _ = kmeans_plusplus(X, k, random_state=seed, sample_weight=weights)
            np.testing.assert_array_equal(X[rows], expected)


@pytest.mark.parametrize(
    "X",
    [np.zeros((9, 2)), np.array([[0.0], [1.0], [2.0]]), np.repeat([[0.0], [1.0]], 5, axis=0)],
    ids=["one point", "halfway", "fewer points than clusters"],
)
def test_what_rounding_decides_is_given_back(X):
    """For some seeds at least."""
    k = 3 if len(X) == 10 else 2
    assert not all(clustered(X, k, seed)[2] for seed in range(20))


def test_empty_clusters_and_ties_never_crash():
    for seed in range(50):
        random = np.random.RandomState(seed)
        X = random.randint(0, 2, size=(8, 2)).astype(float)
        _, labels, decided = clustered(X, 6, seed)
        assert not decided or (labels >= 0).all()
