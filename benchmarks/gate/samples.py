"""Samples of the benchmarks that the gate times, in a process of one tree."""

import functools
import math
from collections.abc import Callable

from benchmarks.suite.calls import LIBRARIES, em_iterations
from benchmarks.suite.clock import Call, quietly, seconds_of
from benchmarks.suite.timings import CORE, RATIOS

Sample = Callable[[], float]

LEAST_SECONDS = 8e-3
"""That a sample takes."""


def sample(name: str) -> float:
    """A sample of a benchmark; the first time, it is set up."""
    with quietly():
        return sampler(name)()


@functools.cache
def sampler(name: str) -> Sample:
    """What takes samples of a benchmark."""
    if name in CORE:
        return timed(CORE[name]())
    ours, theirs = (timed(em_iterations(library=each, **RATIOS[name])) for each in LIBRARIES)
    return lambda: ours() / theirs()


def timed(call: Call) -> Sample:
    """Seconds of a call, the mean of as many as take some milliseconds."""
    call()  # compiles, and fills caches
    number = 2 ** max(0, math.ceil(math.log2(LEAST_SECONDS / seconds_of(call))))

    def repeated() -> None:
        for _ in range(number):
            call()

    return lambda: seconds_of(repeated) / number
