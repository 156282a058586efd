"""``python -m benchmarks.structures``: CPU seconds of an EM iteration of every covariance
structure.

Each stands beside the one of scikit-learn's that reads the rows as it does, so what is more is the
M-step's. Structures take turns, with ``tol=0`` and on one thread, from the parameters that rows
were drawn from; those that scikit-learn has not, from the same weights and means and one precision
for all features. An iteration takes the CPU time of a fit of LAST iterations less that of a fit of
FIRST, divided by their difference; printed are the median over the repeats, and that of the ratios
in the same repeat. The figures stand in ``docs/structures.md``.
"""

import argparse
from collections.abc import Iterator
from functools import partial

from benchmarks.command import Record, command, iterations, one_of, shapes, some_of, within
from benchmarks.suite.calls import em_iterations
from benchmarks.suite.clock import cpu_seconds_of, iterations_in_turn
from benchmarks.suite.problems import DTYPES
from benchmarks.suite.problems import STRUCTURES as SHARED
from fastgmm.covariance import STRUCTURES

LIMIT = 1.15
BESIDE = {
    name: next(other for other in SHARED if STRUCTURES[other].forms == structure.forms)
    for name, structure in STRUCTURES.items()
    if structure.most_features is None
}


@command(
    shapes=shapes("500000x8x16", "100000x32x32"),
    structures=some_of(BESIDE),
    dtype=one_of(DTYPES),
    iterations=iterations(1, 9),
    repeats=5,
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every shape and structure."""
    names = dict.fromkeys([*SHARED, *asked.structures])
    for shape in asked.shapes:
        fit = partial(em_iterations, shape=shape, dtype=asked.dtype)
        make = {name: partial(fit, covariance_type=name) for name in names}
        taken = iterations_in_turn(make, asked.iterations, asked.repeats, cpu_seconds_of)
        for name in asked.structures:
            yield {
                "rows x features x components": shape,
                "structure": name,
                "ms": 1e3 * taken.seconds(name),
                "beside": BESIDE[name],
                **within(LIMIT, taken.ratio(name, BESIDE[name])),
            }


if __name__ == "__main__":
    main()
