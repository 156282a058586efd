"""Instruction counts of the kernels under valgrind, repeatable to the count."""

import platform
import re
import shutil
from collections import Counter
from pathlib import Path

from benchmarks.gate import GateError
from benchmarks.gate.counting import compile_problems, count_problems
from benchmarks.gate.trees import Tree, on_all

Figures = dict[str, tuple[float, str]]  # value and unit by name
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


def count_instructions(*trees: Tree, select: str) -> list[Figures]:
    """Of every tree the instructions per row of one pass of each kernel, and that unit, by name.

    Problems whose name does not contain the regular expression `select` are left out.
    """
    on_all(trees, compile_problems, select)
    for tree in trees:
        for old in tree.work.glob(f"{_DUMPS}*"):
            old.unlink()
    rows = on_all(trees, count_problems, select, prefix=_VALGRIND)
    return [_per_row(tree, of_tree) for tree, of_tree in zip(trees, rows, strict=True)]


def _per_row(tree: Tree, rows: dict[str, int]) -> Figures:
    """What valgrind has written, by what has run and over how many rows."""
    totals: Counter[str] = Counter()
    for path in tree.work.glob(f"{_DUMPS}.*"):
        name, instructions = read_dump(path)
        totals[name] += instructions
    if not rows or any(not totals[name] for name in rows):
        raise GateError(f"{tree}: valgrind ran, but counted no instructions")
    return {name: (totals[name] / rows[name], "instructions per row") for name in rows}


def alike(*sides: Figures) -> list[Figures]:
    """The same, with the sum over kernels where two sides solve a problem by other kernels.

    A kernel that was renamed, split or replaced is no benchmark that was lost.
    """
    problems = [{name.rpartition(": ")[0] for name in side} for side in sides]
    differ = {name.rpartition(": ")[0] for name in set(sides[0]) ^ set(sides[1])}
    return [_summed(side, differ & problems[0] & problems[1]) for side in sides]


def _summed(figures: Figures, problems: set[str]) -> Figures:
    """Figures with all kernels of these problems as one."""
    summed: Figures = {}
    for name, (value, unit) in figures.items():
        problem = name.rpartition(": ")[0]
        name = f"{problem}: all kernels" if problem in problems else name
        summed[name] = (value + summed.get(name, (0.0, unit))[0], unit)
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
