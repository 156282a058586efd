"""What both mixtures share: thin methods over plain functions of an estimator."""

import importlib
from typing import Any

# Before all that follows: a patch may wait for it, and then import the estimators.
import sklearn.mixture  # noqa: F401


class _Later:
    """Files of this folder that plain fits do without, as attributes.

    Each is imported when it is first asked for: a process that fits once should not wait for it.
    """

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(f"fastgmm.estimator.{name}")
        setattr(self, name, module)
        return module


later = _Later()
