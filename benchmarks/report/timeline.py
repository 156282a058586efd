"""The history over commits."""

from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.report.charts import EM, MEMORY, RATIO
from benchmarks.report.results import History
from benchmarks.report.style import COLOURS, GREY, panels
from benchmarks.suite.calls import ITERATIONS
from benchmarks.suite.problems import CENTRE

FIT = "fits.DefaultFit.time_fit"
START = "fits.KMeansStart.time_start"
IMPORT = "startup.Import.timeraw_import_fastgmm"
FIRST = "startup.FirstFit.track_first_fit"
MOST_LABELS = 12


class Series(NamedTuple):
    """A line: what it is called, where its values are, and what to multiply them with."""

    label: str
    key: tuple
    scale: float
    colour: str = COLOURS["full"]


_PER_ITERATION = 1e3 / ITERATIONS
PANELS: dict[str, list[Series]] = {
    "EM iteration, full covariance (ms)": [
        Series("1 thread", (EM, "full", "float64", CENTRE, 1), _PER_ITERATION),
        Series("2 threads", (EM, "full", "float64", CENTRE, 2), _PER_ITERATION, COLOURS["tied"]),
    ],
    "EM iteration, other structures (ms)": [
        Series(name, (EM, name, "float64", CENTRE, 1), _PER_ITERATION, COLOURS[name])
        for name in ("tied", "diag", "spherical")
    ],
    "share of scikit-learn's time (%)": [
        Series(name, (RATIO, name, CENTRE), 100.0, COLOURS[name])
        for name in ("full", "tied", "diag", "spherical")
    ],
    "whole fits, one thread (ms)": [
        Series("default fit", (FIT, "20000x8x8", 1), 1e3),
        Series("k-means start", (START, CENTRE, 1), 1e3, COLOURS["tied"]),
    ],
    "peak memory beyond X (MB)": [
        Series("EM alone", (MEMORY, "random_from_data", "400000x8x8"), 1e-6),
        Series("with k-means", (MEMORY, "kmeans", "400000x8x8"), 1e-6, COLOURS["tied"]),
    ],
    "start-up (s)": [
        Series("import", (IMPORT,), 1.0),
        Series("first fit", (FIRST, "compiled before"), 1.0, COLOURS["tied"]),
        Series("first fit ever", (FIRST, "nothing compiled"), 1.0, COLOURS["diag"]),
    ],
}


def history(results: History) -> Figure:
    """One panel per kind of figure, commits from old to new."""
    figure, axes = panels(3, 2, 10.5, 8.6, sharex=True)
    for ax, (title, lines) in zip(axes.flat, PANELS.items(), strict=True):
        for series in lines:
            points = [
                (index, series.scale * value)
                for index, commit in enumerate(results.commits)
                if (value := commit.value(*series.key)) is not None
            ]
            if points:
                x, y = zip(*points, strict=True)
                marker = "o" if len(points) <= 30 else None
                ax.plot(x, y, color=series.colour, marker=marker, markersize=4, label=series.label)
        ax.set_title(title)
        if ax.lines:
            ax.set_ylim(0, 1.15 * max(max(line.get_ydata()) for line in ax.lines))
            ax.legend(frameon=False, fontsize=9, loc="best")
    count = len(results.commits)
    step = -(-count // MOST_LABELS)
    shown = range(count - 1, -1, -step)
    for ax in axes[-1]:
        ax.set_xlim(-0.5, max(count - 0.5, 0.5))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        names = [results.commits[index].name for index in shown]
        ax.set_xticks(list(shown), names, rotation=45, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="x", labelsize=8)
    figure.supxlabel("commit, from old to new", color=GREY, size=10)
    return figure
