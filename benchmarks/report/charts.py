"""The drawings of the page: one function each, from results to a figure."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from benchmarks.report.results import Commit
from benchmarks.report.style import COLOURS, GREY, INK, LIGHT, MARKERS, label_ends, panels
from benchmarks.suite.calls import ITERATIONS
from benchmarks.suite.problems import (
    ARMS,
    CENTRE,
    COMPARED,
    STRUCTURES,
    parse_shape,
)

EM = "em.EMIterations.time_five_iterations"
RATIO = "comparison.ToScikitLearn.track_time_ratio"
MEMORY = "memory.PeakMemory.track_peak_beyond_rows"

TIMES = "\N{MULTIPLICATION SIGN}"
SHAPE_AXIS = f"rows {TIMES} features {TIMES} components"
_ARM_NAMES = {"n": "rows n", "d": "features d", "k": "components k"}


def iteration_milliseconds(
    commit: Commit, structure: str, shape: str, threads: int = 1, dtype: str = "float64"
) -> float | None:
    """Milliseconds of one EM iteration."""
    seconds = commit.value(EM, structure, dtype, shape, threads)
    return None if seconds is None else 1e3 * seconds / ITERATIONS


def grouped(number: int) -> str:
    """A number with its digits in threes."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def readable(shape: str) -> str:
    """A shape as people write it."""
    n, d, k = parse_shape(shape)
    return f"{grouped(n)} {TIMES} {d} {TIMES} {k}"


def ratios(commit: Commit) -> Figure:
    """Time of EM iterations as a share of scikit-learn's, per shape and structure."""
    figure, axes = panels(1, 1, 10.5, 5.4)
    ax = axes[0, 0]
    height = 0.8 / len(STRUCTURES)
    for row, shape in enumerate(COMPARED):
        for index, structure in enumerate(STRUCTURES):
            ratio = commit.value(RATIO, structure, shape)
            if ratio is None:
                continue
            y = row + (index - (len(STRUCTURES) - 1) / 2) * height
            label = structure if row == 0 else None
            ax.barh(y, 100 * ratio, 0.9 * height, color=COLOURS[structure], label=label)
            text = f"{100 * ratio:.1f} %  ({1 / ratio:.0f} times faster)"
            if ratio > 1:
                text = f"{100 * ratio:.0f} %  ({ratio:.1f} times slower)"
            ax.annotate(
                text, (100 * ratio, y), (5, 0), textcoords="offset points", va="center", size=8
            )
    ax.set_yticks(range(len(COMPARED)), [readable(shape) for shape in COMPARED])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.set_xlim(0, 1.25 * max(_drawn(ax.containers)))
    ax.set_xlabel("per cent of scikit-learn's time for the same iterations, one thread each")
    ax.set_ylabel(SHAPE_AXIS)
    figure.legend(loc="outside upper left", ncols=len(STRUCTURES), frameon=False)
    return figure


def _drawn(containers: list[Any]) -> list[float]:
    return [bar.get_width() for container in containers for bar in container] or [100.0]


def scaling(commit: Commit) -> Figure:
    """Time of an iteration over rows, features and components, each varied alone."""
    figure, axes = panels(1, len(ARMS), 10.5, 4.2, sharey=True)
    for ax, (arm, shapes) in zip(axes[0], ARMS.items(), strict=True):
        sizes = [parse_shape(shape)["ndk".index(arm)] for shape in shapes]
        ends = []
        for structure in STRUCTURES:
            points = [
                (size, milliseconds)
                for size, shape in zip(sizes, shapes, strict=True)
                if (milliseconds := iteration_milliseconds(commit, structure, shape)) is not None
            ]
            if not points:
                continue
            x, y = zip(*points, strict=True)
            ax.plot(x, y, color=COLOURS[structure], marker=MARKERS[structure])
            ends.append((x[-1], y[-1], structure, COLOURS[structure]))
        ax.set(xscale="log", yscale="log", xlabel=_ARM_NAMES[arm])
        ax.set_xticks(sizes, [grouped(size) for size in sizes])
        ax.minorticks_off()
        ax.set_title(f"{_ARM_NAMES[arm]}, {_fixed(arm)}")
        ax.margins(x=0.08)
        ax.ends = ends
    for ax, (arm, shapes) in zip(axes[0], ARMS.items(), strict=True):
        _proportional(ax, [parse_shape(shape)["ndk".index(arm)] for shape in shapes])
    axes[0, 0].set_ylabel("milliseconds per EM iteration")
    axes[0, 0].yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.set_layout_engine("constrained", wspace=0.12)
    figure.draw_without_rendering()
    for ax in axes[0]:
        label_ends(figure, ax, ax.ends)
    return figure


