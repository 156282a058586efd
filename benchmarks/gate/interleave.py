"""Samples of both trees in turn, so that whatever else the machine does meets both alike.

Each round starts a new process per tree (where memory lies, and with it some per cent of the time,
is settled at the start), and takes samples in pairs: one of each tree, some milliseconds apart,
which of them first alternating.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

from benchmarks.gate import processes
from benchmarks.gate.errors import GateError, last_lines
from benchmarks.gate.trees import Tree
from benchmarks.gate.verdict import Pairs


class BenchmarkError(GateError):
    """A benchmark raised."""


class NotHere(Exception):
    """This machine cannot run a benchmark."""


class Worker:
    """A process of `benchmarks.gate.worker` on one tree."""

    def __init__(self, tree: Tree):
        self.tree = tree
        self._open = ExitStack()

    def __enter__(self) -> "Worker":
        with ExitStack() as stack:
            # A file, for nobody empties a pipe while samples are taken.
            self._messages = stack.enter_context((self.tree.work / "worker.log").open("w+"))
            self._process = stack.enter_context(
                processes.started(
                    [sys.executable, "-m", "benchmarks.gate.worker"],
                    cwd=self.tree.work,
                    env=self.tree.environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._messages,
                )
            )
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    def start(self) -> dict[str, float]:
        """What the process measured of its own start; comes first."""
        return self._answer("its start")["start"]

    def sample(self, name: str) -> float:
        """One sample.

        Raises
        ------
        NotHere
            If this machine cannot run it.
        BenchmarkError
            If it fails.
        GateError
            If the process ends.
        """
        assert self._process.stdin is not None
        with suppress(OSError):  # the reason is told below
            print(name, file=self._process.stdin, flush=True)
        answer = self._answer(name)
        if "error" in answer:
            raise BenchmarkError(
                f"benchmark {name!r} failed on {self.tree.role} {self.tree.name}:\n"
                f"{last_lines(answer['error'])}"
            )
        if "absent" in answer:
            raise NotHere(answer["absent"])
        return answer["sample"]

    def _answer(self, what: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        with processes.patience(self._process) as late:
            line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            end = f"took over {processes.PATIENCE:.0f} s" if late.is_set() else "ended"
            self._messages.seek(0)
            raise GateError(
                f"{self.tree.role} {self.tree.name}: the process {end} in {what}, exit code "
                f"{code}\n{last_lines(self._messages.read())}"
            )
        return json.loads(line)


def prepare(base: Tree, head: Tree, names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Run every benchmark once on both trees, side by side; that compiles their kernels.

    Returns
    -------
    names : list of str
        What can be compared.
    left_out : dict of str to str
        Why the others cannot: this machine cannot run them, or BASE cannot, being older.

    Raises
    ------
    GateError
        If one fails on HEAD, or none runs on BASE.
    """
    names = list(names)
    with ThreadPoolExecutor(2) as pool:
        of_base, of_head = pool.map(lambda tree: _failures(tree, names), (base, head))
    for failure in of_head.values():
        if isinstance(failure, BenchmarkError):
            raise failure
    broken = [failure for failure in of_base.values() if isinstance(failure, BenchmarkError)]
    if broken and len(broken) == len(names):
        raise broken[0]
    reasons = {name: str(failure) for name, failure in (of_head | of_base).items()}
    reasons |= {name: "fails on BASE" for name in of_base if name not in of_head}
    return [name for name in names if name not in reasons], reasons


def _failures(tree: Tree, names: list[str]) -> dict[str, BenchmarkError | NotHere]:
    """Run every benchmark once; what did not run."""
    failures: dict[str, BenchmarkError | NotHere] = {}
    with Worker(tree) as worker:
        worker.start()
        for name in names:
            try:
                worker.sample(name)
            except (BenchmarkError, NotHere) as failure:
                failures[name] = failure
    return failures


def take_samples(
    base: Tree,
    head: Tree,
    names: Iterable[str],
    *,
    rounds: int,
    pairs: int,
    progress: Callable[[str], None],
) -> dict[str, Pairs]:
    """Samples of all benchmarks named, and of the workers' own start.

    Parameters
    ----------
    base, head : Tree
    names : iterable of str
        What `prepare` found to run on both.
    rounds : int
        New processes per tree.
    pairs : int
        Of samples per benchmark and round.
    progress : callable
        Told what runs.
    """
    samples: dict[str, Pairs] = defaultdict(Pairs)
    names = list(names)
    for number in range(rounds):
        progress(f"times, round {number + 1} of {rounds}")
        with ExitStack() as stack:
            workers: dict[Tree, Worker] = {}
            starts: dict[Tree, dict[str, float]] = {}
            # One after the other: they must not wait for each other's imports.
            for tree in (base, head) if number % 2 == 0 else (head, base):
                workers[tree] = stack.enter_context(Worker(tree))
                starts[tree] = workers[tree].start()
            for name in starts[base]:
                samples[name].add(starts[base][name], starts[head][name])
            for name in names:
                for worker in workers.values():
                    worker.sample(name)  # the first one sets up
                for index in range(pairs):
                    order = (base, head) if (index + number) % 2 == 0 else (head, base)
                    taken = {tree: workers[tree].sample(name) for tree in order}
                    samples[name].add(taken[base], taken[head])
    return dict(samples)
