"""The gate on real trees: it finds planted regressions, leaves the same code alone, and never takes
a failure for a pass.

Passes over rows, which are exact, stand for all that it measures; ``python -m
benchmarks.prove_gate`` plants the rest, times among it, on a machine that is idle otherwise. Most
trees here are a folder with a package of two lines, which is all that they need.
"""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import benchmarks.gate.__main__ as command
from benchmarks import processes
from benchmarks.gate import GateError, trees
from benchmarks.gate.instructions import alike, read_dump
from benchmarks.gate.plants import PLANTS
from benchmarks.gate.run import Options, Outcome, compare, compare_sides
from benchmarks.gate.trees import open_tree
from benchmarks.gate.verdict import EXACT, Verdict, compare_figures
from fastgmm.kernels import tiles
from tests import fresh
from tests.benchmarks import run
from tests.systems import linux_only, unix_only

ROOT = Path(__file__).parents[2]
OK, WORSE, NO_ANSWER = 0, 1, 2

PASSES = ("--kind", "figures", "--select", "passes per EM iteration: spherical")
PREDICT = ("--kind", "times", "--select", "^predict:")


def gate(base, head, *options):
    """Exit code, table and messages."""
    return run(command.main, base, head, *options)


def worse(table):
    """Names of what the table reports as worse."""
    return [line.split("|")[1].strip() for line in table.splitlines() if "**worse**" in line]


def copy_of_package(target):
    ignored = shutil.ignore_patterns("__pycache__", "*.nb?")
    shutil.copytree(ROOT / "fastgmm", target / "fastgmm", ignore=ignored)
    return target


def package(target, text=""):
    """A tree whose fastgmm is `text`."""
    (target / "fastgmm").mkdir(parents=True)
    (target / "fastgmm" / "__init__.py").write_text(textwrap.dedent(text))
    return target


@pytest.fixture
def interpreted(monkeypatch):
    """Passes over rows are as many when kernels run as plain Python, and need no compiling."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    forked = SimpleNamespace(Popen=fresh.popen, PIPE=subprocess.PIPE)
    monkeypatch.setattr(processes, "subprocess", forked)


@pytest.fixture
def tiny(tmp_path):
    return package(tmp_path / "tiny")


# -- planted regressions ---------------------------------------------------------------------------
def test_every_plant_still_applies():
    code = "from benchmarks.gate.plants import PLANTS; [each.apply() for each in PLANTS.values()]"
    fresh.run(code, cwd=ROOT, check=True)


def test_a_plant_for_what_has_gone_is_an_error(monkeypatch):
    monkeypatch.delattr(tiles, "_MOST_GROUPS")
    with pytest.raises(GateError, match="_MOST_GROUPS, which a plant replaces, has gone"):
        PLANTS["small-tile"].apply()


def test_an_extra_pass_is_found(interpreted, tmp_path):
    base = open_tree("BASE", str(ROOT), tmp_path / "base")
    head = replace(open_tree("HEAD", str(ROOT), tmp_path / "head"), plant="extra-pass")
    options = Options(kinds=PASSES[1:2], select=PASSES[3])
    outcome = compare(base, head, options)
    assert [(line.name, line.ratio) for line in outcome.worse] == [
        ("read passes per EM iteration: spherical", 2.0),
        ("kernel passes per EM iteration: spherical", 2.0),
    ]


def test_the_same_code_passes_without_valgrind_too(interpreted, monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.which", lambda name: None)
    kept = tmp_path / "table.md"
    code, table, messages = gate(ROOT, ROOT, *PASSES, "--kind", "instructions", "--output", kept)
    assert code == OK, messages
    assert "none of 2 worse" in table
    assert "Instructions were not counted: " in table
    assert kept.read_text(encoding="utf-8") == table


def test_instructions_alone_need_valgrind(tiny, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "no benchmark ran" in no_answer(tiny, tiny, "--kind", "instructions")


def test_instructions_are_read_from_what_callgrind_writes(tmp_path):
    # Of a kernel, of NumPy's dispatch within it, and of a callee that the kernel's line repeats.
    (tmp_path / "dump").write_text(
        """\
        version: 1
        desc: Trigger: Client Request: full: statistics_pass
        positions: line
        ob=???
        fn=kernel
        3 100
        4 20
        cfn=part
        calls=1 9
        6 5000
        fn=part
        9 7
        ob=/usr/lib/python3/numpy/_multiarray_umath.so
        fn=boxing
        1 999
        ob=/lib/libc.so.6
        fn=memset
        1 11
        fn=malloc
        1 50
        """.replace("        ", "")
    )
    assert read_dump(tmp_path / "dump") == ("full: statistics_pass", 100 + 20 + 7 + 11)


EVERY_KERNEL = """
from benchmarks.gate.recorder import Recorder, entry_points
from benchmarks.suite.clock import quietly
from benchmarks.suite.timings import COUNTED
recorder = Recorder()
recorder.install()
with quietly():
    for name, make in COUNTED.items():
        if "far apart" in name or "start" in name or "tied" in name and "x8x8" in name:
            make()()
