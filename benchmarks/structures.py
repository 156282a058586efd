"""``python -m benchmarks.structures``: CPU seconds of an EM iteration of every covariance
structure.

Each stands beside the one of scikit-learn's that reads the rows as it does, so what is more is the
M-step's. Structures take turns, with ``tol=0`` and on one thread, from the parameters that rows
were drawn from; those that scikit-learn has not, from the same weights and means and one precision
for all features. An iteration takes the CPU time of a fit of LAST iterations less that of a fit of
FIRST, divided by their difference; printed are the median over the repeats, and that of the ratios
in the same repeat.
"""

import argparse
from collections.abc import Iterator
from functools import partial

from benchmarks import command
from benchmarks.command import Command, Record
from benchmarks.suite.calls import em_iterations
from benchmarks.suite.clock import CPU, Call, iterations_in_turn, seconds_of
from benchmarks.suite.problems import DTYPES
from benchmarks.suite.problems import STRUCTURES as SHARED
from fastgmm.covariance import STRUCTURES

LIMIT = 1.15
BESIDE = {
    name: next(other for other in SHARED if STRUCTURES[other].forms == structure.forms)
    for name, structure in STRUCTURES.items()
    if structure.most_features is None
}


def measure(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every shape and structure."""
    for shape in asked.shapes:

        def make(name: str, iterations: int, shape: str = shape) -> Call:
            return em_iterations(
                shape=shape, covariance_type=name, dtype=asked.dtype, iterations=iterations
            )

        names = [*SHARED, *(name for name in asked.structures if name not in SHARED)]
        taken = iterations_in_turn(
            {name: partial(make, name) for name in names},
            asked.iterations,
            asked.repeats,
            partial(seconds_of, clock=CPU),
        )
        for name in asked.structures:
            ratio = taken.ratio(name, BESIDE[name])
            yield {
                "rows x features x components": shape,
                "structure": name,
                "ms": 1e3 * taken.seconds(name),
                "beside": BESIDE[name],
                **command.within(LIMIT, ratio),
            }


main = Command(
    "structures",
    __doc__,
    measure,
    {
        "--shapes": command.shapes("500000x8x16", "100000x32x32"),
        "--structures": command.some_of(BESIDE),
        "--dtype": command.one_of(DTYPES),
        "--iterations": command.iterations(1, 9),
        "--repeats": command.whole(5),
    },
)

if __name__ == "__main__":
    main()
