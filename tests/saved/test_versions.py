"""Files of every version of the format load in this one, and come to what they came to."""

import json

import numpy as np
import pytest

from fastgmm.files.container import pack, read_file
from fastgmm.saved.models import load
from fastgmm.statistics import SufficientStatistics
from tests.saved.files.make_files import (
    CHECKPOINTS,
    FILES,
    HERE,
    contents,
    continuation,
    of_run,
    outcome,
    predictions,
    quiet_fit,
)
from tests.saved.models import X

FROZEN = {
    name: expected
    for path in sorted(HERE.glob("v*.json"))
    for name, expected in json.loads(path.read_text()).items()
}


def holding(kind):
    return [name for name, expected in FROZEN.items() if kind in expected]


def test_there_are_kept_files():
    assert {f"v1{suffix}.npz" for suffix in FILES} <= set(FROZEN)
    assert {f"v1_checkpoint{suffix}.npz" for suffix in CHECKPOINTS} <= set(FROZEN)
    assert {path.name for path in HERE.glob("*.npz")} == set(FROZEN)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
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


@pytest.mark.parametrize("name", holding("fit"))
def test_models_that_are_not_fitted(name):
    found = quiet_fit(load(HERE / name), X).means_
    np.testing.assert_allclose(found, FROZEN[name]["fit"], 1e-10)


@pytest.mark.parametrize("name", holding("predictions"))
def test_models_are_saved_again(name, tmp_path):
    """What was saved once may be saved always."""
    load(HERE / name).save(tmp_path / name)
    again, before = (read_file(path, ("model",)) for path in (tmp_path / name, HERE / name))
    assert again.header["attributes"] == before.header["attributes"]
    assert again.header["parameters"].items() >= before.header["parameters"].items()
    for key, array in before.arrays.items():
        np.testing.assert_array_equal(again.arrays[key], array, strict=True)


@pytest.mark.parametrize("name", holding("run"))
@pytest.mark.parametrize("younger", [False, True])
def test_runs_go_on(name, younger, tmp_path):
    """Also if the estimator has an argument that there was not then."""
    contents = read_file(HERE / name, ("checkpoint",))
    if younger:
        del contents.header["fingerprint"]["dict"]["warm_start"]
    path = tmp_path / name
    path.write_bytes(pack(contents))
    model, rows = of_run(FROZEN[name]["run"])
    quiet_fit(model, rows, checkpoint=path)
    found, expected = outcome(model), FROZEN[name]["outcome"]
    assert found.pop("diagnostics") == expected["diagnostics"]
    for key, value in found.items():
        # Of a matrix, the digits of its largest number count.
        least = tolerance(model) * np.max(np.abs(expected[key]), initial=1.0)
        np.testing.assert_allclose(value, expected[key], tolerance(model), least, err_msg=key)


def test_a_younger_argument_makes_another_run(tmp_path):
    contents = read_file(HERE / "v1_checkpoint_tied_float32.npz", ("checkpoint",))
    del contents.header["fingerprint"]["dict"]["warm_start"]
    (tmp_path / "job.npz").write_bytes(pack(contents))
    model, rows = of_run("_tied_float32")
    with pytest.raises(ValueError, match="another run: warm_start was False and is True"):
        model.set_params(warm_start=True).fit(rows, checkpoint=tmp_path / "job.npz")


def tolerance(model):
    """A few units in the last place: the order of a sum may change from version to version."""
    return 1e-12 if model.means_.dtype == np.float64 else 1e-5
