"""Files of every version of the format load in this one, and come to what they came to."""

import json

import numpy as np
import pytest

from fastgmm.persistence.models import load
from fastgmm.statistics import SufficientStatistics
from tests.persistence.files.make_files import FILES, HERE, contents, continuation, predictions

FROZEN = {
    name: expected
    for path in sorted(HERE.glob("v*.json"))
    for name, expected in json.loads(path.read_text()).items()
}


def holding(kind):
    return [name for name, expected in FROZEN.items() if kind in expected]


def test_there_are_kept_files():
    assert {f"v1{suffix}.npz" for suffix in FILES} <= set(FROZEN)
    assert {path.name for path in HERE.glob("*.npz")} == set(FROZEN)


@pytest.mark.parametrize("name", holding("predictions"))
def test_models(name):
    model, expected = load(HERE / name), FROZEN[name]["predictions"]
    found = predictions(model)
    assert found["labels"] == expected["labels"]
    for output in ("responsibilities", "log_likelihoods"):
        np.testing.assert_allclose(found[output], expected[output], tolerance(model), 1e-15)
    assert found["arguments"].items() >= expected["arguments"].items()


@pytest.mark.parametrize("name", holding("statistics"))
def test_statistics(name):
    """Nothing is computed, so every bit comes back."""
    loaded = load(HERE / name)
    statistics = getattr(loaded, "running_statistics_", loaded)
    assert isinstance(statistics, SufficientStatistics)
    assert contents(statistics) == FROZEN[name]["statistics"]


@pytest.mark.parametrize("name", holding("continuation"))
def test_streams_go_on(name):
    model, expected = load(HERE / name), FROZEN[name]["continuation"]
    found = continuation(model)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, 100 * tolerance(model), err_msg=key)


def tolerance(model):
    """A few units in the last place: the order of a sum may change from version to version."""
    return 1e-12 if model.means_.dtype == np.float64 else 1e-5
