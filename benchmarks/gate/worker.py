"""The process that takes samples of one tree; `benchmarks.gate.interleave` tells it which.

Reads the name of a benchmark per line, answers with a line of JSON: ``{"sample": seconds}``, or
``{"error": traceback}``, or ``{"absent": reason}`` for what this machine cannot run. The first
line it writes are its measurements of itself: the import, and the first fit of the process.
"""

import math
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from benchmarks.gate.plants import plant_what_is_asked_for
from benchmarks.processes import answers
from benchmarks.suite.calls import LIBRARIES, em_iterations
from benchmarks.suite.clock import Call, quietly, seconds_of
from benchmarks.suite.timings import CORE, RATIOS

Sample = Callable[[], float]

LEAST_SECONDS = 8e-3
"""That a sample takes."""


def own_start() -> dict[str, float]:
    """Seconds of importing fastgmm after scikit-learn, and of a first fit, kernels compiled."""
    import numpy as np

    started = time.perf_counter()
    import fastgmm

    imported = time.perf_counter() - started
    plant_what_is_asked_for()
    started = time.perf_counter()
    fastgmm.GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).random((100, 3)))
    return {
        "import fastgmm, after scikit-learn": imported,
        "first fit of a process": time.perf_counter() - started,
    }


def sampler(name: str) -> Sample:
    """What takes a sample of a benchmark."""
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


def main() -> None:
    """Answer until there are no more requests."""
    answer = answers()
    answer({"start": own_start()})
    samplers: dict[str, Any] = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in samplers:
                samplers[name] = sampler(name)
                samplers[name]()
            answer({"sample": samplers[name]()})
        except NotImplementedError as error:
            answer({"absent": str(error)})
        except Exception:
            answer({"error": traceback.format_exc()})


if __name__ == "__main__":
    with quietly():
        main()
