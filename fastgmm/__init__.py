"""Gaussian mixtures on CPUs: scikit-learn's estimators on fast parallel kernels."""

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.patching import patch_sklearn, unpatch_sklearn

__all__ = [
    "BayesianGaussianMixture",
    "GaussianMixture",
    "__version__",
    "patch_sklearn",
    "unpatch_sklearn",
]

__version__ = "0.1.0"
