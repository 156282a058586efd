"""Files of models that `partial_fit` has made, damaged under a right checksum."""

import json

import numpy as np
import pytest

from fastgmm.files.container import Contents, ModelFileError, pack, unpack
from fastgmm.saved.models import load
from tests.saved.files.make_files import HERE


def stream(change):
    """The bytes of a model of a stream, after a change of its attributes' JSON, and its arrays."""
    contents = unpack((HERE / "v1_stream_tied_float32.npz").read_bytes())
    arrays, attributes = dict(contents.arrays), contents.header["attributes"]
    change(arrays, attributes, attributes["running_statistics_"]["statistics"])
    return pack(Contents(contents.kind, contents.header, arrays))


def set_total_weight(arrays, attributes, statistics):
    name = statistics["arrays"]["totals"]
    arrays[name] = arrays[name] * [1.0, 0.0, 1.0]


def set_weights(arrays, attributes, statistics):
    name = statistics["arrays"]["weight"]
    arrays[name] = -arrays[name]


STREAMS = {
    "no batches": (
        lambda arrays, attributes, statistics: attributes.pop("n_batches_"),
        "n_batches_",
    ),
    "batches": (lambda arrays, attributes, s: attributes.update(n_batches_=0), "n_batches_"),
    "text": (lambda arrays, attributes, s: attributes.update(n_batches_="2"), "n_batches_"),
    "a number": (
        lambda arrays, attributes, s: attributes.update(running_statistics_=1.0),
        "running_statistics_",
    ),
    "none": (
        lambda arrays, attributes, s: attributes.pop("running_statistics_"),
        "running_statistics_",
    ),
    "no scatter": (lambda a, b, statistics: statistics.update(scatter=None), "a scatter, or lack"),
    "other scatter": (
        lambda a, b, statistics: statistics.update(scatter=json.loads(json.dumps(statistics))),
        "scatter is not that of all rows",
    ),
    "other features": (
        lambda arrays, b, statistics: [
            arrays.update({statistics["arrays"][name]: np.zeros((2, 7))})
            for name in ("reference", "first")
        ],
        "scatter is not that of all rows",
    ),
    "no rows": (set_total_weight, "of no rows"),
    "weights": (set_weights, "rows are negative"),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_that_cannot_go_on(tmp_path, kind):
    change, text = STREAMS[kind]
    (tmp_path / "model.npz").write_bytes(stream(change))
    with pytest.raises(ModelFileError, match=text):
        load(tmp_path / "model.npz")


def test_a_stream_that_is_good(tmp_path):
    (tmp_path / "model.npz").write_bytes(stream(lambda *nothing: None))
    assert load(tmp_path / "model.npz").n_batches_ == 4
