"""``python -m benchmarks.noise``: CPU seconds of an EM iteration with noise, beside one without.

Both on the same rows and from the parameters that these were drawn from, on one thread, in turn;
noise has a given volume, and begins with a weight of 5 %. A fit of LAST iterations less one of
FIRST, divided by their difference, is the time of an iteration; printed are the medians over the
repeats, and that of the ratios in the same repeat.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks import command
from benchmarks.command import Command, Record
from benchmarks.suite.calls import OURS, mixture
from benchmarks.suite.clock import CPU, Call, iterations_in_turn, seconds_of
from benchmarks.suite.problems import DTYPES, STRUCTURES, Problem

LIMIT = 1.05
WEIGHT = 0.05


def measure(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every shape and structure."""
    for shape in asked.shapes:
        for name in asked.structures:
            problem = Problem(shape, name, asked.dtype)
            rows, start = problem.rows, problem.arguments
            volume = float(np.prod(np.ptp(rows.astype(np.float64), axis=0)))

            def make(noisy: bool, iterations: int, rows=rows, start=start, volume=volume) -> Call:
                arguments = dict(start)
                if noisy:
                    weights = (1.0 - WEIGHT) * start["weights_init"]
                    arguments |= {"weights_init": weights, "noise": volume}
                return partial(mixture(OURS, max_iter=iterations, **arguments).fit, rows)

            taken = iterations_in_turn(
                {noisy: partial(make, noisy) for noisy in (False, True)},
                asked.iterations,
                asked.repeats,
                partial(seconds_of, clock=CPU),
            )
            ratio = taken.ratio(True, False)
            yield {
                "rows x features x components": shape,
                "structure": name,
                "ms": 1e3 * taken.seconds(False),
                "with noise, ms": 1e3 * taken.seconds(True),
                **command.within(LIMIT, ratio),
            }


main = Command(
    "noise",
    __doc__,
    measure,
    {
        "--shapes": command.shapes("200000x4x4", "200000x8x8", "50000x32x16"),
        "--structures": command.some_of(STRUCTURES),
        "--dtype": command.one_of(DTYPES),
        "--iterations": command.iterations(1, 11),
        "--repeats": command.whole(5),
    },
)

if __name__ == "__main__":
    main()
