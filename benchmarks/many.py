"""``python -m benchmarks.many``: Milliseconds per mixture of `fit_many` and of scikit-learn.

scikit-learn fits the first few data sets, in a loop on one thread and by joblib on all cores; its
times per data set are measured on those and held for all. fastgmm fits all of them on all cores (of
columns, as many as asked for), and ten times the first few on one thread. Every library runs once
before the clock does.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import command
from benchmarks.command import Command, Record
from benchmarks.suite.calls import BAYESIAN, GAUSSIAN, THEIRS, mixture, public
from benchmarks.suite.clock import quietly, rested


@dataclass(frozen=True)
class Job:
    """Data sets of one kind; of those, fastgmm fits `fitted` and scikit-learn `sample`."""

    n_sets: int
    fitted: int
    sample: int
    n: int
    d: int
    estimator: str
    arguments: dict[str, Any]


def jobs(asked: argparse.Namespace) -> list[Job]:
    """The two kinds that there are goals for: small sets, and columns as SDV and CTGAN fit them."""
    sample = min(asked.sample, asked.sets)
    fitted = max(min(asked.fitted_columns, asked.columns), asked.sample_columns)
    columns = (asked.columns, fitted, asked.sample_columns, 100_000, 1)
    prior = {"n_components": 10, "weight_concentration_prior": 0.001}
    return [
        Job(asked.sets, asked.sets, sample, 500, 2, GAUSSIAN, {"n_components": 3}),
        Job(*columns, BAYESIAN, prior),
        Job(*columns, GAUSSIAN, {"n_components": 10}),
    ]


def make_set(n: int, d: int, number: int) -> np.ndarray:
    """Rows from three normal clusters, or, of columns, from four modes and a long tail."""
    random = np.random.default_rng(number)
    if d > 1:
        part = random.integers(3, size=n)
        centers, spread = random.normal(0, 4, (3, d)), random.uniform(0.5, 1.5)
        return centers[part] + spread * random.normal(size=(n, d))
    part = random.integers(4, size=n)
    modes, spreads = np.array([0.0, 5, 9, 20]), random.uniform(0.3, 3, 4)
    values = modes[part] + spreads[part] * random.normal(size=n)
    values[: n // 20] = random.gamma(2.0, 10.0, n // 20)
    return values[:, np.newaxis]


def by_scikit_learn(job: Job, X: np.ndarray, seed: int) -> np.ndarray:
    """Means of a fit."""
    with quietly():
        made = mixture(THEIRS, estimator=job.estimator, random_state=seed, **job.arguments)
        return made.fit(X).means_


def measure(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every way to do every job."""
    cores = joblib.cpu_count()
    for job in jobs(asked):
        sets = [make_set(job.n, job.d, i) for i in range(job.fitted)]
        arguments = {"estimator": public(job.estimator), "random_state": 0, **job.arguments}

        def fit(data: list[np.ndarray], threads: int, arguments: Any = arguments) -> Any:
            return public("fit_many")(data, n_jobs=threads, **arguments)

        report = fit(sets, cores)  # compiles, and gives scikit-learn the seeds
        pairs = list(zip(sets[: job.sample], report.seeds.tolist(), strict=False))
        few = sets[: 10 * len(pairs)]
        theirs: list[np.ndarray] = []
        with threadpool_limits(1):
            loop = rested(lambda: theirs.extend(by_scikit_learn(job, *each) for each in pairs))  # noqa: B023
        with joblib.Parallel(n_jobs=cores) as parallel:
            # Workers start, and import, before the clock does.
            parallel(joblib.delayed(by_scikit_learn)(job, X[:500], 0) for X in sets[:2] * cores)
            # As many as keep all cores busy.
            many = pairs * -(-2 * cores // len(pairs))
            spread = rested(
                lambda: parallel(joblib.delayed(by_scikit_learn)(job, *each) for each in many)  # noqa: B023
            )
        ways = {
            "scikit-learn, a loop, one thread": loop / len(pairs),
            "scikit-learn, joblib, all cores": spread / len(many),
            "fit_many, one thread": rested(lambda: fit(few, 1)) / len(few),  # noqa: B023
            "fit_many, all cores": rested(lambda: fit(sets, cores)) / len(sets),  # noqa: B023
        }
        differences = map(command.difference, report.means_, theirs)
        kind = f"{job.n_sets} of {job.n} x {job.d}, {job.estimator}, {job.arguments}"
        for way, seconds in ways.items():
            yield {
                kind: way,
                "ms per set": 1e3 * seconds,
                "times the loop's speed": ways["scikit-learn, a loop, one thread"] / seconds,
                "s for all": job.n_sets * seconds,
            }
        yield {
            "iterations each": float(report.n_iter_.mean()),
            "means differ by at most": max(differences),
            "fitted by scikit-learn": job.sample,
            "by fastgmm": job.fitted,
        }


main = Command(
    "many",
    __doc__,
    measure,
    {
        "--sets": command.whole(10_000),
        "--columns": command.whole(1000, "that the job would have"),
        "--fitted-columns": command.whole(16, "that fastgmm really fits"),
        "--sample": command.whole(200, "sets that scikit-learn fits"),
        "--sample-columns": command.whole(2, "columns likewise"),
    },
)

if __name__ == "__main__":
    main()
