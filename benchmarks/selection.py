"""``python -m benchmarks.selection``: Seconds of a search over k and structures, by both.

Four structures and k = 1 to 10, from k-means, by BIC. scikit-learn does so in a loop.
Both run on as many threads; times are wall-clock seconds, or with ``--cpu`` those that the process
computed for, of all threads. The figures stand in ``docs/selection.md``.
"""

import argparse
import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.command import Record, command, some_of
from benchmarks.suite.calls import OURS, THEIRS, mixture, public
from benchmarks.suite.clock import cpu_seconds_of, in_turn, seconds_of
from benchmarks.suite.problems import STRUCTURES

SHAPES = {"large": (100_000, 8), "small": (500, 4)}
NUMBERS = range(1, 11)


def make_rows(n: int, d: int) -> np.ndarray:
    """Rows of six overlapping clusters."""
    random = np.random.default_rng(0)
    centers, spreads = random.normal(0, 3, (6, d)), random.uniform(0.5, 1.5, (6, d))
    part = random.integers(6, size=n)
    return centers[part] + spreads[part] * random.standard_normal((n, d))


def least_of_loop(X: np.ndarray) -> float:
    """The least BIC of mixtures by scikit-learn."""
    return min(
        mixture(THEIRS, n_components=k, covariance_type=name, random_state=0).fit(X).bic(X)
        for k, name in itertools.product(NUMBERS, STRUCTURES)
    )


def least_of_select(X: np.ndarray, threads: int) -> float:
    """The least BIC of `select`."""
    found = public("select")(X, NUMBERS, STRUCTURES, random_state=0, n_jobs=threads)
    return float(np.nanmin(found.scores))


@command(
    shapes=some_of(SHAPES),
    threads=2,
    repeats=3,
    cpu={"default": False, "help": "computing time, not the clock's"},
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every size."""
    for name in asked.shapes:
        X = make_rows(*SHAPES[name])
        calls = {
            THEIRS: partial(least_of_loop, X),
            OURS: partial(least_of_select, X, asked.threads),
        }
        taken = in_turn(calls, asked.repeats, cpu_seconds_of if asked.cpu else seconds_of)
        yield {
            "rows x features": "x".join(map(str, SHAPES[name])),
            **{f"{library}, s": taken.seconds(library) for library in calls},
            "times faster": 1 / taken.ratio(OURS, THEIRS),
            **{f"least BIC of {library}": best for library, best in taken.values.items()},
        }


if __name__ == "__main__":
    main()
