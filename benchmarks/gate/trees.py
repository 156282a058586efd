"""The two sides of a comparison: sources of a commit or a directory, ready to run.

fastgmm is pure Python to an installer (kernels are compiled on the first call), so a side is built
by putting its sources first on the path of a new process.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gate import GateError
from benchmarks.gate.accepted import FILE, Acceptance, parse
from benchmarks.gate.plants import VARIABLE
from benchmarks.processes import Worker, fair_environment
from benchmarks.worker import imported_from

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "fastgmm"


@dataclass(frozen=True)
class Tree:
    """Sources to measure, whose `role` is BASE or HEAD."""

    role: str
    name: str  # as the caller named it, with the short hash of a commit
    sources: Path  # the folder that holds a copy of ``fastgmm/``
    work: Path  # where other files of this side go
    accepted: tuple[Acceptance, ...] = ()
    plant: str = ""  # of `benchmarks.gate.plants`: what is planted in the processes of this side

    def __str__(self) -> str:
        return f"{self.role} {self.name}"

    def process(self, prefix: Sequence[str] = ()) -> Worker:
        """A process that imports fastgmm from these sources, which a command runs."""
        return Worker(str(self), prefix=prefix, cwd=self.work, env=self.environment())

    def environment(self) -> dict[str, str]:
        """Variables of such a process."""
        return fair_environment(
            threads=1,
            # Second come the benchmarks of this checkout; its own fastgmm is never found.
            PYTHONPATH=os.pathsep.join([str(self.sources), str(REPOSITORY)]),
            # Beside the sources; not what is planted, of which the names of kernels know nothing.
            NUMBA_CACHE_DIR=str(self.work / self.plant) if self.plant else "",
            PYTHONHASHSEED="0",
            **{VARIABLE: self.plant},
        )


def open_tree(role: str, reference: str, work: Path) -> Tree:
    """Copy a directory, or export anything that git resolves to a commit, into a new folder."""
    if not reference:
        raise GateError(f"{role} is empty")
    work.mkdir(parents=True)
    sources = work.resolve() / "sources"
    package = Path(reference) / PACKAGE
    if package.is_dir():
        # A copy: what is edited while the gate runs must not be measured half and half.
        shutil.copytree(
            package, sources / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "*.nb?")
        )
        acceptances = Path(reference) / FILE
        text = acceptances.read_text() if acceptances.is_file() else ""
        name = reference
    else:
        commit = _export(role, reference, sources)
        name = reference if commit.startswith(reference) else f"{reference} ({commit[:8]})"
        text = _git("show", f"{commit}:{FILE}") or ""
    _bring_kernels(sources)
    return Tree(role, name, sources, work, tuple(parse(text, f"{role} {name}, {FILE}")))


def _bring_kernels(sources: Path) -> None:
    """Copy what this checkout has compiled: a side that has the same kernels need not compile them.

    The names of the files hold a digest of all that kernels are made from.
    """
    for file in (REPOSITORY / PACKAGE).rglob("*.nb?"):
        cache = sources / file.parent.relative_to(REPOSITORY)
        if cache.parent.is_dir():
            cache.mkdir(exist_ok=True)
            shutil.copyfile(file, cache / file.name)


def _export(role: str, reference: str, target: Path) -> str:
    """The package alone: benchmarks are those of the present checkout on both sides."""
    named = ("--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    commit = (_git("rev-parse", *named) or "").strip()
    if not commit:
        raise GateError(
            f"{role} {reference!r} is no commit of this repository, and no directory that holds "
            f"{PACKAGE}/ (in a shallow clone, fetch more history first)"
        )
    archive = target.with_suffix(".tar")
    if _git("archive", f"--output={archive}", commit, PACKAGE) is None:
        raise GateError(f"{role} {commit[:8]} has no {PACKAGE}/")
    shutil.unpack_archive(archive, target, filter="data")
    return commit


def _git(*arguments: str) -> str | None:
    """What git prints; None where it fails."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        raise GateError("git is not installed") from None
    return None if finished.returncode else finished.stdout


def on_all(
    trees: Sequence[Tree], function: Callable[..., Any], *arguments: Any, prefix: Sequence[str] = ()
) -> list[Any]:
    """What a function returns on every tree, all at once: for what noise does not touch."""
    with ExitStack() as stack:
        sides = [stack.enter_context(tree.process(prefix)) for tree in trees]
        for one in sides:
            one.ask(function, *arguments)
        return [one.answer() for one in sides]


def check(*trees: Tree) -> None:
    """Import fastgmm from each tree, and see that it is the one meant."""
    for tree, found in zip(trees, on_all(trees, imported_from, PACKAGE), strict=True):
        if not Path(found).is_relative_to(tree.sources):
            raise GateError(f"{tree}: fastgmm was imported from {found}")
