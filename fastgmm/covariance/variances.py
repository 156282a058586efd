"""What structures share that hold variances instead of matrices."""

import numpy as np


def roots_of_inverses(variances: np.ndarray) -> np.ndarray:
    """``1 / sqrt(variance)``; NaN where that is no positive number."""
    good = (variances > 0) & (variances < np.inf)
    return 1.0 / np.sqrt(np.where(good, variances, np.nan))
