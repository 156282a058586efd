"""Rows for the tests of clusters, and fits that are compared with local ones."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture

MODELS = {"likelihood": GaussianMixture, "bayesian": BayesianGaussianMixture}

ATTRIBUTES = (
    "weights_",
    "means_",
    "covariances_",
    "precisions_",
    "precisions_cholesky_",
    "lower_bound_",
    "lower_bounds_",
    "n_iter_",
    "converged_",
    "n_features_in_",
)


def blobs(n=60_000, d=3, k=3, seed=0, dtype=np.float64):
    random = np.random.default_rng(seed)
    X = np.concatenate([random.normal(4 * c, 1 + c, (n // k, d)) for c in range(k)])
    return random.permutation(X).astype(dtype)


def fitted(X, kind="likelihood", sample_weight=None, labels=None, checkpoint=None, **arguments):
    arguments = {"n_components": 3, "max_iter": 4, "tol": 0, "random_state": 0, **arguments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return MODELS[kind](**arguments).fit(
            X, sample_weight=sample_weight, labels=labels, checkpoint=checkpoint
        )


def assert_same_bits(model, other, names=ATTRIBUTES):
    for name in names:
        mine, its = getattr(model, name), getattr(other, name)
        assert np.array_equal(mine, its), name
        assert np.asarray(mine).dtype == np.asarray(its).dtype, name
