"""Whatever is in a file, loading gives a model or a ModelFileError, and nothing is run."""

import contextlib
import hashlib
import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastgmm import GaussianMixture
from fastgmm.files.container import Contents, ModelFileError, pack, unpack
from fastgmm.saved.models import load, save_model
from tests.saved.models import fitted
from tests.systems import unix_only


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damage")


@pytest.fixture(scope="module")
def good(folder):
    save_model(fitted(), folder / "good.npz")
    return (folder / "good.npz").read_bytes()


def load_bytes(folder, data):
    path = folder / "file.npz"
    path.write_bytes(data)
    return load(path)


def refused(folder, data, text=None):
    with pytest.raises(ModelFileError, match=text) as caught:
        load_bytes(folder, data)
    assert str(folder / "file.npz") in str(caught.value)


def seal(data):
    """The bytes of an archive with a right checksum at its end."""
    body = data[:-64]
    return body + hashlib.sha256(body).hexdigest().encode()


def archive_of(entries, compression=zipfile.ZIP_STORED, comment=b"sha256:" + bytes(64)):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
        archive.comment = comment
    return seal(buffer.getvalue())


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def header_npy(header):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return npy(np.frombuffer(text, np.uint8))


# -- accidents -------------------------------------------------------------------------------------
def test_every_truncation_is_noticed(folder, good):
    for length in [*range(0, len(good), 13), *range(len(good) - 200, len(good))]:
        refused(folder, good[:length])


def test_every_flipped_bit_is_noticed(good):
    for i in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[i // 8] ^= 1 << i % 8
        with pytest.raises(ModelFileError):
            unpack(bytes(damaged))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0",
        lambda data: b"\0" + data,
        lambda data: data + data,
        lambda data: data[:1000] + data[1064:],
        lambda data: data[:512] + bytes(512) + data[1024:],
        lambda data: bytes(len(data)),
        lambda data: b"",
        lambda data: b"PK",
        lambda data: b"PK" + bytes(1000) + b"sha256:" + bytes(64),
        lambda data: data.replace(b"\n", b"\r\n"),
    ],
)
def test_other_accidents_are_noticed(folder, good, change):
    refused(folder, change(good))


def test_other_files_are_refused(folder):
    for array in (np.zeros(3), np.array([None])):
        refused(folder, npy(array), "is not a file of fastgmm")
    buffer = io.BytesIO()
    np.savez(buffer, means_=np.zeros((2, 2)))
    refused(folder, buffer.getvalue(), "is not a file of fastgmm")


@given(data=st.binary(max_size=2000))
def test_any_bytes(data):
    with pytest.raises(ModelFileError):
        unpack(data)


@unix_only
def test_what_is_no_regular_file():
    with pytest.raises(ModelFileError, match="no regular file"):
        load("/dev/zero")


@unix_only
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.npz")
    with pytest.raises(ModelFileError, match="no regular file"):
        load(tmp_path / "model.npz")


def test_a_file_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr("fastgmm.files.container._MOST_BYTES", 1000)
    (tmp_path / "large.npz").write_bytes(bytes(1001))
    with pytest.raises(ModelFileError, match="larger than any"):
        load(tmp_path / "large.npz")


# -- malice: the checksum is right -----------------------------------------------------------------
@given(data=st.data())
def test_damage_under_a_right_checksum(folder, good, data):
    """Files changed anywhere give an error or a model that works."""
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        kind = data.draw(st.sampled_from(["flip", "set", "cut", "insert"]))
        if kind == "flip":
            damaged[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "set":
            damaged[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del damaged[at : at + data.draw(st.integers(1, 64))]
        else:
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=16))
    with contextlib.suppress(ModelFileError):
        model = load_bytes(folder, seal(bytes(damaged)))
        check_usable(model)


def check_usable(model):
    assert type(model) is GaussianMixture
    if hasattr(model, "means_") and hasattr(model, "weights_"):
        assert np.isfinite(model.means_).all()
        assert (model.weights_ >= 0).all()


