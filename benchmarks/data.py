"""Generated rows and starting parameters, the same for every library and every run.

Kept apart from the data of ``fastgmm demo``, and free of imports from fastgmm, so that figures of
different commits stay comparable.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

BLOCK_ROWS = 16_384
SUBSAMPLE_ROWS = 20_000


def make_mixture(
    n: int,
    d: int,
    k: int,
    *,
    seed: int = 0,
    dtype: DTypeLike = np.float64,
    separation: float = 4.0,
) -> NDArray[Any]:
    """Draw `n` rows from a mixture of `k` Gaussians in `d` dimensions.

    Parameters
    ----------
    n, d, k : int
        Rows, features, components.
    seed : int
        The same seed gives the same rows; in float32, the same rows rounded.
    dtype : dtype
        float64 or float32.
    separation : float
        Root mean square distance of two means, in standard deviations within a component. At the
        default most rows have a clear component, and many have two or three that count.

    Returns
    -------
    ndarray of shape (n, d), C-contiguous
        Made in blocks, so that next to nothing but the result is ever held in memory.
    """
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((k, d)) * (separation / np.sqrt(2 * d))
    # x = mean + z A with A = Q diag(s): a random symmetric positive definite covariance, its
    # eigenvalues between 1/2 and 2.
    factors = [
        np.linalg.qr(rng.standard_normal((d, d)))[0] * np.exp(rng.uniform(-0.35, 0.35, d))
        for _ in range(k)
    ]
    weights = rng.dirichlet(np.full(k, 10.0))
    X = np.empty((n, d), dtype=dtype)
    for start in range(0, n, BLOCK_ROWS):
        block = X[start : start + BLOCK_ROWS]
        labels = rng.choice(k, len(block), p=weights)
        noise = rng.standard_normal((len(block), d))
        for j in range(k):
            members = labels == j
            block[members] = noise[members] @ factors[j] + means[j]
    return X


def start_parameters(X: NDArray[Any], k: int, covariance_type: str) -> dict[str, NDArray[Any]]:
    """Return `weights_init`, `means_init` and `precisions_init` for both libraries.

    They come from scikit-learn's k-means on the first rows, and one EM iteration there.
    """
    model = GaussianMixture(k, covariance_type=covariance_type, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[:SUBSAMPLE_ROWS])
    return {
        "weights_init": model.weights_,
        "means_init": model.means_,
        "precisions_init": model.precisions_,
    }
