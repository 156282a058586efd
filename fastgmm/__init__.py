"""Gaussian mixtures on CPUs: scikit-learn's estimators on fast parallel kernels."""

import importlib
from typing import TYPE_CHECKING

from fastgmm import integrations
from fastgmm.patching import patch_sklearn, unpatch_sklearn

if TYPE_CHECKING:
    from fastgmm import gaussian, plotting
    from fastgmm.batch import FitReport, fit_many
    from fastgmm.bayesian_mixture import BayesianGaussianMixture
    from fastgmm.distributed import open_source
    from fastgmm.files.container import ModelFileError
    from fastgmm.gaussian_mixture import GaussianMixture
    from fastgmm.saved.models import load
    from fastgmm.selection import Selection, select

__all__ = [
    "BayesianGaussianMixture",
    "FitReport",
    "GaussianMixture",
    "ModelFileError",
    "Selection",
    "__version__",
    "fit_many",
    "gaussian",
    "load",
    "open_source",
    "patch_sklearn",
    "plotting",
    "select",
    "unpatch_sklearn",
]

__version__ = "0.1.0"

_HOMES = {
    "BayesianGaussianMixture": "bayesian_mixture",
    "FitReport": "batch",
    "GaussianMixture": "gaussian_mixture",
    "ModelFileError": "files.container",
    "Selection": "selection",
    "fit_many": "batch",
    "load": "saved.models",
    "open_source": "distributed",
    "select": "selection",
}

_MODULES = ("gaussian", "plotting")


def __getattr__(name: str) -> object:
    """A public name, imported when it is asked for: `patch_sklearn` alone imports nothing."""
    if name in _MODULES:
        importlib.import_module("sklearn.mixture")
        return importlib.import_module(f"fastgmm.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    importlib.import_module("sklearn.mixture")  # before all, because a patch may wait for it
    # `load` makes objects of classes that have entered themselves by then.
    for public in _HOMES if name == "load" else (name,):
        home = importlib.import_module(f"fastgmm.{_HOMES[public]}")
        globals()[public] = getattr(home, public)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


integrations.register()
