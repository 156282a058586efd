r"""Volumes and shapes of covariances whose axes are known.

A covariance is :math:`\lambda D A D^T`: a volume :math:`\lambda`, the shape A, a diagonal matrix of
determinant 1, and the orientation D, whose columns are the axes (Banfield & Raftery 1993). What is
called spreads here are the diagonals (k, d) of :math:`D_k^T W_k D_k`, with the scatter W of each
component: what the M-steps of Celeux & Govaert (1995) need of it.
"""

from collections.abc import Callable

import numpy as np

_SETTLED = 1e-10
"""Relative change of volumes below which they are settled."""

_MOST_STEPS = 500

_NO_VOLUME = 1e-20
"""Share of the largest volume below which a component has collapsed, and rounding is left."""


@np.errstate(divide="ignore", invalid="ignore")
def of_equal_volumes(spreads: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Variances (k, d) along the axes, of one volume and a shape for each component.

    Parameters
    ----------
    spreads : ndarray of shape (k, d)
    weight : ndarray of shape (k,)
        Sum of responsibilities.

    Returns
    -------
    ndarray of shape (k, d)
        Of a component without a spread in some direction, its own variances.
    """
    sizes = np.exp(np.log(np.maximum(spreads, 0.0)).mean(axis=-1))
    volume = sizes.sum(axis=-1, keepdims=True) / weight.sum(axis=-1, keepdims=True)
    return spreads * per_weight(volume / sizes, sizes, weight)[..., np.newaxis]


def per_weight(factors: np.ndarray, sizes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Factors (k,) from scatters to covariances: one over the weight where a size is not positive.

    Such a component has no shape. Its covariance is singular, but a number, so that a
    regularisation can be added to it.
    """
    return np.where(sizes > 0, factors, 1.0 / weight)


def of_equal_shapes(
    spreads: np.ndarray, weight: np.ndarray, log_determinants: np.ndarray | None
) -> np.ndarray:
    """Variances (k, d) along the axes, of one shape and a volume for each component.

    Parameters
    ----------
    spreads : ndarray of shape (k, d)
    weight : ndarray of shape (k,)
        Sum of responsibilities.
    log_determinants : ndarray of shape (k,), or None
        Of the precision factors before, whose volumes are a start.
    """
    spreads = np.maximum(spreads, 0.0)

    def shape(volumes: np.ndarray) -> np.ndarray:
        """But for its size, which volumes make up for."""
        shapes = (spreads * reciprocals(volumes)[..., np.newaxis]).sum(axis=-2, keepdims=True)
        return shapes * reciprocals(shapes.mean(axis=-1, keepdims=True))

    def best(volumes: np.ndarray) -> np.ndarray:
        shapes = shape(volumes)
        n_numbers = weight * np.maximum((shapes > 0).sum(axis=-1), 1)
        return (spreads * reciprocals(shapes)).sum(axis=-1) / n_numbers

    spheres = spreads.mean(axis=-1) / weight
    start = first_volumes(spheres, log_determinants, spreads.shape[-1])
    volumes = settled_volumes(best, start)
    return volumes[..., np.newaxis] * shape(volumes)


@np.errstate(over="ignore", invalid="ignore")
def first_volumes(
    spheres: np.ndarray, log_determinants: np.ndarray | None, n_features: int
) -> np.ndarray:
    """Volumes (k,) to iterate from: those before where there are any, else those of spheres.

    Parameters
    ----------
    spheres : ndarray of shape (k,)
        Mean variance of a feature.
    log_determinants : ndarray of shape (k,), or None
        Of the precision factors before.
    n_features : int
    """
    if log_determinants is None:
        return spheres
    volumes = np.exp(-2.0 / n_features * log_determinants)
    return np.where((volumes > 0) & (volumes < np.inf) & (spheres > 0), volumes, spheres)


def settled_volumes(best: Callable[[np.ndarray], np.ndarray], volumes: np.ndarray) -> np.ndarray:
    """Volumes (k,) that are the best for the shape that is the best for them.

    Every one of many mixtures stops by itself.

    Parameters
    ----------
    best : callable
        From volumes to those that are best for their shape. None of its steps makes the likelihood
        smaller, and there is one maximum (Celeux & Govaert 1995).
    volumes : ndarray of shape (k,)
        To start from.

    Returns
    -------
    ndarray of shape (k,)
        0 for a component that has none.
    """
    running = np.ones((*volumes.shape[:-1], 1), dtype=bool)
    for _ in range(_MOST_STEPS):
        new = best(volumes)
        new = np.where(new <= _NO_VOLUME * new.max(axis=-1, keepdims=True), 0.0, new)
        moving = (np.abs(new - volumes) > _SETTLED * new).any(axis=-1, keepdims=True)
        volumes = np.where(running, new, volumes)
        running = running & moving
        if not running.any():
            break
    return volumes


@np.errstate(divide="ignore", invalid="ignore")
def reciprocals(numbers: np.ndarray) -> np.ndarray:
    """One over what is positive; 0 for what is not, so that it has no say in what is shared."""
    return np.where(numbers > 0, 1.0 / numbers, 0.0)
