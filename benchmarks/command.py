"""What all comparisons share: a command line, and a table of what they yield.

A comparison yields records, from headings to what stands below them. A table is printed as it
grows; lists are for ``--json`` alone.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.suite.calls import OURS, THEIRS
from benchmarks.suite.clock import Taken, quietly

Record = dict[str, Any]

UNFAIR_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""They choose kernels or tiles of OpenBLAS other than the machine's own, which slows scikit-learn
far more than fastgmm."""

PACKAGES = ("fastgmm", "numpy", "scipy", "numba", "scikit-learn")
SHAPES = (
    "1000000x2x8",
    "500000x8x16",
    "200000x16x16",
    "100000x32x32",
    "50000x64x16",
    "20000x128x16",
    "50000x16x200",
)


@dataclass
class Command:
    """A command ``python -m benchmarks.NAME``.

    Parameters
    ----------
    name : str
    text : str
        The docstring of its module, whose first sentence says what it does.
    measure : callable
        Yields records for the arguments of the command line.
    options : dict
        Arguments of `add_argument` by name, ``"--repeats"``.
    limited : bool
        Whether BLAS gets as many threads as ``--threads`` says.
    """

    name: str
    text: str
    measure: Callable[[argparse.Namespace], Iterator[Record]]
    options: dict[str, dict[str, Any]]
    limited: bool = True

    def __call__(self, arguments: list[str] | None = None) -> None:
        module = f"benchmarks.{self.name}"
        parser = argparse.ArgumentParser(
            prog=f"python -m {module}",
            usage="%(prog)s [options]",
            description=self.text.partition("``: ")[2],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, how in self.options.items():
            parser.add_argument(name, **how)
        parser.add_argument("--json", action="store_true", help="print JSON, not a table")
        asked = parser.parse_args(arguments)
        first, last = getattr(asked, "iterations", (1, 2))
        if first >= last:
            parser.error("--iterations: need FIRST < LAST")
        restart_without_unfair_variables(module)
        records, table = [], Table()
        threads = getattr(asked, "threads", None) if self.limited else None
        with threadpool_limits(threads), quietly():
            for record in self.measure(asked):
                records.append(record)
                if not asked.json:
                    table.print(record)
        if asked.json:
            print(json.dumps({"records": records, "conditions": conditions()}, indent=2))
        else:
            print(f"\n{conditions()}")


class Table:
    """Prints records as Markdown, as they come; another set of headings begins another table."""

    def __init__(self) -> None:
        self._headings: list[str] = []
        self._widths: list[int] = []
        self._text: list[bool] = []

    def print(self, record: Record) -> None:
        shown = {key: value for key, value in record.items() if not isinstance(value, list)}
        cells = {key: cell(value) for key, value in shown.items()}
        if list(cells) != self._headings:
            if self._headings:
                print()
            self._headings = list(cells)
            self._text = [isinstance(value, str) and bool(value) for value in shown.values()]
            least = [24 if text and not index else 4 for index, text in enumerate(self._text)]
            self._widths = [
                max(len(key), len(text), width)
                for (key, text), width in zip(cells.items(), least, strict=True)
            ]
            self._line(self._headings)
            ends = ["-" if text else ":" for text in self._text]
            rules = [width * "-" + end for width, end in zip(self._widths, ends, strict=True)]
            print(f"|-{'|-'.join(rules)}|")
        self._line(list(cells.values()))

    def _line(self, cells: list[str]) -> None:
        padded = (
            f"{text:{'<' if left else '>'}{width}}"
            for text, width, left in zip(cells, self._widths, self._text, strict=True)
        )
        print(f"| {' | '.join(padded)} |", flush=True)


def cell(value: Any) -> str:
    """What stands in a table: numbers with three digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
    return str(value).replace("|", "/")


def beside_scikit_learn(taken: Taken[str], unit: str = "ms") -> Record:
    """The columns of a comparison of times."""
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6}[unit]
    theirs, ours = taken.seconds(THEIRS), taken.seconds(OURS)
    return {
        f"{THEIRS}, {unit}": scale * theirs,
        f"{OURS}, {unit}": scale * ours,
        # A difference of two noisy times can come out as nothing at all for tiny shapes.
        "times faster": theirs / ours if ours > 0 else None,
        "samples": [taken.samples[THEIRS], taken.samples[OURS]],
    }


def within(limit: float, ratio: float) -> Record:
    """The columns of a ratio that has a limit."""
    return {"ratio": ratio, "": "above the limit" if ratio > limit else ""}


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference of arrays, relative to the largest number."""
    return float(np.abs(np.subtract(ours, theirs)).max() / np.abs(theirs).max())


def restart_without_unfair_variables(module: str) -> None:
    """Start this command again without the variables that would flatter fastgmm.

    BLAS reads them when it is loaded, so unsetting them in this process would be too late.
    """
    found = [name for name in UNFAIR_VARIABLES if name in os.environ]
    if not found:
        return
    print(f"warning: {', '.join(found)} would slow BLAS; starting without", file=sys.stderr)
    environment = {key: value for key, value in os.environ.items() if key not in found}
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)


def conditions() -> str:
    """The machine, its load, and the versions."""
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{processor()}, {joblib.cpu_count()} cores usable, {platform.system()}, load {load}; "
        f"Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    """The name of the processor, as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# -- options ---------------------------------------------------------------------------------------
def shape(text: str) -> str:
    """Rows, features and components: ``1e6,2,8``, or ``1000000x2x8``."""
    try:
        n, d, k = (int(float(part)) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not N,D,K, as 1e6,2,8") from None
    if min(d, k) < 1 or n < 10 * k:
        raise argparse.ArgumentTypeError(f"{text!r}: need D, K >= 1 and N >= 10 K")
    return f"{n}x{d}x{k}"


def at_least_one(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def whole(default: Any, text: str = "", **more: Any) -> dict[str, Any]:
    """An option that is a whole number."""
    return {"type": at_least_one, "default": default, "help": text, **more}


def some_of(known: Any, default: Any = None) -> dict[str, Any]:
    """An option that is one or more of those known; all of them by default."""
    return {"choices": list(known), "default": list(default or known), "nargs": "*"}


def one_of(known: Any) -> dict[str, Any]:
    """An option that is one of those known; the first by default."""
    return {"choices": list(known), "default": next(iter(known))}


def shapes(*default: str) -> dict[str, Any]:
    """An option of shapes."""
    return {"type": shape, "nargs": "*", "default": default, "metavar": "N,D,K",
            "help": "as 1e6,2,8"}  # fmt: skip


def iterations(first: int, last: int) -> dict[str, Any]:
    """The option of how many iterations two fits take whose difference counts."""
    text = "of the two fits whose difference is taken"
    return whole((first, last), text, nargs=2, metavar=("FIRST", "LAST"))
