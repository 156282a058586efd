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

    figure: str  # regular expression that matches the whole name of what gets worse
    at_most: float  # head over base
    reason: str

    def __post_init__(self) -> None:
        re.compile(self.figure)
        if not (self.at_most > 1 and self.reason.strip()):
            raise ValueError("needs at_most above 1, and a reason")


def parse(text: str, where: str) -> list[Acceptance]:
    """Entries of a file. An error names the one that is incomplete."""
    parsed: list[Acceptance] = []
    try:
        for entry in tomllib.loads(text).get("accepted", []):
            parsed.append(Acceptance(**entry))
    except (ValueError, TypeError, AttributeError, re.error) as error:
        raise GateError(f"{where}, accepted entry {len(parsed) + 1}: {error}") from error
    return parsed


def accept(line: Line, of_base: Sequence[Acceptance], of_head: Sequence[Acceptance]) -> Line:
    """The line, told as accepted where an entry that is new on HEAD covers it."""
    if line.verdict is Verdict.WORSE:
        for one in of_head:
            covers = re.fullmatch(one.figure, line.name) and line.ratio <= one.at_most
            if covers and one not in of_base:
                return replace(line, verdict=Verdict.ACCEPTED, note=one.reason)
    return line
