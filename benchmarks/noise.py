"""``python -m benchmarks.noise``: CPU seconds of an EM iteration with noise, beside one without.

Both on the same rows and from the parameters that these were drawn from, on one thread, in turn;
noise has a given volume, and begins with a weight of 5 %. A fit of LAST iterations less one of
FIRST, divided by their difference, is the time of an iteration; printed are the medians over the
repeats, and that of the ratios in the same repeat. The figures stand in ``docs/noise.md``.
"""

import argparse
import itertools
from collections.abc import Iterator
from functools import partial

from benchmarks.command import Record, command, iterations, one_of, shapes, some_of, within
from benchmarks.suite.calls import em_iterations
from benchmarks.suite.clock import cpu_seconds_of, iterations_in_turn
from benchmarks.suite.problems import DTYPES, STRUCTURES

LIMIT = 1.05


@command(
    shapes=shapes("200000x4x4", "200000x8x8", "50000x32x16"),
    structures=some_of(STRUCTURES),
    dtype=one_of(DTYPES),
    iterations=iterations(1, 11),
    repeats=5,
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every shape and structure."""
    for shape, structure in itertools.product(asked.shapes, asked.structures):
        fit = partial(em_iterations, shape=shape, covariance_type=structure, dtype=asked.dtype)
        make = {noisy: partial(fit, noisy=noisy) for noisy in (False, True)}
        taken = iterations_in_turn(make, asked.iterations, asked.repeats, cpu_seconds_of)
        yield {
            "rows x features x components": shape,
            "structure": structure,
            "ms": 1e3 * taken.seconds(False),
            "with noise, ms": 1e3 * taken.seconds(True),
            **within(LIMIT, taken.ratio(True, False)),
        }


if __name__ == "__main__":
    main()
