"""`bootstrap`: standard errors against theory, matched components, bits, bad input."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import fastgmm


def blobs(n=400, seed=0):
    random = np.random.default_rng(seed)
    part = (np.arange(n) % 4 > 0).astype(int)
    return np.array([[0.0, 0], [20, 5]])[part] + random.standard_normal((n, 2))


def fitted(X, k=2, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fastgmm.GaussianMixture(k, random_state=0, **arguments).fit(X)


def test_standard_errors_are_those_of_theory():
    X = blobs()
    model = fitted(X)
    before = dict(vars(model))
    result = model.bootstrap(X, n=300, random_state=0)
    assert vars(model) == before
    counts = model.weights_ * len(X)
    error = result.standard_error
    variances = np.einsum("kjj->kj", model.covariances_)
    np.testing.assert_allclose(error.means, np.sqrt(variances / counts[:, None]), rtol=0.2)
    expected = np.sqrt(model.weights_ * (1 - model.weights_) / len(X))
    np.testing.assert_allclose(error.weights, expected, rtol=0.2)
    np.testing.assert_allclose(
        np.einsum("kjj->kj", error.covariances), variances * np.sqrt(2 / counts[:, None]), rtol=0.25
    )
    low, high = result.interval(0.9)
    assert (low.means < model.means_).all()
    assert (model.means_ < high.means).all()
    np.testing.assert_allclose((high.means - low.means) / error.means, 3.29, rtol=0.15)
    assert "300 fits, 0 failed" in repr(result)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical"])
def test_shapes_threads_and_types(name):
    X = blobs(60).astype(np.float32)
    model = fitted(X, covariance_type=name)
    one = model.set_params(n_jobs=1).bootstrap(X, n=5, random_state=3)
    two = model.set_params(n_jobs=2).bootstrap(X, n=5, random_state=3)
    for a, b, attribute in zip(
        one.distribution, two.distribution, ("weights_", "means_", "covariances_"), strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert a.shape == (5, *getattr(model, attribute).shape)


def test_weights_are_repeats_and_rows_may_be_in_files(tmp_path):
    X = blobs(200)
    weights = np.where(np.arange(200) < 50, 0.0, 4.0)
    X[:50] = np.nan
    model = fastgmm.GaussianMixture(2, random_state=0).fit(X, sample_weight=weights)
    result = model.bootstrap(X, 200, weights, random_state=0)
    counts = model.weights_ * weights.sum()
    variances = np.einsum("kjj->kj", model.covariances_)
    expected = np.sqrt(variances / counts[:, None])
    np.testing.assert_allclose(result.standard_error.means, expected, rtol=0.25)
    np.save(tmp_path / "rows.npy", X)
    result, of_file = (
        model.bootstrap(rows, 20, weights, random_state=0) for rows in (X, tmp_path / "rows.npy")
    )
    np.testing.assert_allclose(of_file.distribution.means, result.distribution.means, rtol=1e-12)


def test_errors_of_missing_values_are_larger():
    X = blobs()
    holed = X.copy()
    holed[::3, 0] = np.nan
    model = fitted(holed, missing_values="em", tol=1e-6)
    result = model.bootstrap(holed, n=100, random_state=0)
    counts = model.weights_ * len(X)
    variances = np.einsum("kjj->kj", model.covariances_)
    expected = np.sqrt(variances / counts[:, None] * [1.5, 1])  # the features hardly correlate
    np.testing.assert_allclose(result.standard_error.means, expected, rtol=0.25)


def test_noise_has_a_weight_of_its_own(tmp_path):
    random = np.random.RandomState(0)
    X = np.r_[blobs(300), random.uniform(-20, 40, (100, 2))]
    model = fitted(X, noise="box", tol=1e-6)
    result = model.bootstrap(X, n=100, random_state=0)
    assert result.noise_weight.shape == (100,)
    np.testing.assert_allclose(result.noise_weight + result.distribution.weights.sum(axis=1), 1)
    share = model.noise_weight_
    assert result.noise_weight.mean() == pytest.approx(share, rel=0.05)
    assert result.noise_weight.std() == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.25)
    np.save(tmp_path / "rows.npy", X)
    result, of_file = (
        model.bootstrap(rows, 20, random_state=0) for rows in (X, tmp_path / "rows.npy")
    )
    np.testing.assert_allclose(of_file.noise_weight, result.noise_weight, rtol=1e-12)
    assert fitted(blobs(60)).bootstrap(blobs(60), n=2).noise_weight is None


def test_other_rows_are_noticed():
    X = blobs(60)
    with pytest.warns(UserWarning, match="on another scale"):
        fitted(X).bootstrap(100 * X, n=2, random_state=0)


def test_components_keep_their_places():
    """Concentric components of near weights would change places by their means alone."""
    random = np.random.default_rng(0)
    X = np.concatenate([random.standard_normal((300, 1)), 5 * random.standard_normal((300, 1))])
    model = fitted(X, tol=1e-5, max_iter=500, init_params=np.arange(600) // 300)
    wide = model.bootstrap(X, n=50, random_state=0).distribution.covariances[:, 1]
    narrow = model.bootstrap(X, n=50, random_state=0).distribution.covariances[:, 0]
    assert (wide > 2 * narrow).all()


def test_bad_input():
    X = blobs(40)
    model = fitted(X)
    with pytest.raises(NotFittedError):
        fastgmm.GaussianMixture().bootstrap(X)
    for n in (1, 2.5, True):
        with pytest.raises(ValueError, match="n should be an integer from 2"):
            model.bootstrap(X, n=n)
    with pytest.raises(ValueError, match="3 features"):
        model.bootstrap(np.ones((9, 3)), n=2)
    with pytest.raises(ValueError, match="NaN"):
        model.bootstrap(np.full((9, 2), np.nan), n=2)
    with pytest.raises(ValueError, match="level should be between"):
        model.bootstrap(X, n=2).interval(95)
    with pytest.raises(ValueError, match=r"Only 0 of 3 fits succeeded"):
        model.set_params(reg_covar=0).bootstrap(np.ones((9, 2)), n=3)
