"""``reg_covar="scale"``: models follow the units of their features."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgmm import BayesianGaussianMixture, GaussianMixture, load
from tests import structures
from tests.estimator.helpers import (
    PARAMETERS,
    assert_close,
    assert_identical_fit,
    assert_same_parameters,
    quiet_fit,
)

ESTIMATORS = [GaussianMixture, BayesianGaussianMixture]
every_structure = pytest.mark.parametrize("structure", structures.SHARED)
#: In units of the features: how the parameters follow them.
POWERS = dict(zip(PARAMETERS, (0, 1, 2, -2, -1), strict=True))


def make_rows(seed=0, n_rows=400):
    random = np.random.RandomState(seed)
    rows = random.standard_normal((n_rows, 3)) * [1.0, 2.0, 0.5]
    return rows + 5.0 * random.randint(0, 3, (n_rows, 1))


def fitted(X, cls=GaussianMixture, n_components=3, **params):
    params = {"reg_covar": "scale", "random_state": 0, "tol": 0.0, "max_iter": 5, **params}
    sample_weight = params.pop("sample_weight", None)
    return quiet_fit(cls(n_components=n_components, **params), X, sample_weight=sample_weight)


@pytest.mark.parametrize("cls", ESTIMATORS)
@every_structure
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 100), exponent=st.integers(-200, 200), dtype=st.sampled_from("fd"))
def test_a_model_of_scaled_rows_is_the_scaled_model(cls, structure, seed, exponent, dtype):
    # Powers of two round nothing away; only constants of densities, in logarithms, do.
    exponent = exponent // 20 if dtype == "f" else exponent
    X = make_rows(seed).astype(dtype)
    model = fitted(X, cls, covariance_type=structure)
    scaled = fitted(np.ldexp(X, exponent), cls, covariance_type=structure)
    for name, power in POWERS.items():
        found = np.ldexp(getattr(scaled, name).astype(np.float64), -power * exponent)
        assert_close(found, getattr(model, name), 1e-10 if dtype == "d" else 1e-4)


@every_structure
def test_any_factor_will_do(structure):
    X = make_rows()
    model = fitted(X, covariance_type=structure, max_iter=100, tol=1e-3)
    scaled = fitted(1e-3 * X, covariance_type=structure, max_iter=100, tol=1e-3)
    assert scaled.n_iter_ == model.n_iter_
    assert_close(scaled.means_, 1e-3 * model.means_, 1e-9)
    assert_close(scaled.covariances_, 1e-6 * model.covariances_, 1e-9)


@pytest.mark.parametrize("structure", [name for name in structures.SHARED if name != "spherical"])
def test_every_feature_has_its_own_unit(structure):
    X, units = make_rows(), np.array([2.0**-30, 1.0, 2.0**40])
    params = {"covariance_type": structure, "init_params": np.arange(len(X)) % 3}
    model, scaled = fitted(X, **params), fitted(X * units, **params)
    of_covariances = units**2 if structure == "diag" else np.outer(units, units)
    assert_close(scaled.means_ / units, model.means_, 1e-10)
    assert_close(scaled.covariances_ / of_covariances, model.covariances_, 1e-10)


@every_structure
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_added(structure, weighted):
    """A millionth of the variance of each feature; of their mean where they share one."""
    X = make_rows()
    weights = np.random.RandomState(1).uniform(0, 3, len(X)) if weighted else None
    plain = fitted(X, n_components=1, covariance_type=structure, reg_covar=0.0, **of(weights))
    model = fitted(X, n_components=1, covariance_type=structure, **of(weights))
    variances = np.cov(X.T, aweights=weights, bias=True).diagonal()
    added = model.covariances_ - plain.covariances_
    expected = {"diag": variances, "spherical": variances.mean()}.get(structure, np.diag(variances))
    np.testing.assert_allclose(added.reshape(np.shape(expected)), 1e-6 * expected, rtol=1e-8)


def of(weights):
    return {} if weights is None else {"sample_weight": weights}


def test_weights_count_repeats():
    X, counts = make_rows(), np.random.RandomState(1).randint(0, 4, 400)
    start = np.arange(400) % 3
    model = fitted(X, sample_weight=counts, init_params=start)
    repeated = fitted(np.repeat(X, counts, axis=0), init_params=np.repeat(start, counts))
    assert_same_parameters(model, repeated, 1e-10)


@pytest.mark.parametrize("cls", ESTIMATORS)
@every_structure
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_feature_gets_what_the_others_have(cls, structure, dtype):
    X = make_rows().astype(dtype)
    X[:, 1] = 1 / 3
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model = fitted(X, cls, covariance_type=structure)
    assert all(np.isfinite(getattr(model, name)).all() for name in PARAMETERS)
    if cls is GaussianMixture and structure == "diag":
        others = X[:, [0, 2]].astype(np.float64).var(axis=0).mean()
        np.testing.assert_allclose(model.covariances_[:, 1], 1e-6 * others, rtol=1e-5)


@every_structure
@pytest.mark.parametrize("value", [0.0, 1 / 3, -7.3e9])
def test_rows_that_are_all_the_same_get_a_millionth(structure, value):
    model = fitted(np.full((50, 2), value), n_components=1, covariance_type=structure)
    variances = model.covariances_.reshape(-1)
    variances = variances[:: 3 if len(variances) == 4 else 1]
    np.testing.assert_allclose(variances, 1e-6, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_variances_that_overflow_are_named():
    X = make_rows()
    X[:, 2] *= 1e200
    with pytest.raises(ValueError, match="variance of feature 2 is not a finite number"):
        fitted(X, n_components=1)


@pytest.mark.parametrize("reg_covar", ["auto", "SCALE", -1.0, None])
def test_other_words_are_refused(reg_covar):
    with pytest.raises(ValueError, match=r"'reg_covar' parameter .* among {'scale'}"):
        fitted(make_rows(), reg_covar=reg_covar)


def test_sources_files_and_checkpoints(tmp_path, monkeypatch):
    X, path = make_rows(), tmp_path / "rows.npy"
    np.save(path, X)
    model = fitted(X)
    assert_identical_fit(fitted(path), model)
    model.save(tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert loaded.reg_covar == "scale"
    assert_identical_fit(loaded, model)
    params = model.get_params()
    kept = quiet_fit(GaussianMixture(**params), X, checkpoint=tmp_path / "job.npz")
    assert_identical_fit(kept, model)
    with pytest.raises(ValueError, match="reg_covar was 'scale' and is 1e-06"):
        GaussianMixture(**{**params, "reg_covar": 1e-6}).fit(X, checkpoint=tmp_path / "job.npz")
    # A start from a sample is regularised by the variance of all rows.
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 100)
    sampled = fitted(path, max_iter=0, init_params="k-means++", covariance_type="diag")
    np.testing.assert_allclose(sampled.covariances_, [1e-6 * X.var(axis=0)] * 3, rtol=1e-6)


def test_scikit_learn_does_not_know_it():
    model = fitted(make_rows())
    assert model.to_sklearn().reg_covar == 1e-6
    assert_same_parameters(model.to_sklearn(), model, 0)

    class Overriding(GaussianMixture):
        def _e_step(self, X, **namespace):
            return super()._e_step(X, **namespace)

    with pytest.raises(NotImplementedError, match="reg_covar='scale' is not supported in a sub"):
        Overriding(reg_covar="scale").fit(make_rows())
