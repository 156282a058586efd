"""``fastgmm warmup``: compile every kernel now, so that no later fit on this machine waits."""

import itertools
import time
import warnings
from pathlib import Path

import numpy as np
import typer
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm.cli.errors import note
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.linalg import BY_ONE_THREAD, upper_precision_factors
from fastgmm.kernels.layout import LARGE

DTYPES = ("float32", "float64")
LARGE_FEATURES = round(BY_ONE_THREAD ** (1 / 3)) + 1
"""From here on products of matrices go to a kernel of ours."""


def exercise(
    covariance_type: str, dtype: str, *, n_features: int = 3, n_components: int = 2
) -> None:
    """Call every method that runs kernels, on a few rows, through the public estimator.

    Parameters
    ----------
    covariance_type : str
        A name in the registry of covariance structures.
    dtype : {'float32', 'float64'}
    n_features, n_components : int
        Sizes of the tiny problem.
    """
    n_rows = 8 * n_components * n_features
    X = np.random.default_rng(0).standard_normal((n_rows, n_features)).astype(dtype)
    model = fastgmm.GaussianMixture(
        n_components, covariance_type=covariance_type, reg_covar=1e-2, max_iter=2, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, sample_weight=np.ones(n_rows))
        model.fit(X)
    model.predict(X)
    model.predict_proba(X)
    model.score_samples(X)


def exercise_cells(covariance_type: str, dtype: str) -> None:
    """Fit as many rows and components, far apart, as the passes by cells are for."""
    n_rows, n_components = 1 << 14, 64
    labels = np.arange(n_rows) % n_components
    noise = np.random.default_rng(0).standard_normal(n_rows)
    X = (1000.0 * labels + noise)[:, np.newaxis].astype(dtype)
    model = fastgmm.GaussianMixture(
        n_components, covariance_type=covariance_type, init_params=labels, max_iter=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)


def exercise_few_rows(dtype: str) -> None:
    """Predict one row by mixtures of so many numbers that they are read where they are."""
    d = 256
    matrices, means = np.eye(d, dtype=dtype)[np.newaxis], np.zeros((d, d), dtype)
    for name, of_means, factors in (
        ("full", means[:1], matrices),
        ("spherical", means, np.ones(d, dtype)),
    ):
        model = fastgmm.GaussianMixture(covariance_type=name)
        model.weights_ = np.full(len(of_means), 1.0 / len(of_means), dtype)
        model.means_, model.precisions_cholesky_ = of_means, factors
        model.predict(means[:1])


def warmup() -> None:
    """Compile every kernel; what was compiled before is only loaded."""
    started = time.perf_counter()
    for covariance_type, dtype in itertools.product(STRUCTURES, DTYPES):
        before = time.perf_counter()
        exercise(covariance_type, dtype)
        exercise_cells(covariance_type, dtype)
        typer.echo(f"{covariance_type:10} {dtype:8} {time.perf_counter() - before:7.2f} s")
    for dtype in DTYPES:
        exercise_few_rows(dtype)
    upper_precision_factors(np.eye(LARGE + 1))
    exercise("full", "float64", n_features=LARGE_FEATURES, n_components=1)
    typer.echo(f"all kernels ready in {time.perf_counter() - started:.2f} s")
    if not _is_kept():
        note(
            "The compiled kernels could not be kept, so that every process compiles them anew. Is "
            "the cache's folder writable, its path shorter than 260 characters on Windows, and "
            "FASTGMM_NUMBA_CACHE not 0? NUMBA_CACHE_DIR names another folder."
        )


def _is_kept() -> bool:
    """Whether a kernel, now that it is compiled, has a file in the cache."""
    from fastgmm.kernels.scatter_pass import totals_pass

    kernel = totals_pass(np.dtype(np.float64))
    folder = getattr(getattr(kernel, "stats", None), "cache_path", None)
    if folder is None:
        return False
    name = kernel.py_func.__qualname__.rpartition(".")[2]
    return any(Path(folder).glob(f"*{name}*.nbc"))
