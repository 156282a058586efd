"""``python -m benchmarks.compare WHAT``: Time two calls in turn, and print the ratio.

| what | case | beside | figures |
|---|---|---|---|
| iterations | EM iterations | scikit-learn's | docs/performance.md |
| predictions | of a million rows | scikit-learn's | docs/performance.md |
| few_rows | predictions of 1 to 200 rows | scikit-learn's | docs/performance.md |
| fits | whole fits by default arguments | scikit-learn's | docs/performance.md |
| small_fits | the same, of few rows | scikit-learn's | docs/performance.md |
| selection | searches over k and structures | a loop over scikit-learn | docs/selection.md |
| structures | EM iterations of all structures | one that reads rows alike | docs/structures.md |
| many | fits of many data sets, by `fit_many` | scikit-learn's, by joblib | docs/batch.md |
| noise | EM iterations with noise | without | docs/noise.md |
| missing | EM iterations, values missing | on complete rows | docs/missing.md |
| numpy | EM iterations, values missing | EM in plain NumPy | docs/missing.md |

Both run in one process, on the same rows, and EM from the same start, the parameters that rows were
drawn from, with ``tol=0``. An iteration is the time of a fit of LAST less that of a fit of FIRST,
divided by their difference; what a fit does once drops out. On one thread CPU time is taken, on
several that of the clock on the wall, with BLAS held to as many. Printed are the medians over the
repeats, and of the ratios in the same repeat. Calls of few rows are made again and again for a
while, alone. GFlop/s counts 2 n k d^2 useful operations of an iteration with full covariances.
"""

import argparse
import functools
import itertools
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import joblib
import numpy as np

from benchmarks.command import SHAPES, Record, command, difference, iterations, shapes
from benchmarks.numpy_em import numpy_em
from benchmarks.suite import calls, clock
from benchmarks.suite.calls import BAYESIAN, ESTIMATORS, GAUSSIAN, OURS, THEIRS, em_iterations
from benchmarks.suite.clock import Call, Taken
from benchmarks.suite.data import SEPARATION
from benchmarks.suite.problems import DTYPES, MISSING, STRUCTURES, data_sets, parse_shape
from benchmarks.suite.timings import METHODS
from fastgmm.covariance import STRUCTURES as ALL

ITERATIONS = ("iterations", "structures", "noise", "missing", "numpy")
WHAT = (*ITERATIONS, "predictions", "few_rows", "fits", "small_fits", "selection", "many")
LIMITS = {"few_rows": 1 / 0.9, "structures": 1.15, "noise": 1.05}  # of the time beside
SEARCHED = range(1, 11)
"""Numbers of components of a search for the least BIC, in four structures, from k-means."""

SETTLED = 50  # small fits of a process after which all of their kernels are compiled
SIZES = itertools.product((1, 20, 200), (2, 8, 24, 64, 200, 500), (2, 5, 10, 40, 200, 2048))
FEW_ROWS = [f"{n}x{d}x{k}" for n, d, k in SIZES if k * d**2 <= 10_000_000]
BESIDE = {
    name: next(other for other in STRUCTURES if ALL[other].forms == structure.forms)
    for name, structure in ALL.items()
    if structure.most_features is None
}


class Case(NamedTuple):
    """What is timed: two that make a call of a number of threads, and perhaps of iterations."""

    name: str
    beside: str
    theirs: Callable[..., Call]
    ours: Callable[..., Call]


