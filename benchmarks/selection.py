"""``python -m benchmarks.selection``: a search over k and structures, against scikit-learn's loop.

Four structures and k = 1 to 10, from k-means, by BIC. scikit-learn fits and judges them one by one.
Both run on the threads that `--threads` says; times are wall-clock seconds, or with `--cpu` those
that the process computed for, of all threads. Every library runs once before the clock does.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.mixture
from threadpoolctl import threadpool_limits

from benchmarks.fairness import restart_without_unfair_variables

STRUCTURES = ("full", "tied", "diag", "spherical")
SHAPES = {"large": (100_000, 8), "small": (500, 4)}
NUMBERS = range(1, 11)


def make_rows(n: int, d: int) -> np.ndarray:
    """Rows of six overlapping clusters."""
    random = np.random.default_rng(0)
    centers, spreads = random.normal(0, 3, (6, d)), random.uniform(0.5, 1.5, (6, d))
    part = random.integers(6, size=n)
    return centers[part] + spreads[part] * random.standard_normal((n, d))


def by_scikit_learn(X: np.ndarray) -> float:
    """The least BIC of the loop."""
    models = (
        sklearn.mixture.GaussianMixture(k, covariance_type=name, random_state=0).fit(X)
        for k in NUMBERS
        for name in STRUCTURES
    )
    return float(min(model.bic(X) for model in models))


def by_select(X: np.ndarray, n_threads: int) -> float:
    """The least BIC of `select`."""
    import fastgmm

    selection = fastgmm.select(X, NUMBERS, STRUCTURES, random_state=0, n_jobs=n_threads)
    return float(np.nanmin(selection.scores))


def measure(name: str, repeats: int, n_threads: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Seconds of both, taken in turn, and the medians' ratio."""
    X = make_rows(*SHAPES[name])
    ways = {
        "scikit_learn": lambda rows: by_scikit_learn(rows),
        "fastgmm": lambda rows: by_select(rows, n_threads),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    best = {}
    with threadpool_limits(n_threads):
        for function in ways.values():
            function(X[:200])
        by_select(X, n_threads)
        for _ in range(repeats):
            for way, function in ways.items():
                began = clock()
                best[way] = function(X)
                seconds[way].append(clock() - began)
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    ratio = medians["scikit_learn"] / medians["fastgmm"]
    return {"shape": SHAPES[name], "seconds": medians, "best_bic": best, "ratio": ratio}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.selection", description=(__doc__ or "").split("\n\n")[1]
    )
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="computing time, not the clock's")
    parser.add_argument("--json", action="store_true", help="print JSON, not text")
    parsed = parser.parse_args(arguments)
    restart_without_unfair_variables("benchmarks.selection")
    warnings.simplefilter("ignore")
    clock = time.process_time if parsed.cpu else time.perf_counter
    results = [measure(name, parsed.repeats, parsed.threads, clock) for name in parsed.shapes]
    if parsed.json:
        json.dump(results, sys.stdout, indent=2)
        return
    for result in results:
        n, d = result["shape"]
        theirs, ours = result["seconds"].values()
        print(
            f"{n} x {d}: scikit-learn {theirs:.4g} s, select {ours:.4g} s, {result['ratio']:.1f} "
            f"times as fast; least BIC {result['best_bic']}"
        )


if __name__ == "__main__":
    main()
