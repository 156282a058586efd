"""What is timed: every function here makes a call of no arguments from what varies.

The call is what the clock runs around; making it draws rows and sets an estimator up. A call
returns what was fitted or predicted, or, where it measures by itself, the figure.
"""

import os
import shutil
import tempfile
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.mixture
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .clock import Call, in_turn, quietly
from .problems import CLOSE, Problem, data_set, data_sets, parse_shape

OURS, THEIRS = LIBRARIES = ("fastgmm", "scikit-learn")
GAUSSIAN, BAYESIAN = ESTIMATORS = ("GaussianMixture", "BayesianGaussianMixture")

ITERATIONS = 5
"""Of a fit that is timed. Checking the rows is part of every fit; so many make it small."""


def mixture(
    library: str = OURS, threads: int | None = 1, estimator: str = GAUSSIAN, **arguments: Any
) -> Any:
    """An estimator of the commit at hand, or scikit-learn's."""
    if library == THEIRS:
        return getattr(sklearn.mixture, estimator)(**arguments)
    if (os.cpu_count() or 1) < (threads or 1):
        raise NotImplementedError(f"{threads} threads need as many cores")
    return public(estimator)(**arguments, n_jobs=threads)


def public(name: str) -> Any:
    """What fastgmm calls so at the commit at hand; asv says n/a where it has no such thing."""
    import fastgmm

    if not hasattr(fastgmm, name):
        raise NotImplementedError(f"{name} is not in this commit")
    return getattr(fastgmm, name)


def em_iterations(
    *,
    iterations: int = ITERATIONS,
    library: str = OURS,
    threads: int | None = 1,
    estimator: str = GAUSSIAN,
    **problem: Any,
) -> Call:
    """A fixed number of EM iterations on a `Problem`."""
    posed = Problem(**problem)
    model = mixture(library, threads, estimator, max_iter=iterations, **posed.arguments)
    return partial(model.fit, posed.rows, **posed.weights)


def many_components(*, components: int, **others: Any) -> Call:
    """Iterations with components far apart, most of which are near few rows."""
    return em_iterations(shape=f"40000x4x{components}", separation=80.0, **others)


def kmeans_start(*, threads: int | None = 1, **problem: Any) -> Call:
    """The default start, k-means, and the one iteration that a fit cannot do without."""
    return em_iterations(iterations=1, threads=threads, start="kmeans", **problem)


def whole_fit(
    *,
    data: str,
    library: str = OURS,
    threads: int | None = 1,
    seed: int = 2,
    separation: float = CLOSE,
    **arguments: Any,
) -> Call:
    """A fit by default arguments: k-means start, EM to the default tolerance."""
    X, k = data_set(data, seed, separation)
    return partial(mixture(library, threads, n_components=k, random_state=0, **arguments).fit, X)


def converged_fit(*, data: str, covariance_type: str, library: str = OURS) -> Call:
    """A whole fit that meets the tolerance, with whatever structure."""
    arguments: dict[str, Any] = {"reg_covar": 1e-3, "max_iter": 500}
    return whole_fit(data=data, library=library, covariance_type=covariance_type, **arguments)


def prediction(
    *, method: str, library: str = OURS, threads: int | None = 1, **problem: Any
) -> Call:
    """Predictions for all rows, of a model after one iteration on the first of them."""
    posed = Problem(**problem)
    model = mixture(library, threads, max_iter=1, **posed.arguments)
    with quietly():
        model.fit(posed.rows[:20_000])
    return partial(getattr(model, method), posed.rows)


def scored_fit(**problem: Any) -> Call:
    """A search among a single mixture, of one iteration and the criteria."""
    posed = Problem(**problem)
    k, structure = posed.arguments["n_components"], posed.arguments["covariance_type"]
    options = {"init_params": "random_from_data", "max_iter": 1, "random_state": 0, "n_jobs": 1}
    return partial(public("select"), posed.rows, [k], [structure], **options)


def as_if_fitted(structure: str, dtype: str, k: int, d: int) -> Any:
    """A mixture of ours; making one of this size by a fit would take minutes."""
    random = np.random.default_rng(0)
    shape = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[structure]
    factors = random.uniform(0.5, 1.0, shape)
    if structure in ("full", "tied"):
        factors = np.triu(0.1 * factors) + np.eye(d)
    model = public("GaussianMixture")(k, covariance_type=structure)
    model.weights_ = np.full(k, 1.0 / k).astype(dtype)
    model.means_ = random.standard_normal((k, d)).astype(dtype)
    model.precisions_cholesky_ = factors.astype(dtype)
    # Predictions read neither, but they are copied to scikit-learn's model.
    model.covariances_ = model.precisions_ = model.precisions_cholesky_
    model.converged_, model.n_iter_, model.lower_bound_ = True, 1, 0.0
    return model


