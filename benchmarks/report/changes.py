"""The main figures over the commits, and what has changed in them within a month."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from benchmarks.report.results import SETTINGS, Commit, History
from benchmarks.suite.calls import ITERATIONS
from benchmarks.suite.problems import CENTRE, STRUCTURES, parse_shape
from benchmarks.suite.timings import SETS

MONTH = timedelta(days=30)

EM = "em.EMIterations.time_five_iterations"
RATIO = "comparison.ToScikitLearn.track_time_ratio"
FIT = "fits.DefaultFit.time_fit"
START = "fits.KMeansStart.time_start"
PREDICT = "fits.Predictions.time_predict"
MANY = "many.FitMany.time_fit"
STORED = "stored.StoredRows.time_five_iterations"
MEMORY = "memory.PeakMemory.track_peak_beyond_rows"
IMPORT = "startup.Import.timeraw_import_fastgmm"
FIRST = "startup.FirstFit.track_first_fit"

TIMES = "\N{MULTIPLICATION SIGN}"
STARTS = {"random_from_data": "from random rows", "kmeans": "from k-means"}


class Figure(NamedTuple):
    """A line of the history: its name, where its values are, and what to multiply them by."""

    name: str
    key: tuple[Any, ...]
    scale: float


def readable(shape: str) -> str:
    """A shape as people write it."""
    parts = (f"{size:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") for size in parse_shape(shape))
    return f" {TIMES} ".join(parts)


_PER_ITERATION = 1e3 / ITERATIONS
PANELS: dict[str, list[Figure]] = {
    "EM iteration, full (ms)": [
        Figure("1 thread", (EM, "full", "float64", CENTRE, 1), _PER_ITERATION),
        Figure("2 threads", (EM, "full", "float64", CENTRE, 2), _PER_ITERATION),
        Figure("float32", (EM, "full", "float32", CENTRE, 1), _PER_ITERATION),
    ],
    "EM iteration, 1 thread (ms)": [
        Figure(name, (EM, name, "float64", CENTRE, 1), _PER_ITERATION) for name in STRUCTURES[1:]
    ],
    "Share of scikit-learn's time (%)": [
        Figure(name, (RATIO, name, CENTRE), 100.0) for name in STRUCTURES
    ],
    "Whole calls, 1 thread (ms)": [
        Figure("default fit", (FIT, "20000x8x8", 1), 1e3),
        Figure("k-means start", (START, CENTRE, 1), 1e3),
        Figure("predict", (PREDICT, "predict", "full", 1), 1e3),
    ],
    "Many mixtures and files, 1 thread (ms)": [
        Figure(f"fit_many, {SETS}", (MANY, SETS, "GaussianMixture", 1), 1e3),
        Figure("5 iterations, Parquet", (STORED, "parquet", 1), 1e3),
    ],
    "Start-up (s)": [
        Figure("import", (IMPORT,), 1.0),
        Figure("first fit", (FIRST, "compiled before"), 1.0),
        Figure("first fit ever", (FIRST, "nothing compiled"), 1.0),
    ],
    **{
        f"Memory beyond X, {readable(shape)} (MB)": [
            Figure(name, (MEMORY, start, shape), 1e-6) for start, name in STARTS.items()
        ]
        for shape in ("400000x8x8", "100000x8x64")
    },
}
"""What the page shows over the commits; lower is better everywhere."""


@dataclass(frozen=True)
class Change:
    """A figure now and a month before."""

    panel: str
    figure: Figure
    then: float
    now: float
    before: Commit  # the newest that is a month older, or the oldest there is
    since: Commit  # the first from which on values are nearer to the one now than to the one then
    limit: float  # what counts as a change, relative: what `asv.conf.json` says

    @property
    def name(self) -> str:
        return f"{self.panel.rpartition(' (')[0]}: {self.figure.name}"

    @property
    def unit(self) -> str:
        return self.panel.rpartition(" (")[2].rstrip(")")

    @property
    def ratio(self) -> float:
        return self.now / self.then

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``same``."""
        if self.ratio > 1 + self.limit:
            return "worse"
        return "better" if self.ratio < 1 / (1 + self.limit) else "same"


def changes(results: History) -> Iterator[Change]:
    """What can be said of each figure that was measured twice, in the order of the page."""
    limits = SETTINGS["regressions_thresholds"]
    for panel, figures in PANELS.items():
        for figure in figures:
            values = [
                (commit, figure.scale * value)
                for commit in results.commits
                if (value := commit.value(*figure.key))
            ]
            if len(values) < 2:
                continue
            newest, now = values[-1]
            old = [each for each in values[:-1] if newest.date - each[0].date >= MONTH]
            before, then = old[-1] if old else values[0]
            since = newest
            for commit, value in reversed(values):
                if commit is before or abs(math.log(value / then)) < abs(math.log(value / now)):
                    break
                since = commit
            (limit,) = [share for name, share in limits.items() if re.match(name, figure.key[0])]
            yield Change(panel, figure, then, now, before, since, limit)
