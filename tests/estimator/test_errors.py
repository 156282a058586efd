"""Bad data: the classes and texts of scikit-learn's errors and warnings.

Every test runs both classes and compares; where a text is quoted, it is to show what a user
reads.
"""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture, fit_many
from tests import structures
from tests.estimator.helpers import CLASSES, SKLEARN_1_7, every_structure, quiet_fit
from tests.estimator.outcomes import X, assert_same_error, assert_same_warnings, with_value
from tests.systems import BEYOND_FLOAT64

# --- data given to fit --------------------------------------------------------------------

BAD_DATA = {
    "nan": (with_value(np.nan), "Input X contains NaN."),
    "nan in float32": (with_value(np.nan, np.float32), "Input X contains NaN."),
    "infinity": (with_value(np.inf), "Input X contains infinity"),
    "minus infinity": (with_value(-np.inf), "Input X contains infinity"),
    "nan in a list": (with_value(np.nan).tolist(), "Input X contains NaN."),
    "nan in a frame": (pd.DataFrame(with_value(np.nan)), "Input X contains NaN."),
    "one row": (X[:1], "Found array with 1 sample(s)"),
    "no row": (X[:0], "Found array with 0 sample(s)"),
    "no column": (X[:, :0], "Found array with 0 feature(s)"),
    "empty list": ([], "Expected 2D array, got 1D array"),
    "one dimension": (X[:, 0], "Expected 2D array, got 1D array"),
    "three dimensions": (X[np.newaxis], "dim 3"),
    "a number": (3.0, "Expected 2D array, got scalar array"),
    "none": (None, "Expected 2D array, got scalar array"),
    "sparse": (sparse.csr_matrix(X), "Sparse data was passed"),
    "sparse array": (sparse.coo_array(X), "Sparse data was passed"),
    "strings": (np.array([["a", "b"], ["c", "d"]]), "could not convert string to float"),
    "objects": (np.array([["a", 1.0], [2.0, 3.0]], dtype=object), "could not convert string"),
    "dictionaries": ([[{}, {}], [{}, {}]], "dict"),
    "ragged": ([[1.0, 2.0], [3.0]], ""),
    "complex": (X + 1j, "Complex data not supported"),
    "too large for float64": (np.full((5, 2), BEYOND_FLOAT64), ""),
    "mixed column names": (pd.DataFrame(X, columns=["a", 1]), "feature names"),
}


@pytest.mark.parametrize("name", list(BAD_DATA))
@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_bad_data_in_fit(name, method):
    bad, match = BAD_DATA[name]
    assert_same_error(lambda cls: getattr(cls(2), method)(bad), match)


@pytest.mark.parametrize("n_components", [3, 61, 1000])
def test_fewer_rows_than_components(n_components):
    rows = X[: min(60, n_components - 1)]
    assert_same_error(lambda cls: cls(n_components).fit(rows), "Expected n_samples >= n_components")


# --- data given to a fitted model ---------------------------------------------------------

METHODS = ("predict", "predict_proba", "score_samples", "score", "bic", "aic")


@cache
def fitted(cls):
    return cls(2, random_state=0).fit(X)


#: Not refused by scikit-learn's validation: one row is enough, mixed column names are looked
#: at in fit, and long double is computed in long double there.
FINE_IN_PREDICTION = {"one row", "mixed column names", "too large for float64"}


@pytest.mark.parametrize("name", sorted(set(BAD_DATA) - FINE_IN_PREDICTION))
@pytest.mark.parametrize("method", METHODS)
def test_bad_data_in_prediction(name, method):
    bad, match = BAD_DATA[name]
    if name == "strings":
        match = "dtype='numeric' is not compatible with arrays of bytes/strings"
    if name == "dictionaries":
        # Refused by the first operation that meets one, which need not be the same.
        for cls in CLASSES:
            with pytest.raises(TypeError):
                getattr(fitted(cls), method)(bad)
    else:
        assert_same_error(lambda cls: getattr(fitted(cls), method)(bad), match)


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, None], [2.0, 3.0]],
        [["a", 1.0], [2.0, 3.0]],
        [["1", "2"], ["3", "4"]],
        np.array([["2020-01-01", "2020-01-02"]], dtype="M8[D]"),
        np.array([[1, 2]], dtype="m8[s]"),
        pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]}),
    ],
    ids=["none", "text and numbers", "numbers as text", "dates", "times", "frame of text"],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score"])
def test_rows_of_objects_in_prediction(method, rows):
    """scikit-learn's validation passes most of these over; its first product refuses them."""
    errors = []
    for cls in CLASSES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of feature names
            with pytest.raises((TypeError, ValueError)) as caught:
                getattr(fitted(cls), method)(rows)
        errors.append(issubclass(caught.type, TypeError))
    assert errors[0] == errors[1]


