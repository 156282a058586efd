"""Processes on the trees that are compared, and calls of functions in them."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.gate.errors import GateError, last_lines
from benchmarks.gate.plants import VARIABLE
from benchmarks.gate.start import imported_from
from benchmarks.gate.trees import REPOSITORY, Tree
from benchmarks.processes import NoAnswer, Raised, Worker, fair_environment


class BenchmarkError(GateError):
    """What was called has raised."""


class NotHere(Exception):
    """This machine cannot run a benchmark."""


class Side:
    """A process that imports fastgmm from a tree, and goes with a stack."""

    def __init__(self, tree: Tree, stack: ExitStack, prefix: Sequence[str] = ()):
        self.tree = tree
        worker = Worker(prefix=prefix, cwd=tree.work, env=environment(tree))
        self._worker = stack.enter_context(worker)
        self._asked = ""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function returns there, see `answer`."""
        self.ask(function, *arguments)
        return self.answer()

    def ask(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin a call."""
        self._asked = " ".join(filter(None, [function.__name__, *map(str, arguments)]))
        self._worker.ask(function, *arguments)

    def answer(self) -> Any:
        """What the function returned.

        Raises
        ------
        NotHere
            If this machine cannot run it.
        GateError
            If it raised, a `BenchmarkError`, or the process has ended.
        """
        of = f"{self.tree.role} {self.tree.name}"
        try:
            return self._worker.answer()
        except Raised as raised:
            if raised.kind == NotImplementedError.__name__:
                raise NotHere(raised.text) from None
            reason = f"{self._asked!r} failed on {of}:\n{last_lines(raised.trace)}"
            raise BenchmarkError(reason) from None
        except NoAnswer as ended:
            reason = f"{of}: the process {ended}, in {self._asked!r}\n{last_lines(ended.messages)}"
            raise GateError(reason) from None


def environment(tree: Tree) -> dict[str, str]:
    """Variables of a process that imports fastgmm from the sources of a tree."""
    return fair_environment(
        threads=1,
        # Second come the benchmarks of this checkout; its own fastgmm is never found.
        PYTHONPATH=os.pathsep.join([str(tree.sources), str(REPOSITORY)]),
        # Beside the sources; not what is planted, of which the names of kernels know nothing.
        NUMBA_CACHE_DIR=str(tree.work / "planted") if tree.plant else "",
        PYTHONHASHSEED="0",
        **{VARIABLE: tree.plant},
    )


@contextmanager
def opened(*trees: Tree, prefix: Sequence[str] = ()) -> Iterator[list[Side]]:
    """A process on each tree."""
    with ExitStack() as stack:
        yield [Side(tree, stack, prefix) for tree in trees]


def on_all(sides: list[Side], function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What a function returns on every side, all at once: for what noise does not touch.

    Raises
    ------
    GateError
        If it raised on one, or that cannot run it.
    """
    for side in sides:
        side.ask(function, *arguments)
    answers = []
    for side in sides:
        try:
            answers.append(side.answer())
        except NotHere as reason:
            raise GateError(f"{side.tree.role} {side.tree.name}: {reason}") from None
    return answers


def check(*trees: Tree) -> None:
    """Import fastgmm from each tree, and see that it is the one meant.

    Raises
    ------
    GateError
        If it does not import, or another one is found.
    """
    with opened(*trees) as sides:
        for side, found in zip(sides, on_all(sides, imported_from), strict=True):
            if not Path(found).is_relative_to(side.tree.sources):
                of = f"{side.tree.role} {side.tree.name}"
                raise GateError(f"{of}: fastgmm was imported from {found}")
