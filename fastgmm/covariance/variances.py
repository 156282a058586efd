"""What structures share that hold variances instead of matrices."""

import numpy as np

from fastgmm.covariance.base import EMPTY_GUARD, CovarianceStructure


class Variances(CovarianceStructure):
    """What structures that hold variances, not matrices, have in common."""

    def regularize(self, covariances, reg_covar):
        return covariances + reg_covar

    def precisions_cholesky(self, covariances):
        good = (covariances > 0) & (covariances < np.inf)
        return 1.0 / np.sqrt(np.where(good, covariances, np.nan))

    def cholesky_of_precisions(self, precisions):
        return np.sqrt(precisions)

    def precisions(self, precisions_cholesky):
        return precisions_cholesky**2

    def covariances_from_cholesky(self, precisions_cholesky):
        return 1.0 / precisions_cholesky**2


def guard_residue(means: np.ndarray) -> np.ndarray:
    """What the guard of the weights adds to second moments (k, d).

    In scikit-learn it acts like a point of weight `EMPTY_GUARD` at zero, which keeps the variance
    of a component that sits on one point just positive. Far from zero that point would swamp the
    variances; so it is kept within the spread of the means.
    """
    centre = means.mean(axis=-2, keepdims=True)
    spread = np.abs(means - centre).max(axis=-2, keepdims=True)
    return EMPTY_GUARD * np.minimum(np.abs(means), spread) ** 2
