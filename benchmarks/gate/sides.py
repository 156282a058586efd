"""Processes on the trees that are compared, and calls of functions in them."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.gate import GateError
from benchmarks.gate.plants import VARIABLE
from benchmarks.gate.start import imported_from
from benchmarks.gate.trees import REPOSITORY, Tree
from benchmarks.processes import Worker, fair_environment


def side(tree: Tree, prefix: Sequence[str] = ()) -> Worker:
    """A process that imports fastgmm from a tree, which a command runs."""
    return Worker(str(tree), prefix=prefix, cwd=tree.work, env=environment(tree))


def environment(tree: Tree) -> dict[str, str]:
    """Variables of a process that imports fastgmm from the sources of a tree."""
    return fair_environment(
        threads=1,
        # Second come the benchmarks of this checkout; its own fastgmm is never found.
        PYTHONPATH=os.pathsep.join([str(tree.sources), str(REPOSITORY)]),
        # Beside the sources; not what is planted, of which the names of kernels know nothing.
        NUMBA_CACHE_DIR=str(tree.work / tree.plant) if tree.plant else "",
        PYTHONHASHSEED="0",
        **{VARIABLE: tree.plant},
    )


def on_all(
    trees: Sequence[Tree], function: Callable[..., Any], *arguments: Any, prefix: Sequence[str] = ()
) -> list[Any]:
    """What a function returns on every tree, all at once: for what noise does not touch."""
    with ExitStack() as stack:
        sides = [stack.enter_context(side(tree, prefix)) for tree in trees]
        for one in sides:
            one.ask(function, *arguments)
        return [one.answer() for one in sides]


def check(*trees: Tree) -> None:
    """Import fastgmm from each tree, and see that it is the one meant."""
    for tree, found in zip(trees, on_all(trees, imported_from), strict=True):
        if not Path(found).is_relative_to(tree.sources):
            raise GateError(f"{tree}: fastgmm was imported from {found}")
