"""Predictions of dask collections: lazy, in the chunks of the rows."""

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from tests.distributed.data import blobs, fitted

X = blobs(6_000)
WEIGHTS = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
METHODS = ["predict", "predict_proba", "score_samples"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_arrays(method, dtype):
    rows = X.astype(dtype)
    model = fitted(rows)
    array = da.from_array(rows, chunks=(999, 2))
    lazy, expected = getattr(model, method)(array), getattr(model, method)(rows)
    assert isinstance(lazy, da.Array)
    assert lazy.chunks[0] == array.chunks[0]
    assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
    computed = lazy.compute()
    assert computed.dtype == expected.dtype
    assert np.array_equal(computed, expected)


@pytest.mark.parametrize("method", METHODS)
def test_frames(method):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = fitted(frame)
    lazy = getattr(model, method)(dd.from_pandas(frame, npartitions=4))
    assert isinstance(lazy, da.Array)
    assert lazy.numblocks[0] == 4
    assert np.array_equal(lazy.compute(), getattr(model, method)(frame))


def test_empty_partitions():
    frame = dd.from_pandas(pd.DataFrame(X, columns=["a", "b", "c"]), npartitions=4, sort=False)
    model = fitted(X)
    none = dd.concat([frame[frame["a"] > 1e9], frame])
    model.feature_names_in_ = np.array(["a", "b", "c"], dtype=object)
    assert model.predict_proba(none).compute().shape == (len(X), 3)


def test_noise_has_a_column():
    model = fitted(X, noise="box")
    lazy = model.predict_proba(da.from_array(X, chunks=(999, 3)))
    assert lazy.shape == (len(X), 4)
    assert np.array_equal(lazy.compute(), model.predict_proba(X))


def test_predictions_are_of_the_model_as_it_was():
    model = fitted(X)
    expected = model.predict(X)
    lazy = model.predict(da.from_array(X, chunks=(999, 3)))
    model.means_ = model.means_[::-1].copy()
    assert np.array_equal(lazy.compute(), expected)


def test_scores_are_computed(client):
    model = fitted(X)
    array, weights = da.from_array(X, chunks=(999, 3)), da.from_array(WEIGHTS, chunks=999)
    assert model.score(array) == model.score(X)
    assert model.score(array, sample_weight=weights) == model.score(X, sample_weight=WEIGHTS)
    assert model.bic(array) == model.bic(X)
    assert model.aic(array) == model.aic(X)


def test_fit_predict_is_lazy(client):
    array = da.from_array(X, chunks=(999, 3))
    model = fitted(X, max_iter=2, tol=1e9)
    labels = model.set_params(warm_start=True).fit_predict(array)
    assert isinstance(labels, da.Array)
    assert np.array_equal(labels.compute(), model.predict(X))


def test_other_features_are_refused():
    with pytest.raises(ValueError, match="X has 2 features, but the model is expecting 3"):
        fitted(X).predict(da.from_array(X[:, :2], chunks=(999, 2)))


def test_other_features_of_a_frame_are_refused():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    with pytest.raises(ValueError, match="feature names"):
        fitted(frame).predict(dd.from_pandas(frame[["b", "a", "c"]], npartitions=2))


def test_rows_and_columns_are_needed():
    with pytest.raises(ValueError, match="Expected 2D array, got 1D"):
        fitted(X).predict(da.from_array(X[:, 0], chunks=999))


def test_predictions_of_a_collection_go_to_files(client, tmp_path):
    model = fitted(X)
    model.predict(da.from_array(X, chunks=(999, 3)), out=tmp_path / "labels.npy")
    assert np.array_equal(np.load(tmp_path / "labels.npy"), model.predict(X))
