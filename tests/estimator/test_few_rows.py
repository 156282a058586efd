"""Predictions of few rows by large mixtures, which are read in one go, where they are."""

import numpy as np
import pytest

import fastgmm
from fastgmm.estimator import predicting
from fastgmm.estimator.few_rows import log_densities_of_few
from fastgmm.sources.array import array_source

OUTPUTS = ("predict", "predict_proba", "score_samples")
SHAPES = {"full": (20, 61), "tied": (3, 262), "spherical": (700, 101)}


def mixture(covariance_type, dtype, cls=fastgmm.GaussianMixture):
    """A mixture of more than 65536 numbers, with overlapping components."""
    random = np.random.default_rng(0)
    k, d = SHAPES[covariance_type]
    model = cls(n_components=k, covariance_type=covariance_type)
    model.means_ = (0.3 * random.standard_normal((k, d))).astype(dtype)
    if covariance_type == "spherical":
        factors = random.uniform(0.5, 1.5, k)
    else:
        factors = np.triu(0.05 * random.standard_normal((k, d, d))) + np.eye(d)
        factors = factors[0] if covariance_type == "tied" else factors
    model.precisions_cholesky_ = factors.astype(dtype)
    if cls is fastgmm.GaussianMixture:
        model.weights_ = random.dirichlet(np.full(k, 5.0)).astype(dtype)
    else:
        model.weight_concentration_ = tuple(random.uniform(1, 5, (2, k)))
        model.mean_precision_ = random.uniform(1, 5, k)
        model.degrees_of_freedom_ = d + (
            1.5 if covariance_type == "tied" else random.uniform(1, 5, k)
        )
    return model


def rows_of(model, n_rows):
    d = model.means_.shape[1]
    noise = np.random.default_rng(1).standard_normal((n_rows, d))
    return (model.means_[:1] + noise).astype(model.means_.dtype)


def in_general(model, output, X, monkeypatch):
    """What all other predictions are made by."""
    with monkeypatch.context() as patch:
        patch.setattr(predicting, "predict_few_rows", lambda *arguments: None)
        return getattr(model, output)(X)


@pytest.mark.parametrize("cls", [fastgmm.GaussianMixture, fastgmm.BayesianGaussianMixture])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", SHAPES)
def test_the_same_as_of_many_rows(covariance_type, dtype, cls, monkeypatch):
    model = mixture(covariance_type, dtype, cls)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    for n_rows in (1, 7):
        X = rows_of(model, n_rows)
        assert log_densities_of_few(model, array_source(X)) is not None
        for output in OUTPUTS:
            few = getattr(model, output)(X)
            many = in_general(model, output, X, monkeypatch)
            assert few.dtype == many.dtype
            scale = np.abs(model.score_samples(X)).max()
            np.testing.assert_allclose(few, many, rtol=rtol, atol=rtol * scale)


def test_against_long_double():
    model = mixture("full", np.float64)
    X = rows_of(model, 3)
    wide = (np.longdouble(a) for a in (model.means_, model.precisions_cholesky_))
    means, factors = wide
    distances = (np.einsum("nkj,kji->nki", X[:, np.newaxis] - means, factors) ** 2).sum(axis=-1)
    roots = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=-1)
    logs = np.log(np.longdouble(model.weights_)) + roots - X.shape[1] / 2 * np.log(2 * np.pi)
    densities = logs - distances / 2
    largest = densities.max(axis=1)
    desired = largest + np.log(np.exp(densities - largest[:, np.newaxis]).sum(axis=1))
    np.testing.assert_allclose(model.score_samples(X), desired.astype(np.float64), rtol=1e-14)


@pytest.mark.parametrize("covariance_type", SHAPES)
def test_bits_do_not_depend_on_threads_nor_on_layouts(covariance_type, monkeypatch):
    monkeypatch.setattr("fastgmm.passes.few_rows._NUMBERS_PER_CHUNK", 1000)
    model = mixture(covariance_type, np.float64)
    X = rows_of(model, 2)
    one = model.set_params(n_jobs=1).score_samples(X)
    np.testing.assert_array_equal(model.set_params(n_jobs=4).score_samples(X), one)
    for name in ("means_", "precisions_cholesky_"):
        setattr(model, name, np.asfortranarray(getattr(model, name)))
    np.testing.assert_array_equal(model.score_samples(np.asfortranarray(X)), one)


@pytest.mark.parametrize("covariance_type", SHAPES)
def test_changes_in_place_are_noticed(covariance_type, monkeypatch):
    model = mixture(covariance_type, np.float64)
    X = rows_of(model, 1)
    for name in ("weights_", "means_", "precisions_cholesky_"):
        before = model.score_samples(X)
        getattr(model, name).flat[0] *= 2
        after = model.score_samples(X)
        assert (after != before).all()
        np.testing.assert_allclose(after, in_general(model, "score_samples", X, monkeypatch))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_square_roots_that_are_not_triangular(covariance_type, dtype, monkeypatch):
    model = mixture(covariance_type, dtype)
    X = rows_of(model, 2)
    model.precisions_cholesky_[..., -1, 3] = 0.25
    few = model.score_samples(X)
    np.testing.assert_array_equal(few, in_general(model, "score_samples", X, monkeypatch))
    model.precisions_cholesky_[..., -1, 3] = -0.0  # is zero
    assert log_densities_of_few(model, array_source(X)) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["weights_", "means_", "precisions_cholesky_"])
@pytest.mark.parametrize("covariance_type", SHAPES)
def test_what_is_no_mixture_is_an_error(covariance_type, name, value):
    model = mixture(covariance_type, np.float64)
    X = rows_of(model, 1)
    getattr(model, name).flat[-1] = value
    with pytest.raises(ValueError, match=f"{name} holds NaN or infinity"):
        model.predict(X)
    getattr(model, name).flat[-1] = -1.0
    if name != "means_":
        with pytest.raises(ValueError, match="should"):
            model.predict(X)


def test_a_component_of_weight_0_and_rows_that_overflow(monkeypatch):
    model = mixture("full", np.float64)
    X = rows_of(model, 1)
    model.weights_[0] = 0.0
    assert model.predict_proba(X)[0, 0] == 0.0
    with pytest.raises(ValueError, match="Row 0, counted from 0, has no responsibilities"):
        model.predict_proba(1e200 * X)
    with pytest.raises(ValueError, match="expecting 61 features"):
        model.predict(X[:, 1:])
