"""When is something slower? Pure functions of samples and figures.

A time is slower when the median over pairs of head's sample divided by base's is above the limit,
when the medians differ by more than the floor, and when chance does not explain it: the lower end
of an interval that holds the median ratio with 99.9 % (by order statistics, whatever the
distribution) is above 1. All three, in each of two runs with different processes.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy.stats import quantile_test

CONFIDENCE = 0.999

Pairs = Sequence[tuple[float, float]]


class Verdict(Enum):
    """What the gate says of one line."""

    SAME = "same"
    BETTER = "better"
    WORSE = "**worse**"
    ACCEPTED = "worse, accepted"
    NOT_CONFIRMED = "worse once, not again"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True)
class Limit:
    """How much worse something may get: by a share of base's value, and in its unit.

    Both must be exceeded.
    """

    relative: float
    absolute: float


TIME = Limit(0.06, 0.2e-3)
START = Limit(0.25, 30e-3)  # of a new process: few samples, and file systems have moods
RATIO = Limit(0.08, 0.0)

EXACT = Limit(0.0, 0.0)
INSTRUCTIONS = Limit(0.01, 0.0)
BYTES = Limit(0.02, 65_536.0)  # the interpreter's own small objects come and go
ROUNDING = Limit(0.0, 1e-9)


@dataclass(frozen=True)
class Line:
    """One line of the table: medians of times, or figures; NaN where there is none."""

    name: str
    unit: str
    base: float
    head: float
    ratio: float  # head over base; of times, the median over pairs
    verdict: Verdict
    note: str = ""


def compare_times(name: str, pairs: Pairs, limit: Limit, unit: str = "s") -> Line:
    """Verdict on one run of a benchmark: samples of base and head that were taken together.

    The interval of few samples goes from end to end.
    """
    of_base, of_head = zip(*pairs, strict=True)
    base, head = statistics.median(of_base), statistics.median(of_head)
    ratios = np.divide(of_head, of_base)
    ratio = float(np.median(ratios))
    low, high = quantile_test(ratios, q=1.0).confidence_interval(CONFIDENCE)
    low, high = np.nan_to_num(low, nan=ratios.min()), np.nan_to_num(high, nan=ratios.max())
    verdict = Verdict.SAME
    if ratio > 1 + limit.relative and head - base > limit.absolute and low > 1:
        verdict = Verdict.WORSE
    elif ratio < 1 / (1 + limit.relative) and base - head > limit.absolute and high < 1:
        verdict = Verdict.BETTER
    return Line(name, unit, base, head, ratio, verdict)


def confirm(first: Line, second: Line) -> Line:
    """Verdict on two runs, of which the first found the benchmark slower."""
    again = second.verdict is Verdict.WORSE
    once, twice = (f"{100 * (line.ratio - 1):+.1f} %" for line in (first, second))
    return replace(
        second,
        verdict=Verdict.WORSE if again else Verdict.NOT_CONFIRMED,
        note=f"{once}, {'again' if again else 'then'} {twice}",
    )


def compare_figures(name: str, base: float, head: float, limit: Limit, unit: str) -> Line:
    """Verdict on a figure that noise does not touch; lower is better."""
    ratio = head / base if base else (1.0 if head == base else math.inf)
    verdict = Verdict.SAME
    if abs(head - base) > max(limit.absolute, limit.relative * abs(base)):
        verdict = Verdict.WORSE if head > base else Verdict.BETTER
    return Line(name, unit, base, head, ratio, verdict)


def not_compared(name: str, unit: str, note: str) -> Line:
    """A line for what ran on one side only, or on neither."""
    return Line(name, unit, math.nan, math.nan, math.nan, Verdict.NOT_COMPARED, note)
