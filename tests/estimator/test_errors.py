"""Bad data and bad parameters: the classes and texts of scikit-learn's errors and warnings.

Every test runs both classes and compares; where a text is quoted, it is to show what a user
reads.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.utils._param_validation import InvalidParameterError

from fastgmm import GaussianMixture
from tests import datasets, structures
from tests.estimator.helpers import CLASSES, SKLEARN_1_7, quiet_fit
from tests.systems import BEYOND_FLOAT64

X = datasets.load("blobs_2d").X[:60]
every_structure = pytest.mark.parametrize("covariance_type", structures.SHARED)


def outcome(call):
    """The exception of a call, if any, and its warnings, as comparable values."""
    error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call()
        except Exception as exception:
            error = (type(exception), str(exception))
    return error, [(item.category, str(item.message)) for item in caught]


def assert_same_error(call, match):
    """``call(cls)`` raises the same exception for both classes; its text contains ``match``."""
    fast, theirs = (outcome(lambda cls=cls: call(cls)) for cls in CLASSES)
    assert theirs[0] is not None, "scikit-learn raises nothing"
    assert fast == theirs
    assert match in fast[0][1]


def assert_same_warnings(call, category, match):
    """``call(cls)`` succeeds for both classes, and warns in the same words."""
    fast, theirs = (outcome(lambda cls=cls: call(cls)) for cls in CLASSES)
    assert fast == theirs
    assert fast[0] is None
    assert category in [kind for kind, _ in fast[1]]
    assert match in fast[1][0][1]


# --- constructor parameters ---------------------------------------------------------------

BAD_PARAMETERS = [
    ("n_components", 0),
    ("n_components", -1),
    ("n_components", 2.0),
    ("n_components", "2"),
    ("n_components", None),
    ("covariance_type", "bogus"),
    ("covariance_type", None),
    ("covariance_type", 3),
    ("tol", -1e-3),
    ("tol", "small"),
    ("tol", None),
    ("tol", np.nan),
    ("reg_covar", -1e-6),
    ("reg_covar", "small"),
    ("reg_covar", None),
    ("reg_covar", np.nan),
    ("max_iter", -1),
    ("max_iter", 1.5),
    ("max_iter", None),
    ("n_init", 0),
    ("n_init", -1),
    ("n_init", 1.0),
    ("weights_init", "equal"),
    ("weights_init", 3),
    ("means_init", "random"),
    ("means_init", 0.5),
    ("precisions_init", "unit"),
    ("precisions_init", 1),
    ("random_state", -1),
    ("random_state", "seed"),
    ("random_state", 1.5),
    ("warm_start", "yes"),
    ("warm_start", 2),
    ("verbose", -1),
    ("verbose", "loud"),
    ("verbose_interval", 0),
    ("verbose_interval", 1.5),
]


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=str)
def test_bad_parameters(name, value):
    assert_same_error(lambda cls: cls(**{name: value}).fit(X), name)
    assert_same_error(lambda cls: cls().set_params(**{name: value}).fit_predict(X), name)


def test_bad_parameters_are_invalid_parameter_errors():
    with pytest.raises(InvalidParameterError, match="'tol' parameter of GaussianMixture must be"):
        GaussianMixture(tol=-1).fit(X)


@pytest.mark.parametrize("value", ["bogus", None, 3, 1.5])
def test_bad_init_params(value):
    """Ours allows more (labels, responsibilities, a callable), so the text differs."""
    classes = [outcome(lambda cls=cls: cls(init_params=value).fit(X))[0][0] for cls in CLASSES]
    assert classes == [InvalidParameterError, InvalidParameterError]


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(59, dtype=int),  # too few labels
        np.full(60, 2),  # a label that is no component
        np.full(60, -1),
        np.full(60, 0.5),  # a label that is no integer
        np.ones((60, 3)) / 3,  # responsibilities for three components, not two
        np.ones((59, 2)) / 2,
        np.full((60, 2), np.nan),
        np.tile([1.5, -0.5], (60, 1)),  # a negative responsibility
        np.ones((60, 2, 1)),
        lambda X, n_components, random_state: np.ones((3, 2)),
        lambda X, n_components, random_state: np.full((len(X), n_components), np.nan),
    ],
    ids=range(11),
)
def test_bad_starts_of_our_own(value):
    with pytest.raises(ValueError, match=r"init_params|dim 3"):
        GaussianMixture(2, init_params=value).fit(X)


@pytest.mark.parametrize("value", [0, "all", 1.5])
def test_bad_n_jobs(value):
    with pytest.raises(ValueError, match="n_jobs"):
        GaussianMixture(n_jobs=value).fit(X)


def test_parameters_are_keyword_only():
    assert_same_error(lambda cls: cls(2, "full"), "positional argument")


def test_unknown_parameters():
    assert_same_error(lambda cls: cls(components=2), "components")
    fast, theirs = (outcome(lambda cls=cls: cls().set_params(components=2))[0] for cls in CLASSES)
    assert fast[0] is theirs[0] is ValueError


# --- data given to fit --------------------------------------------------------------------


def with_value(value, dtype=np.float64):
    bad = X.astype(dtype)
    bad[3, 1] = value
    return bad


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
                getattr(cls(2, random_state=0).fit(X), method)(bad)
    else:
        assert_same_error(lambda cls: getattr(cls(2, random_state=0).fit(X), method)(bad), match)


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
                getattr(cls(2, random_state=0).fit(X), method)(rows)
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
            lambda cls, bad=bad: getattr(cls(2, random_state=0).fit(X), method)(bad),
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


# --- given starts -------------------------------------------------------------------------

BAD_STARTS = {
    "weights_init": {
        "not normalised": ([0.6, 0.6], "should be normalized"),
        "nearly normalised": ([0.5, 0.5 + 1e-6], "should be normalized"),
        "negative": ([1.5, -0.5], "should be in the range [0, 1]"),
        "too many": ([0.2, 0.3, 0.5], "should have the shape of (2,), but got (3,)"),
        "two dimensions": ([[0.5, 0.5]], "should have the shape of (2,)"),
        "nan": ([np.nan, 0.5], "NaN"),
        "strings": (["half", "half"], "could not convert string"),
        "empty": ([], "minimum of 1 is required"),
    },
    "means_init": {
        "too many": (np.zeros((3, 2)), "should have the shape of (2, 2), but got (3, 2)"),
        "too wide": (np.zeros((2, 3)), "should have the shape of (2, 2), but got (2, 3)"),
        "one dimension": (np.zeros(2), "should have the shape of (2, 2), but got (2,)"),
        "three dimensions": (np.zeros((2, 2, 1)), "dim 3"),
        "nan": (np.full((2, 2), np.nan), "NaN"),
        "infinity": (np.full((2, 2), np.inf), "infinity"),
        "complex": (np.full((2, 2), 1j), "Complex data not supported"),
    },
}


@pytest.mark.parametrize(
    ("name", "what"), [(name, what) for name, cases in BAD_STARTS.items() for what in cases]
)
def test_bad_starts(name, what):
    value, match = BAD_STARTS[name][what]
    assert_same_error(lambda cls: cls(2, random_state=0, **{name: value}).fit(X), match)


def bad_precisions(covariance_type):
    """Precisions for two components and two features that must be refused, by kind."""
    unit = np.eye(2)
    if covariance_type == "full":
        return {
            "shape": np.stack([unit]),
            "two dimensions": unit,
            "not symmetric": np.array([unit, [[1.0, 0.5], [0.0, 1.0]]]),
            "not positive-definite": np.array([unit, [[1.0, 2.0], [2.0, 1.0]]]),
            "semi-definite": np.array([[[1.0, 1.0], [1.0, 1.0]], unit])
            - np.array([1e-3 * unit, 0 * unit]),
            "zero": np.zeros((2, 2, 2)),
            "nan": np.full((2, 2, 2), np.nan),
        }
    if covariance_type == "tied":
        return {
            "shape": np.eye(3),
            "three dimensions": np.stack([unit, unit]),
            "not symmetric": np.array([[1.0, 0.5], [0.0, 1.0]]),
            "not positive-definite": np.array([[1.0, 2.0], [2.0, 1.0]]),
            "zero": np.zeros((2, 2)),
            "nan": np.full((2, 2), np.nan),
        }
    shape = (2, 2) if covariance_type == "diag" else (2,)
    one_zero, one_negative = np.ones(shape), np.ones(shape)
    one_zero.flat[0], one_negative.flat[-1] = 0.0, -1.0
    return {
        "shape": np.ones((3, 2) if covariance_type == "diag" else (3,)),
        "another dimension": np.ones((*shape, 1)),
        "zero": one_zero,
        "negative": one_negative,
        "nan": np.full(shape, np.nan),
    }


@pytest.mark.parametrize(
    ("covariance_type", "what"),
    [(name, what) for name in structures.SHARED for what in bad_precisions(name)],
)
def test_bad_precisions(covariance_type, what):
    bad = bad_precisions(covariance_type)[what]
    assert_same_error(
        lambda cls: cls(2, covariance_type=covariance_type, precisions_init=bad).fit(X), ""
    )


def test_the_first_of_several_errors_is_the_same():
    bad = {"weights_init": [2.0, 2.0], "means_init": [[0.0]], "precisions_init": [[[0.0]]]}
    assert_same_error(lambda cls: cls(2, **bad).fit(X), "weights")
    bad["weights_init"] = [0.5, 0.5]
    assert_same_error(lambda cls: cls(2, **bad).fit(X), "means")
    assert_same_error(lambda cls: cls(2, tol=-1, **bad).fit(with_value(np.nan)), "tol")
    assert_same_error(lambda cls: cls(2, **bad).fit(with_value(np.nan)), "NaN")
    assert_same_error(lambda cls: cls(90, **bad).fit(X), "n_samples")


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
