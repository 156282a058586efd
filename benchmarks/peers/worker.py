"""One library, in a process of its own."""

import os
import resource
import warnings
from typing import Any

from benchmarks.suite.clock import rested

_prepared: list[Any] = []
"""What runs EM iterations, once it is there."""


def prepare(
    name: str, shape: str, structure: str, estimator: str, threads: int, memory: int
) -> None:
    """Get a library ready for a problem, on so many cores, and within so many bytes of memory."""
    # Before any library is loaded: some count the cores when they are.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    warnings.simplefilter("ignore")
    from benchmarks.peers.clusters import CLUSTER_PEERS
    from benchmarks.peers.libraries import PEERS, Posed

    posed = Posed(shape, structure, estimator, threads)
    _prepared.append((PEERS | CLUSTER_PEERS)[name].prepare(posed))


def run(iterations: int) -> dict[str, Any]:
    """Seconds of so many iterations, and the means that they end with."""
    (fit,) = _prepared
    fitted: list[Any] = []
    seconds = rested(lambda: fitted.append(fit(iterations)), warm_up=lambda: fit(1))
    (means,) = fitted
    return {"seconds": seconds, "means": means.tolist(), "dtype": str(means.dtype)}
