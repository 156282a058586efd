"""The core set: what the gate times on both sides. Runs in a worker, with one tree's fastgmm.

A sample takes some 10 to 100 ms, from warm kernels: long enough to even out what the clock and the
scheduler do, and short enough for many. Everything runs on one thread but what says otherwise.
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from benchmarks.suite import fits, problems

Sample = Callable[[], float]

WHOLE_FIT = "20000x8x8"
LEAST_SECONDS = 8e-3


@dataclass(frozen=True)
class Benchmark:
    """One line of the table.

    Parameters
    ----------
    make : callable
        Sets up and returns a function that takes one sample.
    unit : str
        "s", or "of scikit-learn".
    """

    make: Callable[[], Sample]
    unit: str = "s"


def core_set() -> dict[str, Benchmark]:
    """All benchmarks by name, in the order of the table."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    benchmarks = {
        f"EM iterations: {structure}, {dtype}, {shape}{_on(threads)}": Benchmark(
            partial(_em_iterations, structure, dtype, shape, threads)
        )
        for structure, dtype, shape, threads in _EM
    }
    benchmarks["EM iterations: full, weighted rows, 40000x8x8"] = Benchmark(_weighted)
    benchmarks[f"whole default fit: {WHOLE_FIT}"] = Benchmark(_whole_fit)
    benchmarks["k-means start: 40000x8x8"] = Benchmark(_kmeans_start)
    for method in ("predict", "predict_proba"):
        name = f"{method}: full, 40000x8x8"
        benchmarks[name] = Benchmark(partial(_prediction, method))
    for shape in ("40000x2x8", "20000x32x8"):
        name = f"ratio to scikit-learn: full, {shape}"
        benchmarks[name] = Benchmark(partial(_ratio, shape), "of scikit-learn")
    return benchmarks


_EM = [
    ("full", "float64", "40000x8x8", 1),
    ("full", "float64", "40000x8x8", 2),
    ("full", "float64", "100000x2x8", 1),
    ("full", "float64", "10000x32x16", 1),
    ("full", "float32", "40000x8x8", 1),
    ("tied", "float64", "40000x8x8", 1),
    ("diag", "float64", "40000x8x8", 1),
    ("spherical", "float64", "40000x8x8", 1),
]


def _on(threads: int) -> str:
    return f", {threads} threads" if threads > 1 else ""


def _timed(call: Callable[[], Any]) -> Sample:
    """Seconds of a call, the mean of as many as take some milliseconds."""
    call()  # compiles
    started = time.perf_counter()
    call()
    number = 2 ** max(0, math.ceil(math.log2(LEAST_SECONDS / (time.perf_counter() - started))))

    def sample() -> float:
        started = time.perf_counter()
        for _ in range(number):
            call()
        return (time.perf_counter() - started) / number

    return sample


def _em_iterations(structure: str, dtype: str, shape: str, threads: int) -> Sample:
    problems.needs_cores(threads)
    model = problems.mixture(threads, **problems.from_truth(shape, structure))
    return _timed(partial(model.fit, problems.rows(shape, dtype)))


def _weighted() -> Sample:
    X = problems.rows("40000x8x8")
    model = problems.mixture(1, **problems.from_truth("40000x8x8", "full"))
    return _timed(partial(model.fit, X, sample_weight=problems.row_weights(len(X))))


def _whole_fit() -> Sample:
    X, k = fits.data_set(WHOLE_FIT)
    return _timed(partial(problems.mixture(1, n_components=k, random_state=0).fit, X))


def _kmeans_start() -> Sample:
    model = problems.mixture(1, n_components=8, max_iter=1, random_state=0)
    return _timed(partial(model.fit, problems.rows("40000x8x8")))


def _prediction(method: str) -> Sample:
    X = problems.rows("40000x8x8")
    model = problems.mixture(1, **problems.from_truth("40000x8x8", "full", iterations=1)).fit(X)
    return _timed(partial(getattr(model, method), X))


def _ratio(shape: str) -> Sample:
    """Time of a fit over that of scikit-learn's, one after the other."""
    X = problems.rows(shape)
    arguments = problems.from_truth(shape, "full", iterations=2)
    ours = _timed(partial(problems.mixture(1, **arguments).fit, X))
    theirs = _timed(partial(problems.scikit_learn_mixture(**arguments).fit, X))
    return lambda: ours() / theirs()
