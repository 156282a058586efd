"""Times libraries in turn, each in its own process."""

import contextlib
import json
import os
import selectors
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fairness import UNFAIR_VARIABLES
from benchmarks.peers.registry import OURS

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""How far means may lie apart, relative to the largest, by the type that a library works in."""


@dataclass(frozen=True)
class Settings:
    """How to time.

    Parameters
    ----------
    repeats : int
    first, last : int
        Iterations of the two fits whose difference is taken.
    timeout : float
        Seconds that a single fit may take.
    memory : int
        Bytes of data that a process may hold.
    """

    repeats: int
    first: int
    last: int
    timeout: float
    memory: int


@dataclass
class Outcome:
    """What came out for one library.

    Parameters
    ----------
    seconds : float or None
        Of an iteration, the median; None if there is an error.
    samples : list of float
    error : str or None
    means_difference : float or None
        Largest difference from fastgmm's means after as many iterations, relative to the largest.
    agrees : bool
        Whether that is within what its type of numbers allows.
    """

    seconds: float | None = None
    samples: list[float] = field(default_factory=list)
    error: str | None = None
    means_difference: float | None = None
    agrees: bool = True


class Failed(Exception):
    """A library that will not do it; the text says why."""


class Library:
    """A running worker."""

    def __init__(self, name: str, folder: Path, case: tuple[str, str, int], settings: Settings):
        structure, estimator, threads = case
        environment = {k: v for k, v in os.environ.items() if k not in UNFAIR_VARIABLES}
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
        command = [sys.executable, "-m", "benchmarks.peers.worker", name, str(folder)]
        self.name = name
        self.settings = settings
        self.process = subprocess.Popen(
            [*command, structure, estimator, str(threads), str(settings.memory)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def answer(self) -> Any:
        """The next answer of the worker."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(self.settings.timeout):
                raise Failed(f"over {self.settings.timeout:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def run(self, iterations: int) -> Any:
        """Ask for a fit and wait for it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            print(iterations, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def compare(
    names: Iterable[str], folder: Path, case: tuple[str, str, int], settings: Settings
) -> dict[str, Outcome]:
    """Time libraries on the problem in a folder.

    Parameters
    ----------
    names : iterable of str
        fastgmm among them.
    folder : Path
        See `benchmarks.peers.problem`.
    case : tuple (structure, estimator, threads)
    settings : Settings

    Returns
    -------
    dict of Outcome by name
    """
    libraries = {name: Library(name, folder, case, settings) for name in names}
    outcomes = {name: Outcome() for name in libraries}
    try:
        _time_in_turn(libraries, outcomes, settings)
    finally:
        for library in libraries.values():
            library.end()
    return outcomes


def _time_in_turn(
    libraries: dict[str, Library], outcomes: dict[str, Outcome], settings: Settings
) -> None:
    def ask(name: str, *iterations: int) -> Any:
        """An answer, or None from a library that failed, now or before."""
        if outcomes[name].error is None:
            try:
                return libraries[name].run(*iterations) if iterations else libraries[name].answer()
            except Failed as failure:
                outcomes[name].error = str(failure)
                libraries[name].end()
        return None

    for name in libraries:
        ask(name)
    # Once for nothing: some compile anew for every number of iterations.
    untimed = {name: [ask(name, n) for n in (settings.first, settings.last)] for name in libraries}
    _compare_means({name: answers[-1] for name, answers in untimed.items()}, outcomes)
    for _ in range(settings.repeats):
        short, long = (
            {name: ask(name, n) for name in libraries} for n in (settings.first, settings.last)
        )
        for name, end in long.items():
            if end is not None:
                difference = end["seconds"] - short[name]["seconds"]
                outcomes[name].samples.append(difference / (settings.last - settings.first))
    for outcome in outcomes.values():
        if outcome.error is None:
            outcome.seconds = statistics.median(outcome.samples)


def _compare_means(answers: dict[str, Any], outcomes: dict[str, Outcome]) -> None:
    if answers[OURS] is None:
        return
    ours = np.array(answers[OURS]["means"])
    for name, answer in answers.items():
        if answer is not None:
            apart = np.abs(np.array(answer["means"]) - ours).max() / np.abs(ours).max()
            outcomes[name].means_difference = float(apart)
            outcomes[name].agrees = bool(apart <= TOLERANCES[answer["dtype"]])  # NaN does not
