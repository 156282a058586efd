"""The measurements of the gate, and the verdicts on them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from benchmarks.gate import verdict
from benchmarks.gate.accepted import accept
from benchmarks.gate.errors import GateError
from benchmarks.gate.figures import measure_figures
from benchmarks.gate.instructions import Figures, alike, count_instructions, why_not
from benchmarks.gate.interleave import prepare, take_samples
from benchmarks.gate.sides import check, on_all, opened
from benchmarks.gate.trees import Tree
from benchmarks.gate.verdict import Limit, Line, Pairs, Verdict
from benchmarks.suite.timings import CORE, RATIOS

KINDS = ("figures", "instructions", "times")

_FIGURE_LIMITS = {
    "passes": verdict.EXACT,
    "iterations": verdict.EXACT,
    "bytes": verdict.BYTES,
    "nats": verdict.ROUNDING,
    "instructions per row": verdict.INSTRUCTIONS,
}

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What to measure, and how long.

    Parameters
    ----------
    kinds : tuple of str
        Of `KINDS`.
    select : str
        Regular expression that a benchmark's name contains.
    time : Limit
        For times of the core set. A relative part above that of `verdict.RATIO` or `verdict.START`
        is for those as well.
    rounds, pairs : int
        Processes per side, and pairs of samples in each.
    """

    kinds: tuple[str, ...] = KINDS
    select: str = ""
    time: Limit = verdict.TIME
    rounds: int = 4
    pairs: int = 15

    def selected(self, name: str) -> bool:
        return re.search(self.select, name) is not None


@dataclass
class Outcome:
    """Lines of the table, and what was not measured."""

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def worse(self) -> list[Line]:
        return [line for line in self.lines if line.verdict is Verdict.WORSE]


def compare(base: Tree, head: Tree, options: Options, progress: Progress) -> Outcome:
    """Measure both sides and judge.

    Raises
    ------
    GateError
        If a side does not import, a benchmark fails on HEAD, or none ran.
    """
    check(base, head)
    outcome = Outcome()
    if "figures" in options.kinds:
        progress("figures: passes, iterations, bytes")
        with opened(base, head) as sides:
            of_base, of_head = on_all(sides, measure_figures, options.select)
        outcome.lines += compare_sides(of_base, of_head, options)
    if "instructions" in options.kinds:
        if reason := why_not():
            outcome.notes.append(f"Instructions were not counted: {reason}.")
        else:
            progress("instructions, under valgrind")
            counted = count_instructions(base, head, select=options.select)
            of_base, of_head = alike(*counted)
            outcome.lines += compare_sides(of_base, of_head, options)
    if "times" in options.kinds:
        outcome.lines += _times(base, head, options, progress)
    if all(line.verdict is Verdict.NOT_COMPARED for line in outcome.lines):
        raise GateError(" ".join(["no benchmark ran on both sides.", *outcome.notes]))
    outcome.lines = [accept(line, base.accepted, head.accepted) for line in outcome.lines]
    return outcome


def compare_sides(base: Figures, head: Figures, options: Options) -> list[Line]:
    """Verdicts on figures.

    Raises
    ------
    GateError
        If HEAD lacks one that BASE has: a benchmark that has stopped to run proves nothing.
    """
    lost = [name for name in base if name not in head and options.selected(name)]
    if lost:
        raise GateError(f"measured on BASE, but not on HEAD: {'; '.join(lost)}")
    lines = []
    for name, (value, unit) in head.items():
        if not options.selected(name):
            continue
        if name in base:
            limit = _FIGURE_LIMITS[unit]
            lines.append(verdict.compare_figures(name, base[name][0], value, limit, unit))
        else:
            lines.append(verdict.not_compared(name, unit, "new"))
    return lines


def _times(base: Tree, head: Tree, options: Options, progress: Progress) -> list[Line]:
    """Verdicts on times; what seems slower is measured again, in new processes."""
    units = dict.fromkeys(CORE, "s") | dict.fromkeys(RATIOS, "of scikit-learn")
    progress("times: compiling")
    names, left_out = prepare(base, head, list(filter(options.selected, units)))

    def lines(names: list[str]) -> dict[str, Line]:
        samples = take_samples(
            base, head, names, rounds=options.rounds, pairs=options.pairs, progress=progress
        )
        return {
            name: _judge(name, pairs, units, options)
            for name, pairs in samples.items()
            if options.selected(name)
        }

    first = lines(names)
    suspects = [name for name, line in first.items() if line.verdict is Verdict.WORSE]
    if suspects:
        progress(f"once more: {'; '.join(suspects)}")
        second = lines([name for name in names if name in suspects])
        first |= {name: verdict.confirm(first[name], second[name]) for name in suspects}
    missing = [verdict.not_compared(name, units[name], why) for name, why in left_out.items()]
    return [*first.values(), *missing]


def _judge(name: str, pairs: Pairs, units: dict[str, str], options: Options) -> Line:
    unit = units.get(name, "s")
    limit = verdict.START if name not in units else options.time if unit == "s" else verdict.RATIO
    limit = replace(limit, relative=max(limit.relative, options.time.relative))
    return verdict.compare_times(name, pairs, limit, unit)
