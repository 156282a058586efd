"""Models and checkpoints on disk, and whether what comes back is sound."""

from typing import Any, TypeVar

DEFAULT_SECONDS = 30.0
"""Between two writes of a checkpoint."""

Class = TypeVar("Class", bound=type)

SAVABLE: dict[str, Any] = {"GaussianMixture": None, "BayesianGaussianMixture": None}
"""Estimators that are saved; their classes enter themselves when they are imported."""


def savable(estimator_class: Class) -> Class:
    """Class decorator that lets objects of an estimator be saved and loaded, but of no subclass."""
    SAVABLE[estimator_class.__name__] = estimator_class
    return estimator_class
