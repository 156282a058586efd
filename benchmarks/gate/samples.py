"""Samples of what the gate times, in a process of one tree."""

import functools
import math
from collections.abc import Callable

import numpy as np

from benchmarks.gate.plants import plant_what_is_asked_for
from benchmarks.suite.calls import LIBRARIES, em_iterations
from benchmarks.suite.clock import WALL, Call, quietly, seconds_of
from benchmarks.suite.timings import CORE, RATIOS

LEAST_SECONDS = 8e-3  # that a sample takes


def sample(name: str) -> float:
    """A sample of a benchmark; the first time, it is set up."""
    with quietly():
        return sampler(name)()


@functools.cache
def sampler(name: str) -> Callable[[], float]:
    """What takes samples of a benchmark."""
    if name in CORE:
        return timed(CORE[name]())
    ours, theirs = (timed(em_iterations(library=each, **RATIOS[name])) for each in LIBRARIES)
    return lambda: ours() / theirs()


def timed(call: Call) -> Callable[[], float]:
    """Seconds of a call, the mean of as many as take some milliseconds."""
    call()  # compiles, and fills caches
    number = 2 ** max(0, math.ceil(math.log2(LEAST_SECONDS / seconds_of(call))))

    def repeated() -> None:
        for _ in range(number):
            call()

    return lambda: seconds_of(repeated) / number


def own_start() -> dict[str, float]:
    """Seconds of importing fastgmm after scikit-learn, and of a first fit, kernels compiled.

    It is the first that a process does; what is imported above brings scikit-learn.
    """
    started = WALL()
    import fastgmm

    imported = WALL() - started
    plant_what_is_asked_for()
    X = np.random.default_rng(0).random((100, 3))
    first = seconds_of(lambda: fastgmm.GaussianMixture(2, random_state=0).fit(X))
    return {"import fastgmm, after scikit-learn": imported, "first fit of a process": first}