def few_rows(
    *,
    shape: str,
    covariance_type: str,
    method: str = "predict",
    dtype: str = "float64",
    library: str = OURS,
    threads: int | None = 1,
    one_by_one: bool = False,
) -> Call:
    """Predictions by a mixture that may be large, for all rows at once, or with a call for each."""
    n, d, k = parse_shape(shape)
    model = as_if_fitted(covariance_type, dtype, k, d).set_params(n_jobs=threads)
    rows = np.random.default_rng(1).standard_normal((n, d)).astype(dtype)
    predict = getattr(model.to_sklearn() if library == THEIRS else model, method)
    if one_by_one:  # as a service that is asked for one at a time
        return lambda: [predict(row) for row in rows[:, np.newaxis]]
    return partial(predict, rows)


def fit_many(
    *, sets: str, estimator: str = GAUSSIAN, threads: int | None = 1, **arguments: Any
) -> Call:
    """`fit_many`: small sets in lockstep, columns one by one."""
    _, _, k = parse_shape(sets.split(" of ")[1])
    arguments |= {"estimator": public(estimator), "n_jobs": threads, "random_state": 0}
    return partial(public("fit_many"), data_sets(sets), n_components=k, **arguments)


def lockstep(*, covariance_type: str, dtype: str) -> Call:
    """Ten iterations of small sets on one thread: kernels, and NumPy for all at once."""
    sets = [X.astype(dtype) for X in data_sets("300 of 500x2x3")]
    # Labels, so that only EM is timed.
    arguments: dict[str, Any] = {"init_params": labels_by_order, "tol": 0.0, "max_iter": 10}
    arguments |= {"n_components": 3, "covariance_type": covariance_type, "n_jobs": 1}
    return partial(public("fit_many"), sets, **arguments)


def labels_by_order(X: NDArray[Any], n_components: int, random_state: Any) -> NDArray[Any]:
    """Rows cut by their first feature into parts of equal size."""
    order = np.argsort(np.argsort(X[:, 0]))
    return order * n_components // len(X)


def stored_rows(*, format: str, threads: int = 1) -> Call:
    """Iterations over a file, opened by each fit: no decoded rows are left from the last.

    The file itself is in the system's cache. It goes when the call does.
    """
    problem = Problem(shape="320000x8x8")
    folder = Path(tempfile.mkdtemp())
    model = mixture(OURS, threads, max_iter=ITERATIONS, **problem.arguments)
    # Windows removes no file that is still mapped.
    weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"rows.{format}"
    if format == "npy":
        np.save(path, problem.rows)
    else:
        write_parquet(path, problem.rows)
    return partial(model.fit, path)


def write_parquet(path: Path, X: NDArray[Any], row_group_size: int = 65_536, **how: Any) -> None:
    """A file that is decoded, in groups of rows as pandas and Spark write them."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise NotImplementedError("needs pyarrow") from error
    columns = {f"x{j}": X[:, j] for j in range(X.shape[1])}
    parquet.write_table(pyarrow.table(columns), path, row_group_size, **how)


def share_of_scikit_learn(*, rounds: int = 5, **problem: Any) -> Call:
    """The time of three EM iterations as a share of scikit-learn's; both on one thread.

    Machines differ in it far less than in seconds.
    """
    both = {each: em_iterations(iterations=3, library=each, **problem) for each in LIBRARIES}

    def measure() -> float:
        with threadpool_limits(1):
            return in_turn(both, rounds).ratio(OURS, THEIRS)

    return measure


def iterations_to_tolerance(**fit: Any) -> Call:
    """EM iterations until the default tolerance is met."""
    call = converged_fit(**fit)
    return lambda: int(call().n_iter_)


def likelihood_gap(*, data: str, covariance_type: str) -> Call:
    """Mean log-likelihood that scikit-learn's fit has more; 0 where it has less.

    Rounded: a gap of one unit in the last place that doubles is no news.
    """
    fits = [converged_fit(data=data, covariance_type=covariance_type, library=each)
            for each in LIBRARIES]  # fmt: skip
    X, _ = data_set(data)

    def measure() -> float:
        with threadpool_limits(1):
            ours, theirs = (fit().score(X) for fit in fits)
        return max(round(float(theirs - ours), 12), 0.0)

    return measure
