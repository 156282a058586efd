"""Dealings with scikit-learn that the estimators share: versions, constraints, checks."""

import copy
import inspect
from numbers import Integral
from typing import Any

import numpy as np
import sklearn.mixture
from sklearn import get_config
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_sample_weight

TAKES_NAMESPACE = (
    "xp" in inspect.signature(sklearn.mixture.GaussianMixture._check_parameters).parameters
)
NAMESPACE = {"xp": np} if TAKES_NAMESPACE else {}
"""scikit-learn 1.8 and later pass the array namespace through private methods."""


def constraints(sklearn_class: Any) -> dict:
    """Constraints of scikit-learn's arguments, and of those that are ours.

    Parameters
    ----------
    sklearn_class : type
        The class of scikit-learn that is extended.
    """
    theirs = sklearn_class._parameter_constraints
    return {
        **theirs,
        "init_params": [*theirs["init_params"], "array-like", callable],
        "n_jobs": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Integral, None, -1, closed="right"),
            None,
        ],
    }


def array_api() -> bool:
    """Whether arrays of other libraries are dispatched on; that is left to scikit-learn."""
    return get_config()["array_api_dispatch"]


def refuse_weights(sample_weight) -> None:
    """Error for weights where work is left to scikit-learn, which knows none."""
    if sample_weight is not None:
        raise NotImplementedError("sample_weight is not supported with array_api_dispatch enabled.")


def checked_weights(sample_weight, X) -> np.ndarray | None:
    """Weights as float64, checked; None stays None."""
    if sample_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def copy_fitted(target, model):
    """Copy the fitted attributes of `model` to `target`."""
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            setattr(target, name, copy.deepcopy(value))
    return target