def test_numbers_as_text_in_fit():
    text = X.astype(str).tolist()
    fast, theirs = (cls(2, random_state=0).fit(text).means_ for cls in CLASSES)
    np.testing.assert_allclose(fast, theirs)
    assert_same_error(lambda cls: cls(2).fit([["a", "b"], ["c", "d"]]), "could not convert string")


@pytest.mark.parametrize("method", METHODS)
def test_wrong_number_of_features(method):
    for bad in (X[:, :1], np.column_stack([X, X[:, 0]])):
        assert_same_error(
            lambda cls, bad=bad: getattr(fitted(cls), method)(bad),
            "features, but GaussianMixture is expecting 2 features as input",
        )


@pytest.mark.parametrize("method", METHODS)
def test_not_fitted(method):
    assert_same_error(
        lambda cls: getattr(cls(), method)(X), "This GaussianMixture instance is not fitted yet"
    )
    assert_same_error(lambda cls: cls().sample(), "not fitted yet")
    with pytest.raises(NotFittedError):
        getattr(GaussianMixture(), method)(X)
    with pytest.raises(NotFittedError, match="GaussianMixture instance is not fitted yet"):
        GaussianMixture().n_parameters()


@pytest.mark.parametrize("covariance_type", structures.SHARED)
def test_wrong_number_of_features_for_a_model_built_by_hand(covariance_type):
    """Without n_features_in_ NumPy refuses the product in scikit-learn: any ValueError will do."""
    donor = SklearnGaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    model = GaussianMixture(2, covariance_type=covariance_type)
    for name in ("weights_", "means_", "precisions_cholesky_", "covariances_"):
        setattr(model, name, getattr(donor, name))
    for bad in (X[:, :1], np.column_stack([X, X[:, 0]])):
        with pytest.raises(ValueError):  # noqa: PT011
            model.predict(bad)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("means_", np.full((2, 2), np.nan)),
        ("means_", np.zeros(2)),
        ("weights_", np.array([0.5, np.nan])),
        ("weights_", np.full((2, 2), 0.5)),
        ("weights_", np.array([1.5, -0.5])),
        ("precisions_cholesky_", np.ones((3, 2, 2))),
        ("precisions_cholesky_", np.zeros((2, 2, 2))),
    ],
)
@pytest.mark.parametrize("method", [*METHODS, "accumulate"])
def test_attributes_set_by_hand_that_are_no_mixtures(method, attribute, value):
    model = GaussianMixture(2, random_state=0).fit(X)
    setattr(model, attribute, value)
    with pytest.raises(ValueError, match="The fitted attributes are no mixture's: "):
        getattr(model, method)(X)


@pytest.mark.parametrize("n_samples", [0, -1])
def test_samples_of_a_bad_size(n_samples):
    assert_same_error(
        lambda cls: cls(2, random_state=0).fit(X).sample(n_samples),
        "The sampling requires at least one sample.",
    )


# --- feature names ------------------------------------------------------------------------

FRAME = pd.DataFrame(X, columns=["a", "b"])


