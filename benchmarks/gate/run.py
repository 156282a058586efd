"""The measurements of the gate, and the verdicts on them."""

import re
from dataclasses import dataclass, field, replace

from benchmarks.gate import GateError, tell, verdict
from benchmarks.gate.accepted import accept
from benchmarks.gate.figures import measure_figures
from benchmarks.gate.instructions import Figures, alike, count_instructions, why_not
from benchmarks.gate.interleave import prepare, take_samples
from benchmarks.gate.trees import Tree, check, on_all
from benchmarks.gate.verdict import Limit, Line, Verdict
from benchmarks.suite.timings import CORE, RATIOS

KINDS = ("figures", "instructions", "times")

_FIGURE_LIMITS = {
    "passes": verdict.EXACT,
    "iterations": verdict.EXACT,
    "bytes": verdict.BYTES,
    "nats": verdict.ROUNDING,
    "instructions per row": verdict.INSTRUCTIONS,
}


@dataclass(frozen=True)
class Options:
    """What to measure, and how long."""

    kinds: tuple[str, ...] = KINDS
    select: str = ""  # regular expression that a benchmark's name contains
    time: Limit = verdict.TIME
    """For times of the core set. A relative part above that of `verdict.RATIO` or `verdict.START`
    is for those as well."""

    rounds: int = 4  # processes per side
    pairs: int = 15  # of samples in each

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


def compare(base: Tree, head: Tree, options: Options) -> Outcome:
    """Measure both sides and judge. That nothing ran on both is an error, and no pass."""
    check(base, head)
    outcome = Outcome()
    if "figures" in options.kinds:
        tell("figures: passes, iterations, bytes")
        of_base, of_head = on_all((base, head), measure_figures, options.select)
        outcome.lines += compare_sides(of_base, of_head, options)
    if "instructions" in options.kinds:
        if reason := why_not():
            outcome.notes.append(f"Instructions were not counted: {reason}.")
        else:
            tell("instructions, under valgrind")
            of_base, of_head = alike(*count_instructions(base, head, select=options.select))
            outcome.lines += compare_sides(of_base, of_head, options)
    if "times" in options.kinds:
        outcome.lines += _times(base, head, options)
    if all(line.verdict is Verdict.NOT_COMPARED for line in outcome.lines):
        raise GateError(" ".join(["no benchmark ran on both sides.", *outcome.notes]))
    outcome.lines = [accept(line, base.accepted, head.accepted) for line in outcome.lines]
    return outcome


def compare_sides(base: Figures, head: Figures, options: Options) -> list[Line]:
    """Verdicts on figures. One that HEAD lacks is an error: what does not run proves nothing."""
    lost = [name for name in base if name not in head and options.selected(name)]
    if lost:
        raise GateError(f"measured on BASE, but not on HEAD: {'; '.join(lost)}")
    return [
        verdict.compare_figures(name, base[name][0], value, _FIGURE_LIMITS[unit], unit)
        if name in base
        else verdict.not_compared(name, unit, "new")
        for name, (value, unit) in head.items()
        if options.selected(name)
    ]


def _times(base: Tree, head: Tree, options: Options) -> list[Line]:
    """Verdicts on times; what seems slower is measured again, in new processes."""
    units = dict.fromkeys(CORE, "s") | dict.fromkeys(RATIOS, "of scikit-learn")
    tell("times: compiling")
    names, left_out = prepare(base, head, list(filter(options.selected, units)))

    def limit_of(name: str) -> Limit:
        limit = verdict.RATIO if name in RATIOS else verdict.START
        limit = replace(limit, relative=max(limit.relative, options.time.relative))
        return options.time if name in CORE else limit

    def lines(names: list[str]) -> dict[str, Line]:
        samples = take_samples(base, head, names, options.rounds, options.pairs)
        return {
            name: verdict.compare_times(name, pairs, limit_of(name), units.get(name, "s"))
            for name, pairs in samples.items()
            if options.selected(name)
        }

    first = lines(names)
    suspects = [name for name, line in first.items() if line.verdict is Verdict.WORSE]
    if suspects:
        tell(f"once more: {'; '.join(suspects)}")
        second = lines([name for name in names if name in suspects])
        first |= {name: verdict.confirm(first[name], second[name]) for name in suspects}
    missing = [verdict.not_compared(name, units[name], why) for name, why in left_out.items()]
    return [*first.values(), *missing]
