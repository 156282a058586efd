"""Files that predictions are written to, and what is refused of those that rows are read from."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastgmm import GaussianMixture
from tests.estimator.files import CLASSES, PREDICTIONS, THINGS, WEIGHTS, K, X, fitted_to, npy_path
from tests.estimator.helpers import PARAMETERS
from tests.sources.kinds import table_of

pytestmark = pytest.mark.usefixtures("many_chunks")


# -- out= ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
@pytest.mark.parametrize("method", PREDICTIONS)
def test_out(tmp_path, suffix, method):
    model, out = fitted_to(GaussianMixture, X), tmp_path / f"out{suffix}"
    values = getattr(model, method)(X)
    for rows in (X, npy_path(tmp_path)):
        assert getattr(model, method)(rows, out=out) is None
        if suffix == ".npy":
            np.testing.assert_array_equal(np.load(out), values, strict=True)
            continue
        table = pq.read_table(out)
        matrix = values.reshape(len(X), -1)
        names = {
            "predict": ["component"],
            "predict_proba": [f"component_{c}" for c in range(K)],
            "score_samples": ["log_likelihood"],
        }[method]
        assert table.column_names == names
        for name, column in zip(names, matrix.T, strict=True):
            np.testing.assert_array_equal(table[name].to_numpy(), column, strict=True)


@pytest.mark.parametrize(
    ("out", "error", "text"),
    [
        ("missing/out.npy", OSError, r"missing[/\\]+out.npy"),
        ("out.txt", ValueError, "not to .*out.txt"),
        (".", ValueError, "npy"),
    ],
)
def test_out_that_cannot_be_written(tmp_path, out, error, text):
    with pytest.raises(error, match=text):
        fitted_to(GaussianMixture, X).predict(X, out=tmp_path / out)
    assert list(tmp_path.iterdir()) == []


def test_out_is_a_path():
    with pytest.raises(TypeError, match="out should be the path of a file, but got a ndarray"):
        fitted_to(GaussianMixture, X).predict(X, out=np.empty(len(X)))


@pytest.mark.parametrize(
    "as_given", [str, lambda path: [X, path], np.load], ids=["path", "list of parts", "mapped"]
)
def test_out_is_no_file_that_is_read(tmp_path, as_given):
    np.save(tmp_path / "rows.npy", X)
    rows = tmp_path / "rows.npy"
    given = np.load(rows, mmap_mode="r") if as_given is np.load else as_given(rows)
    with pytest.raises(ValueError, match=r"rows\.npy' is among the files that rows are read from"):
        fitted_to(GaussianMixture, X).predict(given, out=tmp_path / "." / "rows.npy")
    np.testing.assert_array_equal(np.load(rows), X)


def test_a_failed_prediction_leaves_the_old_file(tmp_path):
    model, out = fitted_to(GaussianMixture, X), tmp_path / "out.npy"
    out.write_bytes(b"old")
    bad = np.array(X)
    bad[-1, 0] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    with pytest.raises(ValueError, match="missing value"):
        model.predict(tmp_path / "bad.npy", out=out)
    assert out.read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"out.npy", "bad.npy"}


# -- what is refused -------------------------------------------------------------------------------
def with_bad(value):
    """A table whose column x1 has a bad value in row 700, and one later."""
    bad = np.array(X)
    bad[[700, 900], 1] = value
    return bad


def table_with_text():
    return table_of(X).append_column("name", pa.array(["a"] * len(X)))


BAD = {
    "nan": (
        lambda: table_of(with_bad(np.nan)),
        {},
        "rows.parquet: column 'x1' has a missing.* 700",
    ),
    "null": (
        lambda: table_of(X).append_column("y", pa.array([1.0] * 1199 + [None])),
        {},
        "rows.parquet: column 'y' has a missing value .* in row 1199",
    ),
    "infinity": (lambda: table_of(with_bad(-np.inf)), {}, "'x1' has infinity.* in row 700"),
    "text": (table_with_text, {}, "rows.parquet.*name"),
    "no rows": (lambda: table_of(X[:0]), {}, "rows.parquet has no rows"),
    "one row": (lambda: table_of(X[:1]), {}, "rows.parquet has 1 row, while a minimum of 2"),
    "few rows": (lambda: table_of(X[:2]), {}, "n_components = 3, n_samples = 2"),
    "absent rows": (
        lambda: table_of(X[:9], np.eye(9)[0]),
        {"sample_weight": "weight"},
        "n_components = 3, n_samples = 1",
    ),
    "missing weights": (
        lambda: table_of(X),
        {"sample_weight": "w"},
        "rows.parquet.*has no column 'w'",
    ),
    "few weights": (lambda: table_of(X), {"sample_weight": WEIGHTS[:9]}, r"1200 rows.*\(9,\)"),
    "zero weights": (lambda: table_of(X), {"sample_weight": 0 * WEIGHTS}, "at least one non-zero"),
    "negative weights": (
        lambda: table_of(X, np.where(np.arange(len(X)) == 5, -1.0, 1.0)),
        {"sample_weight": "weight"},
        "rows.parquet: the weight of row 5, counted from 0, is -1",
    ),
    "weights that are NaN": (
        lambda: table_of(X),
        {"sample_weight": np.where(np.arange(len(X)) == 7, np.nan, 1.0)},
        "the weight of row 7, counted from 0, is a missing value",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("cls", CLASSES)
def test_bad_files(tmp_path, cls, name):
    make, arguments, text = BAD[name]
    pq.write_table(make(), tmp_path / "rows.parquet")
    model = cls(n_components=K, random_state=0)
    with pytest.raises(ValueError, match=text):
        model.fit(tmp_path / "rows.parquet", **arguments)
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("name", ["npy", "parquet", "table", "zarr"])
def test_other_numbers_of_features(tmp_path, name):
    thing = THINGS[name](tmp_path)
    model = fitted_to(GaussianMixture, X[:, :2])
    for method in (*PREDICTIONS, "score", "bic", "accumulate", "partial_fit"):
        with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 2 features"):
            getattr(model, method)(thing)


@pytest.mark.parametrize(
    ("thing", "error", "text"),
    [
        ("missing.parquet", FileNotFoundError, "missing.parquet"),
        (["missing.npy"], FileNotFoundError, "missing.npy"),
        (".", ValueError, r"no .*parquet"),
        (pa.table({}), ValueError, "no"),
        (pa.array([1.0]), (TypeError, ValueError), "."),
    ],
    ids=str,
)
def test_things_that_are_no_rows(tmp_path, monkeypatch, thing, error, text):
    monkeypatch.chdir(tmp_path)
    for method in (GaussianMixture().fit, fitted_to(GaussianMixture, X).predict):
        with pytest.raises(error, match=text):
            method(thing)


def test_rows_far_away_have_no_responsibilities():
    model = fitted_to(GaussianMixture, X)
    far = np.zeros((1000, 3))
    far[[777, 800]] = 1e200
    with pytest.raises(ValueError, match="Row 777, counted from 0, has no responsibilities"):
        model.predict_proba(far)
    assert model.score_samples(far)[777] == -np.inf
    for name in PARAMETERS:
        assert np.isfinite(getattr(model, name)).all()
