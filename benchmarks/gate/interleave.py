"""Samples of both trees in turn, so that whatever else the machine does meets both alike.

Each round starts a new process per tree (where memory lies, and with it some per cent of the time,
is settled at the start), and takes samples in pairs: one of each tree, some milliseconds apart,
which of them first alternating.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
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
    """A process of `benchmarks.gate.worker` on one tree.

    Parameters
    ----------
    tree : Tree
    opened : ExitStack
        Ends the process.
    """

    def __init__(self, tree: Tree, opened: ExitStack):
        self.tree = tree
        self._worker = opened.enter_context(
            Worker(
                "benchmarks.gate.worker",
                [],
                tree.work / "worker.log",
                cwd=tree.work,
                env=tree.environment(),
            )
        )
        self.start = self._answer("its start", self._worker.answer)["start"]
        """Seconds that the process measured of its own start."""

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
