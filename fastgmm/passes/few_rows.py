"""Log-densities of few rows under a mixture of many numbers, which are read once, where they are.

What passes read of a mixture is made of its attributes and kept, which pays for many rows or few
numbers. To see that large attributes are still the same takes longer than to work with them.
"""

from collections.abc import Callable

import numpy as np

from fastgmm.engines.base import Engine

_MOST_ROWS = {"cholesky": 64, "shared_cholesky": 64, "isotropic": 16}
"""Rows per matrix, or per mean, up to which one reading takes less time, by density form."""

_LEAST_NUMBERS = 1 << 16
"""Numbers of a mixture from which on it does."""

_LEAST_FEATURES = 16
"""As many as the longest vector has numbers, which kernels ask for."""

_NUMBERS_PER_CHUNK = 1 << 21
"""Numbers, about, that a thread takes at a time."""


def are_few(n_rows: int, density: str, means: np.ndarray, factors: np.ndarray) -> bool:
    """Whether rows are so few, and a mixture so large, that this is the way.

    Parameters
    ----------
    n_rows : int
    density : str
        Density form.
    means : ndarray of shape (k, d)
    factors : ndarray
        In the structure's shape.
    """
    k, d = means.shape
    per_matrix = n_rows * k if density == "shared_cholesky" else n_rows
    shapes = {"cholesky": (k, d, d), "shared_cholesky": (d, d), "isotropic": (k,)}
    return (
        per_matrix <= _MOST_ROWS.get(density, 0)
        and max(means.size, factors.size) >= _LEAST_NUMBERS
        and d >= _LEAST_FEATURES
        and factors.shape == shapes[density]
    )


def squared_distances(
    rows: np.ndarray, density: str, means: np.ndarray, factors: np.ndarray, engine: Engine
) -> np.ndarray | None:
    """Squared distances (n, k) in the components' standard deviations.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    density, means, factors
        Of a mixture for which rows `are_few`; all of one type, float64 or float32.
    engine : Engine

    Returns
    -------
    ndarray of float64, or None
        None if a matrix is not upper triangular, or a distance is not finite.
    """
    k, n = len(means), len(rows)
    if density == "isotropic":
        squares = _in_space(np.ascontiguousarray(rows), np.ascontiguousarray(means), engine)
        distances: np.ndarray | None = squares * factors.astype(np.float64)[:, np.newaxis] ** 2
    elif density == "shared_cholesky":
        # Offsets from all means are rows about one.
        offsets = rows.astype(np.float64) - means.astype(np.float64)[:, np.newaxis]
        zero, matrices = np.zeros((1, means.shape[1]), means.dtype), factors[np.newaxis]
        distances = _by_matrices(offsets.reshape(k * n, -1), zero, matrices, engine)
        distances = None if distances is None else distances.reshape(k, n)
    else:
        distances = _by_matrices(rows.astype(np.float64), means, factors, engine)
    return distances.T if distances is not None and np.isfinite(distances).all() else None


def _by_matrices(
    rows: np.ndarray, means: np.ndarray, factors: np.ndarray, engine: Engine
) -> np.ndarray | None:
    """Distances (k, n), or None if a matrix is not triangular."""
    from fastgmm.kernels.few_rows import matrix_distances

    measure = matrix_distances(means.dtype)
    factors = np.ascontiguousarray(factors)
    bits = factors.view(f"i{factors.itemsize}")
    arrays = np.ascontiguousarray(rows), np.ascontiguousarray(means), factors, bits
    out, triangular = np.empty((len(means), len(rows))), []
    _share_out(engine, factors, lambda *ends: triangular.append(measure(*arrays, *ends, out)))
    return out if all(triangular) else None


def _in_space(rows: np.ndarray, means: np.ndarray, engine: Engine) -> np.ndarray:
    """Distances (k, n)."""
    from fastgmm.kernels.few_rows import point_distances

    measure = point_distances(means.dtype)
    out = np.empty((len(means), len(rows)), means.dtype)
    _share_out(engine, means, lambda *ends: measure(rows, means, *ends, out))
    return out


def _share_out(engine: Engine, array: np.ndarray, function: Callable[[int, int], None]) -> None:
    """Call a function of the first component and the one behind the last, for all components."""
    k = len(array)
    n_chunks = min(k, -(-array.size // _NUMBERS_PER_CHUNK))
    engine.for_each(lambda i: function(k * i // n_chunks, k * (i + 1) // n_chunks), n_chunks)
