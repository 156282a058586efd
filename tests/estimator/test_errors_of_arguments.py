"""Bad parameters and bad given starts: the classes and texts of scikit-learn's errors."""

import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from fastgmm import GaussianMixture
from tests import structures
from tests.estimator.helpers import CLASSES, quiet_fit
from tests.estimator.outcomes import X, assert_same_error, outcome, with_value

# --- constructor parameters ---------------------------------------------------------------

BAD_PARAMETERS = [
    ("n_components", 0),
    ("n_components", -1),
    ("n_components", 2.0),
    ("n_components", "2"),
    ("n_components", None),
    ("tol", -1e-3),
    ("tol", "small"),
    ("tol", None),
    ("tol", np.nan),
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


@pytest.mark.parametrize("value", [-1e-6, "small", None, np.nan])
def test_bad_regularization(value):
    """In scikit-learn's words, and with the one that it does not know."""
    (fast, _), (theirs, _) = (
        outcome(lambda cls=cls: cls(reg_covar=value).fit(X)) for cls in CLASSES
    )
    assert theirs[0] is fast[0] is InvalidParameterError
    assert fast[1] == theirs[1].replace("inf).", "inf) or a str among {'scale'}.")


@pytest.mark.parametrize(("name", "value"), BAD_PARAMETERS, ids=str)
def test_bad_parameters(name, value):
    assert_same_error(lambda cls: cls(**{name: value}).fit(X), name)
    assert_same_error(lambda cls: cls().set_params(**{name: value}).fit_predict(X), name)


def test_bad_parameters_are_invalid_parameter_errors():
    with pytest.raises(InvalidParameterError, match="'tol' parameter of GaussianMixture must be"):
        GaussianMixture(tol=-1).fit(X)


@pytest.mark.parametrize("value", ["bogus", None, 3, 1.5])
@pytest.mark.parametrize("name", ["init_params", "covariance_type"])
def test_bad_names(name, value):
    """Ours allows more (labels, responsibilities, a callable; mclust's names): the text differs."""
    classes = [outcome(lambda cls=cls: cls(**{name: value}).fit(X))[0][0] for cls in CLASSES]
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
        lambda X, n_components, random_state: None,
        np.array(1),
        {},
    ],
    ids=range(14),
)
def test_bad_starts_of_our_own(value):
    with pytest.raises(ValueError, match="init_params"):
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


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"covariance_type": "diag"}, r"precisions_cholesky_ should have the shape of \(2, 2\)"),
        ({"n_components": 3}, "goes on from means of shape"),
        ({"weights_": np.array([np.nan, 1.0])}, "weights_ holds NaN"),
        ({"means_": np.full((2, 2), np.inf)}, "means_ holds NaN or infinity"),
    ],
    ids=str,
)
def test_a_warm_start_from_what_does_not_fit(change, text):
    model = quiet_fit(GaussianMixture(2, warm_start=True, random_state=0), X)
    for name, value in change.items():
        setattr(model, name, value)
    with pytest.raises(ValueError, match=text):
        model.fit(X)


def test_the_first_of_several_errors_is_the_same():
    bad = {"weights_init": [2.0, 2.0], "means_init": [[0.0]], "precisions_init": [[[0.0]]]}
    assert_same_error(lambda cls: cls(2, **bad).fit(X), "weights")
    bad["weights_init"] = [0.5, 0.5]
    assert_same_error(lambda cls: cls(2, **bad).fit(X), "means")
    assert_same_error(lambda cls: cls(2, tol=-1, **bad).fit(with_value(np.nan)), "tol")
    assert_same_error(lambda cls: cls(2, **bad).fit(with_value(np.nan)), "NaN")
    assert_same_error(lambda cls: cls(90, **bad).fit(X), "n_samples")
