"""The page: what has changed, then drawings and tables, in one file."""

import html
import io
import itertools
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks.command import cell
from benchmarks.report import charts
from benchmarks.report.changes import (
    FIRST,
    FIT,
    IMPORT,
    MEMORY,
    MONTH,
    PANELS,
    RATIO,
    STARTS,
    TIMES,
    Change,
    changes,
    readable,
)
from benchmarks.report.results import Commit, History
from benchmarks.report.style import PAGE, styled
from benchmarks.suite.problems import (
    ARMS,
    COMPARED,
    DTYPES,
    SHAPES,
    STRUCTURES,
    THREADS,
    parse_shape,
)
from benchmarks.suite.timings import SUITE

_SHAPE = f"rows {TIMES} features {TIMES} components"
_WORDS = {"worse": ("\N{BLACK UP-POINTING TRIANGLE}", "slower", "more"),
          "better": ("\N{BLACK DOWN-POINTING TRIANGLE}", "faster", "less")}  # fmt: skip


def render(results: History) -> str:
    """The whole page as HTML."""
    latest = results.latest
    sections = [
        _section("At a glance", *_glance(results)),
        _section(
            "History",
            f"Commits measured on the same machine: {len(results.commits)}. Lower is better.",
            _drawings((title, partial(charts.history, results, title)) for title in PANELS),
        ),
        _section(
            "Against scikit-learn",
            "Per cent of its time for the same EM iterations from the same parameters on the same "
            "rows, in turn in one process, one thread each; and how many times faster that is.",
            _ratios(latest),
        ),
        _section(
            "How the time grows",
            "One of rows, features and components varies, the others stay. One thread, float64. "
            "The dotted line is what grows in proportion.",
            _drawings((arm, partial(charts.scaling, latest, arm)) for arm in ARMS),
            _iterations(latest),
        ),
        _section(
            "Threads and types",
            "How many times faster an EM iteration is on two threads, and on rows in float32.",
            _gains(latest, "two threads against one, float64", threads=2),
            _gains(latest, "float32 against float64, one thread", dtype="float32"),
        ),
        _section(
            "Memory",
            "MB that a fit takes beyond X at its peak: resident size of the process, kernels "
            "compiled before. No array of rows times components is stored. EM with many components "
            "that lie apart holds the rows a second time, in an order in which near ones are "
            "together; from random rows it soon does, from k-means later, so that the former can "
            "take more.",
            _memory(latest),
        ),
        _section("Start-up and whole fits", "", _start(latest)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>fastgmm: performance</title>\n<style>{PAGE}</style></head>\n<body>\n"
        f"<header><h1>fastgmm: performance</h1>{_facts(results)}</header>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def _facts(results: History) -> str:
    commit, machine = results.latest, results.machine
    cores = f"{machine['num_cpu']} cores" if machine.get("num_cpu") else ""
    parts = [machine.get("cpu", ""), cores, machine.get("os", "")]
    hardware = ", ".join(part for part in parts if part) or machine["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in commit.versions.items())
    return (
        f'<p class="facts">Commit {html.escape(commit.name)} of {commit.date:%Y-%m-%d}, measured '
        f"by asv. Machine: {html.escape(hardware)}. Versions: {html.escape(versions)}.</p>"
    )


# -- what has changed ------------------------------------------------------------------------------
def _glance(results: History) -> tuple[str, str]:
    """The answer in words, and a table of what changed most, and of all."""
    found = list(changes(results))
    if not found:
        return "Measured once; whether it gets faster or slower, a second commit will tell.", ""
    usual = _usual(found)
    by_verdict = {
        verdict: sorted(
            (each for each in found if each.verdict == verdict), key=lambda each: -each.ratio
        )
        for verdict in ("worse", "better", "same")
    }
    worse, better, same = by_verdict.values()
    when = _when(usual, results.commits[-1])
    count = f"Of {len(found)} figures {len(better)} are better than {when}, {len(worse)} worse."
    parts = [f"<strong>{count}</strong>"]
    for text, each in (("Most gained", better[-1:]), ("Most lost", worse[:1])):
        parts += [
            f"{text}: {_name(one)}, {_amount(one)} since {html.escape(one.since.name)}."
            for one in each
        ]
    table = _changes([*worse, *better[::-1]], usual)
    summary = f"{len(same)} without a change beyond their limits"
    return " ".join(parts), f"{table}{_folded(summary, _changes(same, usual))}"


def _usual(found: list[Change]) -> Commit:
    """The commit that most figures are compared with."""
    before = [each.before for each in found]
    return max(before, key=lambda commit: sum(one is commit for one in before))


def _when(usual: Commit, newest: Commit) -> str:
    """What figures are compared with: a month ago, where there is anything so old."""
    of = f"{html.escape(usual.name)} of {usual.date:%Y-%m-%d}"
    if newest.date - usual.date >= MONTH:
        return f"a month ago ({of})"
    return f"at {of}, the oldest commit that was measured"


def _name(change: Change) -> str:
    return f"{change.panel.rpartition(' (')[0]}: {change.figure.name}"


def _amount(change: Change) -> str:
    """A change in words: by how much."""
    if change.verdict == "same":
        return f"{100 * (change.ratio - 1):+.0f} %"
    mark, time, size = _WORDS[change.verdict]
    word = size if change.figure.key[0] == MEMORY else time
    ratio = max(change.ratio, 1 / change.ratio)
    share = f"{ratio:.1f} times" if ratio >= 2 else f"{100 * abs(change.ratio - 1):.0f} %"
    return f'<span class="{change.verdict}">{mark} {share} {word}</span>'


def _changes(found: list[Change], usual: Commit) -> str:
    rows = []
    for each in found:
        unit = each.panel.rpartition(" (")[2].rstrip(")")
        since = "" if each.verdict == "same" else html.escape(each.since.name)
        values = f"{cell(each.then)} \N{RIGHTWARDS ARROW} {cell(each.now)}&nbsp;{unit}"
        if each.before is not usual:
            values += f"<br><small>then: {html.escape(each.before.name)}</small>"
        rows.append([_name(each), values, _amount(each), since])
    return _table(["", "then and now", "change", "since"], rows) if rows else ""


# -- tables ----------------------------------------------------------------------------------------
def _ratios(commit: Commit) -> str:
    """Every structure's share of scikit-learn's time, and how many times faster that is."""

    def one(shape: str, structure: str) -> tuple[str, float]:
        ratio = commit.value(RATIO, structure, shape)
        if ratio is None:
            return "", 0.0
        times = f"{1 / ratio:.0f}" if ratio < 0.2 else f"{1 / ratio:.1f}"
        return f"{100 * ratio:.1f}&nbsp;%<br><small>{times}{TIMES}</small>", ratio

    return _grid(COMPARED, STRUCTURES, one)


def _gains(commit: Commit, title: str, **changed: Any) -> str:
    """How many times faster iterations get by a change of threads or of the type."""

    def one(shape: str, structure: str) -> tuple[str, float]:
        slow, fast = (
            charts.iteration_milliseconds(commit, structure, shape, **each)
            for each in ({}, changed)
        )
        return (f"{slow / fast:.2f}", slow / fast / 2) if slow and fast else ("", 0.0)

    return f"<h3>{title}</h3>{_grid(SHAPES, STRUCTURES, one)}"


def _memory(commit: Commit) -> str:
    def one(shape: str, what: str) -> tuple[str, float]:
        n, d, _ = parse_shape(shape)
        start = {name: start for start, name in STARTS.items()}.get(what)
        value = 8.0 * n * d if start is None else commit.value(MEMORY, start, shape)
        return ("", 0.0) if value is None else (f"{value / 1e6:.1f}", value / (16.0 * n * d))

    shapes = next(timing.axes["shape"] for name, timing in SUITE.items() if name == MEMORY)
    return _grid(shapes, ["X itself", *STARTS.values()], one)


def _grid(
    shapes: Iterable[str],
    columns: Iterable[str],
    one: Callable[[str, str], tuple[str, float]],
) -> str:
    """A table with a row for every shape, and in every cell a bar of the share that is given."""
    rows = []
    for shape in shapes:
        row = [readable(shape)]
        for text, share in (one(shape, column) for column in columns):
            width = f"{min(3 * share, 4.0):.2f}em"
            row.append(f'{text}<span class="bar" style="width:{width}"></span>')
        rows.append(row)
    return _table([_SHAPE, *columns], rows)


def _table(heads: Iterable[str], rows: Iterable[list[str]]) -> str:
    """A table that a narrow page scrolls by itself."""
    head = "".join(f"<th>{text}</th>" for text in heads)
    lines = ("".join(f"<td>{text}</td>" for text in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'


def _folded(summary: str, table: str) -> str:
    return f"<details><summary>{summary}</summary>{table}</details>" if table else ""


def _iterations(commit: Commit) -> str:
    """Milliseconds of an EM iteration: the numbers behind the drawing, and the rest of the grid."""
    rows = []
    for structure, dtype, threads in itertools.product(STRUCTURES, DTYPES, THREADS):
        times = (
            charts.iteration_milliseconds(commit, structure, shape, threads, dtype)
            for shape in SHAPES
        )
        name = f"{structure}, {dtype}, {threads} thread{'s' if threads > 1 else ''}"
        rows.append([name, *map(cell, times)])
    table = _table(["", *map(readable, SHAPES)], rows)
    return _folded("All numbers: milliseconds per EM iteration", table)


def _start(commit: Commit) -> str:
    large = readable("20000x8x8")
    figures = {
        "import fastgmm, with all that it imports": (IMPORT,),
        "first fit ever: iris, every kernel it needs compiled": (FIRST, "nothing compiled"),
        "first fit of a process: iris, compiled before": (FIRST, "compiled before"),
        "iris, 150 rows, default fit": (FIT, "iris", 1),
        "wine, 178 rows, default fit": (FIT, "wine", 1),
        f"{large}, default fit, 1 thread": (FIT, "20000x8x8", 1),
        f"{large}, default fit, 2 threads": (FIT, "20000x8x8", 2),
    }
    values = {name: commit.value(*key) for name, key in figures.items()}
    return _table(
        ["", "ms"], ([name, cell(value and 1e3 * value)] for name, value in values.items())
    )


# -- the frame -------------------------------------------------------------------------------------
def _section(title: str, text: str, *content: str) -> str:
    identifier = re.sub(r"\W+", "-", title.lower())
    return f'<section id="{identifier}"><h2>{title}</h2><p>{text}</p>{"".join(content)}</section>'


def _drawings(drawings: Iterable[tuple[str, Callable[[], Figure]]]) -> str:
    """Drawings side by side as far as there is room."""
    figures = (
        f'<figure role="img" aria-label="{html.escape(name)}">{_svg(draw, name)}</figure>'
        for name, draw in drawings
    )
    return f'<div class="drawings">{"".join(figures)}</div>'


def _svg(draw: Callable[[], Figure], salt: str) -> str:
    """The drawing as an element of the page, without what belongs to a file of its own."""
    buffer = io.StringIO()
    # The salt keeps names within the page apart, and the same from run to run.
    with styled(), matplotlib.rc_context({"svg.hashsalt": salt}):
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Matplotlib names its groups figure_1, axes_1, ... in every drawing.
    return re.sub(r'<g id="[^"]*"', "<g", text)
