"""``python -m benchmarks.many``: Milliseconds per mixture of `fit_many` and of scikit-learn.

scikit-learn fits the first few data sets, in a loop on one thread and by joblib on all cores; its
times per data set are measured on those and held for all. fastgmm fits all of them on all cores (of
columns, as many as asked for), and ten times the first few on one thread. Every library runs once
before the clock does. The figures stand in ``docs/batch.md``.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.command import Record, command, difference
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


def seconds_by_scikit_learn(job: Job, pairs: list[tuple[np.ndarray, int]], cores: int) -> float:
    """Of a data set, of these and their seeds, by joblib."""
    fit = joblib.delayed(partial(by_scikit_learn, job))
    many = pairs * -(-2 * cores // len(pairs))  # as many as keep all cores busy
    with joblib.Parallel(n_jobs=cores) as parallel:
        # Workers start, and import, before the clock does.
        parallel(fit(X[:500], seed) for X, seed in many)
        return rested(lambda: parallel(fit(*each) for each in many)) / len(many)


def measured(job: Job, cores: int) -> Iterator[Record]:
    """A record for every way to do a job, and one for what they arrive at."""
    sets = [make_set(job.n, job.d, i) for i in range(job.fitted)]
    few = sets[: 10 * job.sample]
    arguments = {"estimator": public(job.estimator), "random_state": 0, **job.arguments}
    fit = partial(public("fit_many"), **arguments)
    made = fit(sets, n_jobs=cores)  # compiles
    pairs = list(zip(sets[: job.sample], made.seeds.tolist(), strict=False))
    theirs: list[np.ndarray] = []
    with threadpool_limits(1):
        loop = rested(lambda: theirs.extend(by_scikit_learn(job, *each) for each in pairs))
    ways = {
        "scikit-learn, a loop, one thread": loop / len(pairs),
        "scikit-learn, joblib, all cores": seconds_by_scikit_learn(job, pairs, cores),
        "fit_many, one thread": rested(lambda: fit(few, n_jobs=1)) / len(few),
        "fit_many, all cores": rested(lambda: fit(sets, n_jobs=cores)) / len(sets),
    }
    kind = f"{job.n_sets} of {job.n} x {job.d}, {job.estimator}, {job.arguments}"
    for way, seconds in ways.items():
        yield {
            kind: way,
            "ms per set": 1e3 * seconds,
            "times the loop's speed": loop / len(pairs) / seconds,
            "s for all": job.n_sets * seconds,
        }
    yield {
        "iterations each": float(made.n_iter_.mean()),
        "means differ by at most": max(map(difference, made.means_, theirs)),
        "fitted by scikit-learn": job.sample,
        "by fastgmm": job.fitted,
    }


@command(
    sets=10_000,
    columns={"default": 1000, "help": "that the job would have"},
    fitted_columns={"default": 16, "help": "that fastgmm really fits"},
    sample={"default": 200, "help": "sets that scikit-learn fits"},
    sample_columns={"default": 2, "help": "columns likewise"},
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every way to do every job."""
    for job in jobs(asked):
        yield from measured(job, joblib.cpu_count())


if __name__ == "__main__":
    main()
