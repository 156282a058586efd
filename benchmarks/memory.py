"""``python -m benchmarks.memory``: Peak memory of a fit beyond its rows, from two starts.

Each fit runs in a process of its own, after a fit that loads and compiles what is needed. The
figure is the highest resident size during three iterations less the resident size just before them,
when the rows exist already.

The start costs little: k-means holds a few numbers for every row. What costs more is that EM with
many components that lie apart puts the rows in an order in which near ones are together, and holds
them so: in their own type, in float32, and their numbers. From single rows as means
(random_from_data) it soon does, from k-means it may not within three iterations; so the former can
take more. The figures stand in ``docs/performance.md``.
"""

import argparse
from collections.abc import Iterator

from benchmarks.command import Record, command, shapes
from benchmarks.processes import in_new_process
from benchmarks.suite.calls import LIBRARIES, OURS
from benchmarks.suite.memory import beyond_rows
from benchmarks.suite.problems import parse_shape

STARTS = ("random_from_data", "kmeans")


def peak(shape: str, start: str, library: str = OURS) -> Record:
    """A record for a start of a library."""
    n, d, _ = parse_shape(shape)
    return {
        "rows x features x components": shape,
        "library": library,
        "start": start,
        "MB beyond X": in_new_process(beyond_rows, start, shape, library) / 1e6,
        "MB of X": 8 * n * d / 1e6,
    }


@command(
    shape={**shapes(), "default": "1000000x16x64"},
    scikit_learn={"default": False, "help": "as well; it takes gigabytes"},
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every library and start."""
    for library in LIBRARIES if asked.scikit_learn else (OURS,):
        for start in STARTS:
            yield peak(asked.shape, start, library)


if __name__ == "__main__":
    main()
