"""The examples of the documentation run, with the checks that they make themselves."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

import fastgmm
from fastgmm import gaussian, plotting
from fastgmm.cli.main import app

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?[^)]*\)")

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

MADE = ("reference.rst", "auto_examples/index.rst")
"""Pages that Sphinx makes, or that are no Markdown: it looks after links to their sections."""


def blocks(path):
    return _BLOCK.findall(path.read_text(encoding="utf-8"))


def anchors(path):
    """Names of the sections of a page, as GitHub and MyST make them."""
    without_code = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)
    for heading in _HEADING.findall(without_code):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """As the pages stand in the repository; Sphinx looks after those that it makes."""
    for target, section in _LINK.findall(page.read_text(encoding="utf-8")):
        if target in MADE:
            continue
        there = page.parent / target if target else page
        assert there.exists(), target
        if section:
            assert section in set(anchors(there)), f"{target}#{section}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    """Written from the top of the repository or of the package."""
    for name in re.findall(r"`(\w+/[\w/]+\.py)`", page.read_text(encoding="utf-8")):
        assert (DOCS.parent / name).exists() or (DOCS.parent / "fastgmm" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_have_a_line_of_titles(page):
    """Or their rows would be shown as text."""
    lines = ["", *page.read_text(encoding="utf-8").splitlines(), ""]
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("|") and not before.startswith("|"):
            assert re.fullmatch(r"\|[-: |]+\|", after), line


@pytest.mark.parametrize("module", [fastgmm, plotting, gaussian], ids=lambda m: m.__name__)
def test_the_reference_has_every_public_name(module):
    """And so Sphinx makes a page of it."""
    listed = set((DOCS / "reference.rst").read_text(encoding="utf-8").split())
    public = {name for name in module.__all__ if callable(getattr(module, name))}
    assert public
    assert public <= listed


WHOLE = (
    "start.md",
    "dask.md",
    "drop-in.md",
    "mclust.md",
    "sizing.md",
    "statistics.md",
    "batch.md",
    "given.md",
    "missing.md",
    "noise.md",
    "selection.md",
)
"""Pages that are a script from their first block to the last, and check what they say."""

WITH_ROWS = (
    "../README.md",
    "acceleration.md",
    "bayesian.md",
    "beyond.md",
    "plotting.md",
    "robustness.md",
    "scikit-learn.md",
    "structures.md",
)
"""Pages whose reader brings the rows."""


def test_every_page_with_code_is_run():
    with_code = {page.name for page in PAGES if blocks(page)}
    assert with_code <= {Path(name).name for name in WHOLE + WITH_ROWS}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", WHOLE)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    shutil.copy(DOCS / "examples" / "airquality.csv", tmp_path)
    code = "\n".join(blocks(DOCS / name))
    assert "assert" in code
    exec(compile(code, name, "exec"), {})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Port 8787 is already in use")
@pytest.mark.parametrize("name", WITH_ROWS)
def test_examples_with_rows_of_the_reader(name, tmp_path, monkeypatch):
    """The reader brings X and what belongs to it: here they stand."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    random = np.random.default_rng(0)
    X = random.normal(size=(600, 2)) + np.repeat([[0.0], [5.0], [9.0]], 200, axis=0)
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame.assign(count=1.0).to_parquet("rows.parquet")
    brought = {
        "X": X,
        "w": random.uniform(size=600),
        "labels": np.repeat([0, 1, 2], 200),
        "responsibilities": np.full((600, 3), 1 / 3),
        "frame": frame.assign(shop=np.repeat(["north", "south"], 300)),
        "table": frame,
        "model": fastgmm.GaussianMixture(3, random_state=0).fit(X),
        "fastgmm": fastgmm,
        "GaussianMixture": fastgmm.GaussianMixture,
    }
    assert blocks(DOCS / name)
    for code in blocks(DOCS / name):
        if "sklearn.callback" in code and not importlib.util.find_spec("sklearn.callback"):
            continue  # of scikit-learn 1.9
        exec(compile(code, name, "exec"), brought)
    if "client" in brought:
        brought["client"].shutdown()


def commands():
    """Lines of shell that call fastgmm, by the page they stand on."""
    for page in PAGES:
        for block in _SHELL.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["fastgmm"]:
                    yield pytest.param(words[1:], id=f"{page.stem}: {' '.join(words)}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_are_what_the_command_line_takes(words, tmp_path, monkeypatch):
    """Names of commands and options, and the kinds of their values: nothing is run."""
    monkeypatch.chdir(tmp_path)
    np.save("means.npy", np.zeros((3, 2)))
    group = typer.main.get_command(app)
    with group.make_context("fastgmm", list(words), resilient_parsing=False) as context:
        name, command, rest = group.resolve_command(context, list(words))
        command.make_context(name, rest, parent=context).close()


@pytest.fixture(scope="module")
def pictures():
    """The script that draws those of the README: it reads the tables on performance."""
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_figures_of_the_readme_are_those_of_the_tables(pictures):
    """The picture of speed reads the same tables: `python docs/pictures.py` draws it anew."""
    iterations, fits = pictures.speed_ups()
    assert iterations.keys() == fits.keys()
    assert len(iterations) == 7
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    least, most = min(iterations.values()), max(iterations.values())
    mean = np.exp(np.mean(np.log(list(fits.values()))))
    assert f"a {least:.0f}th to a {most:.0f}rd of scikit-learn's time" in readme
    assert f"a whole fit a {mean:.0f}st" in readme


def test_the_formula_for_an_iteration_is_near_what_was_measured(pictures):
    """On the page on sizing, within a quarter of the table on performance."""
    page = {}
    exec(blocks(DOCS / "sizing.md")[0], page)
    measured = pictures.milliseconds()
    assert len(measured) == 7
    for (n, d, k), milliseconds in measured.items():
        formula = 1e3 * page["seconds_per_iteration"](n, d, k, cores=2)
        assert formula == pytest.approx(milliseconds, rel=0.25)
