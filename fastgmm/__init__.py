"""Gaussian mixtures on CPUs: scikit-learn's estimators on fast parallel kernels."""

from fastgmm.batch import FitReport, fit_many
from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.files.container import ModelFileError
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.patching import patch_sklearn, unpatch_sklearn
from fastgmm.saved.models import load
from fastgmm.sources.opening import open_source

__all__ = [
    "BayesianGaussianMixture",
    "FitReport",
    "GaussianMixture",
    "ModelFileError",
    "__version__",
    "fit_many",
    "load",
    "open_source",
    "patch_sklearn",
    "unpatch_sklearn",
]

__version__ = "0.1.0"
