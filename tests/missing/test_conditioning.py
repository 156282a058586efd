"""`impute`, `marginal` and `conditional`, against closed forms and the oracle."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import GaussianMixture
from tests import structures
from tests.missing.reference import e_step, with_holes
from tests.missing.test_statistics import matrices_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def X():
    return with_holes(80, 4, seed=0)[0]


@pytest.fixture(scope="module")
def complete(X):
    return X[~np.isnan(X).any(axis=1)]


def fitted(complete, name="full", **arguments):
    frame = pd.DataFrame(complete, columns=NAMES)
    model = GaussianMixture(2, covariance_type=name, max_iter=5, random_state=0, **arguments)
    return model.fit(frame)


@pytest.mark.parametrize("name", structures.ALL)
def test_every_structure(X, complete, name, tmp_path):
    model = fitted(complete, name)  # knows of no missing values, and yet imputes them
    matrices = matrices_of(model)
    step = e_step(X, model.weights_, model.means_, matrices)
    expected = np.einsum("nk,nkd->nd", step.responsibilities, step.expected)
    empty = np.isnan(X).all(axis=1)
    expected[empty] = model.weights_ @ model.means_
    frame = pd.DataFrame(X, columns=NAMES)
    filled = model.impute(frame)
    np.testing.assert_allclose(filled, expected, rtol=1e-9, atol=1e-9)
    there = ~np.isnan(X)
    np.testing.assert_array_equal(filled[there], X[there])
    # The marginal, in the order that is asked for.
    chosen = [3, 1]
    part = model.marginal(["d", "b"])
    densities = [
        multivariate_normal(mean, matrix).pdf(complete[:, chosen])
        for mean, matrix in zip(
            model.means_[:, chosen], matrices[:, chosen][:, :, chosen], strict=True
        )
    ]
    of_part = pd.DataFrame(complete[:, chosen], columns=["d", "b"])
    log_likelihoods = np.log(model.weights_ @ densities)
    np.testing.assert_allclose(part.score_samples(of_part), log_likelihoods, rtol=1e-9, atol=1e-9)
    assert list(part.feature_names_in_) == ["d", "b"]
    part.save(tmp_path / "part.npz")
    loaded = fastgmm.load(tmp_path / "part.npz")
    np.testing.assert_array_equal(loaded.predict_proba(of_part), part.predict_proba(of_part))
    # The joint density is that of some features, times that of the others given these.
    given = model.conditional(complete[:, chosen], chosen)
    assert given.weights.shape == (len(complete), 2)
    assert (given.means.shape, given.covariances.shape) == ((len(complete), 2, 2), (2, 2, 2))
    conditional = [
        [multivariate_normal(given.means[i, c], given.covariances[c]).pdf(x) for c in (0, 1)]
        for i, x in enumerate(complete[:, [0, 2]])
    ]
    joint = log_likelihoods + np.log((given.weights * conditional).sum(axis=1))
    whole = model.score_samples(pd.DataFrame(complete, columns=NAMES))
    np.testing.assert_allclose(joint, whole, rtol=1e-9, atol=1e-9)
    with_rest = np.where(np.isin(np.arange(4), chosen), complete, np.nan)
    np.testing.assert_allclose(given.mean, model.impute(frame_of(with_rest))[:, [0, 2]], rtol=1e-9)


def frame_of(X):
    return pd.DataFrame(X, columns=NAMES)


@pytest.mark.parametrize("name", ["full", "diag"])
def test_draws(complete, name):
    model = fitted(complete, name)
    rows = np.tile([[2.0, np.nan, 2.5, np.nan], [np.nan] * 4], (4, 1))
    drawn = model.impute(frame_of(rows), draws=4000, random_state=1)
    assert drawn.shape == (4000, 8, 4)
    np.testing.assert_array_equal(drawn[:, 0, 0], 2.0)
    again = model.set_params(n_jobs=2).impute(frame_of(rows), draws=4000, random_state=1)
    np.testing.assert_array_equal(drawn, again)
    given = model.conditional([[2.0, 2.5]], ["a", "c"])
    samples = drawn[:, ::2, [1, 3]].reshape(-1, 2)
    error = np.sqrt(np.diagonal(given.covariance[0]) / len(samples))
    assert (np.abs(samples.mean(axis=0) - given.mean[0]) < 5 * error).all()
    scale = np.sqrt(np.diagonal(given.covariance[0]))
    found = np.cov(samples.T) / np.outer(scale, scale)
    np.testing.assert_allclose(found, given.covariance[0] / np.outer(scale, scale), atol=0.1)
    of_all = drawn[:, 1::2].reshape(-1, 4)
    np.testing.assert_allclose(of_all.mean(axis=0), model.weights_ @ model.means_, atol=0.2)


def test_sources_and_types(X, complete, tmp_path):
    model = GaussianMixture(2, random_state=0, max_iter=5, missing_values="em").fit(X)
    np.save(tmp_path / "rows.npy", X)
    np.testing.assert_array_equal(model.impute(tmp_path / "rows.npy"), model.impute(X))
    single = GaussianMixture(2, random_state=0, max_iter=5, missing_values="em")
    single.fit(X.astype(np.float32))
    filled = single.impute(X.astype(np.float32))
    assert filled.dtype == single.marginal([0]).covariances_.dtype == np.float32
    np.testing.assert_allclose(filled, model.impute(X), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(model.impute(complete), complete)


def test_none_is_missing_too(X):
    """In lists, as in the frames and tables that they come from."""
    model = GaussianMixture(2, random_state=0, max_iter=5, missing_values="em").fit(X)
    holes = [[None, *row] for row in X[~np.isnan(X).any(axis=1), 1:].tolist()]
    rows = np.array(holes, dtype=float)
    assert np.isnan(rows).any()
    for method in (model.impute, model.predict_proba, model.score_samples):
        np.testing.assert_array_equal(method(holes), method(rows))
    with pytest.raises(ValueError, match="could not convert string"):
        model.impute([["a", 1.0, 1.0, 1.0]])
    model.set_params(missing_values="error")
    with pytest.raises(TypeError):  # scikit-learn's
        model.predict(holes)


def test_features_by_a_mask(complete):
    model = fitted(complete)
    mask = [False, True, False, True]
    expected = model.marginal(["b", "d"])
    for features in (mask, np.array(mask)):
        part = model.marginal(features)
        assert list(part.feature_names_in_) == ["b", "d"]
        np.testing.assert_array_equal(part.covariances_, expected.covariances_)
    given = model.conditional(complete[:, [1, 3]], mask)
    np.testing.assert_array_equal(given.means, model.conditional(complete, [1, 3]).means)
    with pytest.raises(ValueError, match="mask of features has 2 values, but there are 4"):
        model.marginal([True, False])
    with pytest.raises(ValueError, match="No feature is given"):
        model.marginal([False] * 4)
    with pytest.raises(ValueError, match="No feature is given"):
        model.marginal([])


@pytest.mark.parametrize("noise", [None, "box"])
def test_float32_rows_of_components_that_lie_far_apart(noise):
    """Predictions are then made in float64."""
    X = with_holes(200, 3, seed=1)[0]
    X[1::2] += 5000.0
    single = X.astype(np.float32)
    arguments = {"missing_values": "em", "random_state": 0, "max_iter": 20, "noise": noise}
    model = GaussianMixture(2, **arguments).fit(single)
    filled = model.impute(single)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[~np.isnan(X)], single[~np.isnan(X)])
    np.testing.assert_allclose(filled, GaussianMixture(2, **arguments).fit(X).impute(X), rtol=1e-3)
    assert model.impute(single, draws=2, random_state=0).dtype == np.float32


@pytest.mark.parametrize("named", [True, False])
def test_what_is_given_from_files(X, complete, named, tmp_path):
    rows = frame_of(complete) if named else complete
    model = GaussianMixture(2, max_iter=5, random_state=0).fit(rows)
    features = ["d", "b"] if named else [3, 1]
    expected = model.conditional(complete[:, [3, 1]], features)
    with_others = frame_of(np.where(np.isin(np.arange(4), [1, 3]), complete, np.nan))
    with_others.to_parquet(tmp_path / "rows.parquet")
    with_others.to_csv(tmp_path / "rows.csv", index=False)
    np.save(tmp_path / "rows.npy", complete[:, [3, 1]])
    for thing in (tmp_path / "rows.parquet", str(tmp_path / "rows.csv"), tmp_path / "rows.npy"):
        given = model.conditional(thing, features)
        for one, other in zip(given, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
    frame_of(X).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="X contains NaN"):
        model.conditional(tmp_path / "rows.parquet", features)


def test_bad_input(X, complete):
    model = fitted(complete)
    with pytest.raises(ValueError, match=r"no feature 'e'; it has 'a', 'b', 'c', 'd'\."):
        model.marginal(["a", "e"])
    with pytest.raises(ValueError, match="no feature 4; they have the numbers 0 to 3"):
        model.conditional(complete[:, :2], [0, 4])
    with pytest.raises(ValueError, match="Feature 'a' is given twice"):
        model.marginal(["a", 0])
    with pytest.raises(ValueError, match="No feature is given"):
        model.marginal([])
    with pytest.raises(TypeError, match=r"not by 1\.5"):
        model.marginal([1.5])
    with pytest.raises(ValueError, match="All features are given"):
        model.conditional(complete, NAMES)
    with pytest.raises(ValueError, match="X has 3 columns, but 2 features are given"):
        model.conditional(complete[:, :3], ["a", "b"])
    with pytest.raises(ValueError, match="X contains NaN"):
        model.conditional(X, ["a", "b"])
    with pytest.raises(ValueError, match="no column 'b'"):
        model.conditional(pd.DataFrame({"a": [1.0]}), ["a", "b"])
    with pytest.raises(ValueError, match="infinity"):
        model.impute(frame_of(np.full((2, 4), np.inf)))
    for draws, error in ((0, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="draws should be"):
            model.impute(frame_of(X), draws=draws)
    with pytest.raises(NotFittedError):
        GaussianMixture().marginal([0])
    with pytest.raises(NotFittedError):
        GaussianMixture().impute(X)
