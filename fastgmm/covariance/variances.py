"""What structures share that hold variances instead of matrices."""

import numpy as np

from fastgmm.covariance.base import EMPTY_GUARD, CovarianceStructure


class Variances(CovarianceStructure):
    """What structures that hold variances, not matrices, have in common."""

    def regularize(self, covariances, reg_covar):
        return covariances + reg_covar

    def precisions_cholesky(self, covariances):
        if not (np.isfinite(covariances).all() and (covariances > 0).all()):
            raise np.linalg.LinAlgError("A variance is not positive and finite.")
        return 1.0 / np.sqrt(covariances)

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
    spread = np.abs(means - means.mean(axis=0)).max(axis=0)
    return EMPTY_GUARD * np.minimum(np.abs(means), spread) ** 2
