"""Gaussian mixtures on CPUs: scikit-learn's estimators on fast parallel kernels."""

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["BayesianGaussianMixture", "GaussianMixture", "__version__"]

__version__ = "0.1.0"
