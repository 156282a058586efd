"""What the page shows: what has changed, then drawings and tables. `page.html` says how."""

import io
import itertools
import re
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import matplotlib
from matplotlib.figure import Figure

from benchmarks.command import cell
from benchmarks.report import changes, charts
from benchmarks.report.changes import MEMORY, TIMES, Change, readable
from benchmarks.report.results import Commit, History
from benchmarks.suite import problems
from benchmarks.suite.problems import parse_shape
from benchmarks.suite.timings import SUITE

FOLDER = Path(__file__).parent


def render(results: History) -> str:
    """The whole page as HTML."""
    latest, newest = results.latest, results.commits[-1]
    found = sorted(changes.changes(results), key=lambda each: -each.ratio)
    by_verdict: dict[str, list[Change]] = {"worse": [], "better": [], "same": []}
    for each in found:
        by_verdict[each.verdict].append(each)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "readable": readable, "amount": _amount}
    return environment.get_template("page.html").render(
        latest=latest,
        commits=results.commits,
        hardware=_hardware(results.machine),
        **by_verdict,
        usual=statistics.mode(each.before for each in found) if found else None,
        is_old=lambda commit: newest.date - commit.date >= changes.MONTH,
        history={title: _svg(title, charts.history, results, title) for title in changes.PANELS},
        scaling={arm: _svg(arm, charts.scaling, latest, arm) for arm in problems.ARMS},
        problems=problems,
        changes=changes,
        memory_shapes=SUITE[MEMORY].axes["shape"],
        ratio=partial(_ratio, latest),
        gain=partial(_gain, latest),
        memory=partial(_memory, latest),
        iterations=_iterations(latest),
        value=latest.value,
        rows=readable("20000x8x8"),
    )


def _hardware(machine: Any) -> str:
    cores = f"{machine['num_cpu']} cores" if machine.get("num_cpu") else ""
    parts = [machine.get("cpu", ""), cores, machine.get("os", "")]
    return ", ".join(part for part in parts if part) or machine["machine"]


def _amount(change: Change) -> str:
    """A change in words: by how much."""
    if change.verdict == "same":
        return f"{100 * (change.ratio - 1):+.0f} %"
    larger = change.verdict == "worse"
    mark = "\N{BLACK UP-POINTING TRIANGLE}" if larger else "\N{BLACK DOWN-POINTING TRIANGLE}"
    of_memory = change.figure.key[0] == MEMORY
    word = ("more" if larger else "less") if of_memory else ("slower" if larger else "faster")
    ratio = max(change.ratio, 1 / change.ratio)
    share = f"{ratio:.1f} times" if ratio >= 2 else f"{100 * abs(change.ratio - 1):.0f} %"
    return f"{mark} {share} {word}"


# -- tables ----------------------------------------------------------------------------------------
class Cell(NamedTuple):
    """What stands in a table of shapes: a text, a remark, and a bar of a share."""

    text: str = ""
    remark: str = ""
    share: float = 0.0


def _ratio(commit: Commit, shape: str, structure: str) -> Cell:
    """A share of scikit-learn's time, and how many times faster that is."""
    ratio = commit.value(changes.RATIO, structure, shape)
    if ratio is None:
        return Cell()
    times = f"{1 / ratio:.0f}" if ratio < 0.2 else f"{1 / ratio:.1f}"
    return Cell(f"{100 * ratio:.1f}\N{NO-BREAK SPACE}%", f"{times}{TIMES}", ratio)


def _gain(commit: Commit, shape: str, structure: str, **changed: Any) -> Cell:
    """How many times faster iterations get by a change of threads or of the type."""
    slow = charts.iteration_milliseconds(commit, structure, shape)
    fast = charts.iteration_milliseconds(commit, structure, shape, **changed)
    return Cell(f"{slow / fast:.2f}", share=slow / fast / 2) if slow and fast else Cell()


def _memory(commit: Commit, shape: str, start: str | None) -> Cell:
    """Megabytes of a fit, or of its rows."""
    n, d, _ = parse_shape(shape)
    value = 8.0 * n * d if start is None else commit.value(MEMORY, start, shape)
    return Cell() if value is None else Cell(f"{value / 1e6:.1f}", share=value / (16.0 * n * d))


def _iterations(commit: Commit) -> dict[str, list[float | None]]:
    """Milliseconds of an EM iteration: the numbers behind the drawing, and the rest of the grid."""
    return {
        f"{structure}, {dtype}, {threads} thread{'s' if threads > 1 else ''}": [
            charts.iteration_milliseconds(commit, structure, shape, threads, dtype)
            for shape in problems.SHAPES
        ]
        for structure, dtype, threads in itertools.product(
            problems.STRUCTURES, problems.DTYPES, problems.THREADS
        )
    }


def _svg(name: str, draw: Callable[..., Figure], *arguments: Any) -> str:
    """A drawing as an element of the page, without what belongs to a file of its own."""
    buffer = io.StringIO()
    # The salt keeps names within the page apart, and the same from run to run.
    with matplotlib.rc_context({"svg.hashsalt": name}, FOLDER / "style.mplstyle"):
        draw(*arguments).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Matplotlib names its groups figure_1, axes_1, ... in every drawing.
    return re.sub(r'<g id="[^"]*"', "<g", text)
