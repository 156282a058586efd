"""Covariance structures; the only place that knows their names."""

from fastgmm.covariance import full, tied, diag, spherical, tied_diag, tied_spherical  # noqa: F401, I001  (their order)
from fastgmm.covariance import spheres, axis_aligned, one_orientation, own_axes  # noqa: F401
from fastgmm.covariance.base import STRUCTURES, CovarianceStructure

__all__ = ["STRUCTURES", "CovarianceStructure"]
