"""The page of the report, made from the history that is kept, and looked at in a browser."""

import html
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmarks.report.__main__ import PAGE, RESULTS, main
from benchmarks.report.changes import IMPORT, PANELS, changes
from benchmarks.report.page import render
from benchmarks.report.results import Commit, History, load_history
from benchmarks.suite.problems import ARMS
from tests.benchmarks import run
from tests.systems import linux_only

SECTIONS = [
    "at-a-glance",
    "history",
    "against-scikit-learn",
    "how-the-time-grows",
    "threads-and-types",
    "memory",
    "start-up-and-whole-fits",
]
DRAWINGS = len(PANELS) + len(ARMS)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

PROBE = """<!DOCTYPE html>
<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const shown = document.querySelector("iframe").contentWindow;
  const sizes = [...shown.document.querySelectorAll("figure svg, img")].map((image) => {{
    const {{width, height}} = image.getBoundingClientRect();
    return [width, height, image.querySelectorAll("path").length];
  }});
  const resources = shown.performance.getEntriesByType("resource").map((entry) => entry.name);
  const widths = [shown.document.documentElement.scrollWidth, shown.innerWidth];
  const found = {{sizes, resources, widths}};
  document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
}});
</script>
"""
"""A page in a frame, which may be narrower than a window, and what is to be seen in it."""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Where the command has written the page of the history that is kept, and how it ended."""
    output = tmp_path_factory.mktemp("report") / "performance.html"
    return output, report("--out", output)


@pytest.fixture(scope="module")
def page(written):
    return written[0].read_text(encoding="utf-8")


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
    assert sections == SECTIONS


def test_the_page_needs_no_network(page, parsed):
    assert all(reference.startswith("#") for reference in parsed.references)
    assert "@import" not in page
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "embed"}


def test_drawings_have_a_size_and_something_in_them(page):
    drawings = re.findall(r"<svg\b.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == DRAWINGS
    for drawing in drawings:
        _, _, width, height = map(float, re.search(r'viewBox="([^"]*)"', drawing)[1].split())
        assert width > 100
        assert height > 100
        assert drawing.count("<path") > 10


def test_names_within_the_page_are_its_own(parsed):
    names = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {reference.removeprefix("#") for reference in parsed.references} <= set(names)


@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_it(page, tmp_path, width):
    # Where none is installed, the tests above have to do.
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return
    path = tmp_path / "page.html"
    path.write_text(PROBE.format(width=width, page=html.escape(page)), encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,900",
        "--enable-logging=stderr", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stderr
    assert "CONSOLE" not in shown.stderr
    found = json.loads(re.search(r"<pre>(.*)</pre>", shown.stdout)[1])
    assert found["resources"] == []
    needed, given = found["widths"]
    assert needed <= given
    assert len(found["sizes"]) == DRAWINGS
    for drawn, height, paths in found["sizes"]:
        # Letters of ten points are drawn on 331 of them.
        assert 10 / 331 * drawn > 9
        assert drawn < given
        assert height > 100
        assert paths > 10


# -- what has changed ------------------------------------------------------------------------------
def history(*values, days=20):
    """Commits some days apart, at which importing took so many seconds."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return History(
        {"machine": "made up"},
        [
            Commit(
                name=f"commit-{i}",
                date=begin + i * timedelta(days=days),
                values={} if value is None else {(IMPORT,): value},
                versions={},
            )
            for i, value in enumerate(values)
        ],
    )


@pytest.mark.parametrize(
    ("values", "verdict", "before", "since"),
    [
        ((1.0, 1.0, 1.0, 2.0, 2.1, 2.0), "same", 3, 4),
        ((1.0, 1.0, 1.0, 1.0, 2.0), "worse", 2, 4),
        ((1.0, 1.0, 1.0, 2.0, 2.0), "worse", 2, 3),
        ((9.0, 1.0, 2.0, 0.5, 0.5), "better", 2, 3),
        ((9.0, 1.0, None, 0.5, 0.5), "better", 1, 3),
        ((1.0, 1.0, 1.0, 1.0, 1.1), "same", 2, 4),
        ((2.0, 1.0), "better", 0, 1),
    ],
)
def test_figures_are_compared_with_a_month_ago(values, verdict, before, since):
    (change,) = changes(history(*values))
    found = (change.verdict, change.before.name, change.since.name)
    assert found == (verdict, f"commit-{before}", f"commit-{since}")


