"""``python -m benchmarks.calls``: Seconds of whole fits and of predictions, against scikit-learn.

Default arguments, k-means start included, and the predictions of the same mixture; in turn, in one
process, with the same number of threads. Medians of the repeats are printed; whole fits by
scikit-learn are long, and run once.
"""

import argparse
import statistics
from collections.abc import Iterator
from functools import partial

from benchmarks import command
from benchmarks.command import SHAPES, Command, Record
from benchmarks.suite.calls import LIBRARIES, OURS, THEIRS, mixture, prediction
from benchmarks.suite.clock import in_turn, rested
from benchmarks.suite.problems import STRUCTURES, Problem, parse_shape
from benchmarks.suite.timings import METHODS

PREDICTED = "1000000x8x16"


def measure(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every structure and method, then one for every whole fit."""
    for structure in asked.structures:
        for method in METHODS:
            calls = {
                library: prediction(
                    method=method,
                    library=library,
                    threads=asked.threads,
                    shape=PREDICTED,
                    covariance_type=structure,
                )
                for library in LIBRARIES
            }
            taken = in_turn(calls, asked.repeats, partial(rested, warm_up=calls[OURS]))
            yield {"predictions": f"{method}, {structure}", **command.beside_scikit_learn(taken)}
    ratios = []
    for shape in asked.shapes:
        record = whole_fit(shape, asked.threads, asked.repeats)
        ratios.append(record["times faster"])
        yield record
    if ratios:
        yield {"whole fits": "geometric mean", "times faster": statistics.geometric_mean(ratios)}


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
        **command.beside_scikit_learn(taken, "s"),
        "iterations": f"{theirs.n_iter_} and {ours.n_iter_}",
        "means differ by": command.difference(ours.means_, theirs.means_),
    }


main = Command(
    "calls",
    __doc__,
    measure,
    {
        "--threads": command.whole(2),
        "--repeats": command.whole(3),
        "--shapes": command.shapes(*SHAPES),
        "--structures": command.some_of(STRUCTURES),
    },
)

if __name__ == "__main__":
    main()
