"""Many mixtures in one call."""

import functools
from typing import Any

import numpy as np

from . import problems
from .data import make_mixture
from .problems import STRUCTURES, THREADS

SETS = "1000 of 500x2x3"
COLUMNS = "4 of 20000x1x10"


@functools.lru_cache(maxsize=1)
def data_sets(name: str) -> list[Any]:
    """Data sets of one shape, each from a mixture of its own."""
    number, shape = name.split(" of ")
    n, d, k = problems.parse_shape(shape)
    return [make_mixture(n, d, k, seed=i, separation=3.0) for i in range(int(number))]


class FitMany:
    """`fit_many` with default arguments: small sets in lockstep, columns one by one."""

    version = "1"
    params = ([SETS, COLUMNS], ["GaussianMixture", "BayesianGaussianMixture"], THREADS)
    param_names = ("sets", "estimator", "threads")
    rounds = 1
    repeat = (3, 10, 2.0)
    number = 1

    def setup(self, sets: str, estimator: str, threads: int) -> None:
        problems.needs_cores(threads)
        import fastgmm

        if not hasattr(fastgmm, "fit_many"):
            raise NotImplementedError("fit_many is not in this commit")
        self.sets = data_sets(sets)
        _, _, k = problems.parse_shape(sets.split(" of ")[1])
        self.arguments: dict[str, Any] = {
            "n_components": k,
            "n_jobs": threads,
            "estimator": getattr(fastgmm, estimator),
            "random_state": 0,
        }
        self.fit_many = fastgmm.fit_many
        self.fit_many([X[: 50 * k] for X in self.sets[:2]], **self.arguments)

    def time_fit(self, sets: str, estimator: str, threads: int) -> None:
        self.fit_many(self.sets, **self.arguments)


class Lockstep:
    """Small sets of every structure, on one thread: kernels, and NumPy for all at once."""

    version = "1"
    params = (STRUCTURES, ["float64", "float32"])
    param_names = ("covariance_type", "dtype")
    rounds = 1
    repeat = (3, 10, 1.0)
    number = 1

    def setup(self, covariance_type: str, dtype: str) -> None:
        import fastgmm

        if not hasattr(fastgmm, "fit_many"):
            raise NotImplementedError("fit_many is not in this commit")
        self.sets = [X.astype(dtype) for X in data_sets("300 of 500x2x3")]
        # Labels, so that only EM is timed; iterations are few and fixed.
        self.arguments: dict[str, Any] = {
            "n_components": 3,
            "n_jobs": 1,
            "covariance_type": covariance_type,
            "init_params": labels,
            "tol": 0.0,
            "max_iter": 10,
        }
        self.fit_many = fastgmm.fit_many
        self.fit_many(self.sets[:2], **self.arguments)

    def time_ten_iterations(self, covariance_type: str, dtype: str) -> None:
        self.fit_many(self.sets, **self.arguments)


def labels(X: Any, n_components: int, random_state: Any) -> Any:
    """Rows cut by their first feature into parts of equal size."""
    order = np.argsort(np.argsort(X[:, 0]))
    return order * n_components // len(X)