def _fixed(arm: str) -> str:
    """What stays the same on an arm."""
    n, d, k = parse_shape(CENTRE)
    values = {"n": f"n = {n}", "d": f"d = {d}", "k": f"k = {k}"}
    return ", ".join(text for name, text in values.items() if name != arm)


def _proportional(ax: Any, sizes: list[int]) -> None:
    """A dotted line of slope one, to compare with."""
    bottom, top = ax.get_ylim()
    first = bottom * 1.15
    ax.plot(
        sizes, [first * size / sizes[0] for size in sizes], color=GREY, linewidth=1, linestyle=":"
    )
    ax.set_ylim(bottom, max(top, first * sizes[-1] / sizes[0]))


def threads(commit: Commit) -> Figure:
    """How many times faster two threads and float32 are."""
    figure, axes = panels(1, 2, 10.5, 3.8, sharey=True)
    shapes = list(dict.fromkeys(shape for arm in ARMS.values() for shape in arm))
    faster = {
        "two threads against one, float64": lambda structure, shape: (
            iteration_milliseconds(commit, structure, shape, 1),
            iteration_milliseconds(commit, structure, shape, 2),
        ),
        "float32 against float64, one thread": lambda structure, shape: (
            iteration_milliseconds(commit, structure, shape),
            iteration_milliseconds(commit, structure, shape, dtype="float32"),
        ),
    }
    for ax, (title, pair) in zip(axes[0], faster.items(), strict=True):
        for index, structure in enumerate(STRUCTURES):
            pairs = [(row, pair(structure, shape)) for row, shape in enumerate(shapes)]
            points = [(slow / fast, row) for row, (slow, fast) in pairs if slow and fast]
            if points:
                x, y = zip(*points, strict=True)
                offset = (index - (len(STRUCTURES) - 1) / 2) * 0.16
                ax.plot(
                    x,
                    [row + offset for row in y],
                    MARKERS[structure],
                    color=COLOURS[structure],
                    label=structure,
                )
        for gain, text in ((1.0, "no gain"), (2.0, "twice")):
            ax.axvline(gain, color=GREY, linewidth=1, linestyle=":")
            ax.annotate(
                text, (gain, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                color=GREY, size=8,
            )  # fmt: skip
        ax.set_title(title, pad=18)
        ax.set_xlim(0, max(2.4, ax.get_xlim()[1]))
        ax.set_xlabel("times faster")
    axes[0, 0].set_yticks(range(len(shapes)), [readable(shape) for shape in shapes])
    axes[0, 0].tick_params(axis="y", labelcolor=INK)
    axes[0, 0].invert_yaxis()
    axes[0, 0].set_ylabel(SHAPE_AXIS)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(STRUCTURES), frameon=False)
    return figure


def memory(commit: Commit) -> Figure:
    """Peak memory of a fit beyond its rows, beside the rows themselves."""
    measured = sorted({key[1:] for key in commit.values if key[0] == MEMORY})
    shapes = sorted({shape for _, shape in measured}, key=parse_shape)
    starts = {"random_from_data": "EM alone", "kmeans": "with the k-means start"}
    colours = {"random_from_data": COLOURS["full"], "kmeans": COLOURS["tied"]}
    figure, axes = panels(1, 1, 10.5, 1.3 + 0.75 * len(shapes))
    ax = axes[0, 0]
    for row, shape in enumerate(shapes):
        n, d, _ = parse_shape(shape)
        bars = [("X itself", 8.0 * n * d, LIGHT)]
        bars += [
            (text, value, colours[start])
            for start, text in starts.items()
            if (value := commit.value(MEMORY, start, shape)) is not None
        ]
        for index, (text, size, colour) in enumerate(bars):
            y = row + (index - 1) * 0.27
            ax.barh(y, size / 1e6, 0.24, color=colour)
            ax.annotate(
                f"{text}: {size / 1e6:.1f} MB",
                (size / 1e6, y), (5, 0), textcoords="offset points", va="center", size=8,
            )  # fmt: skip
    ax.set_yticks(range(len(shapes)), [readable(shape) for shape in shapes])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.set_xlim(0, 1.3 * max(_drawn(ax.containers)))
    ax.set_xlabel("MB beyond X at the peak of a fit, one thread")
    ax.set_ylabel(SHAPE_AXIS)
    return figure
