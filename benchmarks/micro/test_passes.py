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
from benchmarks.suite.calls import em_iterations, kmeans_start, mixture, prediction
from benchmarks.suite.clock import Call, quietly
from benchmarks.suite.problems import DTYPES, STRUCTURES, Problem, parse_shape
from benchmarks.suite.timings import METHODS

SHAPE, SHAPE_APART = "20000x8x8", "20000x8x64"


def iteration_by_cells(covariance_type: str, dtype: str) -> Call:
    """Components so far apart that each has rows of its own."""
    n, _, k = parse_shape(SHAPE_APART)
    labels = np.arange(n) % k
    X = (Problem(SHAPE).rows + 1000.0 * labels[:, np.newaxis]).astype(dtype)
    arguments = {"n_components": k, "covariance_type": covariance_type, "init_params": labels}
    return functools.partial(mixture(max_iter=1, **arguments).fit, X)


def many_fits(covariance_type: str, dtype: str) -> Call:
    sets = Problem(SHAPE, dtype=dtype).rows.reshape(40, 500, 8)
    arguments = {"n_components": 3, "covariance_type": covariance_type, "max_iter": 1}
    return functools.partial(fastgmm.fit_many, sets, n_jobs=1, random_state=0, **arguments)


BOTH = [
    {"covariance_type": structure, "dtype": dtype}
    for structure, dtype in itertools.product(STRUCTURES, DTYPES)
]
one_iteration = functools.partial(em_iterations, iterations=1, shape=SHAPE)
CASES = [
    *(("statistics_pass", one_iteration, each) for each in BOTH),
    *(("near_statistics_pass", iteration_by_cells, each) for each in BOTH),
    *(("statistics_pass", many_fits, each) for each in BOTH),
    *(("scatter_pass", one_iteration, each) for each in BOTH if each["covariance_type"] == "tied"),
    *(
        ("prediction_pass", prediction, {"method": method, "shape": SHAPE, **each})
        for method, each in itertools.product(METHODS, BOTH)
    ),
    # Rows in float32 are seeded by scikit-learn's own sums.
    ("seeding_pass", kmeans_start, {"shape": SHAPE, "dtype": "float64"}),
    *(("lloyd_pass", kmeans_start, {"shape": SHAPE, "dtype": dtype}) for dtype in DTYPES),
]
"""Kernel, what makes a call that runs it, and what that is made with."""


@functools.cache
def watched() -> tuple[Recorder, dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]]:
    """The recorder of this process, and of each kernel the arguments with most rows."""
    calls: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def remember(name: str, kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if name not in calls or len(arguments[0]) > len(calls[name][1][0]):
            calls[name] = kernel, arguments
        return kernel(*arguments)

    recorder = Recorder(remember)
    recorder.install()
    return recorder, calls


def named(kernel: str, make: Callable[..., Call], arguments: dict[str, str]) -> str:
    values = [value for value in arguments.values() if value != SHAPE]
    return "-".join([kernel, *(["many"] if make is many_fits else []), *values])


@pytest.mark.parametrize(
    ("kernel", "make", "arguments"), [pytest.param(*case, id=named(*case)) for case in CASES]
)
def test_pass(
    benchmark: Any, kernel: str, make: Callable[..., Call], arguments: dict[str, str]
) -> None:
    shape = SHAPE_APART if make is iteration_by_cells else SHAPE
    benchmark.group = f"{kernel}, {shape}"
    recorder, calls = watched()
    with quietly(), recorder.counting():
        call = make(**arguments)
        calls.clear()
        call()
    function, values = calls[kernel]
    benchmark(function, *values)
