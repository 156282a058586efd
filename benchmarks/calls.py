"""``python -m benchmarks.calls``: Seconds of whole fits and of predictions, against scikit-learn.

Default arguments, k-means start included, and the predictions of the same mixture; in turn, in one
process, with the same number of threads. Medians of the repeats are printed; whole fits by
scikit-learn are long, and run once. The figures stand in ``docs/performance.md``.
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from functools import partial

from benchmarks.command import (
    SHAPES,
    Record,
    beside_scikit_learn,
    command,
    difference,
    shapes,
    some_of,
)
from benchmarks.suite.calls import LIBRARIES, OURS, THEIRS, mixture, prediction
from benchmarks.suite.clock import in_turn, rested
from benchmarks.suite.problems import STRUCTURES, Problem, parse_shape
from benchmarks.suite.timings import METHODS

PREDICTED = "1000000x8x16"


@command(threads=2, repeats=3, shapes=shapes(*SHAPES), structures=some_of(STRUCTURES))
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every structure and method, then one for every whole fit."""
    for structure, method in itertools.product(asked.structures, METHODS):
        how = {"method": method, "covariance_type": structure, "threads": asked.threads}
        calls = {each: prediction(library=each, shape=PREDICTED, **how) for each in LIBRARIES}
        taken = in_turn(calls, asked.repeats, partial(rested, warm_up=calls[OURS]))
        yield {"predictions": f"{method}, {structure}", **beside_scikit_learn(taken)}
    fits = []
    for shape in asked.shapes:
        fits.append(whole_fit(shape, asked.threads, asked.repeats))
        yield fits[-1]
    if fits:
        mean = statistics.geometric_mean(fit["times faster"] for fit in fits)
        yield {"whole fits": "geometric mean", "times faster": mean}


def whole_fit(shape: str, threads: int, repeats: int) -> Record:
    """The record of a shape."""
    X, (_, _, k) = Problem(shape).rows, parse_shape(shape)
    theirs, ours = (
        mixture(library, threads, n_components=k, random_state=0) for library in (THEIRS, OURS)
    )
    taken = in_turn({OURS: lambda: ours.fit(X)}, repeats, rested)
    taken.samples[THEIRS] = [rested(lambda: theirs.fit(X))]
    return {
        "whole fits": shape,
        **beside_scikit_learn(taken, "s"),
        "iterations": f"{theirs.n_iter_} and {ours.n_iter_}",
        "means differ by": difference(ours.means_, theirs.means_),
    }


if __name__ == "__main__":
    main()
