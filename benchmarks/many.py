"""``python -m benchmarks.many``: thousands of mixtures by `fit_many`, against scikit-learn.

scikit-learn fits the first few data sets, in a loop on one thread and by joblib on all cores; its
times per data set are measured on those and held for all. fastgmm fits all of them on all cores
(of columns, as many as asked for), and ten times the first few on one thread. Every library runs
once before the clock does.
"""

import argparse
import json
import sys
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import joblib
import numpy as np
import sklearn.mixture
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks.fairness import restart_without_unfair_variables, seconds_of


@dataclass(frozen=True)
class Problem:
    """Data sets of one kind; `sample` of them are given to scikit-learn."""

    name: str
    n_sets: int
    n: int
    d: int
    estimator: str
    arguments: dict[str, Any]
    sample: int


@dataclass(frozen=True)
class Timing:
    """Seconds per data set."""

    problem: Problem
    n_fitted: int
    scikit_learn: float
    joblib: float
    fastgmm: float
    fastgmm_one_thread: float
    iterations: float
    means_relative_difference: float


def problems(n_sets: int, n_columns: int, sample: int, column_sample: int) -> list[Problem]:
    """The two kinds of jobs that there are goals for."""
    tools = {"n_components": 10, "weight_concentration_prior": 0.001}  # as SDV and CTGAN fit them
    columns = {"n": 100_000, "d": 1, "n_sets": n_columns, "sample": column_sample}
    return [
        Problem("sets", n_sets, 500, 2, "GaussianMixture", {"n_components": 3}, sample),
        Problem("columns", estimator="BayesianGaussianMixture", arguments=tools, **columns),
        Problem("columns", estimator="GaussianMixture", arguments={"n_components": 10}, **columns),
    ]


def make_set(problem: Problem, number: int) -> np.ndarray:
    """Rows from three normal clusters, or, of columns, from four modes and a long tail."""
    random = np.random.default_rng(number)
    n, d = problem.n, problem.d
    if d > 1:
        part = random.integers(3, size=n)
        centers, spread = random.normal(0, 4, (3, d)), random.uniform(0.5, 1.5)
        return centers[part] + spread * random.normal(size=(n, d))
    part = random.integers(4, size=n)
    modes, spreads = np.array([0.0, 5, 9, 20]), random.uniform(0.3, 3, 4)
    values = modes[part] + spreads[part] * random.normal(size=n)
    values[: n // 20] = random.gamma(2.0, 10.0, n // 20)
    return values[:, np.newaxis]


def scikit_learn_fit(problem: Problem, X: Any, seed: int) -> np.ndarray:
    """Means of a fit by scikit-learn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made = getattr(sklearn.mixture, problem.estimator)(**problem.arguments, random_state=seed)
        return made.fit(X).means_


def measure(problem: Problem, n_fitted: int) -> Timing:
    """Time all ways on one kind of job."""
    import fastgmm

    estimator = getattr(fastgmm, problem.estimator)
    sets = [make_set(problem, i) for i in range(n_fitted)]
    few = sets[: problem.sample]
    cores = joblib.cpu_count()

    def fit_many(data: list[np.ndarray], n_jobs: int) -> Any:
        return fastgmm.fit_many(
            data, n_jobs=n_jobs, estimator=estimator, random_state=0, **problem.arguments
        )

    fit_many([X[:10_000] for X in sets[:2]], cores)
    all_cores, report = seconds_of(lambda: fit_many(sets, cores))
    some = sets[: 10 * len(few)]
    one_thread, _ = seconds_of(lambda: fit_many(some, 1))
    seeds = report.seeds.tolist()
    with threadpool_limits(1):
        loop, means = seconds_of(
            lambda: [
                scikit_learn_fit(problem, X, seed) for X, seed in zip(few, seeds, strict=False)
            ]
        )
    with joblib.Parallel(n_jobs=cores) as parallel:
        # Workers start, and import, before the clock does.
        parallel(joblib.delayed(scikit_learn_fit)(problem, X[:500], 0) for X in few[:2] * cores)
        jobs = [
            joblib.delayed(scikit_learn_fit)(problem, X, seed)
            for X, seed in zip(few, seeds, strict=False)
        ]
        # As many as keep all cores busy.
        rounds = -(-2 * cores // len(jobs))
        spread, _ = seconds_of(lambda: parallel(jobs * rounds))
    return Timing(
        problem,
        n_fitted,
        loop / len(few),
        spread / (rounds * len(jobs)),
        all_cores / n_fitted,
        one_thread / len(some),
        float(report.n_iter_.mean()),
        max(
            float(np.abs(ours - theirs).max() / np.abs(theirs).max())
            for ours, theirs in zip(report.means_, means, strict=False)
        ),
    )


def lines(timing: Timing) -> list[str]:
    """What to print of one kind of job."""
    problem = timing.problem
    times = (timing.scikit_learn, timing.joblib, timing.fastgmm_one_thread, timing.fastgmm)
    loop, spread, one, ours = (1e3 * seconds for seconds in times)
    measured = f"scikit-learn measured on {problem.sample}, fastgmm on {timing.n_fitted}"
    return [
        f"{problem.n_sets} {problem.name} of {problem.n} x {problem.d}, {problem.estimator}, "
        f"{problem.arguments} ({measured}; {timing.iterations:.1f} iterations each)",
        f"  scikit-learn, a loop, one thread  {loop:10.3f} ms per set",
        f"  scikit-learn, joblib, all cores   {spread:10.3f} ms per set",
        f"  fit_many, one thread              {one:10.3f} ms per set: {loop / one:6.1f}x the loop",
        f"  fit_many, all cores               {ours:10.3f} ms per set: {loop / ours:6.1f}x the "
        f"loop, {spread / ours:.1f}x joblib; {problem.n_sets * ours / 1e3:.1f} s for all",
        f"  means differ by {timing.means_relative_difference:.1e} at most, relative",
    ]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.many", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--sets", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=1000, help="that the job would have")
    parser.add_argument("--fitted-columns", type=int, default=16, help="that fastgmm really fits")
    parser.add_argument("--sample", type=int, default=200, help="sets that scikit-learn fits")
    parser.add_argument("--sample-columns", type=int, default=2, help="columns likewise")
    parser.add_argument("--json", action="store_true", help="print JSON, not text")
    parsed = parser.parse_args(arguments)
    if min(vars(parsed)[name] for name in vars(parsed) if name != "json") < 1:
        parser.error("all numbers must be at least 1")
    restart_without_unfair_variables("benchmarks.many")
    timings = []
    for problem in problems(
        parsed.sets, parsed.columns, min(parsed.sample, parsed.sets), parsed.sample_columns
    ):
        fitted = min(parsed.fitted_columns, problem.n_sets) if problem.d == 1 else problem.n_sets
        timings.append(measure(problem, max(fitted, problem.sample)))
        if not parsed.json:
            print("\n".join(lines(timings[-1])), flush=True)
    if parsed.json:
        json.dump([asdict(timing) for timing in timings], sys.stdout, indent=2)


if __name__ == "__main__":
    main()
