"""Samples of both trees in turn, so that whatever else the machine does meets both alike.

Each round starts a new process per tree (where memory lies, and with it some per cent of the time,
is settled at the start), and takes samples in pairs: one of each tree, some milliseconds apart,
which of them first alternating.
"""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from benchmarks.gate.errors import GateError, last_lines
from benchmarks.gate.trees import Tree
from benchmarks.gate.verdict import Pairs
from benchmarks.processes import NoAnswer, Worker


class BenchmarkError(GateError):
    """A benchmark raised."""


class NotHere(Exception):
    """This machine cannot run a benchmark."""


class Side:
    """A process of `benchmarks.gate.worker` on one tree, that goes with what is `opened`."""

    def __init__(self, tree: Tree, opened: ExitStack):
        self.tree = tree
        how: dict[str, Any] = {"cwd": tree.work, "env": tree.environment()}
        worker = Worker("benchmarks.gate.worker", [], tree.work / "worker.log", **how)
        self._worker = opened.enter_context(worker)
        self.start = self._answer("its start", self._worker.answer)["start"]
        """Seconds that the process measured of its own start."""

    def sample(self, name: str) -> float:
        """One sample of a benchmark.

        Raises
        ------
        NotHere
            If this machine cannot run it.
        GateError
            If it fails, a `BenchmarkError`, or the process ends.
        """
        answer = self._answer(name, lambda: self._worker.ask(name))
        if "error" in answer:
            raise BenchmarkError(
                f"benchmark {name!r} failed on {self.tree.role} {self.tree.name}:\n"
                f"{last_lines(answer['error'])}"
            )
        if "absent" in answer:
            raise NotHere(answer["absent"])
        return answer["sample"]

    def _answer(self, what: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NoAnswer as ended:
            raise GateError(
                f"{self.tree.role} {self.tree.name}: the process {ended}, in {what}\n"
                f"{last_lines(ended.messages)}"
            ) from None


def prepare(base: Tree, head: Tree, names: list[str]) -> tuple[list[str], dict[str, str]]:
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
    with ThreadPoolExecutor(2) as pool:
        of_base, of_head = pool.map(lambda tree: _failures(tree, names), (base, head))
    failed, broken = (
        [failure for failure in side.values() if isinstance(failure, BenchmarkError)]
        for side in (of_head, of_base)
    )
    if failed or (broken and len(broken) == len(names)):
        raise [*failed, *broken][0]
    reasons = {name: str(failure) for name, failure in (of_head | of_base).items()}
    reasons |= {name: "fails on BASE" for name in of_base if name not in of_head}
    return [name for name in names if name not in reasons], reasons


def _failures(tree: Tree, names: list[str]) -> dict[str, BenchmarkError | NotHere]:
    """Run every benchmark once; what did not run."""
    failures: dict[str, BenchmarkError | NotHere] = {}
    with ExitStack() as stack:
        side = Side(tree, stack)
        for name in names:
            try:
                side.sample(name)
            except (BenchmarkError, NotHere) as failure:
                failures[name] = failure
    return failures


def take_samples(
    base: Tree,
    head: Tree,
    names: list[str],
    *,
    rounds: int,
    pairs: int,
    progress: Callable[[str], None],
) -> dict[str, Pairs]:
    """Samples of all benchmarks named, which run on both, and of the workers' own start.

    There are so many `rounds` of new processes, and in each so many `pairs` of every benchmark.
    """
    samples: dict[str, Pairs] = defaultdict(Pairs)
    for number in range(rounds):
        progress(f"times, round {number + 1} of {rounds}")
        with ExitStack() as stack:
            # One after the other: they must not wait for each other's imports.
            order = (base, head) if number % 2 == 0 else (head, base)
            sides = {tree: Side(tree, stack) for tree in order}
            for name in sides[base].start:
                samples[name].add(sides[base].start[name], sides[head].start[name])
            for name in names:
                for side in sides.values():
                    side.sample(name)  # the first one sets up
                for index in range(pairs):
                    order = (base, head) if (index + number) % 2 == 0 else (head, base)
                    taken = {tree: sides[tree].sample(name) for tree in order}
                    samples[name].add(taken[base], taken[head])
    return dict(samples)
