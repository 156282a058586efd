"""The same answers as scikit-learn's for rows in float32, integers, frames, lists, memory maps."""

import importlib.util
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import mixture

from fastgmm import GaussianMixture
from tests import datasets, tolerances
from tests.estimator.helpers import (
    PARAMETERS,
    SKLEARN_1_7,
    STARTS,
    assert_close,
    assert_identical_fit,
    assert_same_fit,
    every_structure,
    fit_both,
    quiet_fit,
)

RTOL = tolerances.PARITY_RTOL

# --- float32 ------------------------------------------------------------------------------


def test_samples_where_float32_weights_round_to_more_than_one():
    model = quiet_fit(GaussianMixture(4, random_state=0), datasets.load("float32").X)
    model.weights_ = np.array([1 / 3, 1 / 3, 1 / 3, 1e-9], dtype=np.float32)
    with pytest.raises(ValueError, match=r"pvals.* > 1"):
        model.to_sklearn().sample(1000)
    with warnings.catch_warnings():
        # NumPy finds covariances that are rounded to float32 not quite symmetric.
        warnings.simplefilter("ignore", RuntimeWarning)
        assert set(model.sample(1000)[1]) == {0, 1, 2}
    assert model.weights_.dtype == np.float32


@every_structure
@pytest.mark.parametrize("init_params", STARTS)
def test_float32_stays_float32(covariance_type, init_params):
    """In scikit-learn since 1.7; older ones compute in float64, ours never does."""
    dataset = datasets.load("float32")
    params = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "reg_covar": 1e-2,
        "max_iter": 5,
        "tol": 0,
        "random_state": 0,
    }
    fast, theirs = fit_both(dataset.X, dataset.n_components, **params)
    for name in PARAMETERS:
        assert getattr(fast, name).dtype == np.float32
    assert fast.predict_proba(dataset.X).dtype == np.float32
    assert fast.score_samples(dataset.X).dtype == np.float32
    assert fast.predict(dataset.X).dtype == np.int64
    rtol = tolerances.PARITY_RTOL_FLOAT32
    if SKLEARN_1_7:
        for name in PARAMETERS:
            assert getattr(theirs, name).dtype == np.float32
    else:
        theirs.precisions_ = theirs.precisions_.astype(np.float32)
    assert_same_fit(fast, theirs, rtol)
    assert_close(fast.score_samples(dataset.X), theirs.score_samples(dataset.X), rtol)
    with warnings.catch_warnings():
        # NumPy finds covariances that are rounded to float32 not quite symmetric.
        warnings.simplefilter("ignore", RuntimeWarning)
        for mine, other in zip(fast.sample(5), theirs.sample(5), strict=True):
            assert mine.dtype == other.dtype


@every_structure
@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
def test_predicting_in_another_dtype(covariance_type, dtypes):
    of_fit, of_rows = dtypes
    X = datasets.load("blobs_2d").X
    fast, theirs = fit_both(X.astype(of_fit), 4, covariance_type=covariance_type, random_state=0)
    rows = X.astype(of_rows)
    rtol = tolerances.PARITY_RTOL_FLOAT32
    for method in ("score_samples", "predict_proba"):
        mine, other = getattr(fast, method)(rows), getattr(theirs, method)(rows)
        assert mine.dtype == np.float64  # the wider of the two, as in scikit-learn
        assert_close(mine, other, rtol)


# --- forms of input -----------------------------------------------------------------------

FORMS = {
    "fortran": lambda X, path: np.asfortranarray(X),
    "strided rows": lambda X, path: np.repeat(X, 2, axis=0)[::2],
    "strided columns": lambda X, path: np.repeat(X, 3, axis=1)[:, ::3],
    "reversed": lambda X, path: X[::-1].copy()[::-1],
    "writeable": lambda X, path: X.copy(),
    "list": lambda X, path: X.tolist(),
    "object": lambda X, path: X.astype(object),
    "big-endian": lambda X, path: X.astype(">f8"),
    "long double": lambda X, path: X.astype(np.longdouble),
    "memmap": lambda X, path: _memmap(X, path),
    "pandas": lambda X, path: pd.DataFrame(X),
    "pandas named": lambda X, path: pd.DataFrame(X, columns=_names(X)),
}
# polars belongs to the tests' dependencies; the environment of the oldest versions allowed
# goes without it.
if importlib.util.find_spec("polars"):
    FORMS["polars"] = lambda X, path: _polars(X)


