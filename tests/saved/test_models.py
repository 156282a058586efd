"""What is saved comes back: models, arguments, statistics."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn.mixture

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many
from fastgmm.cli.report import text_of
from fastgmm.covariance import STRUCTURES
from fastgmm.files.container import ModelFileError
from fastgmm.saved.models import load, load_model, save_model
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests import mixtures, structures
from tests.saved.models import KINDS, X, assert_same_model, fitted


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def saved(model, path):
    save_model(model, path)
    return load(path)


@pytest.mark.parametrize(("name", "structure"), KINDS)
def test_models_come_back(path, name, structure):
    model = fitted(name, structure)
    again = saved(model, path)
    assert_same_model(again, model)
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))


def test_float32_comes_back(path):
    model = fitted(dtype=np.float32)
    assert_same_model(saved(model, path), model)


def test_warm_start_goes_on(path):
    model = GaussianMixture(2, warm_start=True, random_state=0, max_iter=1)
    with pytest.warns(match="did not converge"):
        model.fit(X)
    again = saved(model, path)
    model.set_params(max_iter=100).fit(X)
    again.set_params(max_iter=100).fit(X)
    np.testing.assert_array_equal(again.means_, model.means_)
    assert again.n_iter_ == model.n_iter_


def test_names_of_features_come_back(path):
    frame = pd.DataFrame(X, columns=["a", "b", "größe"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    again = saved(model, path)
    assert_same_model(again, model)
    with pytest.raises(ValueError, match="feature names"):
        again.predict(frame.rename(columns={"a": "z"}))


def test_unfitted_models_come_back(path):
    model = GaussianMixture(7, covariance_type="tied", tol=1e-17, reg_covar=0, n_jobs=-2)
    assert_same_model(saved(model, path), model)


@pytest.mark.parametrize("structure", structures.SHARED)
@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_models_from_scikit_learn_come_back(path, cls, structure):
    make = getattr(sklearn.mixture, cls.__name__)
    theirs = make(n_components=2, covariance_type=structure, tol=1e-2, random_state=0).fit(X)
    model = cls.from_sklearn(theirs)
    again = saved(model, path)
    assert f"{float(np.squeeze(model.lower_bound_)):.6f}" in text_of(again)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_models_of_many_fits_come_back(path):
    report = fit_many([X, X[:100]], 2, random_state=0)
    assert_same_model(saved(report[1], path), report[1])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Best performing initialization")
@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
@pytest.mark.parametrize("structure", structures.SHARED)
@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e-160, "f8"), (1e150, "f8"), (1e-25, "f4"), (1e-22, "f4"), (2e19, "f4")]
)
def test_models_at_the_end_of_a_range_come_back(path, cls, structure, scale, dtype):
    """What follows from the factors may be infinite or zero where these are not."""
    rows = (X * scale).astype(dtype)
    labels = (np.arange(len(X)) + 1) % 2
    model = cls(n_components=2, covariance_type=structure, reg_covar=0, init_params=labels)
    try:
        model.fit(rows)
    except ValueError:
        return  # beyond what can be fitted
    again = saved(model, path)
    assert_same_model(again, model)
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))


def test_infinities_that_follow_from_nothing(path):
    model = saved(fitted(), path)
    for name in ("covariances_", "precisions_"):
        for value in (np.inf, -np.inf, np.nan, -1.0, 0.0):
            good = getattr(model, name)
            bad = good.copy()
            bad[1, 2, 2] = value
            setattr(model, name, bad)
            with pytest.raises(ValueError, match=rf"{name} (holds NaN or inf|should be positive)"):
                save_model(model, path)
            setattr(model, name, good)
    save_model(model, path)


def test_covariances_near_singular_come_back(path):
    """Rounded to float32 they are not positive definite to the last digit any more."""
    for noise in (1e-4, 1e-3, 1e-2):
        rows = np.c_[X, X[:, :1] + noise * X[::-1, :1]].astype(np.float32)
        model = BayesianGaussianMixture(n_components=2, random_state=0, reg_covar=1e-9, tol=1e-2)
        model.fit(rows)
        assert_same_model(saved(model, path), model)


def test_starts_come_back(path):
    """Weights of a start from single rows do not sum to one."""
    model = GaussianMixture(2, max_iter=0, init_params="random_from_data", random_state=0).fit(X)
    assert model.weights_.sum() < 0.1
    assert_same_model(saved(model, path), model)
    model.n_iter_ = 1
    with pytest.raises(ValueError, match="weights_ should sum to one, but sum to 0"):
        save_model(model, path)


def test_arguments_come_back(path):
    random_state = np.random.RandomState(5)
    random_state.standard_normal(3)  # an odd number: one more is in waiting
    arguments = {
        "init_params": np.arange(300) % 2,
        "weights_init": np.array([0.25, 0.75]),
        "means_init": np.arange(6, dtype=np.float32).reshape(2, 3),
        "precisions_init": np.stack([np.eye(3)] * 2),
        "random_state": random_state,
        "tol": np.float64(0.1),
        "max_iter": np.int64(3),
        "warm_start": True,
    }
    model = GaussianMixture(2, **arguments)
    again = saved(model, path)
    assert_same_model(again, model)
    draws = [estimator.random_state.standard_normal(4) for estimator in (model, again)]
    np.testing.assert_array_equal(*draws)


def test_lists_come_back_as_arrays(path):
    model = GaussianMixture(2, weights_init=[0.5, 0.5], means_init=[[0, 0, 0], [1, 1, 1]])
    again = saved(model, path)
    np.testing.assert_array_equal(again.means_init, model.means_init)
    again.fit(X)


def test_the_bytes_follow_from_the_model(tmp_path):
    save_model(fitted(), tmp_path / "one.npz")
    save_model(load(tmp_path / "one.npz"), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_numpy_opens_the_files(path):
    save_model(fitted(), path)
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["means_"], fitted().means_, strict=True)
        np.testing.assert_array_equal(arrays["covariances_"], fitted().covariances_, strict=True)
        assert bytes(arrays["header"]).startswith(b'{"format":"fastgmm"')


# -- what cannot be saved --------------------------------------------------------------------------
def start(X, n_components, random_state):
    raise AssertionError


class Mine(GaussianMixture):
    pass


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        (GaussianMixture(init_params=start), ValueError, "init_params is a function, start"),
        (GaussianMixture(init_params=lambda *_: 0), ValueError, "init_params is a function"),
        (GaussianMixture(tol=1j), ValueError, "tol is a complex"),
        (GaussianMixture(covariance_type="round"), ValueError, "'covariance_type' parameter"),
        (GaussianMixture("two"), ValueError, "'n_components' parameter"),
        (
            GaussianMixture(means_init=np.array([[1j]])),
            ValueError,
            "means_init is an array of comp",
        ),
        (
            GaussianMixture(random_state=np.random.RandomState(np.random.PCG64(0))),
            ValueError,
            "random_state draws from PCG64",
        ),
        (Mine(), TypeError, "A Mine cannot be saved"),
        (sklearn.mixture.GaussianMixture(), TypeError, "A GaussianMixture cannot be saved"),
        (None, TypeError, "A NoneType cannot be saved"),
    ],
)
def test_what_cannot_be_saved(path, model, error, text):
    with pytest.raises(error, match=text):
        save_model(model, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ("means_", np.full((2, 3), np.nan), "means_ holds NaN"),
        ("means_", np.zeros(3), "means_ has the shape"),
        ("weights_", np.array([1.0]), "weights_ should have the shape"),
        ("weights_", np.array([1.5, -0.5]), "weights_ should not be negative"),
        ("precisions_cholesky_", np.zeros((2, 3, 3)), "positive diagonal"),
        ("covariances_", np.ones((2, 3)), "covariances_ should have the shape"),
        ("n_features_in_", 4, "n_features_in_ is not"),
    ],
)
def test_what_does_not_belong_together_is_not_saved(path, attribute, value, text):
    model = saved(fitted(), path)
    path.unlink()
    setattr(model, attribute, value)
    with pytest.raises(ValueError, match=text):
        save_model(model, path)
    assert not path.exists()


# -- statistics ------------------------------------------------------------------------------------
_OF_EACH_FORM = {structure.forms.moments: structure for structure in STRUCTURES.values()}
"""Moments that users get: a structure for each form."""


@pytest.mark.parametrize("structure", _OF_EACH_FORM.values(), ids=list(_OF_EACH_FORM))
@pytest.mark.parametrize("d", [1, 3, 4, 9])
def test_statistics_come_back(path, structure, d):
    from fastgmm.parameters import MixtureParameters

    form = structure.forms.moments
    random = np.random.RandomState(0)
    rows, means = random.standard_normal((200, d)), random.standard_normal((2, d))
    shape = structure.shape(2, d)
    factors = np.ones(shape)
    if shape[-2:] == (d, d) and structure.forms.density.endswith("cholesky"):
        factors = np.broadcast_to(np.eye(d), shape)
    parameters = MixtureParameters(np.array([0.5, 0.5]), means, factors, factors)
    operands = mixtures.operands_of(structure, parameters, rows.dtype)
    statistics = mixtures.statistics_of(mixtures.as_chunk(rows), structure, operands)
    statistics.save(path)
    again = load(path)
    assert isinstance(again, SufficientStatistics)
    assert again.form is form
    for name in ("reference", "weight", "first"):
        np.testing.assert_array_equal(getattr(again, name), getattr(statistics, name))
    for name in ("log_likelihood", "total_weight", "n_rows"):
        assert getattr(again, name) == getattr(statistics, name)
    if form is not MomentForm.NONE:
        np.testing.assert_array_equal(again.second, statistics.second)
    total = again + statistics
    np.testing.assert_array_equal(total.weight, 2 * statistics.weight)


def test_the_state_of_statistics_is_plain():
    """For skops, which cannot load a member of an enumeration."""
    statistics = fitted(structure="tied").accumulate(X)
    form, *others = statistics.__getstate__()
    assert type(form) is str
    assert {type(part) for part in others} == {np.ndarray, type(None)}
    again = pickle.loads(pickle.dumps(statistics))
    assert again.form is statistics.form
    np.testing.assert_array_equal(again.sums, statistics.sums)


def test_each_loader_takes_its_own(path):
    save_model(fitted(), path)
    assert_same_model(load_model(path), fitted())
    fitted().accumulate(X).save(path)
    with pytest.raises(ModelFileError, match=r"model\.npz holds a statistics, not a model"):
        load_model(path)


def test_missing_files_are_no_damaged_ones(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.npz")
    with pytest.raises((IsADirectoryError, PermissionError)):  # the latter on Windows
        load(tmp_path)


def test_special_numbers(path):
    model = saved(fitted(), path)
    model.lower_bound_ = -math.inf
    model.lower_bounds_ = [math.nan, 1.0]
    assert_same_model(saved(model, path), model)