KINDS_AND_NAMES = [
    "array",
    "scalar",
    "floats",
    "float",
    "strings",
    "tuple",
    "dict",
    "record",
    "fields",
    "random_state",
    "tol",
    "means_",
    "n_iter_",
    "__class__",
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["means_", "weights_", "header", "GaussianMixture", "MixtureParameters"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KINDS_AND_NAMES),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(
    parameters=st.dictionaries(
        st.sampled_from(["tol", "n_components", "random_state", "init_params", "_x", "fit"]),
        json_values,
        max_size=3,
    ),
    attributes=st.dictionaries(
        st.sampled_from(["means_", "weights_", "n_iter_", "__class__", "fit", "predict_", "é_"]),
        json_values,
        max_size=3,
    ),
    name=st.sampled_from(["GaussianMixture", "GaussianMixture", "object", "os.system", ""]),
)
@example({"tol": {"record": "RunState", "fields": {}}}, {}, "GaussianMixture")
@example({}, {"means_": {"array": "means_"}}, "GaussianMixture")
def test_hostile_headers(folder, parameters, attributes, name):
    content = {"class": name, "parameters": parameters, "attributes": attributes}
    header = {"format": "fastgmm", "format_version": 1, "kind": "model", "content": content}
    entries = [
        ("header.npy", header_npy(json.dumps(header).encode())),
        ("means_.npy", npy(np.zeros((2, 3)))),
        ("weights_.npy", npy(np.ones(3))),
    ]
    with contextlib.suppress(ModelFileError):
        check_usable(load_bytes(folder, archive_of(entries)))


GOOD_HEADER = {"format": "fastgmm", "format_version": 1, "kind": "model", "content": {}}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "not a file of fastgmm"),
        (b"null", "not a file of fastgmm"),
        (b"\xff\xfe", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b'{"a":' * 100_000, "damaged"),
        (b"9" * 100_000, "damaged"),
        (b'{"format": NaN}', "NaN"),
        ({**GOOD_HEADER, "format": "other"}, "not a file of fastgmm"),
        ({**GOOD_HEADER, "format_version": 2}, "later version of fastgmm: its format is 2"),
        ({**GOOD_HEADER, "format_version": 10**100}, "later version"),
        ({**GOOD_HEADER, "format_version": 0}, "no format version"),
        ({**GOOD_HEADER, "format_version": True}, "no format version"),
        ({**GOOD_HEADER, "format_version": "1"}, "no format version"),
        ({**GOOD_HEADER, "kind": 3}, "lacks what it is"),
        ({**GOOD_HEADER, "kind": "spell"}, "holds a spell, not a model or statistics"),
        ({**GOOD_HEADER, "kind": "statistics"}, "no usable statistics"),
        ({**GOOD_HEADER, "content": []}, "lacks what it is"),
        (GOOD_HEADER, "no usable model"),
        (json.dumps(GOOD_HEADER).encode().ljust(1 << 25), "header is no text"),
    ],
)
def test_headers_that_are_refused(folder, header, text):
    refused(folder, archive_of([("header.npy", header_npy(header))]), text)


@pytest.mark.parametrize(
    "entry",
    [
        npy(np.array([None])),
        npy(np.array(["text"])),
        npy(np.zeros(3, dtype=[("a", "f8")])),
        npy(np.zeros(3, dtype=complex)),
        npy(np.zeros(3, dtype=">f8")),
        npy(np.zeros(3, dtype="M8[s]")),
        npy(np.asfortranarray(np.zeros((3, 2)))),
        npy(np.zeros(3))[:-1],
        npy(np.zeros(3)) + b"\0",
        npy(np.zeros(3)).replace(b"(3,)", b"(9,)"),
        npy(np.zeros(3)).replace(b"(3,), }" + b" " * 13, b"(99999999999999999),"),
        npy(np.zeros(0)).replace(b"(0,), }" + b" " * 13, b"(0, 99999999999999),"),
        npy(np.zeros(3)).replace(b"\x93NUMPY\x01", b"\x93NUMPY\x02"),
        npy(np.zeros(3)).replace(b"<f8", b"<f0"),
        npy(np.zeros(3)).replace(b"<f8", b"__i"),
        npy(np.array([True])).replace(b"\x01", b"\x02"),
        b"",
        b"\x93NUMPY\x01\x00\xff\xff{" + b"(" * 60_000,
        b"cos\nsystem\n(S'false'\ntR.",
    ],
)
def test_arrays_that_are_refused(folder, entry):
    entries = [("header.npy", header_npy(GOOD_HEADER)), ("means_.npy", entry)]
    refused(folder, archive_of(entries), "means_|damaged")


def test_bombs_are_refused(folder):
    header = ("header.npy", header_npy(GOOD_HEADER))
    bomb = ("means_.npy", npy(np.zeros(10**7)))
    data = archive_of([header, bomb], zipfile.ZIP_DEFLATED)
    assert len(data) < 10**6
    refused(folder, data, "claims more than it can hold")
    small = ("means_.npy", npy(np.random.RandomState(0).bytes(1)))
    refused(folder, archive_of([header, small], zipfile.ZIP_DEFLATED), "is no plain array")
    refused(folder, archive_of([(f"a{i}.npy", b"") for i in range(2000)]), "claims more")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_refused(folder):
    header = ("header.npy", header_npy(GOOD_HEADER))
    for name in ("../means_.npy", "/etc/means_.npy", "means_", "a/", "é.npy", "a" * 200 + ".npy"):
        refused(folder, archive_of([header, (name, npy(np.zeros(3)))]), "is no plain array|damaged")
    refused(folder, archive_of([header, header]), "twice")
    refused(folder, archive_of([("means_.npy", npy(np.zeros(3)))]), "damaged")


def test_overlapping_entries_are_refused(folder):
    """Many names for one place: the archive is small, its contents are not."""
    data = archive_of([("header.npy", header_npy(GOOD_HEADER)), ("a0.npy", npy(np.zeros(10**4)))])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.start_dir
    directory = data[start : data.rindex(b"PK\5\6")]
    entry = directory[directory.rindex(b"PK\1\2") :]
    copies = b"".join(entry.replace(b"a0.npy", b"a%d.npy" % i) for i in range(1, 10))
    end = bytearray(data[data.rindex(b"PK\5\6") :])
    end[8:10] = end[10:12] = (11).to_bytes(2, "little")
    end[12:16] = (len(directory) + len(copies)).to_bytes(4, "little")
    refused(folder, seal(data[:start] + directory + copies + bytes(end)), "claims more")