def _names(X):
    return [f"feature {j}" for j in range(X.shape[1])]


def _memmap(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def _polars(X):
    import polars

    return polars.DataFrame(dict(zip(_names(X), X.T.copy(), strict=True)))


@every_structure
@pytest.mark.parametrize("form", list(FORMS))
def test_forms_of_input(covariance_type, form, tmp_path):
    X = datasets.load("blobs_8d").X
    converted = FORMS[form](X, tmp_path)
    params = {"covariance_type": covariance_type, "random_state": 0}
    plain = GaussianMixture(3, **params).fit(X)
    fast, theirs = fit_both(converted, 3, **params)
    assert_same_fit(fast, theirs, RTOL)
    assert_same_fit(fast, plain, tolerances.SAME_DATA_RTOL)
    np.testing.assert_array_equal(fast.predict(converted), plain.predict(X))
    for method in ("score_samples", "predict_proba"):
        mine, other = getattr(fast, method)(converted), getattr(plain, method)(X)
        assert_close(mine, other, tolerances.SAME_DATA_RTOL)
    assert hasattr(fast, "feature_names_in_") == hasattr(theirs, "feature_names_in_")
    if hasattr(theirs, "feature_names_in_"):
        np.testing.assert_array_equal(fast.feature_names_in_, theirs.feature_names_in_)


@every_structure
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool, np.float16])
def test_integers_are_read_as_float64(covariance_type, dtype):
    """In predict too, where scikit-learn 1.9 rounds |y|^2 to the dtype of X."""
    X = datasets.load("duplicates").X
    whole = X > 2 if dtype is bool else X.astype(dtype)
    params = {"covariance_type": covariance_type, "reg_covar": 1e-2, "random_state": 0}
    fast, theirs = fit_both(whole, 2, **params)
    plain = GaussianMixture(2, **params).fit(whole.astype(np.float64))
    assert_same_fit(fast, theirs, RTOL)
    assert_identical_fit(fast, plain)
    np.testing.assert_allclose(
        fast.score_samples(whole), theirs.score_samples(whole.astype(np.float64)), rtol=1e-9
    )
    np.testing.assert_array_equal(
        fast.predict_proba(whole), plain.predict_proba(whole.astype(np.float64))
    )
    np.testing.assert_array_equal(fast.predict(whole), plain.predict(whole.astype(np.float64)))


FRAMES = {
    "as fitted": lambda frame: frame,
    "float32": lambda frame: frame.astype(np.float32),
    "of two types": lambda frame: frame.astype({frame.columns[0]: np.float32}),
    "whole numbers": lambda frame: frame.astype(np.int64),
    "nullable": lambda frame: frame.astype("Float64"),
    "sparse": lambda frame: frame.astype(pd.SparseDtype(np.float64)),
    "objects": lambda frame: frame.astype(object),
    "text": lambda frame: frame.astype(str) + "x",
    "NaN": lambda frame: frame.where(frame != frame.iloc[1, 1]),
    "infinity": lambda frame: frame.replace(frame.iloc[1, 1], np.inf),
    "swapped": lambda frame: frame[frame.columns[::-1]],
    "renamed": lambda frame: frame.rename(columns={frame.columns[0]: "another"}),
    "fewer": lambda frame: frame.iloc[:, 1:],
    "without rows": lambda frame: frame.iloc[:0],
    "numbered": lambda frame: pd.DataFrame(frame.to_numpy()),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_to_predict(name):
    """Plain ones are spared scikit-learn's look at every column, with the same outcome."""
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((30, 3)), columns=["a", "b", "c"])
    given = FRAMES[name](X)
    outcomes = []
    for estimator in (GaussianMixture, mixture.GaussianMixture):
        model = estimator(2, random_state=0).fit(X)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                outcome = model.predict(given).tolist()
            except (ValueError, TypeError) as error:
                outcome = type(error), str(error)
        outcomes.append((outcome, [str(warning.message) for warning in caught]))
    assert outcomes[0] == outcomes[1]


def test_plain_frames_are_spared_checks(monkeypatch):
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((30, 3)), columns=["a", "b", "c"])
    model = GaussianMixture(2, random_state=0).fit(X)
    monkeypatch.delattr("fastgmm.estimator.rows.validate_data")
    desired = model.predict(X.iloc[:4])
    with pytest.raises(NameError):
        model.predict(X.iloc[:4].astype(object))
    assert len(desired) == 4