assert set(recorder.kernel_rows) == {name for _, name in entry_points()}, recorder.kernel_rows
"""


def test_instructions_are_counted_in_every_kernel():
    fresh.run(EVERY_KERNEL, cwd=ROOT, check=True)


# -- what is compared ------------------------------------------------------------------------------
def test_figures_of_both_sides():
    base = {"read passes": (1.0, "passes"), "bytes": (5e6, "bytes")}
    head = {"read passes": (2.0, "passes"), "bytes": (4e6, "bytes"), "other": (1.0, "passes")}
    verdicts = {line.name: line.verdict for line in compare_sides(base, head, Options())}
    assert verdicts == {
        "read passes": Verdict.WORSE,
        "bytes": Verdict.BETTER,
        "other": Verdict.NOT_COMPARED,
    }


def test_a_figure_that_is_no_longer_measured_is_no_pass():
    with pytest.raises(GateError, match="not on HEAD: gone"):
        compare_sides({"gone": (1.0, "passes")}, {}, Options())


def test_a_problem_that_other_kernels_solve_is_compared_as_a_whole():
    unit = "instructions per row"
    same = {"full: scatter_pass": (3.0, unit), "gone: statistics_pass": (1.0, unit)}
    base = {**same, "tied: statistics_pass": (7.0, unit)}
    head = {**same, "tied: near_pass": (4.0, unit), "tied: far_pass": (2.0, unit)}
    del head["gone: statistics_pass"]
    of_base, of_head = alike(base, head)
    assert of_base == {**same, "tied: all kernels": (7.0, unit)}
    assert of_head == {"full: scatter_pass": (3.0, unit), "tied: all kernels": (6.0, unit)}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A clone of two commits, in the place of this one."""
    folder = tmp_path / "clone"
    package(folder, "version = 1")

    def git(*arguments):
        named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    (folder / "fastgmm" / "__init__.py").write_text("version = 2")
    git("commit", "-a", "-m", "second")
    (folder / "fastgmm" / "__init__.py").write_text("version = 'not committed'")
    monkeypatch.setattr(trees, "REPOSITORY", folder)
    return folder


def test_commits_are_taken_as_committed(repository, tmp_path):
    for reference, text in {"HEAD~1": "version = 1", "HEAD": "version = 2"}.items():
        tree = open_tree("BASE", reference, tmp_path / reference)
        assert (tree.sources / "fastgmm" / "__init__.py").read_text() == text
        assert tree.name.startswith(f"{reference} (")


def test_a_directory_is_taken_as_it_is_now(repository, tmp_path):
    tree = open_tree("HEAD", str(repository), tmp_path / "head")
    assert "not committed" in (tree.sources / "fastgmm" / "__init__.py").read_text()


def test_what_this_checkout_has_compiled_comes_along(repository, tmp_path):
    for folder in ("fastgmm", "fastgmm/new"):  # one that the commit has, and one that it lacks
        cache = repository / folder / "__pycache__"
        cache.mkdir(parents=True)
        (cache / "kernel_digest.nbi").write_text("compiled")
    tree = open_tree("BASE", "HEAD", tmp_path / "base")
    (found,) = tree.sources.rglob("*.nbi")
    assert found.relative_to(tree.sources) == Path("fastgmm/__pycache__/kernel_digest.nbi")
    assert tree.environment()["NUMBA_CACHE_DIR"] == ""
    # What is planted goes by the same names.
    planted = replace(tree, plant="sleep").environment()["NUMBA_CACHE_DIR"]
    assert Path(planted).is_relative_to(tree.work)


# -- no answer is never a pass ---------------------------------------------------------------------
def no_answer(base, head, *options):
    """Messages of a run that must end without an answer."""
    code, table, messages = gate(base, head, *options)
    assert (code, table) == (NO_ANSWER, "")
    assert "Traceback" not in messages.split("no answer:")[1].splitlines()[0]
    return messages


