"""Generated rows and starting parameters, the same for every library, commit and run."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK_ROWS = 16_384
SEPARATION = 4.0


def _mixture(
    rng: np.random.Generator, d: int, k: int, separation: float
) -> tuple[NDArray[Any], NDArray[Any], list[NDArray[Any]]]:
    """Weights, means and factors: a row is ``mean + z @ factor``, z standard normal."""
    means = rng.standard_normal((k, d)) * (separation / np.sqrt(2 * d))
    # Covariances A^T A with A = Q diag(s): eigenvalues between 1/2 and 2.
    factors = [
        np.linalg.qr(rng.standard_normal((d, d)))[0] * np.exp(rng.uniform(-0.35, 0.35, d))
        for _ in range(k)
    ]
    return rng.dirichlet(np.full(k, 10.0)), means, factors


def make_mixture(
    n: int,
    d: int,
    k: int,
    *,
    seed: int = 0,
    dtype: DTypeLike = np.float64,
    separation: float = SEPARATION,
) -> NDArray[Any]:
    """Draw `n` rows from a mixture of `k` Gaussians in `d` dimensions.

    The same seed gives the same rows; in float32, the same rows rounded. The `separation` is the
    root mean square distance of two means, in standard deviations within a component. At the
    default most rows have a clear component, and many have two or three that count.
    """
    rng = np.random.default_rng(seed)
    weights, means, factors = _mixture(rng, d, k, separation)
    X = np.empty((n, d), dtype=dtype)
    for start in range(0, n, BLOCK_ROWS):  # next to nothing but the result is ever held in memory
        block = X[start : start + BLOCK_ROWS]
        labels = rng.choice(k, len(block), p=weights)
        noise = rng.standard_normal((len(block), d))
        for j in range(k):
            members = labels == j
            block[members] = noise[members] @ factors[j] + means[j]
    return X


def true_parameters(
    d: int, k: int, covariance_type: str, *, seed: int = 0, separation: float = SEPARATION
) -> dict[str, NDArray[Any]]:
    """Return `weights_init`, `means_init` and `precisions_init` that `make_mixture` drew from.

    EM from there is EM near its end, where rows belong to few components: the state that a fit
    spends most of its iterations in. No library has a hand in it. A structure that scikit-learn
    does not have starts from one precision for all features and components, which it can hold
    whatever it assumes.
    """
    rng = np.random.default_rng(seed)
    weights, means, factors = _mixture(rng, d, k, separation)
    covariances = np.stack([factor.T @ factor for factor in factors])
    variances = covariances.diagonal(axis1=1, axis2=2)
    precisions = {
        "full": np.linalg.inv(covariances),
        "tied": np.linalg.inv(np.tensordot(weights, covariances, axes=1)),
        "diag": 1.0 / variances,
        "spherical": 1.0 / variances.mean(axis=1),
    }
    if covariance_type not in precisions:
        from fastgmm.covariance import STRUCTURES

        shape = STRUCTURES[covariance_type].shape(k, d)
        matrices = np.eye(d) if shape[-2:] == (d, d) else np.ones(shape)
        one = precisions["spherical"].mean() * matrices
        precisions[covariance_type] = np.broadcast_to(one, shape).copy()
    start = {"weights_init": weights, "means_init": means}
    return {**start, "precisions_init": precisions[covariance_type]}
