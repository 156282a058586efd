"""``python -m benchmarks.peers.worker``: One library in a process of its own.

Started by `benchmarks.peers`, which sets the environment. Each line of standard input is a number
of iterations, each line of standard output the answer: seconds and means, or what went wrong.
"""

import os
import resource
import sys
import warnings
from typing import Any

from benchmarks.processes import answers
from benchmarks.suite.clock import rested


def one_line(error: BaseException) -> str:
    """What an exception says, in a line of a table."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def serve(answer: Any, name: str, shape: str, structure: str, estimator: str, threads: int) -> None:
    """Answer once for the preparation, and then for every line of standard input."""
    from benchmarks.peers.clusters import CLUSTER_PEERS
    from benchmarks.peers.libraries import PEERS, Posed

    run = (PEERS | CLUSTER_PEERS)[name].prepare(Posed(shape, structure, estimator, threads))
    answer({})
    for line in sys.stdin:
        fitted: list[Any] = []

        def fit(iterations: int = int(line), fitted: list[Any] = fitted) -> None:
            fitted.append(run(iterations))

        seconds = rested(fit, lambda: run(1))
        (means,) = fitted
        answer({"seconds": seconds, "means": means.tolist(), "dtype": str(means.dtype)})


def main(name: str, shape: str, structure: str, estimator: str, threads: str, memory: str) -> None:
    """Run the command."""
    # Before any library is loaded: some count the cores when they are.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
    answer = answers()
    warnings.simplefilter("ignore")
    try:
        serve(answer, name, shape, structure, estimator, int(threads))
    except Exception as error:  # whatever a library raises stands in the table
        answer({"error": one_line(error)})


if __name__ == "__main__":
    main(*sys.argv[1:])
