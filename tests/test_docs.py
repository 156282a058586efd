"""The examples of the documentation run, with the checks that they make themselves."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fastgmm
from fastgmm import gaussian, plotting

DOCS = Path(__file__).parents[1] / "docs"

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)[^)]*\)")

_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path):
    return _BLOCK.findall(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "page", [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_somewhere(page):
    """As the pages stand in the repository; Sphinx looks after those that it makes."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("module", [fastgmm, plotting, gaussian], ids=lambda m: m.__name__)
def test_the_reference_has_every_public_name(module):
    """And so Sphinx makes a page of it."""
    listed = set((DOCS / "reference.rst").read_text(encoding="utf-8").split())
    public = {name for name in module.__all__ if callable(getattr(module, name))}
    assert public
    assert public <= listed


@pytest.mark.parametrize(
    "name",
    [
        "start.md",
        "statistics.md",
        "batch.md",
        "given.md",
        "missing.md",
        "noise.md",
        "selection.md",
    ],
)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    shutil.copy(DOCS / "examples" / "airquality.csv", tmp_path)
    code = "\n".join(blocks(DOCS / name))
    assert "assert" in code
    exec(compile(code, name, "exec"), {})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["../README.md", "bayesian.md", "plotting.md", "robustness.md"])
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
        "fastgmm": fastgmm,
        "GaussianMixture": fastgmm.GaussianMixture,
    }
    assert blocks(DOCS / name)
    for code in blocks(DOCS / name):
        exec(compile(code, name, "exec"), brought)
