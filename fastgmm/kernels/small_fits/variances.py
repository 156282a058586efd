"""What iterations share whose components have variances alone."""

import numpy as np

from fastgmm.kernels.compile import inlined


def factorize():
    """See the package."""
    return roots_of_inverses


@inlined
def roots_of_inverses(variances, roots):
    """`fastgmm.covariance.variances.roots_of_inverses` of stacks (k, 1, d)."""
    for c in range(variances.shape[0]):
        for j in range(variances.shape[2]):
            variance = variances[c, 0, j]
            good = variance > 0.0 and variance < np.inf
            roots[c, 0, j] = 1.0 / np.sqrt(variance) if good else np.nan
