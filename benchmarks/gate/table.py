"""The outcome as Markdown that fits a pull request: what matters first, the rest folded."""

import math
from collections.abc import Iterable, Sequence

from benchmarks.gate.verdict import Line, Verdict

_SHOWN = (Verdict.WORSE, Verdict.ACCEPTED, Verdict.NOT_CONFIRMED, Verdict.BETTER)
_HEADER = "| | base | head | change | |\n|---|---:|---:|---:|---|"


def markdown(base: str, head: str, lines: Sequence[Line], notes: Iterable[str]) -> str:
    """The whole report, of sides of these names; notes say what was not measured, and why."""
    worse = sum(line.verdict is Verdict.WORSE for line in lines)
    compared = sum(line.verdict is not Verdict.NOT_COMPARED for line in lines)
    outcome = f"**{worse} of {compared} worse**" if worse else f"none of {compared} worse"
    parts = [f"### Performance: {outcome}", f"`{base}` → `{head}`; lower is better."]
    if shown := [line for verdict in _SHOWN for line in lines if line.verdict is verdict]:
        parts.append("\n".join([_HEADER, *map(_row, shown)]))
    if rest := [line for line in lines if line.verdict not in _SHOWN]:
        summary = f"<summary>{len(rest)} without a change beyond their limits</summary>"
        parts += [f"<details>{summary}", "\n".join([_HEADER, *map(_row, rest)]), "</details>"]
    parts += [f"- {note}" for note in notes]
    return "\n\n".join(parts) + "\n"


def _row(line: Line) -> str:
    change = "" if math.isnan(line.ratio) else f"{100 * (line.ratio - 1):+.1f} %"
    verdict = "" if line.verdict is Verdict.SAME else line.verdict.value
    remark = f"{verdict} ({line.note})" if line.note else verdict
    base, head = (amount(value, line.unit) for value in (line.base, line.head))
    return f"| {line.name} | {base} | {head} | {change} | {remark} |"


def amount(value: float, unit: str) -> str:
    """A value with its unit, in three or four digits; seconds and bytes get prefixes."""
    if math.isnan(value):
        return ""
    if unit == "s":
        return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 1e6:.2f} MB"
    if unit == "nats":
        return f"{value:.10g}"
    return f"{value:.4g}"