def test_an_unknown_commit(tiny):
    assert "BASE 'no-such-commit' is no commit" in no_answer("no-such-commit", tiny)


def test_an_empty_name(tiny):
    # Of a variable that was not set; the present folder it must not be.
    assert "HEAD is empty" in no_answer(tiny, "")


def test_an_option_in_the_place_of_a_commit():
    code, table, _ = gate("--upload-pack=x", ROOT)
    assert (code, table) == (NO_ANSWER, "")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--select", "(", "--select: '(': "),
        ("--relative", "inf", "no finite number"),
        ("--output", "no-such-folder/table.md", "no-such-folder"),
    ],
)
def test_an_option_that_cannot_work_is_told_at_once(option, value, message, tiny):
    code, table, messages = gate(tiny, tiny, option, value)
    assert (code, table) == (NO_ANSWER, "")
    assert message in messages


def test_a_tree_that_does_not_import(tiny, tmp_path):
    messages = no_answer(tiny, package(tmp_path / "head", "def"))
    assert "HEAD" in messages
    assert "SyntaxError" in messages


def test_another_fastgmm_is_not_measured_instead(tiny, tmp_path):
    head = package(tmp_path / "head", "__file__ = '/elsewhere/fastgmm/__init__.py'")
    assert "imported from /elsewhere" in no_answer(tiny, head).replace(os.sep, "/")


def test_a_tree_that_hangs(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 1.0)
    head = package(tmp_path / "head", "import time; time.sleep(60)")
    assert "took over 1 s" in no_answer(tiny, head)


def test_a_tree_without_kernels(interpreted, tiny):
    assert "BASE" in no_answer(tiny, tiny, *PASSES)


def broken(target, file, text):
    """A copy with `text` at the end of a file."""
    with (copy_of_package(target) / "fastgmm" / file).open("a") as opened:
        opened.write(f"\n\n{text}\n")
    return target


RAISES = "def run_em(*args, **kwargs): raise RuntimeError('planted')"
"""In the place of the loop: whatever fits, fails."""


def test_a_figure_that_raises_on_head(interpreted, tmp_path):
    messages = no_answer(ROOT, broken(tmp_path / "head", "em.py", RAISES), *PASSES)
    assert "HEAD" in messages
    assert "RuntimeError: planted" in messages


NO_LARGE_FITS = """
class Planted(GaussianMixture):
    def fit(self, X, y=None):
        if len(X) > 1000:
            raise RuntimeError("planted")
        return super().fit(X)

GaussianMixture = Planted"""


def test_a_benchmark_that_raises(interpreted, tmp_path):
    tree = broken(tmp_path / "tree", "gaussian_mixture.py", NO_LARGE_FITS)
    messages = no_answer(tree, tree, *PREDICT)
    assert "'sample predict: full, 40000x8x8' failed on HEAD" in messages
    assert "RuntimeError: planted" in messages


def test_a_process_that_dies(interpreted, tmp_path):
    tree = broken(tmp_path / "tree", "em.py", "def run_em(*a, **k): import os; os.abort()")
    assert "the process ended with exit code " in no_answer(tree, tree, *PREDICT)


@linux_only
def test_a_full_disk(tiny, monkeypatch):
    line = compare_figures("read passes", 1.0, 1.0, EXACT, "passes")
    monkeypatch.setattr(command, "compare", lambda *_: Outcome([line]))
    code, _, messages = gate(tiny, tiny, "--output", "/dev/full")
    assert code == NO_ANSWER
    assert os.strerror(28) in messages  # ENOSPC


@unix_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_gate_leaves_nothing_behind(number, tmp_path, tiny):
    head = package(
        tmp_path / "head",
        f"""
        import os, pathlib, time
        pathlib.Path({str(tmp_path)!r}, "child").write_text(str(os.getpid()))
        time.sleep(120)
        """,
    )
    work = tmp_path / "work"
    work.mkdir()
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gate", str(tiny), str(head)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(work)},
        stderr=subprocess.PIPE,
        text=True,
    )
    child = tmp_path / "child"
    while running.poll() is None and not (child.exists() and child.read_text()):
        time.sleep(0.05)
    running.send_signal(number)
    _, messages = running.communicate(timeout=30)
    assert running.returncode == NO_ANSWER
    assert "interrupted" in messages
    assert list(work.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
