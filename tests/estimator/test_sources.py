"""Rows from files, tables and stores: the same bits as from an array, and errors that say where."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import zarr

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture
from tests import structures
from tests.estimator.helpers import PARAMETERS, STARTS, assert_identical_fit, quiet_fit
from tests.sources.kinds import SOURCES, table_of

CLASSES = (GaussianMixture, BayesianGaussianMixture)
K = 3
PREDICTIONS = ("predict", "predict_proba", "score_samples")


def make_rows(n_rows=1200):
    random = np.random.RandomState(3)
    X = random.standard_normal((n_rows, 3)) + 4 * random.randint(0, K, (n_rows, 1))
    return X, random.randint(0, 5, n_rows) / 4.0


X, WEIGHTS = make_rows()
LABELS = np.arange(len(X)) % K
RESPONSIBILITIES = np.full((len(X), K), 0.2) + 0.4 * np.eye(K)[LABELS]


def nearest_to_thirds(rows, n_components, random_state):
    """A callable as `init_params`, which draws."""
    offset = random_state.standard_normal()
    return np.digitize(rows[:, 0] + offset, [1.0, 5.0])


INIT_PARAMS = {
    **{name: name for name in STARTS},
    "labels": LABELS,
    "responsibilities": RESPONSIBILITIES,
    "callable": nearest_to_thirds,
}


@pytest.fixture(autouse=True, scope="module")
def many_chunks():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("fastgmm.sources.base._LEAST_WORK", 1 << 14)
        monkeypatch.setattr("fastgmm.sources.base._LEAST_ROWS", 256)
        yield


def settings():
    """Structures times starts; n_init and weights alternate."""
    for i, (structure, start) in enumerate(itertools.product(structures.ALL, INIT_PARAMS)):
        arguments = {"covariance_type": structure, "init_params": INIT_PARAMS[start]}
        yield arguments | {"n_init": 1 + i % 3 // 2}, (None, WEIGHTS)[(i + i // 7) % 2]


def fitted_to(cls, rows, weights=None, **arguments):
    model = cls(n_components=K, random_state=0, max_iter=4, **arguments)
    return quiet_fit(model, rows, sample_weight=weights)


@pytest.fixture(scope="module")
def expected(many_chunks):
    """Fits of the array, and what they predict."""
    found = []
    for cls in CLASSES:
        for arguments, weights in settings():
            model = fitted_to(cls, X, weights, **arguments)
            predictions = [getattr(model, name)(X) for name in PREDICTIONS]
            found.append((model, predictions, model.score(X, sample_weight=weights)))
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_same_bits_from_every_kind_of_source(tmp_path, expected, name):
    for folder in ("plain", "weighted"):
        (tmp_path / folder).mkdir()
    sources = {
        False: SOURCES[name](tmp_path / "plain", X, None),
        True: SOURCES[name](tmp_path / "weighted", X, WEIGHTS),
    }
    cases = ((cls, *setting) for cls in CLASSES for setting in settings())
    for (cls, arguments, weights), (model, predictions, score) in zip(cases, expected, strict=True):
        source = sources[weights is not None]
        found = fitted_to(cls, source, **arguments)
        assert_identical_fit(found, model)
        assert found.score(source) == score
        for method, values in zip(PREDICTIONS, predictions, strict=True):
            np.testing.assert_array_equal(getattr(found, method)(source), values, strict=True)


# -- whatever the estimator opens by itself --------------------------------------------------------
def npy_path(folder):
    np.save(folder / "rows.npy", X)
    return folder / "rows.npy"


def memory_map(folder):
    return np.load(npy_path(folder), mmap_mode="r")


def parquet_path(folder):
    pq.write_table(table_of(X), folder / "rows.parquet", row_group_size=500)
    return str(folder / "rows.parquet")


def parquet_folder(folder):
    for i, rows in enumerate(np.array_split(X, 3)):
        pq.write_table(table_of(rows), folder / f"{i}.parquet")
    return folder


def dataset(folder):
    return pyarrow.dataset.dataset(parquet_path(folder))


def zarr_array(folder):
    return zarr.create_array(folder / "rows.zarr", data=X, chunks=(300, 2))


def parts(folder):
    return [memory_map(folder)[:500], table_of(X[500:700]), X[700:]]


THINGS = {
    "memmap": memory_map,
    "npy": npy_path,
    "parquet": parquet_path,
    "folder": parquet_folder,
    "table": lambda folder: table_of(X),
    "dataset": dataset,
    "zarr": zarr_array,
    "list": parts,
}


@pytest.mark.parametrize("name", THINGS)
@pytest.mark.parametrize("cls", CLASSES)
def test_things_are_opened(tmp_path, name, cls):
    thing, whole = THINGS[name](tmp_path), fitted_to(cls, X)
    model = fitted_to(cls, thing)
    assert_identical_fit(model, whole)
    np.testing.assert_array_equal(model.predict(thing), whole.predict(X))
    assert model.n_features_in_ == 3
    again = cls(n_components=K, random_state=0, tol=1.0)
    np.testing.assert_array_equal(again.fit_predict(thing), again.fit(X).predict(X))
    np.testing.assert_array_equal(model.accumulate(thing).sums, whole.accumulate(X).sums)


@pytest.mark.parametrize("name", [name for name in THINGS if name != "list"])
def test_weights_beside_a_file(tmp_path, name):
    thing = THINGS[name](tmp_path)
    whole = fitted_to(GaussianMixture, X, WEIGHTS, init_params=LABELS)
    model = fitted_to(GaussianMixture, thing, WEIGHTS, init_params=LABELS)
    assert_identical_fit(model, whole)
    assert model.score(thing, sample_weight=WEIGHTS) == whole.score(X, sample_weight=WEIGHTS)
    assert model.bic(thing, sample_weight=WEIGHTS) == whole.bic(X, sample_weight=WEIGHTS)
    opened = fastgmm.open_source(thing)
    assert_identical_fit(fitted_to(GaussianMixture, opened, WEIGHTS, init_params=LABELS), whole)


@pytest.mark.parametrize("series", [pd.Series, pa.array])
def test_weights_of_other_libraries_beside_a_file(tmp_path, series):
    np.save(tmp_path / "rows.npy", X)
    weights = np.arange(len(X)) % 3
    model = fitted_to(GaussianMixture, tmp_path / "rows.npy", series(weights))
    assert_identical_fit(model, fitted_to(GaussianMixture, X, weights))


def test_a_column_of_weights(tmp_path):
    pq.write_table(table_of(X, WEIGHTS), tmp_path / "rows.parquet")
    model = fitted_to(GaussianMixture, tmp_path / "rows.parquet", "weight")
    whole = fitted_to(GaussianMixture, X, WEIGHTS)
    assert_identical_fit(model, whole)
    # The model takes its own features from the file.
    np.testing.assert_array_equal(model.predict(tmp_path / "rows.parquet"), whole.predict(X))
    score = whole.score(X, sample_weight=WEIGHTS)
    assert model.score(tmp_path / "rows.parquet", sample_weight="weight") == score


def test_float32(tmp_path):
    rows = X.astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    pq.write_table(table_of(rows), tmp_path / "rows.parquet")
    for cls in CLASSES:
        whole = fitted_to(cls, rows)
        for name in ("rows.npy", "rows.parquet"):
            model = fitted_to(cls, tmp_path / name)
            assert_identical_fit(model, whole)
            assert model.means_.dtype == np.float32
            found, wanted = model.predict_proba(tmp_path / name), whole.predict_proba(rows)
            np.testing.assert_array_equal(found, wanted, strict=True)


def test_a_start_from_a_sample(tmp_path, monkeypatch):
    monkeypatch.setattr("fastgmm.fitting.START_ROWS", 400)
    path = npy_path(tmp_path)
    model, again = fitted_to(GaussianMixture, path), fitted_to(GaussianMixture, path)
    assert_identical_fit(model, again)
    whole = fitted_to(GaussianMixture, X)
    assert not np.array_equal(model.means_, whole.means_)
    assert abs(model.score(X) - whole.score(X)) < 0.05
    # Arrays that are given as starts need no sample.
    given = {"init_params": RESPONSIBILITIES}
    assert_identical_fit(
        fitted_to(GaussianMixture, path, **given), fitted_to(GaussianMixture, X, **given)
    )


@pytest.mark.parametrize("start", ["random", "random_from_data"])
@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS, np.full(len(X), 3.0)], ids=["", "any", "equal"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_starts_that_draw_need_no_sample(tmp_path, monkeypatch, start, cls, weights, dtype):
    monkeypatch.setattr("fastgmm.fitting.START_ROWS", 400)
    rows = X.astype(dtype)
    np.save(tmp_path / "rows.npy", rows)
    pq.write_table(table_of(rows), tmp_path / "rows.parquet", row_group_size=500)
    for structure in ("full", "tied"):
        arguments = {"init_params": start, "n_init": 2, "covariance_type": structure}
        whole = fitted_to(cls, rows, weights, **arguments)
        for name in ("rows.npy", "rows.parquet"):
            assert_identical_fit(fitted_to(cls, tmp_path / name, weights, **arguments), whole)


@pytest.mark.parametrize(("weights", "row_bytes"), [(None, 8), (1.0 + LABELS, 32)])
def test_single_rows_of_too_many(tmp_path, monkeypatch, weights, row_bytes):
    """Beyond a bound of memory, single rows are drawn from a sample, too."""
    path, arguments = npy_path(tmp_path), {"init_params": "random_from_data"}
    whole = fitted_to(GaussianMixture, X, weights, **arguments)
    monkeypatch.setattr("fastgmm.fitting.START_ROWS", 400)
    monkeypatch.setattr("fastgmm.estimator.training.START_BYTES", row_bytes * len(X))
    assert_identical_fit(fitted_to(GaussianMixture, path, weights, **arguments), whole)
    monkeypatch.setattr("fastgmm.estimator.training.START_BYTES", row_bytes * len(X) - 1)
    sampled = fitted_to(GaussianMixture, path, weights, **arguments)
    assert not np.array_equal(sampled.means_, whole.means_)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_starts_see_the_type_of_the_rows(tmp_path, cls, dtype):
    """Bayesian mixtures are fitted in float64, but k-means draws by rounding in float32."""
    seen = []

    def start(rows, n_components, random_state):
        seen.append(rows.dtype)
        return LABELS

    np.save(tmp_path / "rows.npy", X.astype(dtype))
    fitted_to(cls, X.astype(dtype), init_params=start)
    fitted_to(cls, tmp_path / "rows.npy", init_params=start)
    assert seen == [dtype, dtype]


@pytest.mark.parametrize("cls", CLASSES)
def test_warm_start(tmp_path, cls):
    path = npy_path(tmp_path)
    model, whole = (fitted_to(cls, rows, warm_start=True) for rows in (path, X))
    assert_identical_fit(quiet_fit(model, path), quiet_fit(whole, X))


# -- names of features -----------------------------------------------------------------------------
def test_names_go_from_files_to_frames_and_back(tmp_path):
    path = parquet_path(tmp_path)
    frame = pd.DataFrame(X, columns=["x0", "x1", "x2"])
    of_file, of_frame = fitted_to(GaussianMixture, path), fitted_to(GaussianMixture, frame)
    assert list(of_file.feature_names_in_) == list(of_frame.feature_names_in_)
    np.testing.assert_array_equal(of_file.predict(frame), of_frame.predict(path))
    # Columns are found by their names, in any order and among others.
    shuffled = table_of(X).select(["x2", "x0", "x1"]).append_column("y", pa.array(X[:, 0] * np.nan))
    pq.write_table(shuffled, tmp_path / "shuffled.parquet")
    np.testing.assert_array_equal(
        of_frame.predict(tmp_path / "shuffled.parquet"), of_file.predict(path)
    )
    with pytest.raises(ValueError, match="feature names"):
        of_file.predict(frame.rename(columns={"x0": "z"}))
    with pytest.raises(ValueError, match="x0"):
        of_file.predict(table_of(X).rename_columns(["z", "x1", "x2"]))


def test_a_fit_without_names_forgets_those_before(tmp_path):
    model = fitted_to(GaussianMixture, parquet_path(tmp_path))
    assert not hasattr(quiet_fit(model, npy_path(tmp_path)), "feature_names_in_")


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
        names = [f"component_{c}" for c in range(K)] if method == "predict_proba" else ["value"]
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


@pytest.mark.parametrize("as_given", [str, lambda path: [X, path], np.load], ids=str)
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
