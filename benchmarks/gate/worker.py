"""The process that takes samples of one tree; `benchmarks.gate.interleave` tells it which.

Reads the name of a benchmark per line, answers with a line of JSON: ``{"sample": seconds}``, or
``{"error": traceback}``, or ``{"absent": reason}`` for what this machine cannot run. The first
line it writes are its measurements of itself: the import, and the first fit of the process.
"""

import json
import os
import sys
import time
import traceback
from typing import Any, TextIO

from benchmarks.gate.plants import plant_what_is_asked_for


def own_start() -> dict[str, float]:
    """Seconds of importing fastgmm after scikit-learn, and of a first fit, kernels compiled."""
    import numpy as np
    import sklearn.mixture  # noqa: F401  (not what is measured)

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


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""

    def answer(**content: Any) -> None:
        print(json.dumps(content), file=answers, flush=True)

    answer(start=own_start())
    from benchmarks.gate.core_set import core_set

    benchmarks = core_set()
    samplers: dict[str, Any] = {}
    for line in requests:
        name = line.strip()
        try:
            if name not in samplers:
                samplers[name] = benchmarks[name].make()
                samplers[name]()  # compiles, and fills caches
            answer(sample=samplers[name]())
        except NotImplementedError as error:
            answer(absent=str(error))
        except Exception:
            answer(error=traceback.format_exc())


def main() -> None:
    """Run with standard output kept for answers, whatever else may print."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
