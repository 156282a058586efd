"""Gaussian mixtures on CPUs: scikit-learn's estimators on fast parallel kernels."""

from fastgmm.gaussian_mixture import GaussianMixture

__all__ = ["GaussianMixture", "__version__"]

__version__ = "0.1.0"
