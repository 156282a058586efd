"""``python -m benchmarks.peers``: Times of other libraries that fit Gaussian mixtures, beside
fastgmm.

Every library runs in a process of its own, pinned to the same cores, on the same rows from the same
start, and is asked in turn for a few and for more EM iterations, without a test of convergence. The
difference of the two times, over the difference of the iterations, is the time of an iteration;
what a fit does once drops out. The table has fastgmm's milliseconds, the median of the repeats, in
float64, and the others' time as a multiple of them. A star says that the means after as many
iterations differ from fastgmm's by more than 1e-6 (1e-3 where a library works in float32).

The libraries are an extra, ``pip install ".[peers]"``; one that is missing, or fails, says so in
its column; so does one that takes 300 seconds for a fit, or half of the memory that is free. Those
on clusters (``--peers fastgmm-on-Dask``, ...) run if they are asked for. Spark's own mixture takes
no start, and ends elsewhere.
"""

import argparse
import itertools
import math
import os
import resource
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil

from benchmarks.command import SHAPES, Record, command, difference, iterations, shapes, some_of
from benchmarks.peers.libraries import PEERS
from benchmarks.peers.worker import ALL, prepare, run
from benchmarks.processes import Failure, Worker, fair_environment
from benchmarks.suite.calls import ESTIMATORS, GAUSSIAN, OURS
from benchmarks.suite.clock import iterations_in_turn
from benchmarks.suite.problems import STRUCTURES

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""How far means may lie apart, relative to the largest, by the type that a library works in."""

HEADINGS = ("rows x features x components", "covariance", "estimator", "threads")
Case = tuple[str, str, str, int]  # what stands below them


class Library:
    """A library in a process, which fails at most once, and is asked no more then.

    It has as many cores as threads, and so many bytes of memory.
    """

    def __init__(self, worker: Worker, name: str, case: Case, memory: int):
        self.error: str | None = None
        self._worker = worker
        # Before it loads any library: some count the cores when they are loaded.
        os.sched_setaffinity(worker.pid, sorted(os.sched_getaffinity(0))[: case[-1]])
        resource.prlimit(worker.pid, resource.RLIMIT_DATA, (memory, memory))
        self._ask(prepare, name, *case)

    def call(self, iterations: int) -> Callable[[], Record]:
        """What asks for seconds and means after some iterations; NaN from one that failed."""
        return lambda: self._ask(run, iterations) or {"seconds": math.nan}

    def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.error is None:
            try:
                return self._worker.call(function, *arguments)
            except Failure as failure:
                self.error = failure.reason
        return None


def compare(
    names: list[str],
    case: Case,
    iterations: tuple[int, int] = (1, 6),
    repeats: int = 5,
    memory: int = 1 << 36,
    timeout: float = 300.0,
) -> dict[str, Record]:
    """Time libraries, fastgmm first, and compare where they arrive.

    Of each, the median ``seconds`` of an iteration (NaN with an ``error``), the ``samples``, and
    by how much ``means_differ`` from fastgmm's, and whether that ``agrees``.
    """
    with ExitStack() as stack:
        libraries = {}
        for name in names:
            worker = Worker(name, timeout, env=fair_environment(case[-1]))
            libraries[name] = Library(stack.enter_context(worker), name, case, memory)
        taken = iterations_in_turn(
            {name: library.call for name, library in libraries.items()},
            iterations,
            repeats,
            lambda call: call()["seconds"],
        )
    outcomes: dict[str, Record] = {}
    ours = taken.values[names[0]].get("means")
    for name, library in libraries.items():
        theirs = taken.values[name].get("means")
        apart = difference(theirs, ours) if theirs and ours else None
        outcomes[name] = {
            "seconds": taken.seconds(name),
            "samples": taken.samples[name],
            "error": library.error,
            "means_differ": apart,
            "agrees": apart is None or apart <= TOLERANCES[taken.values[name]["dtype"]],
        }
    return outcomes


def told(name: str, outcomes: dict[str, Record]) -> str | float:
    """What the table says of a library."""
    outcome, ours = outcomes[name], outcomes[OURS]["seconds"]
    if outcome["error"] is not None:
        return textwrap.shorten(outcome["error"], width=44, placeholder=" …")
    if name == OURS:
        return 1e3 * ours
    # A difference of two noisy times can come out as nothing at all for tiny shapes.
    seconds = outcome["seconds"]
    figure = f"{seconds / ours:.1f}x" if ours > 0 else f"{1e3 * seconds:.2f} ms"
    return figure if outcome["agrees"] else f"{figure} *"


def heading(name: str) -> str:
    """Of a column."""
    return f"{OURS}, ms" if name == OURS else f"{name} {ALL[name].version() or ''}".strip()


OTHERS = [name for name in ALL if name != OURS]


@command(
    limited=False,
    shapes=shapes(*SHAPES),
    structures=some_of(STRUCTURES, ["full", "diag"]),
    estimators=some_of(ESTIMATORS, [GAUSSIAN]),
    peers=some_of(OTHERS, [name for name in OTHERS if name in PEERS]),
    threads=(2,),
    repeats=5,
    iterations=iterations(1, 6),
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every case."""
    cores = len(os.sched_getaffinity(0))
    if max(asked.threads) > cores:
        raise SystemExit(f"--threads: this process may use {cores} cores")
    memory = psutil.virtual_memory().available // 2  # what caches of files hold is free, too
    for case in itertools.product(asked.shapes, asked.structures, asked.estimators, asked.threads):
        cells = {name: ALL[name].lacks(*case[1:3]) for name in (OURS, *asked.peers)}
        names = [name for name, lack in cells.items() if lack is None]
        outcomes = compare(names, case, asked.iterations, asked.repeats, memory)
        cells |= {name: told(name, outcomes) for name in names}
        yield {
            **dict(zip(HEADINGS, case, strict=True)),
            **{heading(name): cell for name, cell in cells.items()},
            "outcomes": [{"library": name, **outcome} for name, outcome in outcomes.items()],
        }


if __name__ == "__main__":
    main()
