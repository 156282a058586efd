"""``python -m benchmarks.few_rows``: Microseconds of predictions of few rows by mixtures of all
sizes.

As a service makes them: one row to 200 at a time, by mixtures of up to ten million numbers, against
scikit-learn. Each library is called again and again for a while, alone, and the median counts.
The figures stand in ``docs/performance.md``.
"""

import argparse
import itertools
import statistics
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.command import Record, beside_scikit_learn, command, some_of
from benchmarks.suite.calls import OURS, THEIRS, as_if_fitted
from benchmarks.suite.clock import AWAKE, REST, WALL, Call, Taken, rested, seconds_of
from benchmarks.suite.problems import DTYPES, STRUCTURES
from benchmarks.suite.timings import METHODS

COMPONENTS = (2, 5, 10, 40, 200, 2048)
FEATURES = (2, 8, 24, 64, 200, 500)
ROWS = (1, 20, 200)
MOST_NUMBERS = 10_000_000
"""Of a mixture's matrices; other structures have as many components and features at most."""

FEWEST_CALLS = 5
BAR = 0.9
"""Times scikit-learn's speed, which fastgmm should have at least."""


def samples(call: Call, seconds: float) -> list[float]:
    """Of the calls that go into some seconds, on cores that nobody else uses."""
    rested(call, warm_up=call)
    end = WALL() + seconds
    taken: list[float] = []
    while len(taken) < FEWEST_CALLS or WALL() < end:
        taken.append(seconds_of(call))
    return taken


@command(
    threads=2,
    seconds={"default": REST + AWAKE, "help": "per library and case"},
    rows=ROWS,
    components=COMPONENTS,
    features=FEATURES,
    methods=some_of(METHODS),
    structures=some_of(STRUCTURES),
    dtypes=some_of(DTYPES),
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every case, and what they come to."""
    sizes = itertools.product(asked.rows, asked.features, asked.components)
    shapes = [(n, d, k) for n, d, k in sizes if k * d**2 <= MOST_NUMBERS]
    ratios = []
    for structure, dtype, (n, d, k) in itertools.product(asked.structures, asked.dtypes, shapes):
        model = as_if_fitted(structure, dtype, k, d)
        rows = np.random.default_rng(1).standard_normal((n, d)).astype(dtype)
        for method in asked.methods:
            calls = {THEIRS: getattr(model.to_sklearn(), method), OURS: getattr(model, method)}
            taken = {
                library: samples(partial(call, rows), asked.seconds)
                for library, call in calls.items()
            }
            times = beside_scikit_learn(Taken(taken, {}), "us")
            ratios.append(times["times faster"])
            yield {
                "predictions": f"{method}, {structure}, {dtype}",
                "rows x features x components": f"{n}x{d}x{k}",
                **{key: value for key, value in times.items() if key != "samples"},
                "": "<" if ratios[-1] < BAR else "",
            }
    yield {
        "cases": len(ratios),
        "times faster, geometric mean": statistics.geometric_mean(ratios),
        "least": min(ratios),
        f"below {BAR}": sum(ratio < BAR for ratio in ratios),
    }


if __name__ == "__main__":
    main()
