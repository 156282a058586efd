"""What every library is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.suite.data import make_mixture, start_parameters

PARAMETERS = ("weights", "means", "precisions")

Run = Callable[[int], NDArray[Any]]
"""Runs EM iterations from the start; returns the means (k, d)."""


@dataclass(frozen=True)
class Problem:
    """Rows, a start, and how to fit.

    Parameters
    ----------
    X : ndarray of shape (n, d), float64
    weights : ndarray of shape (k,)
    means : ndarray of shape (k, d)
    precisions : ndarray
        Shape by structure, as scikit-learn has them.
    structure, estimator : str
    threads : int
    """

    X: NDArray[Any]
    weights: NDArray[Any]
    means: NDArray[Any]
    precisions: NDArray[Any]
    structure: str
    estimator: str
    threads: int

    @property
    def covariances(self) -> NDArray[Any]:
        """The inverses of the precisions, of the same shape."""
        if self.structure in ("full", "tied"):
            return np.linalg.inv(self.precisions)
        return 1.0 / self.precisions


def write(folder: Path, shape: tuple[int, int, int], structure: str) -> None:
    """Make the rows and the start of a shape."""
    n, d, k = shape
    X = make_mixture(n, d, k)
    np.save(folder / "rows.npy", X)
    start: dict[str, Any] = start_parameters(X, k, structure)
    np.savez(folder / f"{structure}.npz", **start)


def read(folder: Path, structure: str, estimator: str, threads: int) -> Problem:
    """Read what `write` wrote."""
    with np.load(folder / f"{structure}.npz") as start:
        weights, means, precisions = (start[f"{name}_init"] for name in PARAMETERS)
    X = np.load(folder / "rows.npy")
    return Problem(X, weights, means, precisions, structure, estimator, threads)
