"""Passes over rows: every kernel that the estimator calls, with the arguments it calls it with.

A pass is timed over the largest chunk of rows that a fit or a prediction gave it, on one thread.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastgmm
from benchmarks.gate.recorder import Recorder
from benchmarks.suite import problems

SHAPE, SHAPE_APART = "20000x8x8", "20000x8x64"
METHODS = ["predict", "predict_proba", "score_samples"]

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def em_iteration(structure: str, dtype: str) -> Callable[[], Any]:
    model = problems.mixture(1, **problems.from_truth(SHAPE, structure, iterations=1))
    return functools.partial(model.fit, problems.rows(SHAPE, dtype))


def iteration_by_cells(structure: str, dtype: str) -> Callable[[], Any]:
    """Components so far apart that each has rows of its own."""
    n, _, k = problems.parse_shape(SHAPE_APART)
    labels = np.arange(n) % k
    X = (problems.rows(SHAPE, "float64") + 1000.0 * labels[:, np.newaxis]).astype(dtype)
    arguments = {"n_components": k, "covariance_type": structure, "init_params": labels}
    return functools.partial(problems.mixture(1, max_iter=1, **arguments).fit, X)


def prediction(method: str, structure: str, dtype: str) -> Callable[[], Any]:
    model = em_iteration(structure, dtype)()
    return functools.partial(getattr(model, method), problems.rows(SHAPE, dtype))


def kmeans_start(dtype: str) -> Callable[[], Any]:
    model = problems.mixture(1, n_components=8, max_iter=1, random_state=0)
    return functools.partial(model.fit, problems.rows(SHAPE, dtype))


def many_fits(structure: str, dtype: str) -> Callable[[], Any]:
    sets = problems.rows(SHAPE, dtype).reshape(40, 500, 8)
    arguments = {"n_components": 3, "covariance_type": structure, "max_iter": 1}
    return functools.partial(fastgmm.fit_many, sets, n_jobs=1, random_state=0, **arguments)


CASES = [
    *(
        ("statistics_pass", em_iteration, each)
        for each in itertools.product(problems.STRUCTURES, problems.DTYPES)
    ),
    *(
        ("near_statistics_pass", iteration_by_cells, each)
        for each in itertools.product(problems.STRUCTURES, problems.DTYPES)
    ),
    *(
        ("statistics_pass", many_fits, each)
        for each in itertools.product(problems.STRUCTURES, problems.DTYPES)
    ),
    *(("scatter_pass", em_iteration, ("tied", dtype)) for dtype in problems.DTYPES),
    *(
        ("prediction_pass", prediction, each)
        for each in itertools.product(METHODS, problems.STRUCTURES, problems.DTYPES)
    ),
    ("seeding_pass", kmeans_start, ("float64",)),  # float32 seeds by scikit-learn's own sums
    *(("lloyd_pass", kmeans_start, (dtype,)) for dtype in problems.DTYPES),
]
"""Kernel, what makes an action that calls it, and the arguments of that."""


@functools.cache
def watched() -> tuple[Recorder, dict[str, Call]]:
    """The recorder of this process, and the call of each kernel with most rows."""
    calls: dict[str, Call] = {}

    def remember(name: str, kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if name not in calls or len(arguments[0]) > len(calls[name][1][0]):
            calls[name] = kernel, arguments
        return kernel(*arguments)

    recorder = Recorder(remember)
    recorder.install()
    return recorder, calls


@pytest.mark.parametrize(
    ("kernel", "maker", "arguments"),
    [
        pytest.param(
            *case, id="-".join([case[0], *(["many"] if case[1] is many_fits else []), *case[2]])
        )
        for case in CASES
    ],
)
def test_pass(benchmark: Any, kernel: str, maker: Callable, arguments: tuple[str, ...]) -> None:
    shape = SHAPE_APART if maker is iteration_by_cells else SHAPE
    benchmark.group = f"{kernel}, {shape}"
    recorder, calls = watched()
    with problems.quietly(), recorder.counting():
        action = maker(*arguments)
        calls.clear()
        action()
    function, values = calls[kernel]
    benchmark(function, *values)
