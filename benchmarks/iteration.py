"""``python -m benchmarks.iteration``: seconds per EM iteration of scikit-learn and of fastgmm.

Both fit the same rows from the same parameters with ``tol=0``, in turn, in one process, with the
same number of threads. A fit of `last` iterations less a fit of `first` iterations, divided by
their difference, is the time of an iteration; what a fit does once drops out. The median over the
repeats is printed.
"""

import argparse
import json
import statistics
import time
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import sklearn.mixture
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks.fairness import restart_without_unfair_variables, seconds_of
from benchmarks.suite.data import make_mixture, start_parameters

SHAPES = (
    (1_000_000, 2, 8),
    (500_000, 8, 16),
    (200_000, 16, 16),
    (100_000, 32, 32),
    (50_000, 64, 16),
    (20_000, 128, 16),
    (50_000, 16, 200),
)
LIBRARIES = ("scikit-learn", "fastgmm")


@dataclass(frozen=True)
class Settings:
    """What is the same for all shapes."""

    covariance_type: str
    dtype: str
    threads: int
    repeats: int
    first: int
    last: int


@dataclass(frozen=True)
class Timing:
    """The outcome for one shape; `seconds` are per iteration."""

    n: int
    d: int
    k: int
    seconds: dict[str, float]
    speed_up: float
    gflops: float | None
    means_relative_difference: float
    samples: dict[str, list[float]] = field(default_factory=dict)


def dgemm_rate(dtype: str, size: int = 2048, repeats: int = 5) -> float:
    """Return the GFlop/s of NumPy's matrix product, the best of `repeats`."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    b = a.T.copy()
    out = np.empty_like(a)
    best = np.inf
    for _ in range(repeats + 1):
        started = time.perf_counter()
        np.matmul(a, b, out=out)
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best / 1e9


def make_model(library: str, settings: Settings, iterations: int, start: dict[str, Any]) -> Any:
    """Return an estimator that will run exactly `iterations` iterations."""
    arguments: dict[str, Any] = {
        "n_components": len(start["weights_init"]),
        "covariance_type": settings.covariance_type,
        "tol": 0.0,
        "max_iter": iterations,
        **start,
    }
    if library == "scikit-learn":
        return sklearn.mixture.GaussianMixture(**arguments)
    import fastgmm

    return fastgmm.GaussianMixture(**arguments, n_jobs=settings.threads)


def fit_seconds(model: Any, X: Any) -> float:
    """Fit and return the seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        short = clone(model).set_params(max_iter=1)
        return seconds_of(lambda: model.fit(X), lambda: short.fit(X))[0]


def measure(shape: tuple[int, int, int], settings: Settings) -> Timing:
    """Time both libraries on one shape, in turn, and compare what they fitted."""
    n, d, k = shape
    X = make_mixture(n, d, k, dtype=settings.dtype)
    start = start_parameters(X, k, settings.covariance_type)
    steps = settings.last - settings.first
    samples: dict[str, list[float]] = {library: [] for library in LIBRARIES}
    means: dict[str, Any] = {}
    for _ in range(settings.repeats):
        elapsed = dict.fromkeys(LIBRARIES, 0.0)
        for iterations, sign in ((settings.first, -1.0), (settings.last, 1.0)):
            for library in LIBRARIES:
                model = make_model(library, settings, iterations, start)
                elapsed[library] += sign * fit_seconds(model, X)
                means[library] = model.means_
        for library in LIBRARIES:
            samples[library].append(elapsed[library] / steps)
    seconds = {library: statistics.median(samples[library]) for library in LIBRARIES}
    theirs, ours = (seconds[library] for library in LIBRARIES)
    full = settings.covariance_type == "full"
    return Timing(
        n,
        d,
        k,
        seconds=seconds,
        # A difference of two noisy times can come out as nothing at all for tiny shapes.
        speed_up=theirs / ours if ours > 0 else float("nan"),
        gflops=2.0 * n * k * d**2 / ours / 1e9 if full and ours > 0 else None,
        means_relative_difference=float(
            np.abs(means["fastgmm"] - means["scikit-learn"]).max()
            / np.abs(means["scikit-learn"]).max()
        ),
        samples=samples,
    )


def warm_up(settings: Settings) -> None:
    """Load and compile everything, so that thread limits reach every library that is loaded."""
    X = make_mixture(400, 3, 2, dtype=settings.dtype)
    start = start_parameters(X, 2, settings.covariance_type)
    for library in LIBRARIES:
        fit_seconds(make_model(library, settings, 2, start), X)


def parse_shape(text: str) -> tuple[int, int, int]:
    """Read ``1e6,2,8`` as (1000000, 2, 8)."""
    n, d, k = (int(float(part)) for part in text.split(","))
    return n, d, k


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.iteration", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument(
        "--covariance-type", choices=("full", "tied", "diag", "spherical"), default="full"
    )
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--iterations",
        type=int,
        nargs=2,
        default=(1, 6),
        metavar=("FIRST", "LAST"),
        help="iterations of the two fits whose difference is taken",
    )
    parser.add_argument(
        "--shapes", type=parse_shape, nargs="+", default=SHAPES, metavar="N,D,K", help="as 1e6,2,8"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parsed = parser.parse_args(arguments)
    if not 1 <= parsed.iterations[0] < parsed.iterations[1]:
        parser.error("--iterations: need 1 <= FIRST < LAST")
    if parsed.repeats < 1 or parsed.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    return parsed


def table_header(settings: Settings, gemm: float) -> str:
    """Return the lines above the first row."""
    return (
        f"{settings.covariance_type} covariance, {settings.dtype}, {settings.threads} threads "
        f"each, median of {settings.repeats}; numpy gemm {gemm:.0f} GFlop/s\n"
        f"{'(n, d, k)':>20} {'scikit-learn':>14} {'fastgmm':>12} {'speed-up':>9} "
        f"{'GFlop/s':>8} {'means differ':>13}"
    )


def table_row(timing: Timing) -> str:
    """Return the row of one shape."""
    theirs, ours = (1e3 * timing.seconds[library] for library in LIBRARIES)
    gflops = "" if timing.gflops is None else f"{timing.gflops:.0f}"
    return (
        f"{f'({timing.n}, {timing.d}, {timing.k})':>20} {theirs:11.2f} ms {ours:9.2f} ms "
        f"{timing.speed_up:8.1f}x {gflops:>8} {timing.means_relative_difference:13.1e}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parsed = parse_arguments(arguments)
    restart_without_unfair_variables("benchmarks.iteration")
    first, last = parsed.iterations
    settings = Settings(
        parsed.covariance_type, parsed.dtype, parsed.threads, parsed.repeats, first, last
    )
    warm_up(settings)
    timings = []
    with threadpool_limits(settings.threads):
        gemm = dgemm_rate(settings.dtype)
        if not parsed.json:
            print(table_header(settings, gemm), flush=True)
        for shape in parsed.shapes:
            timings.append(measure(shape, settings))
            if not parsed.json:
                print(table_row(timings[-1]), flush=True)
    if parsed.json:
        document = {
            "settings": asdict(settings),
            "gemm_gflops": gemm,
            "shapes": [asdict(timing) for timing in timings],
        }
        print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
