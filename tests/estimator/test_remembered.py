"""What is made of a model is made again when an attribute changes, and only then."""

import gc

import numpy as np
import pytest

import fastgmm
from fastgmm.estimator import predicting
from fastgmm.estimator.remembered import Memory
from tests.structures import SHARED


class Model:
    pass


def counted(memory, model, purpose, attributes):
    calls = []
    value = memory.get(model, purpose, attributes, lambda: calls.append(0) or object())
    return value, len(calls)


@pytest.mark.parametrize("order", ["C", "F"])
def test_made_again_only_after_a_change(order):
    memory, model = Memory(), Model()
    array = np.zeros((30, 40), order=order)
    attributes = ["full", array, (np.ones(3), np.ones(3)), 2.0]
    first, calls = counted(memory, model, "x", attributes)
    assert calls == 1
    assert counted(memory, model, "x", attributes) == (first, 0)
    assert counted(memory, model, "y", attributes)[1] == 1
    assert counted(memory, Model(), "x", attributes)[1] == 1
    array[29, 39] = 1e-300
    assert counted(memory, model, "x", attributes)[1] == 1
    attributes[2][1][0] += 1
    assert counted(memory, model, "x", attributes)[1] == 1
    for i, changed in enumerate(["diag", array.astype(np.float32), (np.ones(3),), np.ones(1)]):
        others = [*attributes[:i], changed, *attributes[i + 1 :]]
        assert counted(memory, model, "x", others)[1] == 1
        assert counted(memory, model, "x", others)[1] == 0


def test_many_models_in_turn_and_their_end():
    memory = Memory()
    models = [Model() for _ in range(100)]
    attributes = [np.zeros(10)]
    assert sum(counted(memory, model, "x", attributes)[1] for model in models * 2) == 100
    assert memory._n_bytes == 100 * 80
    del models
    gc.collect()
    assert memory._n_bytes == 0
    assert not memory._made


def test_the_oldest_is_forgotten_where_copies_take_too_much():
    memory, models = Memory(most_bytes=800), [Model() for _ in range(3)]
    calls = [counted(memory, model, "x", [np.zeros(40)])[1] for model in (*models, *models[1:])]
    assert calls == [1, 1, 1, 0, 0]
    assert counted(memory, models[0], "x", [np.zeros(40)])[1] == 1
    assert counted(memory, models[0], "z", [np.zeros(1000)])[1] == 1
    assert memory._n_bytes <= 800


def test_an_error_is_not_remembered():
    memory, model = Memory(), Model()

    def fail():
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011
            memory.get(model, "x", [np.zeros(3)], fail)
    assert counted(memory, model, "x", [np.zeros(3)])[1] == 1


@pytest.mark.parametrize("covariance_type", SHARED)
@pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])
def test_estimators_notice_changes_in_place(covariance_type, name, monkeypatch):
    X = np.random.RandomState(0).standard_normal((300, 40))
    arguments = dict(n_components=3, covariance_type=covariance_type, max_iter=500, tol=1e-1)
    model = getattr(fastgmm, name)(random_state=0, **arguments).fit(X)
    made = []
    make = predicting.kernels_set_by_hand
    monkeypatch.setattr(predicting, "kernels_set_by_hand", lambda *a: made.append(0) or make(*a))
    before = model.score_samples(X)
    n_made = len(made)
    np.testing.assert_array_equal(model.score_samples(X), before)
    assert len(made) == n_made
    for attribute in ("means_", "precisions_cholesky_"):
        array = getattr(model, attribute)
        array *= 1.5
        after = model.score_samples(X)
        assert (after != before).any()
        np.testing.assert_allclose(after, model.to_sklearn().score_samples(X))
        before = after
