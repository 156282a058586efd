"""Regressions to plant in a copy of the sources, to see whether the gate finds them.

Each is an edit that a hand might make. One that no longer fits the sources is an error, not a
regression that was not found: mend the pattern.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gate.errors import GateError
from benchmarks.gate.trees import PACKAGE


@dataclass(frozen=True)
class Edit:
    """One substitution in a file, which must match exactly once."""

    file: str
    pattern: str
    replacement: str


@dataclass(frozen=True)
class Plant:
    """A regression.

    Parameters
    ----------
    title : str
    edits : tuple of Edit
    kinds : tuple of str
        Measurements of the gate that are meant to see it: exact ones wherever there are any.
    found : str
        Regular expression: names of benchmarks that must be reported as worse, at least one.
    untouched : str
        Likewise: none of these may be.
    """

    title: str
    edits: tuple[Edit, ...]
    kinds: tuple[str, ...]
    found: str
    untouched: str


PLANTS = {
    "extra-pass": Plant(
        "an extra pass over the rows in every iteration",
        (
            Edit(
                "em_step.py",
                r"(def attempt\(.*?)(\n +statistics = rows\.statistics\([^\n]*)",
                r"\1\2\2",
            ),
        ),
        ("figures",),
        found=r"^(read|kernel) passes per EM iteration",
        untouched=r"predict|to tolerance|log-likelihood|bytes|import",
    ),
    "split-loop": Plant(
        "the fused loop split: moments load their rows again",
        (
            Edit(
                "kernels/forms/cholesky.py",
                r"\n( +)(if n_shared:\n +shared_outer_moments)",
                r"\n\1load_tile(X, start, stop, origin[m], tile)\n\1\2",
            ),
        ),
        ("instructions",),
        found=r"^instructions: .*: statistics_pass$",
        untouched=r"predict|scatter_pass|seeding_pass|lloyd_pass|import",
    ),
    "no-fastmath": Plant(
        "the fast-math flag dropped: no fused multiply-add",
        (
            Edit("kernels/compile.py", r"\n_FASTMATH = [^\n]*", "\n_FASTMATH = set()"),
            Edit(
                "kernels/simd.py",
                r"return self._intrinsic\(\"fmuladd\", a, b, c\)",
                "return self.builder.fadd(self.builder.fmul(a, b), c)",
            ),
        ),
        ("instructions",),
        found=r"^instructions: (full|predict, full), .*_pass$",
        untouched=r"passes|bytes|import",
    ),
    "small-tile": Plant(
        "tiles of 8 rows",
        (
            Edit(
                "kernels/tiles.py",
                r"(def tile_points\(.*?\n        return )[^\n]*",
                r"\1builder.sdiv(v.index(GROUP_BYTES), itemsize)",
            ),
        ),
        ("instructions",),
        found=r"^instructions: full, .*: statistics_pass$",
        untouched=r"passes|bytes|import",
    ),
    "sleep": Plant(
        "a sleep of 10 % in every iteration",
        (
            Edit(
                "em_step.py",
                r"(def em_step\(.*?\n)( +)(operands = .*?)(\n +return Iteration)",
                r"\1\2import time; started = time.perf_counter()\n\2\3"
                r"\n\2time.sleep(0.1 * (time.perf_counter() - started))\4",
            ),
        ),
        ("times",),
        found=r"^EM iterations: full",
        untouched=r"predict|import",
    ),
}


def plant(name: str, sources: Path, target: Path) -> Path:
    """Copy the package with a regression in it.

    Parameters
    ----------
    name : str
        Of `PLANTS`.
    sources, target : Path
        Folders that hold, and will hold, ``fastgmm/``.

    Returns
    -------
    target : Path

    Raises
    ------
    GateError
        If the sources are no longer what the plant was written for.
    """
    ignored = shutil.ignore_patterns("__pycache__", "*.nb?")
    shutil.copytree(sources / PACKAGE, target / PACKAGE, ignore=ignored)
    for edit in PLANTS[name].edits:
        path = target / PACKAGE / edit.file
        text = path.read_text("utf-8")
        text, count = re.subn(edit.pattern, edit.replacement, text, flags=re.DOTALL)
        if count != 1:
            raise GateError(f"plant {name!r}: {edit.pattern!r} is {count} times in {edit.file}")
        path.write_text(text, "utf-8")
    return target
