"""``python -m benchmarks.few_rows``: predictions of few rows by mixtures of all sizes.

As a service makes them: one row to 200 at a time, by mixtures of up to ten million numbers, against
scikit-learn. Each library is called again and again for a while, alone, and the median counts.
"""

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.calls import METHODS
from benchmarks.fairness import AWAKE, REST, restart_without_unfair_variables, seconds_of
from benchmarks.suite.problems import STRUCTURES

COMPONENTS = (2, 5, 10, 40, 200, 2048)
FEATURES = (2, 8, 24, 64, 200, 500)
ROWS = (1, 20, 200)
MOST_NUMBERS = 10_000_000
"""Of a mixture's matrices; other structures have as many components and features at most."""

FEWEST_CALLS = 5
BAR = 0.9
"""Times scikit-learn's speed, which fastgmm should have at least."""


def make_model(structure: str, dtype: str, n_components: int, n_features: int) -> Any:
    """A mixture as if fitted; making one of this size by a fit would take minutes."""
    import fastgmm

    random = np.random.default_rng(0)
    k, d = n_components, n_features
    shape = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[structure]
    factors = random.uniform(0.5, 1.0, shape)
    if structure in ("full", "tied"):
        factors = np.triu(0.1 * factors) + np.eye(d)
    model = fastgmm.GaussianMixture(k, covariance_type=structure)
    model.weights_ = np.full(k, 1.0 / k).astype(dtype)
    model.means_ = random.standard_normal((k, d)).astype(dtype)
    model.precisions_cholesky_ = factors.astype(dtype)
    # Predictions read neither, but they are copied to scikit-learn's model.
    model.covariances_ = model.precisions_ = model.precisions_cholesky_
    model.converged_, model.n_iter_, model.lower_bound_ = True, 1, 0.0
    return model


def seconds_of_calls(call: Callable[[], Any], seconds: float) -> float:
    """Median of the calls that go into some seconds, on cores that nobody else uses."""
    seconds_of(call, call)  # rests before, and wakes the cores
    end = time.perf_counter() + seconds
    taken: list[float] = []
    while len(taken) < FEWEST_CALLS or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def compare(
    seconds: float, structure: str, dtype: str, shape: tuple[int, int, int], method: str
) -> float:
    """Print the line of a case; returns the speed-up."""
    n, d, k = shape
    model = make_model(structure, dtype, k, d)
    rows = np.random.default_rng(1).standard_normal((n, d)).astype(dtype)
    made = (model.to_sklearn(), model)
    calls = [functools.partial(getattr(one, method), rows) for one in made]
    theirs, ours = (seconds_of_calls(call, seconds) for call in calls)
    print(
        f"{structure:>10} {dtype} {method:>14} {shape!s:>16} {1e6 * theirs:11.0f} us "
        f"{1e6 * ours:9.0f} us {theirs / ours:8.2f}x{' <' if theirs < BAR * ours else ''}",
        flush=True,
    )
    return theirs / ours


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.few_rows", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=REST + AWAKE, help="per library and case")
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    parser.add_argument("--components", type=int, nargs="*", default=COMPONENTS)
    parser.add_argument("--features", type=int, nargs="*", default=FEATURES)
    parser.add_argument("--methods", choices=METHODS, nargs="*", default=METHODS)
    parser.add_argument("--structures", choices=STRUCTURES, nargs="*", default=STRUCTURES)
    parser.add_argument(
        "--dtypes", choices=("float64", "float32"), nargs="*", default=("float64", "float32")
    )
    parsed = parser.parse_args(arguments)
    restart_without_unfair_variables("benchmarks.few_rows")
    sizes = (parsed.rows, parsed.features, parsed.components)
    shapes = [(n, d, k) for n, d, k in itertools.product(*sizes) if k * d**2 <= MOST_NUMBERS]
    cases = itertools.product(parsed.structures, parsed.dtypes, shapes, parsed.methods)
    print("Predictions of (n, d, k): scikit-learn, fastgmm, speed-up")
    with threadpool_limits(parsed.threads):
        ratios = [compare(parsed.seconds, *case) for case in cases]
    below = sum(ratio < BAR for ratio in ratios)
    print(
        f"{len(ratios)} cases, geometric mean {statistics.geometric_mean(ratios):.2f}x, least "
        f"{min(ratios):.2f}x, below {BAR}x: {below}"
    )


if __name__ == "__main__":
    main()