@pytest.mark.parametrize("method", METHODS)
def test_a_model_with_feature_names_warns_of_rows_without(method):
    assert_same_warnings(
        lambda cls: getattr(cls(2, random_state=0).fit(FRAME), method)(X),
        UserWarning,
        "X does not have valid feature names, but GaussianMixture was fitted with feature names",
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_feature_names_warns_of_rows_with(method):
    assert_same_warnings(
        lambda cls: getattr(cls(2, random_state=0).fit(X), method)(FRAME),
        UserWarning,
        "X has feature names, but GaussianMixture was fitted without feature names",
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("columns", [["b", "a"], ["a", "c"]])
def test_other_feature_names(method, columns):
    assert_same_error(
        lambda cls: getattr(cls(2, random_state=0).fit(FRAME), method)(
            pd.DataFrame(X, columns=columns)
        ),
        "The feature names should match those that were passed during fit",
    )


@pytest.mark.parametrize("rows", [X, FRAME], ids=["array", "frame"])
def test_no_warning_where_nothing_is_wrong(rows):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GaussianMixture(2, random_state=0).fit(rows)
        for method in METHODS:
            getattr(model, method)(rows)


# --- degenerate data ----------------------------------------------------------------------

ILL_DEFINED = "Fitting the mixture model failed because some components have ill-defined"


def assert_same_ill_defined_error(call):
    if SKLEARN_1_7:
        assert_same_error(call, ILL_DEFINED)
    else:  # older texts lack the advice to scale the data, and the sentence about float32
        for cls in CLASSES:
            with pytest.raises(ValueError, match=ILL_DEFINED):
                call(cls)


@every_structure
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_variance_at_all(covariance_type, dtype):
    assert_same_ill_defined_error(
        lambda cls: cls(covariance_type=covariance_type, reg_covar=0).fit(np.zeros((10, 2), dtype))
    )


@pytest.mark.parametrize("covariance_type", sorted(set(structures.SHARED) - {"spherical"}))
def test_a_constant_feature(covariance_type):
    """spherical averages over the features, so it needs only one that varies."""
    flat = X * np.array([1.0, 0.0])
    params = {"covariance_type": covariance_type, "reg_covar": 0, "random_state": 0}
    assert_same_ill_defined_error(lambda cls: cls(2, **params).fit(flat))


@pytest.mark.parametrize("covariance_type", sorted(set(structures.SHARED) - {"tied"}))
def test_a_component_of_duplicates(covariance_type):
    """tied pools the scatter of all components, so one of them may collapse."""
    rows = np.concatenate([np.zeros((20, 2)), 50 + X])
    params = {"covariance_type": covariance_type, "reg_covar": 0, "random_state": 0}
    assert_same_ill_defined_error(lambda cls: cls(2, **params).fit(rows))


@every_structure
def test_a_failed_fit_says_what_to_do(covariance_type):
    model = GaussianMixture(covariance_type=covariance_type, reg_covar=0)
    with pytest.raises(ValueError, match="increase reg_covar, or scale the input data"):
        model.fit(np.zeros((10, 2)))


@every_structure
@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e160, 1e200])
def test_extreme_scales_give_an_error_or_finite_answers(covariance_type, scale):
    """Squares of 1e160 overflow, and those of 1e-200 underflow: never a silent NaN."""
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0, random_state=0)
    labels = np.arange(len(X)) % 2
    model.set_params(init_params=labels, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            quiet_fit(model, X * scale)
        except ValueError:
            return
    assert np.all(np.isfinite(model.means_))
    assert np.all(np.isfinite(model.weights_))
    assert np.all(np.isfinite(model.precisions_cholesky_))
    assert np.isfinite(model.lower_bound_)


@every_structure
@pytest.mark.filterwarnings("ignore:overflow")  # of k-means
def test_covariances_beyond_float32_are_an_error(covariance_type):
    rows, large = X.astype(np.float32), np.float32(1e20)
    given = {"covariance_type": covariance_type, "random_state": 0}
    model = GaussianMixture(2, **given)
    with pytest.raises(ValueError, match=r"larger than 3\.4e\+38, .* of float32\. Scale X"):
        quiet_fit(model, rows * large)
    report = fit_many([rows, rows * large], 2, **given)
    assert "3.4e+38" in str(report.errors[1])
    assert np.isfinite(report[0].covariances_).all()


# --- convergence --------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("params", [{"max_iter": 1}, {"tol": 0, "max_iter": 3}])
def test_no_convergence(covariance_type, params):
    assert_same_warnings(
        lambda cls: cls(2, covariance_type=covariance_type, random_state=0, **params).fit(X),
        ConvergenceWarning,
        "Best performing initialization did not converge.",
    )


def test_fewer_distinct_rows_than_components():
    """The warning is that of k-means."""
    rows = np.repeat(X[:2], 10, axis=0)
    assert_same_warnings(
        lambda cls: cls(4, random_state=0).fit(rows),
        ConvergenceWarning,
        "Number of distinct clusters (2) found smaller than n_clusters (4).",
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_number_in_a_large_array(bad, dtype):
    """Large arrays are searched in parts."""
    rows = np.random.RandomState(0).normal(size=(200_000, 3)).astype(dtype)
    fitted = {cls: cls(1).fit(rows[:100]) for cls in CLASSES}
    rows[-1, 1] = bad
    match = "NaN" if np.isnan(bad) else "infinity"
    assert_same_error(lambda cls: cls(2).fit(rows), match)
    assert_same_error(lambda cls: fitted[cls].predict(rows), match)


def test_large_arrays_whose_sums_overflow():
    rows = np.full((200_000, 3), 1e305)
    rows[::2] *= -1.0
    rows[:100_000] = np.abs(rows[:100_000])
    model = GaussianMixture(1).fit(X[:, [0, 1, 1]] + np.random.RandomState(0).normal(size=(60, 3)))
    assert set(model.predict(rows)) == {0}


@every_structure
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
# Squares of 1e-25 vanish in float32, and with them the clusters, as in scikit-learn.
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_numpy_may_raise_what_it_warns_of(covariance_type, dtype):
    """Clusters far apart, a k-means start in float32 and variances near zero underflow."""
    random = np.random.RandomState(0)
    rows = (random.normal(size=(10_000, 3)) + 50 * random.randint(3, size=(10_000, 1))).astype(
        dtype
    )
    for scaled in (rows, rows * dtype(1e-25), rows[:500]):
        model = GaussianMixture(3, covariance_type=covariance_type, random_state=0)
        with np.errstate(all="raise"):
            model.fit(scaled).predict_proba(scaled)
            model.score(scaled)
            model.update(model.accumulate(scaled)).partial_fit(scaled)
