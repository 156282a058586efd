"""Rows and bad rows for both classes, and what comes of them: errors and warnings as values."""

import warnings

import numpy as np

from tests import datasets
from tests.estimator.helpers import CLASSES

X = datasets.load("blobs_2d").X[:60]


def with_value(value, dtype=np.float64):
    bad = X.astype(dtype)
    bad[3, 1] = value
    return bad


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
