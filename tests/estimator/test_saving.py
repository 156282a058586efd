"""`save` and `fastgmm.load`, through the estimators."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, ModelFileError
from tests import structures
from tests.estimator.helpers import PARAMETERS, assert_identical_fit, quiet_fit

X = np.random.RandomState(0).standard_normal((300, 3)) + 4 * (np.arange(300) % 2)[:, np.newaxis]
every_kind = pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def again(model, path):
    model.save(path)
    return fastgmm.load(path)


def assert_same_predictions(one, other, rows=X):
    for method in ("predict", "predict_proba", "score_samples"):
        found, wanted = getattr(one, method)(rows), getattr(other, method)(rows)
        np.testing.assert_array_equal(found, wanted, strict=True)


@pytest.mark.parametrize(("cls", "covariance_type"), structures.ESTIMATORS_OF_SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loaded_model_is_the_same(path, cls, covariance_type, dtype):
    rows = X.astype(dtype)
    arguments = {"covariance_type": covariance_type, "random_state": 0, "init_params": "random"}
    model = quiet_fit(cls(n_components=2, warm_start=True, max_iter=3, **arguments), rows)
    loaded = again(model, path)
    assert type(loaded) is cls
    assert loaded.get_params() == clone(loaded).get_params() == model.get_params()
    assert_same_predictions(loaded, model, rows)
    statistics = loaded.accumulate(rows)
    np.testing.assert_array_equal(statistics.sums, model.accumulate(rows).sums)
    assert_identical_fit(quiet_fit(loaded, rows), quiet_fit(model, rows))


@every_kind
def test_models_that_began_from_arrays_and_callables(path, cls):
    labels = np.arange(300) % 2
    model = cls(n_components=2, init_params=labels).fit(X)
    loaded = again(model, path)
    np.testing.assert_array_equal(loaded.init_params, labels)
    assert_same_predictions(loaded, model)
    path.unlink()
    model = cls(n_components=2, init_params=lambda X, k, random: labels).fit(X)
    with pytest.raises(ValueError, match="init_params is a function"):
        model.save(path)
    assert not path.exists()
    assert_same_predictions(again(model.set_params(init_params="kmeans"), path), model)


def test_parameters_set_by_hand(path):
    fitted = GaussianMixture(2, random_state=0).fit(X)
    model = GaussianMixture(2)
    for name in PARAMETERS:
        setattr(model, name, getattr(fitted, name))
    assert_same_predictions(again(model, path), fitted)


@every_kind
def test_models_that_are_not_fitted(path, cls):
    loaded = again(cls(n_components=2, random_state=3), path)
    with pytest.raises(NotFittedError):
        loaded.predict(X)
    np.testing.assert_array_equal(
        loaded.fit(X).means_, cls(n_components=2, random_state=3).fit(X).means_
    )


@pytest.mark.parametrize("covariance_type", structures.OF_FORMS)
def test_damaged_statistics_and_streams(path, covariance_type):
    model = GaussianMixture(2, covariance_type=covariance_type).partial_fit(X)
    for thing in (model, model.accumulate(X)):
        thing.save(path)
        good = path.read_bytes()
        for at in range(0, len(good), 211):
            path.write_bytes(good[:at])
            with pytest.raises(ModelFileError):
                fastgmm.load(path)
            path.write_bytes(good[:at] + bytes([good[at] ^ 16]) + good[at + 1 :])
            with pytest.raises(ModelFileError):
                fastgmm.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"form": "spell"},
        {"form": "diagonal"},
        {"scatter": 3},
        {"scatter": {}},
        {"arrays": {}},
        {"arrays": None},
    ],
    ids=str,
)
def test_hostile_statistics(path, change):
    from fastgmm.files.container import pack, read_file

    GaussianMixture(2, covariance_type="tied").partial_fit(X).accumulate(X).save(path)
    contents = read_file(path, ("statistics",))
    hostile = contents._replace(header={**contents.header, **change})
    path.write_bytes(pack(hostile))
    with pytest.raises(ModelFileError, match="holds no usable statistics"):
        fastgmm.load(path)
