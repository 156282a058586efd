"""``python -m benchmarks.acceleration``: Passes of plain and accelerated EM to the same optimum.

Every problem is fitted from the same k-means start by EM, by SQUAREM and by L-BFGS, to a tolerance
far below those of the table. Features have the variance 1. Counted are passes over the rows, those
of refused trials among them, until the mean log-likelihood is within 1e-6, and within 1e-8, of
where plain EM ends. Passes are the same on every machine, but for rounding. With ``--bayesian`` it
is variational Bayes, whose bound is divided by the number of rows; its components may run empty.
The figures stand in ``docs/acceleration.md``.
"""

import argparse
import itertools
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets

from benchmarks.command import Record, command
from benchmarks.suite.calls import BAYESIAN, GAUSSIAN, OURS, mixture

METHODS = {None: "EM", "squarem": "SQUAREM", "lbfgs": "L-BFGS"}
GAPS = (1e-6, 1e-8)
END = 1e-11  # the tolerance that runs end at
MOST_PASSES = 40_000

SLOW = 60  # passes to 1e-8 from which on EM is called slow


class Problem(NamedTuple):
    """Rows, of clusters that lie apart or overlap or are real data, and what is fitted to them."""

    name: str
    kind: str
    rows: Callable[[], np.ndarray]
    n_components: int
    covariance_type: str = "full"


def clusters(n: int, d: int, k: int, spread: float, seed: int, shares=None, tails=0.0):
    """Rows of k Gaussians, or of t distributions with so many degrees of freedom."""
    random = np.random.RandomState(seed)
    shares = np.full(k, 1.0 / k) if shares is None else np.asarray(shares)
    parts = []
    for size in (shares * n).astype(int):
        shape = np.eye(d) + 0.3 * random.normal(size=(d, d)) / math.sqrt(d)
        rows = random.normal(size=(size, d))
        if tails:
            rows /= np.sqrt(random.chisquare(tails, (size, 1)) / tails)
        parts.append(rows @ shape + spread * random.normal(size=d))
    return np.concatenate(parts)


def collinear() -> np.ndarray:
    """Six features, three of which are nearly combinations of the others."""
    random = np.random.RandomState(7)
    rows = clusters(2000, 3, 3, 1.3, 7)
    return np.c_[rows, rows @ random.normal(size=(3, 3)) + 0.02 * random.normal(size=rows.shape)]


UNEQUAL = (0.71, 0.14, 0.09, 0.06)

PROBLEMS = (
    Problem("two far clusters, d = 1", "apart", lambda: clusters(1000, 1, 2, 12.0, 3), 2),
    Problem("separated, d = 2", "apart", lambda: clusters(2000, 2, 3, 8.0, 4), 3),
    Problem("separated, d = 8", "apart", lambda: clusters(3000, 8, 6, 5.0, 5), 6),
    Problem("separated, d = 32", "apart", lambda: clusters(3000, 32, 5, 3.0, 6), 5),
    Problem("d = 1", "overlap", lambda: clusters(2000, 1, 2, 1.5, 14), 2),
    Problem("d = 2", "overlap", lambda: clusters(2000, 2, 3, 1.3, 2), 3),
    Problem("unequal weights, d = 2", "overlap", lambda: clusters(3500, 2, 4, 1.6, 3, UNEQUAL), 4),
    Problem("strong overlap, d = 4", "overlap", lambda: clusters(4000, 4, 5, 0.7, 0), 5),
    Problem("strong overlap, d = 8", "overlap", lambda: clusters(4000, 8, 8, 0.7, 1), 8),
    Problem("d = 16", "overlap", lambda: clusters(4000, 16, 6, 0.5, 8), 6),
    Problem("collinear, d = 6", "overlap", collinear, 3),
    Problem("heavy tails, d = 3", "overlap", lambda: clusters(3000, 3, 4, 1.5, 9, tails=3.0), 4),
    Problem("many components, d = 2", "overlap", lambda: clusters(4000, 2, 30, 4.0, 10), 30),
    Problem("iris", "real", lambda: datasets.load_iris().data, 4),
    Problem("diabetes, 4 features", "real", lambda: datasets.load_diabetes().data[:, 2:6], 3),
    Problem("wine, tied", "real", lambda: datasets.load_wine().data, 4, "tied"),
    Problem("breast cancer, diag", "real", lambda: datasets.load_breast_cancer().data, 8, "diag"),
    Problem("d = 8, spherical", "overlap", lambda: clusters(4000, 8, 8, 0.7, 1), 8, "spherical"),
)


def bounds(problem: Problem, accelerate: str | None, bayesian: bool) -> np.ndarray:
    """The lower bound per row after every pass."""
    rows = problem.rows()
    end: dict[str, Any] = {"tol": END, "tol_kind": "aitken", "max_iter": MOST_PASSES}
    model = mixture(
        OURS,
        estimator=BAYESIAN if bayesian else GAUSSIAN,
        n_components=problem.n_components,
        covariance_type=problem.covariance_type,
        accelerate=accelerate,
        random_state=0,
        **end,
        **({"tol_per_sample": True} if bayesian else {}),
    )
    model.fit((rows - rows.mean(axis=0)) / rows.std(axis=0))
    return np.array(model.lower_bounds_) / (len(rows) if bayesian else 1)


def reached(bounds: np.ndarray, least: float) -> int:
    """The number of the first pass whose bound is no less; 0 if there is none."""
    return int(np.argmax(bounds >= least)) + 1 if bounds.max() >= least else 0


@command(
    only={"default": "", "help": "problems whose names hold this"},
    bayesian={"default": False, "help": "fit BayesianGaussianMixture"},
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every problem, and what they come to."""
    methods = {m: name for m, name in METHODS.items() if not (asked.bayesian and m == "lbfgs")}
    faster = [*methods.values()][1:]
    passes: list[tuple[str, dict[str, list[int]]]] = []
    for problem in PROBLEMS:
        if asked.only not in problem.name:
            continue
        found = {name: bounds(problem, m, asked.bayesian) for m, name in methods.items()}
        end = found["EM"][-1]
        counts = {name: [reached(b, end - gap) for gap in GAPS] for name, b in found.items()}
        passes.append((problem.kind, counts))
        yield {
            "problem": problem.name,
            "k": problem.n_components,
            **{name: " / ".join(str(n or "never") for n in each) for name, each in counts.items()},
            **{f"end of {name}": f"{found[name][-1] - end:+.0e}" for name in faster},
        }
    for name, kinds, least in itertools.product(faster, ("overlap", "overlap and real"), (0, SLOW)):
        ratios = [
            counts["EM"][1] / counts[name][1]
            for kind, counts in passes
            if kind in kinds and counts[name][1] and counts["EM"][1] > least
        ]
        if ratios:
            yield {
                "to 1e-8": name,
                "of problems": kinds,
                "that EM takes more passes for than": least,
                "problems": len(ratios),
                "times fewer passes": statistics.geometric_mean(ratios),
            }


if __name__ == "__main__":
    main()
