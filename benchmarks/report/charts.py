"""The drawings: lines in small panels of one width, so that a narrow page shows them one by one."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from benchmarks.report.changes import EM, PANELS
from benchmarks.report.results import Commit, History
from benchmarks.suite.calls import ITERATIONS
from benchmarks.suite.problems import ARMS, CENTRE, STRUCTURES, parse_shape


def iteration_milliseconds(
    commit: Commit, structure: str, shape: str, threads: int = 1, dtype: str = "float64"
) -> float | None:
    """Milliseconds of one EM iteration."""
    seconds = commit.value(EM, structure, dtype, shape, threads)
    return None if seconds is None else 1e3 * seconds / ITERATIONS


def panel(title: str) -> tuple[Figure, Any]:
    """A figure with one drawing, wide enough to be read on a telephone."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _lines(axes: Any, lines: dict[str, list[tuple[Any, float]]], **legend: Any) -> None:
    """Points by name, joined, and their names; those that have none are left out."""
    for index, (name, points) in enumerate(lines.items()):
        if points:
            plain = {"marker": ""} if len(points) > 30 else {}
            axes.plot(*zip(*points, strict=True), color=f"C{index}", label=name, **plain)
    if axes.lines:
        axes.legend(**legend)


def scaling(commit: Commit, arm: str) -> Figure:
    """Time of an iteration over rows, features or components, varied alone."""
    shapes = ARMS[arm]
    index = "ndk".index(arm)
    sizes = [parse_shape(shape)[index] for shape in shapes]
    fixed = ", ".join(
        f"{name} = {size}" for name, size in zip("ndk", parse_shape(CENTRE), strict=True)
        if name != arm
    )  # fmt: skip
    figure, axes = panel(f"{('rows', 'features', 'components')[index]} {arm}, {fixed}")
    lines = {}
    for structure in STRUCTURES:
        times = [iteration_milliseconds(commit, structure, shape) for shape in shapes]
        lines[structure] = [(x, y) for x, y in zip(sizes, times, strict=True) if y is not None]
    _lines(axes, lines)
    axes.set(xscale="log", yscale="log", ylabel="milliseconds per EM iteration")
    bottom, top = axes.get_ylim()
    proportional = [bottom * size / sizes[0] for size in sizes]
    axes.plot(sizes, proportional, color="0.4", marker="", linewidth=1, linestyle=":")
    axes.set_ylim(bottom, max(top, proportional[-1]))
    axes.set_xticks(sizes, [f"{size:,}".replace(",", "\u202f") for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return figure


def history(results: History, title: str) -> Figure:
    """A panel of the history, commits from old to new."""
    figure, axes = panel(title)
    lines = {
        each.name: [
            (index, each.scale * value)
            for index, commit in enumerate(results.commits)
            if (value := commit.value(*each.key)) is not None
        ]
        for each in PANELS[title]
    }
    _lines(axes, lines, loc="upper right", ncols=2)
    _name_commits(axes, results.commits)
    if axes.lines:
        axes.set_ylim(0, 1.25 * max(max(line.get_ydata()) for line in axes.lines))
    return figure


def _name_commits(axes: Any, commits: Sequence[Commit]) -> None:
    shown = range(len(commits) - 1, -1, -len(commits) // 9)  # more names would not fit
    names = [commits[index].name for index in shown]
    axes.set_xlim(-0.5, max(len(commits) - 0.5, 0.5))
    axes.set_xticks(list(shown), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.tick_params(axis="x", labelsize=8)
