"""The problems that benchmarks share, and the estimators that solve them.

Shapes form a star: one centre, and from there rows, features or components vary alone, so that each
arm shows how the time scales. Each arm's end is large enough for its own loop to rule.
"""

import functools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture as ScikitLearnBayesianMixture
from sklearn.mixture import GaussianMixture as ScikitLearnMixture

from .data import SEPARATION, make_mixture, true_parameters

STRUCTURES = ["full", "tied", "diag", "spherical"]
DTYPES = ["float64", "float32"]
THREADS = [1, 2]
ITERATIONS = 5

# asv shows parameters as text and sorts by them, hence the names (n x d x k).
CENTRE = "40000x8x8"
ARMS = {
    "n": ["5000x8x8", CENTRE, "320000x8x8"],
    "d": ["40000x2x8", CENTRE, "40000x32x8"],
    "k": ["40000x8x2", CENTRE, "40000x8x32"],
}
SHAPES = list(dict.fromkeys(shape for arm in ARMS.values() for shape in arm))
WIDE = "10000x64x16"
COMPARED = ["40000x2x8", CENTRE, "40000x32x8", "40000x8x32", WIDE]


def parse_shape(shape: str) -> tuple[int, int, int]:
    """Return (n, d, k) of a name."""
    n, d, k = map(int, shape.split("x"))
    return n, d, k


@functools.lru_cache(maxsize=1)
def rows(shape: str, dtype: str = "float64", separation: float = SEPARATION) -> NDArray[Any]:
    """Rows of a shape; kept, because asv sets a benchmark up again before every sample."""
    n, d, k = parse_shape(shape)
    return make_mixture(n, d, k, dtype=dtype, separation=separation)


def needs_cores(n: int) -> None:
    """Leave a benchmark out (asv: n/a) on a machine with fewer cores than it has threads."""
    if (os.cpu_count() or 1) < n:
        raise NotImplementedError(f"{n} threads need as many cores")


def from_truth(
    shape: str,
    covariance_type: str,
    iterations: int = ITERATIONS,
    separation: float = SEPARATION,
) -> dict[str, Any]:
    """Arguments for a fixed number of iterations from the parameters that rows were drawn from."""
    _, d, k = parse_shape(shape)
    return {
        "n_components": k,
        "covariance_type": covariance_type,
        "tol": 0.0,
        "max_iter": iterations,
        **true_parameters(d, k, covariance_type, separation=separation),
    }


def from_rows(shape: str, covariance_type: str, iterations: int = ITERATIONS) -> dict[str, Any]:
    """Likewise, from single rows as means: what a Bayesian mixture can be given."""
    _, _, k = parse_shape(shape)
    return {
        "n_components": k,
        "covariance_type": covariance_type,
        "tol": 0.0,
        "max_iter": iterations,
        "init_params": "random_from_data",
        "random_state": 0,
    }


def mixture(n_jobs: int | None, **arguments: Any) -> Any:
    """An estimator of the commit at hand."""
    from fastgmm import GaussianMixture

    return GaussianMixture(**arguments, n_jobs=n_jobs)


def bayesian_mixture(n_jobs: int | None, **arguments: Any) -> Any:
    """Likewise, a Bayesian one."""
    from fastgmm import BayesianGaussianMixture

    return BayesianGaussianMixture(**arguments, n_jobs=n_jobs)


def scikit_learn_mixture(**arguments: Any) -> Any:
    """The same of scikit-learn."""
    return ScikitLearnMixture(**arguments)


def scikit_learn_bayesian_mixture(**arguments: Any) -> Any:
    """Likewise, a Bayesian one."""
    return ScikitLearnBayesianMixture(**arguments)


def warm_up(model: Any, X: NDArray[Any], **fit_arguments: Any) -> None:
    """Fit to a few rows of the same type: loads or compiles what the benchmark will call."""
    few = 32 * model.n_components
    with quietly():
        model.fit(X[:few], **{name: value[:few] for name, value in fit_arguments.items()})


@contextmanager
def quietly() -> Iterator[None]:
    """Say nothing of fits that were meant to stop early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def row_weights(n: int) -> NDArray[Any]:
    """Weights of rows: whole numbers from 1 to 4."""
    return np.random.default_rng(1).integers(1, 5, n).astype(np.float64)
