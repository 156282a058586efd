"""How much the features vary: what a relative regularisation is relative to."""

import numpy as np

from fastgmm.covariance.algebra import feature_variances
from fastgmm.covariance.base import CovarianceStructure
from fastgmm.covariance.estimates import Estimates

RELATIVE_REGULARIZATION = 1e-6
"""Of a feature's variance; that of standardized data is then scikit-learn's default."""

_ROUNDING = 64 * np.finfo(np.float64).eps
"""Standard deviation, relative to the mean, that a constant feature may seem to have."""


def varying_features(structure: CovarianceStructure, pooled: Estimates) -> np.ndarray:
    """Which features (d,) have a variance that is more than rounding.

    Parameters
    ----------
    structure : CovarianceStructure
    pooled : Estimates
        All rows as one component.
    """
    return feature_variances(structure, pooled) > (_ROUNDING * pooled.means[0]) ** 2


def feature_scales(structure: CovarianceStructure, pooled: Estimates) -> np.ndarray:
    """Variance (d,) of every feature, put right where a feature is constant.

    A constant feature gets the mean variance of those that vary, or 1 if none does, so that a
    multiple of it is positive.

    Parameters
    ----------
    structure : CovarianceStructure
        If it holds one variance for all features, each gets that.
    pooled : Estimates
        All rows as one component.

    Raises
    ------
    ValueError
        If a variance overflows.
    """
    variances = feature_variances(structure, pooled)
    overflowing = np.flatnonzero(~np.isfinite(variances))
    if len(overflowing):
        raise ValueError(
            f"The variance of feature {overflowing[0]} is not a finite number, so that nothing can "
            "be taken relative to it. Scale the input data."
        )
    varies = varying_features(structure, pooled)
    return np.where(varies, variances, variances[varies].mean() if varies.any() else 1.0)


def relative_regularization(structure: CovarianceStructure, pooled: Estimates) -> np.ndarray:
    """What ``reg_covar="scale"`` adds to the variances (d,); see `feature_scales`."""
    return RELATIVE_REGULARIZATION * feature_scales(structure, pooled)
