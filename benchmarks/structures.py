"""``python -m benchmarks.structures``: an EM iteration of each of mclust's structures.

Those whose axes are the features' stand beside ``diag``, the others beside ``full``: they read the
rows as these do, so what is more is the M-step's. All start from the weights and means that rows
were drawn from and from one precision for all features, and take turns, with ``tol=0`` and on one
thread. An iteration takes the CPU seconds of a fit of `LAST` iterations less those of a fit of
`FIRST`, divided by their difference; the median over the repeats is printed, and the median of the
ratios in the same repeat.
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np

from benchmarks.iteration import parse_shape
from benchmarks.suite.data import make_mixture, true_parameters
from benchmarks.suite.problems import mixture, quietly, warm_up

SHAPES = ((500_000, 8, 16), (100_000, 32, 32))
BESIDE = {
    "diag": ("EEI", "VEI", "EVI", "VVI"),
    "full": ("VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"),
}
FIRST, LAST = 1, 9
LIMIT = 1.15


def iteration_seconds(model: Any, X: Any) -> float:
    """CPU seconds of an iteration."""
    seconds = []
    for iterations in (FIRST, LAST):
        model.set_params(max_iter=iterations)
        started = time.process_time()
        with quietly():
            model.fit(X)
        seconds.append(time.process_time() - started)
    return (seconds[1] - seconds[0]) / (LAST - FIRST)


def measure(shape: tuple[int, int, int], dtype: str, repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of an iteration of every structure, and how many times those beside it that is."""
    n, d, k = shape
    X = make_mixture(n, d, k, dtype=dtype)
    start = true_parameters(d, k, "spherical")
    precision = start["precisions_init"].mean()
    precisions = {
        "diag": np.full((k, d), precision),
        "full": np.tile(precision * np.eye(d), (k, 1, 1)),
    }
    models = {}
    for beside, names in BESIDE.items():
        for name in (beside, *names):
            start["precisions_init"] = precisions["diag" if name == "diag" else "full"]
            models[name] = mixture(1, n_components=k, covariance_type=name, tol=0.0, **start)
    for model in models.values():
        warm_up(model, X)
    samples: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            samples[name].append(iteration_seconds(model, X))
    results = {}
    for beside, names in BESIDE.items():
        for name in (beside, *names):
            pairs = zip(samples[name], samples[beside], strict=True)
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            seconds = statistics.median(samples[name])
            results[name] = {"seconds": seconds, "ratio": ratio}
    return results


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structures", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--shapes", type=parse_shape, nargs="+", default=SHAPES, metavar="N,D,K")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON, not text")
    parsed = parser.parse_args(arguments)
    results = []
    for shape in parsed.shapes:
        measured = measure(shape, parsed.dtype, parsed.repeats)
        results.append({"shape": shape, "structures": measured})
        if parsed.json:
            continue
        print(f"(n, d, k) = {shape}, {parsed.dtype}, CPU seconds of an iteration")
        for name, figures in measured.items():
            over = "  above the limit" if figures["ratio"] > LIMIT else ""
            print(f"  {name:5} {figures['seconds']:8.4f}  {figures['ratio']:6.3f}{over}")
    if parsed.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
