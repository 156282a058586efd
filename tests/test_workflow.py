"""What the workflow of GitHub Actions repeats of other files."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

import fastgmm

ROOT = Path(__file__).parents[1]
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def lower_bounds():
    """Of what fastgmm runs with."""
    optional = PROJECT["optional-dependencies"]
    for text in (*PROJECT["dependencies"], *optional["cli"], *optional["batch"], *optional["plot"]):
        requirement = Requirement(text)
        if requirement.name != PROJECT["name"]:
            (bound,) = [s for s in requirement.specifier if s.operator == ">="]
            yield requirement.name, Version(bound.version)


def test_the_oldest_dependencies_are_the_lower_bounds():
    pins = re.findall(r'"([\w-]+)==([\d.]+?)(?:\.\*)?"', WORKFLOW)
    assert {name: Version(version) for name, version in pins} == dict(lower_bounds())


def test_one_version_number():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fastgmm.__version__}\n" in citation
    assert PROJECT["dynamic"] == ["version"]


def test_the_documented_bounds_are_those_of_the_package():
    page = (ROOT / "docs" / "releases.md").read_text(encoding="utf-8")
    bounds = {name: str(version) for name, version in lower_bounds()}
    bounds["Python"] = PROJECT["requires-python"].removeprefix(">=")
    rows = re.findall(r"^\| ([\w, -]+) \| ([\d.]+)", page, re.MULTILINE)
    documented = {name.lower(): version for name, version in rows}
    assert {name.lower(): version for name, version in bounds.items()}.items() <= documented.items()


def test_the_oldest_python_is_tested():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f'python: ["{oldest}", ' in WORKFLOW
    assert f'python: "{oldest}", dependencies: oldest' in WORKFLOW