def cases(what: str, shapes: Sequence[str]) -> Iterator[Case]:
    """All of one kind, of the usual shapes if none are given."""
    alike: dict[str, Any] = {"covariance_type": STRUCTURES, "dtype": DTYPES}
    lacking = {"missing": MISSING[1:], "shape": shapes or ["200000x8x8"]}
    match what:
        case "iterations":
            yield from by_both(em_iterations, **alike, shape=shapes or SHAPES)
        case "predictions":
            yield from by_both(
                calls.prediction, method=METHODS, **alike, shape=shapes or ["1000000x8x16"]
            )
        case "few_rows":
            yield from by_both(calls.few_rows, method=METHODS, **alike, shape=FEW_ROWS)
        case "fits":
            fit = partial(calls.whole_fit, seed=0, separation=SEPARATION)
            yield from by_both(fit, covariance_type=STRUCTURES, data=shapes or SHAPES)
        case "small_fits":
            data = shapes or ("iris", "500x2x3", "8191x8x8")
            yield from by_both(settled_fit, covariance_type=STRUCTURES, data=data)
        case "selection":
            yield from by_both(search, shape=shapes or ("100000x8x6", "500x4x6"))
        case "many":
            sets = [f"20 of {shape}" for shape in shapes] or ["2000 of 500x2x3"]
            yield from by_both(many, sets=sets, estimator=[GAUSSIAN])
            if not shapes:
                yield from by_both(many, sets=["2 columns of 100000x1x10"], estimator=ESTIMATORS)
        case "structures":
            for shape, name in itertools.product(shapes or ("500000x8x16", "100000x32x32"), BESIDE):
                fit = partial(em_iterations, shape=shape)
                both = (partial(fit, covariance_type=each) for each in (BESIDE[name], name))
                yield Case(f"{name}, {shape}", BESIDE[name], *both)
        case "noise":
            usual = ("200000x4x4", "200000x8x8", "50000x32x16")
            noisy = partial(em_iterations, noisy=True)
            axes = {"covariance_type": STRUCTURES, "shape": shapes or usual}
            yield from pairs(noisy, em_iterations, "without", **axes)
        case "missing":
            axes = {"covariance_type": STRUCTURES, **lacking}
            yield from pairs(
                em_iterations, lambda missing, **others: em_iterations(**others), "complete", **axes
            )
        case "numpy":
            axes = {"covariance_type": ["full"], **lacking}
            yield from pairs(em_iterations, numpy_em, "NumPy", **axes)


def pairs(
    ours: Callable[..., Call], theirs: Callable[..., Call], beside: str, **axes: Sequence[Any]
) -> Iterator[Case]:
    """All combinations."""
    for values in itertools.product(*axes.values()):
        one = dict(zip(axes, values, strict=True))
        name = ", ".join(map(str, values))
        yield Case(name, beside, partial(theirs, **one), partial(ours, **one))


def by_both(make: Callable[..., Call], **axes: Sequence[Any]) -> Iterator[Case]:
    """All combinations, beside scikit-learn."""
    yield from pairs(make, partial(make, library=THEIRS), THEIRS, **axes)


def search(*, shape: str, library: str = OURS, threads: int = 1) -> Call:
    """The least BIC of mixtures of rows from so many overlapping clusters."""
    n, d, k = parse_shape(shape)
    random = np.random.default_rng(0)
    centers, spreads = random.normal(0, 3, (k, d)), random.uniform(0.5, 1.5, (k, d))
    part = random.integers(k, size=n)
    X = centers[part] + spreads[part] * random.standard_normal((n, d))

    def by_loop() -> float:
        return min(
            calls.mixture(THEIRS, n_components=k, covariance_type=name, random_state=0)
            .fit(X)
            .bic(X)
            for k, name in itertools.product(SEARCHED, STRUCTURES)
        )

    def by_select() -> float:
        found = calls.public("select")(X, SEARCHED, STRUCTURES, random_state=0, n_jobs=threads)
        return float(np.nanmin(found.scores))

    return by_loop if library == THEIRS else by_select


def many(*, sets: str, estimator: str, library: str = OURS, threads: int = 1) -> Call:
    """Fits of data sets, each from a seed of its own, on one thread each."""
    prior = {"weight_concentration_prior": 0.001}
    arguments: dict[str, Any] = prior if estimator == BAYESIAN else {}
    if library == OURS:
        return calls.fit_many(sets=sets, estimator=estimator, threads=threads, **arguments)
    rows, (_, _, k) = data_sets(sets), parse_shape(sets.split()[-1])
    seeds = np.random.SeedSequence(0).generate_state(len(rows)).tolist()  # those of `fit_many`
    arguments |= {"estimator": estimator, "n_components": k}
    make = partial(calls.mixture, THEIRS, **arguments)

    def fit(X: np.ndarray, seed: int) -> Any:
        with clock.quietly():
            return make(random_state=seed).fit(X)

    def by_joblib() -> Any:
        models = joblib.Parallel(threads)(map(joblib.delayed(fit), rows, seeds))
        ends = {name: [getattr(model, name) for model in models] for name in ("means_", "n_iter_")}
        return SimpleNamespace(**ends)

    return by_joblib


