"""The page: headings, drawings and the numbers behind them, in one file."""

import html
import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks.report import charts
from benchmarks.report.results import Commit, History
from benchmarks.report.style import styled
from benchmarks.report.timeline import FIRST, FIT, IMPORT, history
from benchmarks.suite.problems import ARMS, DTYPES, STRUCTURES, THREADS

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 64rem; background: #fff; color: #222;
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", Verdana, sans-serif; }
h1 { margin: 0 0 .2rem; font-size: 1.8rem; }
h2 { margin: 2.6rem 0 .3rem; font-size: 1.25rem; }
p { margin: .3rem 0 .8rem; max-width: 46rem; }
.facts { color: #666; font-size: .9rem; }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; }
details { margin-top: .5rem; }
summary { cursor: pointer; color: #666; }
table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0; }
th, td { padding: .15rem .8rem .15rem 0; text-align: right; }
th:first-child, td:first-child { text-align: left; }
th { color: #666; font-weight: 600; border-bottom: 1px solid #ddd; }
"""


def render(results: History) -> str:
    """The whole page as HTML.

    Parameters
    ----------
    results : History
    """
    latest = results.latest
    sections = [
        _section(
            "Against scikit-learn",
            "The same EM iterations from the same parameters on the same rows, in turn in one "
            "process, one thread each. Lower is better; 100 % would be scikit-learn's own time.",
            lambda: charts.ratios(latest),
        ),
        _section(
            "How the time grows",
            "One of rows, features and components varies, the others stay. One thread, float64. "
            "The dotted line is what grows in proportion.",
            lambda: charts.scaling(latest),
            _iteration_table(latest),
        ),
        _section(
            "Threads and types",
            "How many times faster an EM iteration is on two threads, and on rows in float32.",
            lambda: charts.threads(latest),
        ),
        _section(
            "Memory",
            "What a fit takes beyond X at its peak: resident size of the process, kernels "
            "compiled before. No array of rows times components is stored.",
            lambda: charts.memory(latest),
        ),
        f"<section><h2>Start-up and whole fits</h2>{_start_table(latest)}</section>",
        _section(
            "History",
            f"Commits measured on the same machine: {len(results.commits)}.",
            lambda: history(results),
        ),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>fastgmm: performance</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
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


def _section(title: str, text: str, draw: Callable[[], Figure], table: str = "") -> str:
    identifier = re.sub(r"\W+", "-", title.lower())
    return (
        f'<section id="{identifier}"><h2>{title}</h2><p>{text}</p>'
        f'<figure role="img" aria-label="{title}">{_svg(draw, identifier)}</figure>{table}'
        "</section>"
    )


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


def _iteration_table(commit: Commit) -> str:
    """Milliseconds of an EM iteration: the numbers behind the drawing, and the rest of the grid."""
    shapes = list(dict.fromkeys(shape for arm in ARMS.values() for shape in arm))
    heads = "".join(f"<th>{charts.readable(shape)}</th>" for shape in shapes)
    rows = []
    for structure in STRUCTURES:
        for dtype in DTYPES:
            for threads in THREADS:
                numbers = (
                    charts.iteration_milliseconds(commit, structure, shape, threads, dtype)
                    for shape in shapes
                )
                cells = "".join(f"<td>{_number(number)}</td>" for number in numbers)
                plural = "s" if threads > 1 else ""
                name = f"{structure}, {dtype}, {threads} thread{plural}"
                rows.append(f"<tr><td>{name}</td>{cells}</tr>")
    return (
        "<details><summary>All numbers: milliseconds per EM iteration</summary>"
        f"<table><tr><th></th>{heads}</tr>{''.join(rows)}</table></details>"
    )


def _start_table(commit: Commit) -> str:
    lines: dict[str, tuple[tuple[Any, ...], float, str]] = {
        "import fastgmm, with all that it imports": ((IMPORT,), 1.0, "s"),
        "first fit ever: iris, every kernel it needs compiled": (
            (FIRST, "nothing compiled"),
            1.0,
            "s",
        ),
        "first fit of a process: iris, compiled before": ((FIRST, "compiled before"), 1.0, "s"),
        "iris, 150 rows, default fit": ((FIT, "iris", 1), 1e3, "ms"),
        "wine, 178 rows, default fit": ((FIT, "wine", 1), 1e3, "ms"),
        f"{charts.readable('20000x8x8')}, default fit, 1 thread": (
            (FIT, "20000x8x8", 1),
            1e3,
            "ms",
        ),
        f"{charts.readable('20000x8x8')}, default fit, 2 threads": (
            (FIT, "20000x8x8", 2),
            1e3,
            "ms",
        ),
    }
    rows = []
    for name, (key, scale, unit) in lines.items():
        value = commit.value(*key)
        number = "" if value is None else f"{_number(scale * value)} {unit}"
        rows.append(f"<tr><td>{name}</td><td>{number}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
