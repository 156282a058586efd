"""K-means||: the same bits from any rows, and clusters about as good as those of k-means++."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm.engines.threads import ThreadEngine
from fastgmm.sources.array import array_source
from fastgmm.sources.base import Chunk
from fastgmm.starts.oversampled import kmeans_parallel, nearest

X, _ = make_blobs(20_000, 4, centers=12, random_state=0)


def labels_of(X, k, seed=0, weights=None, n_jobs=1):
    random = np.random.RandomState(seed)
    return kmeans_parallel(array_source(X, weights), k, random, ThreadEngine(n_jobs)).labels


def cost(X, labels, weights=None):
    weights = np.ones(len(X)) if weights is None else weights
    total = 0.0
    for label in np.unique(labels):
        rows, shares = X[labels == label], weights[labels == label]
        apart = rows - np.average(rows, axis=0, weights=shares)
        total += shares @ (apart**2).sum(axis=1)
    return total


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_costs_are_those_of_kmeans(dtype):
    best = KMeans(12, n_init=5, random_state=0).fit(X).inertia_
    costs = [cost(X, labels_of(X.astype(dtype), 12, seed)) for seed in range(5)]
    plusplus = [KMeans(12, n_init=1, random_state=seed).fit(X).inertia_ for seed in range(5)]
    assert np.median(costs) < 1.2 * np.median(plusplus)
    assert min(costs) < 1.02 * best


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_nearest_is_exact(dtype):
    random = np.random.default_rng(0)
    rows = random.integers(0, 4, (500, 2)).astype(dtype)  # with ties
    centers = random.integers(0, 4, (9, 2)).astype(np.float64)
    labels, distances = nearest(Chunk(0, 500, rows, np.empty(0)), centers)
    apart = ((rows[:, np.newaxis] - centers) ** 2).sum(axis=2)
    np.testing.assert_array_equal(distances, apart.min(axis=1))
    np.testing.assert_array_equal(apart[np.arange(500), labels], distances)


def test_threads_and_sources(tmp_path):
    np.testing.assert_array_equal(labels_of(X, 5), labels_of(X, 5, n_jobs=2))
    np.save(tmp_path / "rows.npy", X)
    models = [
        fastgmm.GaussianMixture(5, init_params="k-means||", random_state=0, max_iter=5, tol=1).fit(
            Z
        )
        for Z in (X, tmp_path / "rows.npy", fastgmm.open_source(X))
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.means_, models[0].means_)
        np.testing.assert_array_equal(model.covariances_, models[0].covariances_)


def test_weights_count():
    weights = np.where(X[:, 0] > 0, 1.0, 1e-9)
    labels = labels_of(X, 4, weights=weights)
    heavy = X[:, 0] > 0
    assert cost(X[heavy], labels[heavy]) < 1.3 * KMeans(4, n_init=5).fit(X[heavy]).inertia_
    np.testing.assert_array_equal(labels_of(X, 4, weights=np.full(len(X), 2.0)), labels_of(X, 4))


def test_weights_of_any_size():
    weights = np.full(len(X), 1e300)
    assert len(np.unique(labels_of(X, 4, weights=weights))) == 4


def test_duplicates():
    rows = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 7.0]], 50, axis=0)
    labels = labels_of(rows, 3)
    assert cost(rows, labels) == 0.0
    with pytest.warns(ConvergenceWarning, match=r"distinct clusters \(3\) found smaller than"):
        labels = labels_of(rows, 5)
    assert cost(rows, labels) == 0.0
    assert labels_of(np.zeros((20, 2)), 1).tolist() == [0] * 20


def test_other_fits_take_it():
    few = X[:300]
    report = fastgmm.fit_many([few, few[:100]], 3, init_params="k-means||", random_state=0)
    assert not len(report.failed)
    arguments = {"init_params": "k-means||", "random_state": int(report.seeds[0])}
    alone = fastgmm.GaussianMixture(3, **arguments).fit(few)
    np.testing.assert_array_equal(report[0].means_, alone.means_)
    holed = few.copy()
    holed[::7, 1] = np.nan
    arguments = {"init_params": "k-means||", "random_state": 0}
    fastgmm.GaussianMixture(3, missing_values="em", **arguments).fit(holed)
    fastgmm.GaussianMixture(3, noise="box", **arguments).fit(few)
    fastgmm.BayesianGaussianMixture(n_components=3, **arguments).fit(few)
    labels = np.where(np.arange(300) % 3, -1, 0)
    fastgmm.GaussianMixture(3, **arguments).fit(few, labels=labels)
    assert fastgmm.GaussianMixture(3, **arguments).fit(few).to_sklearn().init_params == "kmeans"
