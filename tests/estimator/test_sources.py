"""Rows from files, tables and stores: the same bits as from an array, and errors that say where."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastgmm
from fastgmm import GaussianMixture
from tests import structures
from tests.estimator.files import (
    CLASSES,
    LABELS,
    PREDICTIONS,
    RESPONSIBILITIES,
    THINGS,
    WEIGHTS,
    K,
    X,
    fitted_to,
    npy_path,
    parquet_path,
)
from tests.estimator.helpers import STARTS, assert_identical_fit, quiet_fit
from tests.sources.kinds import SOURCES, table_of

pytestmark = pytest.mark.usefixtures("many_chunks")


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


def settings():
    """Starts with weights and without; classes, structures and n_init take turns."""
    names = itertools.cycle(structures.OF_FORMS)
    cases = itertools.product(INIT_PARAMS.values(), (None, WEIGHTS))
    for i, ((start, weights), name) in enumerate(zip(cases, names, strict=False)):
        arguments = {"covariance_type": name, "init_params": start, "n_init": 1 + i % 3 // 2}
        yield CLASSES[i // 2 % 2], arguments, weights


@pytest.fixture(scope="module")
def expected(many_chunks):
    """Fits of the array, and what they predict."""
    found = []
    for cls, arguments, weights in settings():
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
    for (cls, arguments, weights), (model, predictions, score) in zip(
        settings(), expected, strict=True
    ):
        source = sources[weights is not None]
        found = fitted_to(cls, source, **arguments)
        assert_identical_fit(found, model)
        assert found.score(source) == score
        for method, values in zip(PREDICTIONS, predictions, strict=True):
            np.testing.assert_array_equal(getattr(found, method)(source), values, strict=True)


# -- whatever the estimator opens by itself --------------------------------------------------------
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


@pytest.mark.parametrize("name", [name for name in THINGS if name not in ("list", "arrays")])
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
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 400)
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
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 400)
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
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 400)
    monkeypatch.setattr("fastgmm.estimator.starting.START_BYTES", row_bytes * len(X))
    assert_identical_fit(fitted_to(GaussianMixture, path, weights, **arguments), whole)
    monkeypatch.setattr("fastgmm.estimator.starting.START_BYTES", row_bytes * len(X) - 1)
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
