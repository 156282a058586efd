"""``python -m benchmarks.startup``: What a user waits for before and in a first small fit.

Everything that must be new is measured in a new process: the imports, the first fit ever (an empty
cache of compiled kernels; its CPU seconds for every structure), and the first fit of a process that
finds them compiled. Later ones of a process are ``benchmarks.compare small_fits``. The figures
stand in ``docs/performance.md``.
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from functools import partial

from benchmarks.command import Record, command
from benchmarks.suite.clock import in_turn
from benchmarks.suite.problems import STRUCTURES
from benchmarks.suite.startup import first_fit_ever, first_fits, seconds_of_code


@command(repeats=5)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every figure."""
    modules = ("sklearn.mixture", "fastgmm", "numba")
    taken = in_turn(
        {module: partial(seconds_of_code, f"import {module}") for module in modules},
        asked.repeats,
        lambda call: call(),
    )
    for module in modules:
        yield {"in a new process": f"import {module}", "seconds": taken.seconds(module)}
    first, *later = first_fits(asked.repeats)
    yield {"in a new process": "first fit, nothing compiled", "seconds": first}
    yield {"in a new process": "first fit, compiled before", "seconds": statistics.median(later)}
    for n_features, structure in itertools.product((2, 4, 8), STRUCTURES):
        taken_by = min(first_fit_ever(structure, n_features) for _ in range(2))
        yield {"first fit ever": f"500x{n_features}x3, {structure}", "CPU seconds": taken_by}


if __name__ == "__main__":
    main()