def changed(good, **changes):
    """The good model with other arrays, or other items of its header."""
    contents = unpack(good)
    header = json.loads(json.dumps(contents.header))
    arrays = dict(contents.arrays)
    for name, value in changes.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            place = header["parameters"] if name in header["parameters"] else header["attributes"]
            place[name] = value
    return pack(Contents(contents.kind, header, arrays))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"means_": np.zeros((2, 4))}, "should have the shape"),
        ({"means_": np.zeros((2, 3), np.int64) > 0}, "means_ should hold numbers"),
        ({"means_": np.full((2, 3), np.inf)}, "NaN or infinity"),
        ({"weights_": np.array([-1.0, 2.0])}, "negative"),
        ({"precisions_cholesky_": np.full((2, 3, 3), -1.0)}, "positive diagonal"),
        ({"weights_": np.array([0.5, 0.4])}, "weights_ should sum to one, but sum to 0.9"),
        ({"covariances_": -np.ones((2, 3, 3))}, "covariances_ should be positive definite"),
        ({"covariances_": np.eye(3)}, "covariances_ should have the shape"),
        ({"precisions_": np.full((2, 3, 3), np.nan)}, "precisions_ holds NaN"),
        ({"converged_": 1}, "converged_ should be True or False"),
        ({"n_iter_": -1}, "n_iter_ should be a number of iterations"),
        ({"lower_bound_": None}, "lower_bound_ should be a number"),
        ({"lower_bounds_": [True]}, "lower_bounds_ should be a list of numbers"),
        ({"diagnostics_": [{"dict": {}}]}, "diagnostics_ should be a list of records"),
        ({"n_features_in_": 2}, "n_features_in_"),
        ({"feature_names_in_": {"strings": ["a"]}}, "feature_names_in_"),
        ({"feature_names_in_": {"strings": [1, 2, 3]}}, "strings"),
        ({"feature_names_in_": {"strings": "abc"}}, "strings"),
        ({"n_batches_": 3}, "running_statistics_ is missing"),
        ({"n_components": 0}, "n_components"),
        ({"covariance_type": "other"}, "covariance_type"),
        ({"tol": "0"}, "tol"),
        ({"tol": {"float": "nan"}}, ""),
        ({"random_state": {"random_state": {}}}, "no usable model"),
        ({"max_iter": {"eval": "1"}}, "no usable model"),
        ({"max_iter": {"array": "missing"}}, "no usable model: max_iter cannot be read"),
        ({"means_": {"array": "missing"}}, "no usable model: means_ cannot be read, KeyError"),
        ({"unknown_": {"record": "Popen", "fields": {}}}, "no usable model"),
        ({"fit": 3}, "attribute 'fit'"),
        ({"_metadata_request": 3}, "attribute"),
    ],
)
def test_models_that_are_no_use(folder, good, changes, text):
    refused(folder, changed(good, **changes), text or None)


@pytest.mark.parametrize(
    "attribute",
    [
        "weights_",
        "means_",
        "precisions_cholesky_",
        "covariances_",
        "precisions_",
        "converged_",
        "n_iter_",
        "lower_bound_",
    ],
)
def test_missing_attributes_are_named(folder, good, attribute):
    contents = unpack(good)
    del contents.header["attributes"][attribute]
    refused(folder, pack(contents), f"no usable model: {attribute} is missing")


def test_arguments_of_a_later_version(folder, good):
    contents = unpack(good)
    contents.header["parameters"]["shrinkage"] = 0.5
    refused(folder, pack(contents), "arguments of a later version: shrinkage")


def test_arguments_of_an_earlier_version(folder, good):
    contents = unpack(good)
    del contents.header["parameters"]["n_jobs"]
    assert load_bytes(folder, pack(contents)).n_jobs is None


def test_random_states_that_are_refused(folder, good):
    state = {"key": "key", "position": 3, "has_gauss": 0, "gauss": 0.0}
    key = np.zeros(624, np.uint32)
    load_bytes(folder, changed(good, key=key, random_state={"random_state": state}))
    for change in ({"position": 625}, {"position": -1}, {"position": 1.5}, {"has_gauss": 2}):
        damaged = changed(good, key=key, random_state={"random_state": {**state, **change}})
        refused(folder, damaged, "random generator")
    for key in (np.zeros(600, np.uint32), np.zeros(624, np.int64)):
        refused(folder, changed(good, key=key, random_state={"random_state": state}), "random")


def test_the_file_itself_is_never_changed(folder, good):
    path = folder / "still.npz"
    path.write_bytes(good[:-1])
    before = os.stat(path).st_mtime_ns
    with pytest.raises(ModelFileError):
        load(path)
    assert path.read_bytes() == good[:-1]
    assert os.stat(path).st_mtime_ns == before
