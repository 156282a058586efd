"""What all comparisons share: a command line, and a table of what they yield.

A comparison is a function that yields records, from headings to what stands below them. A table is
printed as it grows; lists are for ``--json`` alone.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import joblib
import numpy as np
from asv.machine import Machine
from threadpoolctl import threadpool_limits

from benchmarks.processes import UNFAIR_VARIABLES, fair_environment
from benchmarks.suite.clock import quietly

Record = dict[str, Any]
Measure = Callable[[argparse.Namespace], Iterator[Record]]

PACKAGES = ("fastgmm", "numpy", "scipy", "numba", "scikit-learn")
SHAPES = (
    *("1000000x2x8", "500000x8x16", "200000x16x16", "100000x32x32"),
    *("50000x64x16", "20000x128x16", "50000x16x200"),
)


def command(limited: bool = True, **options: Any) -> Callable[[Measure], Callable[..., None]]:
    """Make a command ``python -m benchmarks.NAME`` of a function that yields records.

    Its text is the docstring of the module. An option has by its name the default, or more of
    `add_argument`'s arguments, see `option`. If `limited`, BLAS gets as many threads as
    ``--threads`` says.
    """

    def of(measure: Measure) -> Callable[..., None]:
        def main(arguments: list[str] | None = None) -> None:
            parser = parser_of(sys.modules[measure.__module__].__doc__, options)
            parser.add_argument("--json", action="store_true", help="print JSON, not a table")
            asked = parser.parse_args(arguments)
            first, last = getattr(asked, "iterations", (1, 2))
            if first >= last:
                parser.error("--iterations: need FIRST < LAST")
            restart_without_unfair_variables()
            records, table = [], Table()
            threads = getattr(asked, "threads", None) if limited else None
            with threadpool_limits(threads), quietly():
                for record in measure(asked):
                    records.append(record)
                    if not asked.json:
                        table.print(record)
            if asked.json:
                print(json.dumps({"records": records, "conditions": conditions()}, indent=2))
            else:
                print(f"\n{conditions()}")

        return main

    return of


def restart_without_unfair_variables() -> None:
    """Start this command again without the variables that would flatter fastgmm.

    BLAS reads them when it is loaded, so unsetting them in this process would be too late.
    """
    if found := [name for name in UNFAIR_VARIABLES if name in os.environ]:
        print(f"warning: {', '.join(found)} would slow BLAS; starting without", file=sys.stderr)
        os.execve(sys.executable, sys.orig_argv, fair_environment())


# -- options ---------------------------------------------------------------------------------------
def parser_of(text: str | None, options: dict[str, Any]) -> argparse.ArgumentParser:
    """The parser of a command, described by the docstring of its module."""
    command, _, description = (text or "").partition("``: ")
    parser = argparse.ArgumentParser(
        prog=command.strip("`\n"),
        usage="%(prog)s [options]",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, given in options.items():
        how = option(given)
        flags = name if how.pop("positional", False) else f"--{name.replace('_', '-')}"
        parser.add_argument(flags, **how)
    return parser


def option(how: Any) -> dict[str, Any]:
    """What `add_argument` is told: of several values by a tuple, of a flag by False.

    Numbers are of the type that the default has; whole ones begin with 1.
    """
    how = dict(how) if isinstance(how, dict) else {"default": how}
    default = how.get("default")
    if default is False:
        return {**how, "action": "store_true"}
    if isinstance(default, tuple):
        how.setdefault("nargs", "*")
        default = next(iter(default), None)
    if "choices" not in how and default is not None:
        how.setdefault("type", at_least_one if isinstance(default, int) else type(default))
    return how


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


def some_of(known: Any, default: Any = None) -> dict[str, Any]:
    """An option that is one or more of those known; all of them by default."""
    return {"choices": list(known), "default": tuple(default or known)}


def shapes(*default: str) -> dict[str, Any]:
    """An option of shapes."""
    return {"type": shape, "default": default, "metavar": "N,D,K", "help": "as 1e6,2,8"}


def iterations(first: int, last: int) -> dict[str, Any]:
    """The option of how many iterations two fits take whose difference counts."""
    text = "of the two fits whose difference is taken"
    return {"default": (first, last), "nargs": 2, "metavar": ("FIRST", "LAST"), "help": text}


# -- what is printed -------------------------------------------------------------------------------
class Table:
    """Prints records as Markdown, as they come; another set of headings begins another table."""

    def __init__(self) -> None:
        self._widths: dict[str, int] = {}

    def print(self, record: Record) -> None:
        cells = {key: cell(value) for key, value in record.items() if not isinstance(value, list)}
        if list(cells) != list(self._widths):
            if self._widths:
                print()
            self._widths = {key: max(len(key), len(text), 4) for key, text in cells.items()}
            first = next(iter(cells))
            self._widths[first] = max(self._widths[first], 24)
            self._line(self._widths)
            rules = [width * "-" for width in self._widths.values()]
            print(f"|-{rules[0]}-|{''.join(f'-{rule}:|' for rule in rules[1:])}")
        self._line(cells.values())

    def _line(self, cells: Any) -> None:
        first, *others = zip(cells, self._widths.values(), strict=True)
        padded = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        print(f"| {' | '.join(padded)} |", flush=True)


def cell(value: Any) -> str:
    """What stands in a table: numbers with three digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
    return str(value).replace("|", "/")


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference of arrays, relative to the largest number."""
    return float(np.abs(np.subtract(ours, theirs)).max() / (np.abs(theirs).max() or 1.0))


def conditions() -> str:
    """The machine, its load, and the versions."""
    load = " ".join(f"{average:.1f}" for average in os.getloadavg())
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"{Machine.get_defaults()['cpu']}, {joblib.cpu_count()} cores usable, "
        f"{platform.system()}, load {load}; Python {platform.python_version()}, {versions}."
    )
