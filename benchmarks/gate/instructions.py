"""Instruction counts of the kernels under valgrind, repeatable to the count."""

import platform
import re
import shutil
from collections import Counter
from pathlib import Path

from benchmarks.gate.counting import compile_problems, count_problems
from benchmarks.gate.errors import GateError
from benchmarks.gate.sides import on_all, opened
from benchmarks.gate.trees import Tree

Figures = dict[str, tuple[float, str]]
"""Value and unit by name."""

_DUMPS = "callgrind.out"
_VALGRIND = (
    *("valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no"),
    *("--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={_DUMPS}"),
)

_TRIGGER = "desc: Trigger: Client Request: "

# What runs between a kernel's first and last instruction but is not its work: the interpreter,
# Numba's boxing of arguments, memory allocation. The addresses in play there shift by a few
# instructions from run to run; the rest does not.
_OVERHEAD = re.compile(r"python|_dispatcher|_nrt_python|_helperlib|_multiarray_umath|/ld[-.]")
_C_LIBRARY = re.compile(r"/lib(c|pthread)[-.]")
_WORK_OF_C_LIBRARY = re.compile(r"mem(set|cpy|move|cmp)")


def why_not() -> str | None:
    """Why this machine cannot count; None if it can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "instructions are counted on Linux on x86-64 only"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return None


def count_instructions(*trees: Tree, select: str = "") -> list[Figures]:
    """Of every tree the instructions per row of one pass of each kernel, and that unit, by name.

    Parameters
    ----------
    *trees : Tree
    select : str
        Regular expression; problems whose name does not contain it are left out, which saves their
        compilation.

    Raises
    ------
    GateError
        If the kernels fail, or nothing was counted.
    """
    with opened(*trees) as sides:
        on_all(sides, compile_problems, select)
    for tree in trees:
        for old in tree.work.glob(f"{_DUMPS}*"):
            old.unlink()
    with opened(*trees, prefix=_VALGRIND) as sides:
        rows = on_all(sides, count_problems, select)
    return [_per_row(tree, of_tree) for tree, of_tree in zip(trees, rows, strict=True)]


def _per_row(tree: Tree, rows: dict[str, int]) -> Figures:
    """What valgrind has written, by what has run and over how many rows."""
    totals: Counter[str] = Counter()
    for path in tree.work.glob(f"{_DUMPS}.*"):
        name, instructions = read_dump(path)
        totals[name] += instructions
    if not rows or any(not totals[name] for name in rows):
        raise GateError(f"{tree.role} {tree.name}: valgrind ran, but counted no instructions")
    return {name: (totals[name] / rows[name], "instructions per row") for name in rows}


def alike(base: Figures, head: Figures) -> tuple[Figures, Figures]:
    """The same, with the sum over kernels where the two sides solve a problem by other kernels.

    A kernel that was renamed, split or replaced is no benchmark that was lost.
    """
    kernels: tuple[dict[str, set[str]], ...] = ({}, {})
    for side, found in zip((base, head), kernels, strict=True):
        for name in side:
            problem, _, kernel = name.rpartition(": ")
            found.setdefault(problem, set()).add(kernel)
    differ = {problem for problem in kernels[0] if kernels[0][problem] != kernels[1].get(problem)}
    differ &= set(kernels[1])
    return _summed(base, differ), _summed(head, differ)


def _summed(figures: Figures, problems: set[str]) -> Figures:
    """Figures with all kernels of these problems as one."""
    summed: Figures = {}
    for name, (value, unit) in figures.items():
        problem = name.rpartition(": ")[0]
        if problem in problems:
            name = f"{problem}: all kernels"
            value += summed.get(name, (0.0, unit))[0]
        summed[name] = (value, unit)
    return summed


def read_dump(path: Path) -> tuple[str, int]:
    """Name and instructions of one file of callgrind.

    The format (Callgrind Format Specification, valgrind's manual), without its abbreviations: lines
    of position and cost under the object (``ob=``) and function (``fn=``) they belong to; the line
    after ``calls=`` repeats the cost of the callee.
    """
    name, total, skip = "", 0, False
    current = {"ob": "", "fn": ""}
    for line in path.read_text().splitlines():
        key, _, value = line.partition("=")
        if key in current:
            current[key] = value
        elif key == "calls":
            skip = True
        elif line[:1].isdigit():
            if not skip and _is_work(current["ob"], current["fn"]):
                total += int(line.split()[1])
            skip = False
        elif line.startswith(_TRIGGER):
            name = line.removeprefix(_TRIGGER)
    return name, total


def _is_work(library: str, function: str) -> bool:
    if _C_LIBRARY.search(library):
        return bool(_WORK_OF_C_LIBRARY.search(function))
    return not _OVERHEAD.search(library)
