"""Prints the figures of one tree that no noise touches, as JSON: name -> [value, unit].

One thread, fixed seeds; everything is called through the public estimator.
"""

import gc
import json
import tracemalloc
from typing import Any

from benchmarks.gate.recorder import Recorder
from benchmarks.suite import fits, problems

SHAPE = "20000x8x8"
Figures = dict[str, tuple[float, str]]


def passes(recorder: Recorder) -> Figures:
    """Passes over the rows that one more EM iteration costs, and a whole default start."""
    figures: Figures = {}
    X = problems.rows(SHAPE)

    def rows_of(model: Any) -> tuple[int, int]:
        with recorder.counting():
            model.fit(X)
        return recorder.rows_read, sum(recorder.kernel_rows.values())

    for structure in problems.STRUCTURES:
        few, more = (
            rows_of(problems.mixture(1, **problems.from_truth(SHAPE, structure, iterations)))
            for iterations in (1, 4)
        )
        for kind, before, after in zip(("read", "kernel"), few, more, strict=True):
            name = f"{kind} passes per EM iteration: {structure}"
            figures[name] = ((after - before) / (3 * len(X)), "passes")
    read, kernel = rows_of(problems.mixture(1, n_components=8, max_iter=1, random_state=0))
    figures["read passes of the k-means start"] = (read / len(X), "passes")
    figures["kernel passes of the k-means start"] = (kernel / len(X), "passes")
    return figures


def convergence() -> Figures:
    """Iterations of whole fits to the default tolerance, and what likelihood they reach."""
    figures: Figures = {}
    for data in fits.DATA_SETS:
        X, k = fits.data_set(data)
        for structure in problems.STRUCTURES:
            model = problems.mixture(
                1,
                n_components=k,
                covariance_type=structure,
                reg_covar=1e-3,
                max_iter=500,
                random_state=0,
            ).fit(X)
            figures[f"iterations to tolerance: {structure}, {data}"] = (model.n_iter_, "iterations")
            figures[f"negative log-likelihood: {structure}, {data}"] = (-model.score(X), "nats")
    return figures


def memory() -> Figures:
    """Peak bytes of NumPy arrays and Python objects that a fit makes; X exists before."""
    figures: Figures = {}
    X = problems.rows(SHAPE)
    for init_params in ("random_from_data", "kmeans"):
        model = problems.mixture(
            1, n_components=8, init_params=init_params, tol=0.0, max_iter=3, random_state=0
        )
        model.fit(X)  # what is imported or cached on the first call counts no more
        gc.collect()
        tracemalloc.start()
        model.fit(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        figures[f"peak bytes beyond rows: {init_params}"] = (peak, "bytes")
    return figures


def main() -> None:
    """Measure and print."""
    recorder = Recorder()
    recorder.install()
    with problems.quietly():
        print(json.dumps({**passes(recorder), **convergence(), **memory()}))


if __name__ == "__main__":
    main()
