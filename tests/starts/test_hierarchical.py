"""The hierarchical start: scikit-learn's Ward clusters, whatever the units."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

import fastgmm
from fastgmm.engines.threads import ThreadEngine
from fastgmm.starts.hierarchical import MOST_ROWS, hierarchical


def labels_of(X, k, seed=0, weights=None):
    random_state = np.random.RandomState(seed)
    start = hierarchical(X, k, random_state, weights, ThreadEngine(1))
    assert start.labels.shape == (len(X),)
    assert start.n_components == k
    return start.labels


def blobs(n, seed=0):
    random = np.random.default_rng(seed)
    part = random.integers(3, size=n)
    centres = np.array([[0.0, 0, 0], [9, 0, 0], [0, 9, 5]])
    return centres[part] + random.standard_normal((n, 3)), part


@pytest.mark.parametrize("k", [2, 3, 7])
def test_clusters_are_those_of_scikit_learn(k):
    X = load_iris().data
    centred = (X - X.mean(axis=0)) / X.std(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    theirs = AgglomerativeClustering(k).fit_predict(centred @ axes.T / np.sqrt(values))
    assert adjusted_rand_score(labels_of(X, k), theirs) == 1.0


def test_units_do_not_matter():
    X, _ = blobs(400)
    rescaled = X * [1e-9, 1.0, 1e9] + [0.0, 5.0, 0.0]
    assert adjusted_rand_score(labels_of(X, 5), labels_of(rescaled, 5)) == 1.0


def test_rows_beyond_the_sample_join_the_nearest_cluster():
    X, part = blobs(3 * MOST_ROWS)
    labels = labels_of(X, 3)
    assert adjusted_rand_score(labels, part) > 0.98
    np.testing.assert_array_equal(labels, labels_of(X, 3))
    # Rows are drawn by weight: those that weigh next to nothing make no cluster.
    weights = np.where(part == 0, 1e-12, 1.0)
    assert len(set(labels_of(X, 3, weights=weights)[part != 0])) == 3


def test_constant_features_and_equal_rows_are_no_obstacle():
    X, part = blobs(300)
    padded = np.column_stack([X, np.full(len(X), 0.1), X[:, 0]])
    assert adjusted_rand_score(labels_of(padded, 3), part) > 0.98
    assert set(labels_of(np.ones((9, 2)), 4)) == {0, 1, 2, 3}
    assert set(labels_of(X, 1)) == {0}


def test_fits_start_from_it(tmp_path):
    X, part = blobs(500)
    model = fastgmm.GaussianMixture(3, init_params="hierarchical", random_state=0).fit(X)
    by_labels = fastgmm.GaussianMixture(3, init_params=labels_of(X, 3)).fit(X)
    np.testing.assert_array_equal(model.means_, by_labels.means_)
    np.save(tmp_path / "rows.npy", X)
    of_file = fastgmm.GaussianMixture(3, init_params="hierarchical", random_state=0)
    np.testing.assert_array_equal(of_file.fit(tmp_path / "rows.npy").means_, model.means_)
    report = fastgmm.fit_many([X, X[:100]], 3, init_params="hierarchical", random_state=0)
    np.testing.assert_array_equal(report[0].means_, model.means_)
    bayesian = fastgmm.BayesianGaussianMixture(n_components=3, init_params="hierarchical").fit(X)
    assert adjusted_rand_score(bayesian.predict(X), part) > 0.98
