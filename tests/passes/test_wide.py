"""Few rows of many features: the pass by BLAS against that of the kernels."""

import numpy as np
import pytest
import threadpoolctl
from sklearn import mixture

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.covariance import STRUCTURES, blas, linalg
from fastgmm.covariance.algebra import are_defined
from fastgmm.engines.threads import ThreadEngine
from fastgmm.passes import open_pass
from fastgmm.passes.dense import DensePass
from fastgmm.passes.wide import WidePass
from fastgmm.sources.array import array_source
from fastgmm.starts.records import LabelledRows
from tests.estimator.helpers import quiet_fit

D, K = linalg.LARGE + 2, 2


def rows_like(n, dtype=np.float64, far=0.0):
    random = np.random.default_rng(0)
    about = 3.0 * random.standard_normal((K, D))[np.arange(n) % K]
    return (far + about * 0.1 + random.standard_normal((n, D))).astype(dtype)


def opened(X, structure, weights=None):
    return open_pass(array_source(X, weights), structure.forms, ThreadEngine(1), K)


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["full", "tied"])
def test_statistics_are_those_of_the_kernels(name, weighted, careful):
    structure, n = STRUCTURES[name], 60
    X = rows_like(n, far=1e3)
    weights = np.random.default_rng(1).exponential(size=n) if weighted else None
    rows = opened(X, structure, weights)
    assert isinstance(rows, WidePass)
    dense = DensePass(array_source(X, weights), structure.forms, ThreadEngine(1), K)
    model = quiet_fit(GaussianMixture(K, covariance_type=name, max_iter=1, reg_covar=0.1), X)
    operands = structure.operands(model._family.parameters_of(model))
    about = operands.means + 0.1
    shares, of_one = (LabelledRows(numbers, K) for numbers in (np.arange(n) % K, np.zeros(n, int)))
    for found, desired in (
        (rows.statistics(operands, None, careful), dense.statistics(operands, None, careful)),
        (rows.statistics(operands, about, True), dense.statistics(operands, about, True)),
        (rows.given(shares, about, careful), dense.given(shares, about, careful)),
        (rows.given(of_one, about, careful), dense.given(of_one, about, careful)),
    ):
        assert found.form is desired.form
        assert found.n_rows == n
        for part in ("log_likelihood", "total_weight", "weight"):
            np.testing.assert_allclose(getattr(found, part), getattr(desired, part), rtol=1e-9)
        found, desired = found.about(desired), desired
        np.testing.assert_allclose(found.first, desired.first, atol=1e-7)
        if found.scatter is not None:
            np.testing.assert_allclose(found.scatter.second, desired.scatter.second, atol=1e-7)
        else:
            np.testing.assert_allclose(found.second, desired.second, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["full", "tied"])
def test_fits_are_those_of_scikit_learn(name, dtype):
    X = rows_like(50, dtype)
    params = {"n_components": K, "covariance_type": name, "reg_covar": 1e-3, "random_state": 0}
    ours = quiet_fit(GaussianMixture(**params), X)
    theirs = quiet_fit(mixture.GaussianMixture(**params), X.astype(np.float64))
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-9)
    rtol = 1e-7 if dtype == np.float64 else 1e-4
    for attribute in ("means_", "covariances_", "precisions_cholesky_", "precisions_"):
        found, desired = getattr(ours, attribute), getattr(theirs, attribute)
        np.testing.assert_allclose(found, desired, atol=rtol * np.abs(desired).max())


def test_bits_are_the_same_on_any_number_of_threads():
    X = rows_like(70)

    def made():
        params = {"reg_covar": 1e-3, "max_iter": 2, "tol": 0, "init_params": "random_from_data"}
        model = quiet_fit(GaussianMixture(K, random_state=0, **params), X)
        bayesian = BayesianGaussianMixture(n_components=K, random_state=0, **params)
        return model, quiet_fit(bayesian, X)

    with threadpoolctl.threadpool_limits(1, "blas"):
        alone = made()
    for one, other in zip(alone, made(), strict=True):
        np.testing.assert_array_equal(one.precisions_cholesky_, other.precisions_cholesky_)
        assert one.lower_bound_ == other.lower_bound_


@pytest.mark.parametrize("name", ["full", "tied"])
def test_factors_that_are_not_made_are_those_that_are(name):
    structure = STRUCTURES[name]
    A = np.random.default_rng(0).standard_normal((K, D, D))
    covariances = A @ A.swapaxes(1, 2) / D + 0.1 * np.eye(D)
    covariances = covariances if name == "full" else covariances[0]
    factors = structure.factor(covariances)
    assert isinstance(factors, blas.PrecisionFactors)
    assert are_defined(structure, factors)
    desired = linalg.upper_precision_factors(covariances)
    np.testing.assert_array_equal(factors.diagonal(), desired.diagonal(axis1=-2, axis2=-1))
    means = np.random.default_rng(1).standard_normal((K, D))
    project = linalg.whitened if name == "full" else linalg.whitened_by_one
    np.testing.assert_allclose(project(means, factors), project(means, desired), atol=1e-10)
    np.testing.assert_array_equal(factors, desired)


def test_what_is_singular_is_told_without_the_inverse():
    """A feature that others leave less and less of."""
    random, d, least = np.random.default_rng(0), 2 * blas._LEAF, 1e-8
    A = random.standard_normal((d, d))
    covariance = A @ A.T / d + np.eye(d)
    for left in 10.0 ** np.arange(-11, -4):
        near = covariance.copy()
        near[7] = near[:, 7] = covariance[500]
        near[7, 7] = covariance[500, 500] * (1.0 + left)
        share = 1.0 / (np.linalg.inv(near).diagonal() * near.diagonal()).max()
        assert blas.Root(near, least).defined == (share > least)
    assert not blas.Root(-covariance, least).defined
    assert not blas.Root(covariance * np.nan, least).defined
