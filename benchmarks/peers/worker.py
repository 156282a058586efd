"""One library, in a process of its own."""

import warnings
from typing import Any

from benchmarks.peers.clusters import CLUSTER_PEERS
from benchmarks.peers.libraries import PEERS, Posed, Run
from benchmarks.suite.clock import rested

ALL = PEERS | CLUSTER_PEERS

_prepared: list[Run] = []  # what runs EM iterations, once it is there


def prepare(name: str, shape: str, structure: str, estimator: str, threads: int) -> None:
    """Get a library ready for a problem."""
    warnings.simplefilter("ignore")
    _prepared.append(ALL[name].prepare(Posed(shape, structure, estimator, threads)))


def run(iterations: int) -> dict[str, Any]:
    """Seconds of so many iterations, and the means that they end with."""
    (fit,) = _prepared
    fitted: list[Any] = []
    seconds = rested(lambda: fitted.append(fit(iterations)), warm_up=lambda: fit(1))
    (means,) = fitted
    return {"seconds": seconds, "means": means.tolist(), "dtype": str(means.dtype)}
