"""Covariance structures, one file each; the only place that knows their names."""

from fastgmm.covariance import full, tied, diag, spherical  # noqa: F401, I001  (their order)
from fastgmm.covariance.base import STRUCTURES, CovarianceStructure

__all__ = ["STRUCTURES", "CovarianceStructure"]