def settled_fit(*, library: str = OURS, **fit: Any) -> Call:
    """A whole fit, as a process has it that has made many."""
    call = calls.whole_fit(library=library, **fit)
    for _ in range(SETTLED if library == OURS else 0):
        call()
    return call


def timed(what: str, case: Case, asked: argparse.Namespace) -> Taken[str]:
    """Samples of both."""
    theirs, ours = (partial(make, threads=asked.threads) for make in (case.theirs, case.ours))
    both = {THEIRS: theirs, OURS: ours}
    seconds: Callable[[Call], float] = clock.cpu_seconds_of
    if what in ITERATIONS:
        if asked.threads > 1:
            seconds = partial(clock.rested, warm_up=ours(iterations=1))
        return clock.iterations_in_turn(both, asked.iterations, asked.repeats, seconds)
    once = {key: make() for key, make in both.items()}
    if what == "few_rows":
        seconds = clock.sustained
    elif asked.threads > 1:
        seconds = partial(clock.rested, warm_up=once[OURS])
    return clock.in_turn(once, asked.repeats, seconds)


@functools.cache
def gemm_rate(dtype: str, size: int = 2048, repeats: int = 6) -> float:
    """The GFlop/s of NumPy's matrix product, the best of `repeats`."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    b, out = a.T.copy(), np.empty_like(a)
    best = min(clock.seconds_of(lambda: np.matmul(a, b, out=out)) for _ in range(repeats))
    return 2.0 * size**3 / best / 1e9


def rates(name: str, seconds: float) -> Record:
    """The columns of useful operations."""
    structure, dtype, shape = name.split(", ")
    if structure != "full" or seconds <= 0:
        return {"GFlop/s": None, "% of gemm's": None}
    n, d, k = parse_shape(shape)
    rate = 2.0 * n * k * d**2 / seconds / 1e9
    return {"GFlop/s": rate, "% of gemm's": 100 * rate / gemm_rate(dtype)}


def ends(theirs: Any, ours: Any) -> Record:
    """The columns of where both arrive."""
    record = {}
    if hasattr(theirs, "n_iter_"):
        counts = (f"{np.mean(each.n_iter_):g}" for each in (theirs, ours))
        record["iterations each"] = " and ".join(counts)
    one, other = (getattr(value, "means_", value) for value in (ours, theirs))
    return {**record, "differ by": difference(one, other)}


@command(
    what={"positional": True, "choices": WHAT, "nargs": "+"},
    select={"default": "", "help": "only cases whose name contains this regular expression"},
    shapes=shapes(),
    threads=1,
    repeats=5,
    iterations=iterations(1, 9),
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every case, and what those of a kind come to."""
    for what in asked.what:
        limit, faster = LIMITS.get(what, np.inf), []
        for case in cases(what, asked.shapes):
            if not re.search(asked.select, case.name):
                continue
            taken = timed(what, case, asked)
            theirs, ours = taken.seconds(THEIRS), taken.seconds(OURS)
            ratio = taken.ratio(OURS, THEIRS)
            # A difference of two noisy times can come out as nothing at all for tiny shapes.
            faster.append(1 / ratio if ratio > 0 else None)
            yield {
                what: case.name,
                "beside": case.beside,
                "its ms": 1e3 * theirs,
                "ms": 1e3 * ours,
                "ratio": ratio,
                "times faster": faster[-1],
                **(rates(case.name, ours) if what == "iterations" else {}),
                **ends(taken.values[THEIRS], taken.values[OURS]),
                "": "above the limit" if ratio > limit else "",
                "samples": [taken.samples[THEIRS], taken.samples[OURS]],
            }
        found = [each for each in faster if each]
        if found:
            yield {
                f"{what}, cases": len(found),
                "times faster, geometric mean": statistics.geometric_mean(found),
                "least": min(found),
                "above the limit": sum(1 / each > limit for each in found),
            }


if __name__ == "__main__":
    main()
