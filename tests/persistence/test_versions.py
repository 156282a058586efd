"""Files of every version of the format load in this one, and predict what they predicted."""

import json

import numpy as np
import pytest

from fastgmm.persistence.models import load
from tests.persistence.files.make_files import HERE, predictions

FROZEN = {
    name: expected
    for path in sorted(HERE.glob("v*.json"))
    for name, expected in json.loads(path.read_text()).items()
}


def test_there_are_kept_files():
    assert "v1.npz" in FROZEN
    assert {path.name for path in HERE.glob("*.npz")} == set(FROZEN)


@pytest.mark.parametrize("name", FROZEN)
def test_kept_files(name):
    model, expected = load(HERE / name), FROZEN[name]
    found = predictions(model)
    # A few units in the last place: the order of a sum may change from version to version.
    tolerance = 1e-12 if model.means_.dtype == np.float64 else 1e-5
    assert found["labels"] == expected["labels"]
    for output in ("responsibilities", "log_likelihoods"):
        np.testing.assert_allclose(found[output], expected[output], tolerance, 1e-15)
    assert found["arguments"].items() >= expected["arguments"].items()
