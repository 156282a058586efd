"""Files of this folder that plain fits do without, as attributes.

Each is imported when it is first asked for: a process that fits once should not wait for it.
"""

import importlib.util
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_") or importlib.util.find_spec(f"fastgmm.estimator.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"fastgmm.estimator.{name}")
    globals()[name] = module
    return module
