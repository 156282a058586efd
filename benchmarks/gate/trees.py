"""The two sides of a comparison: sources of a commit or a directory, ready to run.

fastgmm is pure Python to an installer (kernels are compiled on the first call), so a side is built
by putting its sources first on the path of a new process, and importing them there.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.gate.accepted import FILE, Acceptance, parse
from benchmarks.gate.errors import GateError, last_lines
from benchmarks.gate.plants import VARIABLE

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "fastgmm"

_WHERE = "import fastgmm; print(fastgmm.__file__)"


@dataclass(frozen=True)
class Tree:
    """Sources to measure.

    Parameters
    ----------
    role, name : str
        BASE or HEAD, and as the caller named it, with the short hash of a commit.
    sources, work : Path
        The folder that holds a copy of ``fastgmm/``, and where other files of this side go.
    accepted : tuple of Acceptance
        What its `accepted.FILE` says.
    plant : str
        Of `benchmarks.gate.plants`: what is planted in the processes of this side.
    """

    role: str
    name: str
    sources: Path
    work: Path
    accepted: tuple[Acceptance, ...] = ()
    plant: str = ""

    def environment(self) -> dict[str, str]:
        """Variables of a process that imports fastgmm from these sources."""
        return processes.fair_environment(
            threads=1,
            # Second come the benchmarks of this checkout; its own fastgmm is never found.
            PYTHONPATH=os.pathsep.join([str(self.sources), str(REPOSITORY)]),
            # Beside the sources; not what is planted, of which the names of kernels know nothing.
            NUMBA_CACHE_DIR=str(self.work / "planted") if self.plant else "",
            PYTHONHASHSEED="0",
            **{VARIABLE: self.plant},
        )

    def run(self, module: str, *arguments: str, prefix: tuple[str, ...] = ()) -> str:
        """Run a module of the gate on these sources, and return what it prints.

        Raises
        ------
        GateError
            With the end of its messages, if it fails.
        """
        return self._run([*prefix, sys.executable, "-m", module, *arguments])

    def check(self) -> None:
        """Import fastgmm, and see that it is the one meant.

        Raises
        ------
        GateError
            If it does not import, or another one is found.
        """
        found = Path(self._run([sys.executable, "-c", _WHERE]).strip())
        if not found.is_relative_to(self.sources):
            raise GateError(f"{self.role} {self.name}: fastgmm was imported from {found}")

    def _run(self, command: list[str]) -> str:
        pipe, environment = subprocess.PIPE, self.environment()
        with processes.started(
            command, cwd=self.work, env=environment, stdout=pipe, stderr=pipe
        ) as process:
            with processes.patience(process) as late:
                printed, messages = process.communicate()
            if process.returncode:
                # A harmless warning in front would hide the reason, which comes last.
                reason = f"took over {processes.PATIENCE:.0f} s" if late.is_set() else "failed"
                raise GateError(
                    f"{self.role} {self.name} {reason} ({' '.join(command[-3:])}):\n"
                    f"{last_lines(messages or printed)}"
                )
        return printed


def open_tree(role: str, reference: str, work: Path) -> Tree:
    """Copy a directory, or export anything that git resolves to a commit, into a new folder.

    Raises
    ------
    GateError
        If it is neither, or does not import.
    """
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
        text = (_git("show", f"{commit}:{FILE}") or b"").decode()
    _bring_kernels(sources)
    tree = Tree(role, name, sources, work, tuple(parse(text, f"{role} {name}, {FILE}")))
    tree.check()
    return tree


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
    commit = (_git("rev-parse", *named) or b"").decode().strip()
    if not commit:
        raise GateError(
            f"{role} {reference!r} is no commit of this repository, and no directory that holds "
            f"{PACKAGE}/ (in a shallow clone, fetch more history first)"
        )
    archive = _git("archive", "--format=tar", commit, PACKAGE)
    if archive is None:
        raise GateError(f"{role} {commit[:8]} has no {PACKAGE}/")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(target, filter="data")
    return commit


def _git(*arguments: str) -> bytes | None:
    """What git prints; None where it fails."""
    command = ["git", "-C", str(REPOSITORY), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        raise GateError("git is not installed") from None
    return None if finished.returncode else finished.stdout
