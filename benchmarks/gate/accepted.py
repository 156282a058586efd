"""Figures that a commit makes worse on purpose: ``benchmarks/accepted.toml``.

An entry counts where HEAD's file has it and BASE's has not: in the comparison that brings the
change, and in none after it. So the file is also the list of what was ever given up, and why.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.gate import GateError
from benchmarks.gate.verdict import Line, Verdict

FILE = "benchmarks/accepted.toml"


@dataclass(frozen=True)
class Acceptance:
    """An entry, whose `reason` the table tells."""

    figure: str
    """Regular expression that matches the whole name of what gets worse."""

    at_most: float
    """Head over base."""

    reason: str


def parse(text: str, where: str) -> list[Acceptance]:
    """Entries of a file. An error names the one that is incomplete."""
    try:
        entries = tomllib.loads(text).get("accepted", [])
    except tomllib.TOMLDecodeError as error:
        raise GateError(f"{where}: {error}") from error
    if not isinstance(entries, list):
        raise GateError(f"{where}: accepted is no list of tables")
    parsed = []
    for number, entry in enumerate(entries, 1):
        try:
            one = Acceptance(**entry)
            re.compile(one.figure)
            valid = one.at_most > 1 and bool(one.reason.strip())
        except (TypeError, AttributeError, re.error) as error:
            raise GateError(f"{where}, entry {number}: {error}") from error
        if not valid:
            raise GateError(f"{where}, entry {number}: needs at_most above 1, and a reason")
        parsed.append(one)
    return parsed


def accept(line: Line, of_base: Sequence[Acceptance], of_head: Sequence[Acceptance]) -> Line:
    """The line, told as accepted where an entry that is new on HEAD covers it."""
    if line.verdict is Verdict.WORSE:
        for one in of_head:
            covers = re.fullmatch(one.figure, line.name) and line.ratio <= one.at_most
            if covers and one not in of_base:
                return replace(line, verdict=Verdict.ACCEPTED, note=one.reason)
    return line
