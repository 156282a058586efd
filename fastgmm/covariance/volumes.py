r"""Volumes and shapes of covariances whose axes are known.

A covariance is :math:`\lambda D A D^T`: a volume :math:`\lambda`, the shape A, a diagonal matrix of
determinant 1, and the orientation D, whose columns are the axes (Banfield & Raftery 1993). What is
called spreads here are the diagonals (k, d) of :math:`D_k^T W_k D_k`, with the scatter W of each
component: what the M-steps of Celeux & Govaert (1995) need of it.
"""

from collections.abc import Callable

import numpy as np


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
    spreads: np.ndarray,
    weight: np.ndarray,
    rounding: np.ndarray,
    log_determinants: np.ndarray | None,
) -> np.ndarray:
    """Variances (k, d) along the axes, of one shape and a volume for each component.

    Parameters
    ----------
    spreads : ndarray of shape (k, d)
    weight : ndarray of shape (k,)
        Sum of responsibilities.
    rounding : ndarray of shape (k,)
        Volumes that are none.
    log_determinants : ndarray of shape (k,), or None
        Of the precision factors before, whose volumes are a start.
    """
    from fastgmm.kernels.linalg.common_shapes import common_shape

    spreads = np.maximum(spreads, 0.0)
    spheres = spreads.mean(axis=-1) / weight
    start = first_volumes(spheres, log_determinants, spreads.shape[-1])
    volumes, shapes = settled_volumes(common_shape(), spreads, weight, rounding, start)
    return volumes[..., np.newaxis] * shapes[..., np.newaxis, :]


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


def settled_volumes(
    settle: Callable,
    scatters: np.ndarray,
    weight: np.ndarray,
    rounding: np.ndarray,
    volumes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Volumes (k,) and a shape that are the best for each other.

    Every one of many mixtures stops by itself.

    Parameters
    ----------
    settle : callable
        A kernel of `fastgmm.kernels.linalg.common_shapes`.
    scatters : ndarray of shape (k, d) or (k, d, d)
    weight : ndarray of shape (k,)
        Sum of responsibilities.
    rounding : ndarray of shape (k,)
        Volumes that are none: such a component has collapsed.
    volumes : ndarray of shape (k,)
        To start from.

    Returns
    -------
    volumes : ndarray of shape (k,)
        0 for a component that has none.
    shape : ndarray of shape (d,) or (d, d)
        But for its size, which the volumes make up for.
    """
    *leading, k = weight.shape
    of_one = scatters.shape[len(leading) + 1 :]
    volumes, shapes = volumes.reshape(-1, k).copy(), np.empty((volumes.size // k, *of_one))
    settle(
        np.ascontiguousarray(scatters).reshape(-1, k, *of_one),
        np.ascontiguousarray(weight).reshape(-1, k),
        np.ascontiguousarray(rounding).reshape(-1, k),
        volumes,
        shapes,
    )
    return volumes.reshape(*leading, k), shapes.reshape(*leading, *of_one)
