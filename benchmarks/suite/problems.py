"""A problem: rows, and the parameters from which EM on them starts.

Shapes form a star: one centre, and from there rows, features or components vary alone, so that each
arm shows how the time scales. Each arm's end is large enough for its own loop to rule.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from .data import SEPARATION, make_mixture, true_parameters

STRUCTURES = ["full", "tied", "diag", "spherical"]
"""Those that scikit-learn has, too, so that all can be compared with it."""

DTYPES = ["float64", "float32"]
THREADS = [1, 2]

# asv shows parameters as text and sorts by them, hence the names (n x d x k).
CENTRE = "40000x8x8"
ARMS = {
    "n": ["5000x8x8", CENTRE, "320000x8x8"],
    "d": ["40000x2x8", CENTRE, "40000x32x8"],
    "k": ["40000x8x2", CENTRE, "40000x8x32"],
}
SHAPES = list(dict.fromkeys(shape for arm in ARMS.values() for shape in arm))
COMPARED = ["40000x2x8", CENTRE, "40000x32x8", "40000x8x32", "10000x64x16"]
DATA_SETS = ["iris", "wine", "20000x8x8"]
MISSING = ("nothing", "8 patterns", "10 %")
NOISE_WEIGHT = 0.05

CLOSE = 3.0
"""Components closer together than where single iterations are timed, so that EM has work to do."""


def parse_shape(shape: str) -> tuple[int, int, int]:
    """Return (n, d, k) of a name such as ``40000x8x8``."""
    n, d, k = map(int, shape.split("x"))
    return n, d, k


@dataclass(frozen=True)
class Problem:
    """Rows of a shape, and where a fit of them starts.

    The `start` is the truth, the parameters that rows were drawn from, or an estimator's
    `init_params`: a Bayesian mixture can be given no others. Weights of rows are whole numbers from
    1 to 4. Noise is in the box of the rows, with a weight of 5 % at first.
    """

    shape: str = CENTRE
    covariance_type: str = "full"
    dtype: str = "float64"
    start: str = "truth"
    separation: float = SEPARATION  # of the means, see `make_mixture`
    weighted: bool = False
    noisy: bool = False
    missing: str = MISSING[0]

    @property
    def rows(self) -> NDArray[Any]:
        return make_rows(self.shape, self.dtype, self.separation, self.missing)

    @property
    def arguments(self) -> dict[str, Any]:
        """Of an estimator, for any number of iterations."""
        _, d, k = parse_shape(self.shape)
        start: dict[str, Any] = {"init_params": self.start, "random_state": 0}
        if self.start == "truth":
            start = true_parameters(d, k, self.covariance_type, separation=self.separation)
        if self.noisy:
            start["weights_init"] = (1.0 - NOISE_WEIGHT) * start["weights_init"]
            start["noise"] = float(np.prod(np.ptp(self.rows.astype(np.float64), axis=0)))
        if self.missing != "nothing":
            start["missing_values"] = "em"
        return {"n_components": k, "covariance_type": self.covariance_type, "tol": 0.0, **start}

    @property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Of ``fit``, if rows have weights."""
        if not self.weighted:
            return {}
        n, _, _ = parse_shape(self.shape)
        return {"sample_weight": np.random.default_rng(1).integers(1, 5, n).astype(np.float64)}


@functools.lru_cache(maxsize=1)
def make_rows(shape: str, dtype: str, separation: float, missing: str) -> NDArray[Any]:
    """Rows of a shape; the last are kept, because asv sets a benchmark up before every sample."""
    n, d, k = parse_shape(shape)
    X = make_mixture(n, d, k, dtype=dtype, separation=separation)
    random = np.random.default_rng(1)
    if missing == "8 patterns":
        patterns = np.zeros((8, d), dtype=bool)
        for i in range(1, 8):  # up to three values are missing, of no two alike
            patterns[i, (np.arange(1 + (i - 1) % 3) + i) % d] = True
        X[patterns[random.integers(8, size=n)]] = np.nan
    elif missing == "10 %":
        X[random.uniform(size=(n, d)) < 0.1] = np.nan
        X = X[~np.isnan(X).all(axis=1)]
    return X


@functools.lru_cache(maxsize=1)
def data_set(name: str, seed: int = 2, separation: float = CLOSE) -> tuple[NDArray[Any], int]:
    """Rows to fit to the end, and the number of components."""
    if name in ("iris", "wine"):
        return getattr(datasets, f"load_{name}")().data, 3
    n, d, k = parse_shape(name)
    return make_mixture(n, d, k, seed=seed, separation=separation), k


@functools.lru_cache(maxsize=1)
def data_sets(name: str) -> list[NDArray[Any]]:
    """Data sets of one shape, such as ``1000 of 500x2x3``, each from a mixture of its own.

    Columns, such as ``2 columns of 100000x1x10``, have four modes and a long tail.
    """
    kind, shape = name.split(" of ")
    n, d, k = parse_shape(shape)
    numbers = range(int(kind.removesuffix(" columns")))
    if kind.endswith("columns"):
        return [make_column(n, i) for i in numbers]
    return [make_mixture(n, d, k, seed=i, separation=CLOSE) for i in numbers]


def make_column(n: int, number: int) -> NDArray[Any]:
    """Values as a table of customers has them, which SDV and CTGAN fit by a mixture."""
    random = np.random.default_rng(number)
    part = random.integers(4, size=n)
    modes, spreads = np.array([0.0, 5, 9, 20]), random.uniform(0.3, 3, 4)
    values = modes[part] + spreads[part] * random.normal(size=n)
    values[: n // 20] = random.gamma(2.0, 10.0, n // 20)
    return values[:, np.newaxis]
