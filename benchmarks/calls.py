"""``python -m benchmarks.calls``: seconds of whole fits and of predictions, against scikit-learn.

Default arguments, k-means start included, and the predictions of a model that both libraries have;
in turn, in one process, with the same number of threads. Medians of the repeats are printed; whole
fits by scikit-learn are long, and run once.
"""

import argparse
import functools
import statistics
from typing import Any

import numpy as np
import sklearn.mixture
from threadpoolctl import threadpool_limits

from benchmarks.fairness import restart_without_unfair_variables, seconds_of
from benchmarks.iteration import SHAPES, parse_shape
from benchmarks.suite.data import make_mixture, true_parameters
from benchmarks.suite.problems import STRUCTURES, quietly

PREDICTED = (1_000_000, 8, 16)
METHODS = ("predict", "predict_proba", "score_samples")


def whole_fit(shape: tuple[int, int, int], threads: int, repeats: int) -> float:
    """Print the line of a shape; returns the speed-up."""
    import fastgmm

    n, d, k = shape
    X = make_mixture(n, d, k)
    arguments: dict[str, Any] = {"n_components": k, "random_state": 0}
    with quietly():
        fastgmm.GaussianMixture(**arguments, n_jobs=threads, max_iter=2).fit(X)  # compiles
        theirs, reference = seconds_of(lambda: sklearn.mixture.GaussianMixture(**arguments).fit(X))
        ours = [
            seconds_of(lambda: fastgmm.GaussianMixture(**arguments, n_jobs=threads).fit(X))
            for _ in range(repeats)
        ]
    seconds, model = statistics.median(run[0] for run in ours), ours[0][1]
    difference = np.abs(model.means_ - reference.means_).max() / np.abs(reference.means_).max()
    print(
        f"{shape!s:>20} {theirs:11.2f} s {seconds:9.3f} s {theirs / seconds:8.1f}x "
        f"{reference.n_iter_:>4} {model.n_iter_:>4} {difference:13.1e}",
        flush=True,
    )
    return theirs / seconds


def predictions(structure: str, threads: int, repeats: int) -> None:
    """Print the lines of a structure."""
    import fastgmm

    n, d, k = PREDICTED
    X = make_mixture(n, d, k)
    start = true_parameters(d, k, structure)
    model = fastgmm.GaussianMixture(
        k, covariance_type=structure, max_iter=1, n_jobs=threads, **start
    )
    with quietly():
        model.fit(X)
    reference = model.to_sklearn()
    for method in METHODS:
        getattr(model, method)(X[:1000])
        calls = [functools.partial(getattr(made, method), X) for made in (reference, model)]
        samples = [[seconds_of(call, call)[0] for call in calls] for _ in range(repeats)]
        theirs, ours = (statistics.median(column) for column in zip(*samples, strict=True))
        print(
            f"{structure:>10} {method:>14} {1e3 * theirs:11.1f} ms {1e3 * ours:9.1f} ms "
            f"{theirs / ours:8.1f}x",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calls", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shapes", type=parse_shape, nargs="*", default=SHAPES, metavar="N,D,K")
    parser.add_argument("--structures", choices=STRUCTURES, nargs="*", default=STRUCTURES)
    parsed = parser.parse_args(arguments)
    if parsed.repeats < 1 or parsed.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    restart_without_unfair_variables("benchmarks.calls")
    with threadpool_limits(parsed.threads):
        if parsed.structures:
            print(f"Predictions for (n, d, k) = {PREDICTED}: scikit-learn, fastgmm, speed-up")
        for structure in parsed.structures:
            predictions(structure, parsed.threads, parsed.repeats)
        if parsed.shapes:
            print("Whole fits: scikit-learn, fastgmm, speed-up, iterations of both, means differ")
        ratios = [whole_fit(shape, parsed.threads, parsed.repeats) for shape in parsed.shapes]
    if ratios:
        print(f"geometric mean of the speed-ups: {statistics.geometric_mean(ratios):.1f}x")


if __name__ == "__main__":
    main()