def test_the_page_says_first_what_has_changed():
    page = render(history(1.0, 1.0, 1.0, 2.5, 2.5))
    glance = page[page.index("At a glance") : page.index("History")]
    text = " ".join(re.sub("<[^>]*>", " ", glance).split())
    assert "Of 1 figures 0 are better than a month ago (commit-2 of 2026-02-10), 1 worse." in text
    assert (
        "Start-up: import, \N{BLACK UP-POINTING TRIANGLE} 2.5 times slower since commit-3" in text
    )


def test_figures_of_another_version_are_not_compared(tmp_path):
    results = kept(tmp_path / "results")
    *_, path = sorted(
        (path for path in the_machine(results).iterdir() if path.name != "machine.json"),
        key=lambda path: json.loads(path.read_text())["date"],
    )
    content = json.loads(path.read_text())
    columns = content["result_columns"]
    content["results"][IMPORT][columns.index("version")] = "next"
    path.write_text(json.dumps(content))
    values = [commit.value(IMPORT) for commit in load_history(results).commits]
    assert values[-1] is not None
    assert set(values[:-1]) == {None}


def test_one_commit_has_nothing_to_be_compared_with():
    assert "Measured once" in render(history(1.0))


# -- bad input -------------------------------------------------------------------------------------
def report(*options):
    """Exit code, output and messages."""
    return run(main, *options)


def kept(folder):
    """A copy of the kept results."""
    return Path(shutil.copytree(RESULTS, folder, ignore=shutil.ignore_patterns(".gitignore")))


def the_machine(results):
    return results / "xeon-2core"


def test_nothing_is_written_to_the_root_of_the_repository():
    ignored = ["git", "-C", str(PAGE.parents[1]), "check-ignore", str(PAGE)]
    assert subprocess.run(ignored, capture_output=True).returncode in (0, 128)  # 128: no clone


def test_the_command_writes_the_page(written, page):
    output, (code, told, _) = written
    assert code == 0
    assert str(output) in told
    assert page.startswith("<!DOCTYPE html>")


def test_of_several_machines_the_one_with_most_results_is_shown(tmp_path):
    results = kept(tmp_path / "results")
    other = results / "other"
    other.mkdir()
    (other / "machine.json").write_text("{}")
    assert load_history(results).machine["machine"] != "other"


@pytest.mark.parametrize("name", ["no-such-machine", "", "../elsewhere"])
def test_an_unknown_machine(name, tmp_path):
    code, _, messages = report("--machine", name, "--out", tmp_path / "page.html")
    assert code == 2
    assert f"no machine file of {name!r}" in messages


def test_a_folder_without_results(tmp_path):
    code, _, messages = report("--results", tmp_path, "--out", tmp_path / "page.html")
    assert code == 2
    assert "asv machine --yes" in messages
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_results(tmp_path):
    results = kept(tmp_path / "results")
    for path in the_machine(results).iterdir():
        if path.name != "machine.json":
            path.unlink()
    code, _, messages = report("--results", results, "--out", tmp_path / "page.html")
    assert code == 2
    assert "no results" in messages


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}'])
def test_damaged_results_are_not_left_out(text, tmp_path):
    results = kept(tmp_path / "results")
    path = next(each for each in the_machine(results).iterdir() if each.name != "machine.json")
    path.write_text(text)
    code, _, messages = report("--results", results, "--out", tmp_path / "page.html")
    assert code == 2
    assert str(path) in messages


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_machine_file(text, tmp_path):
    results = kept(tmp_path / "results")
    path = the_machine(results) / "machine.json"
    path.write_text(text)
    code, _, messages = report("--results", results, "--out", tmp_path / "page.html")
    assert code == 2
    assert str(path) in messages


def test_a_machine_of_which_only_the_name_is_known(tmp_path):
    # What asv writes of a machine that it was told no more of.
    results = kept(tmp_path / "results")
    machine = the_machine(results)
    (machine / "machine.json").write_text('{"version": 1}')
    assert machine.name in render(History(load_history(results).machine, history(1.0).commits))


@pytest.fixture
def rendered(monkeypatch):
    """Another page in a moment."""
    monkeypatch.setattr("benchmarks.report.__main__.render", lambda history: "<!DOCTYPE html>\n")


@linux_only
def test_a_full_disk(rendered):
    code, _, messages = report("--out", "/dev/full")
    assert code == 2
    assert "No space left" in messages


def test_a_folder_that_is_not_there(rendered, tmp_path):
    code, _, messages = report("--out", tmp_path / "no" / "page.html")
    assert code == 2
    assert "no" in messages
