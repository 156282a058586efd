"""Processes on terminals and pipes, interrupted and killed."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastgmm import load
from fastgmm.cli.errors import _is_closed_pipe
from fastgmm.cli.fit import _how_to_go_on
from tests import fresh
from tests.systems import needs_shell, unix_only

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from fastgmm.cli import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "TERM": "xterm"}
PATIENCE = 60


def start(*arguments, **options):
    """A process of the command line, with pipes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return fresh.start(fresh.COMMAND_LINE, *arguments, env=ENVIRONMENT, **pipes, **options)


def on_a_terminal(*arguments, until, keys):
    """Exit code and all text of a process on a terminal of its own.

    As soon as the text has the pattern `until`, `keys` are pressed.
    """
    import pty  # of Unix

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, *map(str, arguments)], ENVIRONMENT)
    text, deadline = "", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            read = os.read(terminal, 1 << 16)
        except OSError:  # the process has closed it
            break
        if not read:  # likewise, on a Mac
            break
        text += read.decode(errors="replace")
        if keys and re.search(until, text):
            os.write(terminal, keys)
            keys = None
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Rows that keep EM at work for a second or two."""
    path = tmp_path_factory.mktemp("large") / "rows.npy"
    np.save(path, np.random.RandomState(0).standard_normal((100_000, 4)))
    return path


@unix_only
def test_a_fit_survives(large, tmp_path, command):
    """Killed, terminated and interrupted in turn, it ends with the bits of an undisturbed run."""
    job, out = tmp_path / "job.npz", tmp_path / "model.npz"
    options = "-k 8 --tol 0 --max-iter 150 --random-state 0 --init-params random --checkpoint-every"
    fit = ["fit", large, *options.split(), 0, "--verbose"]
    resumed = [*fit, "--checkpoint", job, "--out", out]

    seen = 0
    for number in (signal.SIGKILL, signal.SIGTERM):
        with start(*resumed) as process:
            if seen:
                goes_on = process.stderr.readline()
                assert goes_on.startswith("goes on from the checkpoint, after iteration ")
            for line in process.stderr:
                iteration = int(re.match(r"iteration (\d+) ", line)[1])
                assert iteration >= seen  # an iteration is told of just before it is kept
                if iteration == seen + 5:
                    process.send_signal(number)
                    break
            rest = process.stderr.read()
        seen = iteration
        if number == signal.SIGTERM:
            assert process.returncode == 143
            assert f"{job} is kept. Go on by: fastgmm fit {large}" in rest
            assert "Traceback" not in rest
    code, text = on_a_terminal(*resumed, until=r"iteration \d+/150", keys=b"\x03")
    assert code == 130
    assert f"{job} is kept. Go on by: fastgmm fit" in text.replace("\r\n", "")
    assert "Traceback" not in text
    assert re.search(r"log-likelihood -\d\.\d+  [\d.]+[kMG]? rows/s  at most \d+:\d\d left", text)
    assert not out.exists()

    done = command(*resumed)
    assert done.code == 0
    first = int(re.search(r"^iteration (\d+) ", done.err, re.MULTILINE)[1])
    assert first >= seen
    assert done.err.count("rows/s") == 150 - first + 1
    assert command(*fit, "--out", tmp_path / "undisturbed.npz").code == 0
    expected, fitted = load(tmp_path / "undisturbed.npz"), load(out)
    assert fitted.lower_bounds_ == expected.lower_bounds_
    np.testing.assert_array_equal(fitted.means_, expected.means_)
    np.testing.assert_array_equal(fitted.covariances_, expected.covariances_)


def test_an_empty_checkpoint_is_a_new_start(files, tmp_path, command):
    job = tmp_path / "job.npz"
    for _ in range(2):
        job.write_bytes(b"")
        done = command("fit", files / "rows.npy", "-k", 2, "--checkpoint", job)
        assert done.code == 0
        assert job.stat().st_size > 1000
    job.write_bytes(b"")
    assert _how_to_go_on(0, job) == "interrupted before the first iteration; nothing is kept"


@unix_only
def test_interrupted_without_a_checkpoint(large):
    with start("fit", large, "-k", 8, "--tol", 0, "--init-params", "random") as process:
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read().splitlines()
    assert process.returncode == 130
    assert rest[-1] == "fastgmm: interrupted; nothing is kept, but is with --checkpoint FILE"


@unix_only
@pytest.mark.parametrize("module", ["numpy", "typer", "fastgmm.sources", "fastgmm.cli.warmup"])
def test_interrupted_while_packages_load(module):
    """The interrupt comes when a module is first looked for.

    Packages of others are looked for where none is imported yet.
    """
    code = f"""
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from fastgmm_command import main
main()
"""
    if module.startswith("fastgmm"):
        done = fresh.run(code, "--version", env=ENVIRONMENT)
    else:
        python = [sys.executable, "-c", code, "--version"]
        done = subprocess.run(python, env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@unix_only
def test_interrupted_before_the_command_begins(command, monkeypatch):
    def interrupt(self, context, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastgmm.cli.main._Commands.parse_args", interrupt)
    assert command("warmup").code == 130


def test_nobody_reads_on(large, model_file, tmp_path):
    """As with `| head -1`: silence, and the code that the shell gives for a closed pipe."""
    np.save(tmp_path / "rows.npy", np.zeros((100_000, 3)))
    with start("predict", model_file, tmp_path / "rows.npy", "--proba") as process:
        assert process.stdout.readline() == "component_0,component_1\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_closed_pipes_of_windows():
    """It has another error for them, which it has for bad names of files, too."""
    unread, bad_name = OSError(22, "Invalid argument"), OSError(22, "Invalid argument", "a?.npz")
    assert _is_closed_pipe(BrokenPipeError(32, "Broken pipe"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("os.name", "nt")
        found = [_is_closed_pipe(error) for error in (unread, bad_name, ValueError())]
    assert found == [True, False, False]


def test_progress_may_go_unread(files, tmp_path):
    """As with `2>&1 >log | head -1`: the fit goes on, because its result is not in there."""
    out = tmp_path / "model.npz"
    arguments = ("fit", files / "rows.npy", "-k", 2, "--tol", 0, "--max-iter", 50, "--out", out)
    with start(*arguments) as process:
        process.stderr.readline()
        process.stderr.close()
        process.stdout.read()
    assert process.returncode == 0
    assert load(out).n_iter_ == 50


@unix_only
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["info", "predict"])
def test_a_full_disk_under_the_standard_output(files, model_file, tmp_path, command, unbuffered):
    """Without a buffer, the system takes a part of a text, and fails at the next only."""
    rows = [files / "rows.npy"] if command == "predict" else []
    environment = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"
    # Translated modules would be cut short, too, and be there for others to import.
    alone = "import sys; sys.dont_write_bytecode = True"
    with open(tmp_path / "out", "wb") as out:
        code = f"{full}\n{alone}\n{fresh.COMMAND_LINE}"
        streams = {"stdout": out, "stderr": subprocess.PIPE}
        with fresh.start(code, command, model_file, *rows, env=environment, **streams) as process:
            error = process.stderr.read()
    assert process.returncode == 2, error
    assert "File too large" in error


@needs_shell
@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
def test_streams_may_be_closed(files, closed):
    for data, code in (("rows.npy", 0), ("missing.npy", 2)):
        arguments, options = ("fit", data, "-k", 2), {"env": ENVIRONMENT, "cwd": files}
        done = fresh.run(fresh.COMMAND_LINE, *arguments, closed=closed, **options)
        assert done.returncode == code, done.stderr
        assert "error of fastgmm itself" not in done.stderr
        assert "fastgmm:" not in done.stdout


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_package_of_the_command_line(package):
    code = f"import sys; sys.modules[{package!r}] = None; from fastgmm.cli import main; main()"
    done = fresh.run(code, "--version", env=ENVIRONMENT)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"needs {package}" in done.stderr
    assert 'pip install "fastgmm[cli]"' in done.stderr


@unix_only
def test_unread_errors_leave_the_exit_code():
    """Python 3.14 holds back what it could not write; here a buffer does, in every version."""
    reader, writer = os.pipe()
    os.close(reader)
    code = (
        "import sys; sys.stderr = open(2, 'w', closefd=False); sys.stderr.write('unread'); "
        "from fastgmm.cli import main; main()"
    )
    with (
        open(os.devnull, "w") as nowhere,
        fresh.start(code, "--version", env=ENVIRONMENT, stdout=nowhere, stderr=writer) as process,
    ):
        os.close(writer)
    assert process.returncode == 0
