"""The page of the report, made from the history that is kept, and looked at in a browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.report.__main__ import app, configured_results
from benchmarks.report.page import render
from benchmarks.report.results import load_history
from tests.systems import linux_only

SECTIONS = [
    "against-scikit-learn",
    "how-the-time-grows",
    "threads-and-types",
    "memory",
    "history",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

PROBE = """
<script>
addEventListener("load", () => {
  const sizes = [...document.querySelectorAll("figure svg, img")].map((image) => {
    const {width, height} = image.getBoundingClientRect();
    return [width, height, image.querySelectorAll("path").length];
  });
  const text = document.documentElement.scrollWidth <= innerWidth ? "" : "wider than the window";
  const resources = performance.getEntriesByType("resource").map((entry) => entry.name);
  const found = {sizes, resources, errors: window.errors, text};
  document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
});
</script>
"""
LISTENER = (
    '<script>window.errors = []; addEventListener("error", (e) => errors.push(String(e.message)), '
    "true);</script>"
)


@pytest.fixture(scope="module")
def page():
    """Of the history that is kept in the repository."""
    return render(load_history(configured_results()))


class Reader(HTMLParser):
    """What a page is made of: tags, and whatever could make a browser ask a network."""

    def __init__(self):
        super().__init__()
        self.tags = []
        self.references = []
        self.open = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in {"meta", "link", "br", "img", "use", "path"}:
            self.open.append(tag)
        for name, value in attributes:
            if name in {"src", "href", "xlink:href", "srcset", "data", "action"}:
                self.references.append(value)
            self.references += re.findall(r"url\(([^)]*)\)", value or "")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag, f"<{tag}> is closed out of turn"


@pytest.fixture(scope="module")
def parsed(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_the_page_is_whole(parsed):
    assert parsed.open == []
    sections = [attributes.get("id") for tag, attributes in parsed.tags if tag == "section"]
    assert [name for name in sections if name] == SECTIONS


def test_the_page_needs_no_network(page, parsed):
    assert all(reference.startswith("#") for reference in parsed.references)
    assert "@import" not in page
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "embed"}


def test_drawings_have_a_size_and_something_in_them(page):
    drawings = re.findall(r"<svg\b.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == len(SECTIONS)
    for drawing in drawings:
        _, _, width, height = map(float, re.search(r'viewBox="([^"]*)"', drawing)[1].split())
        assert width > 100
        assert height > 100
        assert drawing.count("<path") > 20


def test_names_within_the_page_are_its_own(parsed):
    names = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {reference.removeprefix("#") for reference in parsed.references} <= set(names)


def test_a_browser_shows_it(page, tmp_path):
    # Where none is installed, the tests above have to do.
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return
    path = tmp_path / "page.html"
    path.write_text(
        page.replace("<head>", f"<head>{LISTENER}").replace("</body>", f"{PROBE}</body>"),
        encoding="utf-8",
    )
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,900",
        "--enable-logging=stderr", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stderr
    assert "CONSOLE" not in shown.stderr
    found = json.loads(re.search(r"<pre>(.*)</pre>", shown.stdout)[1])
    assert found["errors"] == []
    assert found["resources"] == []
    assert found["text"] == ""
    assert len(found["sizes"]) == len(SECTIONS)
    for width, height, paths in found["sizes"]:
        assert width > 500
        assert height > 100
        assert paths > 20


# -- bad input -------------------------------------------------------------------------------------
def report(*options):
    """Exit code, output and messages."""
    result = CliRunner().invoke(app, [str(option) for option in options])
    return result.exit_code, result.stdout, result.stderr


def kept(folder):
    """A copy of the kept results."""
    source = configured_results()
    return Path(shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".gitignore")))


def the_machine(results):
    (machine,) = (path.parent for path in results.glob("*/machine.json"))
    return machine


def test_the_command_writes_the_page(tmp_path):
    output = tmp_path / "performance.html"
    code, told, _ = report("--output", output)
    assert code == 0
    assert str(output) in told
    assert output.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_of_several_machines_the_one_with_most_results_is_shown(tmp_path):
    results = kept(tmp_path / "results")
    other = results / "other"
    other.mkdir()
    (other / "machine.json").write_text("{}")
    assert load_history(results).machine["machine"] != "other"


@pytest.mark.parametrize("name", ["no-such-machine", "", "../elsewhere"])
def test_an_unknown_machine(name, tmp_path):
    code, _, messages = report("--machine", name, "--output", tmp_path / "page.html")
    assert code == 2
    assert f"no machine file of {name!r}" in messages


def test_a_folder_without_results(tmp_path):
    code, _, messages = report("--results", tmp_path, "--output", tmp_path / "page.html")
    assert code == 2
    assert "asv machine --yes" in messages
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_results(tmp_path):
    results = kept(tmp_path / "results")
    for path in the_machine(results).iterdir():
        if path.name != "machine.json":
            path.unlink()
    code, _, messages = report("--results", results, "--output", tmp_path / "page.html")
    assert code == 2
    assert "no results" in messages


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}'])
def test_damaged_results_are_not_left_out(text, tmp_path):
    results = kept(tmp_path / "results")
    path = next(each for each in the_machine(results).iterdir() if each.name != "machine.json")
    path.write_text(text)
    code, _, messages = report("--results", results, "--output", tmp_path / "page.html")
    assert code == 2
    assert str(path) in messages


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_machine_file(text, tmp_path):
    results = kept(tmp_path / "results")
    path = the_machine(results) / "machine.json"
    path.write_text(text)
    code, _, messages = report("--results", results, "--output", tmp_path / "page.html")
    assert code == 2
    assert str(path) in messages


def test_a_machine_of_which_only_the_name_is_known(tmp_path):
    # What asv writes of a machine that it was told no more of.
    results = kept(tmp_path / "results")
    machine = the_machine(results)
    (machine / "machine.json").write_text('{"version": 1}')
    assert machine.name in render(load_history(results))


@linux_only
def test_a_full_disk():
    code, _, messages = report("--output", "/dev/full")
    assert code == 2
    assert "No space left" in messages


def test_a_folder_that_is_not_there(tmp_path):
    code, _, messages = report("--output", tmp_path / "no" / "page.html")
    assert code == 2
    assert "no" in messages
