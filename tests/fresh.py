"""Processes that have done nothing before.

Where processes may fork, each is forked from one that has imported packages and has done nothing
else, because importing these takes longer than all else that most such tests do.
"""

import atexit
import contextlib
import functools
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.systems import START_METHOD

TIMEOUT = 240

PACKAGES = [
    *("numba", "pyarrow.csv", "pyarrow.parquet", "rich.progress", "sklearn.datasets"),
    *("sklearn.decomposition", "sklearn.mixture", "typer"),
]
"""What the processes find imported, all of it of others."""

COMMAND_LINE = "import sys; sys.argv[0] = 'fastgmm'; from fastgmm.cli import main; main()"


def start(code, *arguments, cwd=None, env=None, closed=(), **streams):
    """Like `subprocess.Popen` of ``python -c CODE ARGUMENTS`` in text mode.

    Parameters
    ----------
    code : str
    *arguments
        As text they are what the process has for arguments.
    cwd : path, optional
    env : dict, optional
        The variables of its environment; by default those of this process, and its packages.
    closed : sequence of int, optional
        Numbers of standard streams that the process has not got.
    **streams
        `stdin`, `stdout` and `stderr`: files, or `subprocess.PIPE`.
    """
    arguments = [str(argument) for argument in arguments]
    cwd = Path(cwd or ".")
    if env is None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if START_METHOD == "fork":
        request = {"code": code, "arguments": arguments, "env": dict(env), "closed": closed}
        return _Forked({**request, "cwd": str(cwd.absolute())}, **streams)
    command = [sys.executable, "-c", code, *arguments]
    if closed:
        shut = " ".join(f"{number}>&-" for number in closed)
        command = ["sh", "-c", f'exec "$@" {shut}', "sh", *command]
    return subprocess.Popen(command, cwd=cwd, env=env, text=True, **streams)


def popen(command, *, text, **options):
    """Like `subprocess.Popen` of ``python -m MODULE ARGUMENT ...`` or ``python -c CODE``."""
    assert text
    _, flag, what, *arguments = command
    module = f"import runpy; runpy.run_module({what!r}, run_name='__main__', alter_sys=True)"
    return start(what if flag == "-c" else module, *arguments, **options)


def run(code, *arguments, stdin=b"", text=True, check=False, timeout=TIMEOUT, **options):
    """Like `subprocess.run`: the exit code of such a process, and what it wrote.

    Parameters
    ----------
    stdin : bytes, optional
        Put into a pipe.
    text : bool, optional
        Whether the outputs are str or bytes.
    check : bool, optional
        Whether the exit code has to be 0.
    timeout : float, optional
        Seconds.
    code, *arguments, **options
        See `start`.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = {"stdin": subprocess.PIPE, "stdout": out, "stderr": err}
        with start(code, *arguments, **options, **streams) as process:
            writing = threading.Thread(target=_write_all, args=(process.stdin.buffer, stdin))
            writing.start()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            finally:
                writing.join()
        written = []
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode() if text else file.read())
    assert not check or process.returncode == 0, written[1]
    return subprocess.CompletedProcess(code, process.returncode, *written)


def _write_all(pipe, content):
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(content)


def _read_all(pipe):
    if pipe is None or pipe.closed:
        return None
    with pipe:
        return pipe.read()


def command_line(arguments, environment, stdin=b""):
    """The exit code of the command line, and the bytes that it wrote; see `run`."""
    return run(COMMAND_LINE, *arguments, env=environment, stdin=stdin, text=False)


def in_new_process(function, *arguments):
    """What a function returns there; what it raises, it raises here.

    Parameters
    ----------
    function : callable
        Which a module has by its name.
    *arguments
        What pickles.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "call")
        path.write_bytes(pickle.dumps((function, arguments)))
        code = "import sys; from tests.fresh import _call; _call(sys.argv[1])"
        run(code, path, check=True)
        returned, raised = pickle.loads(path.read_bytes())
    if raised is not None:
        raise raised
    return returned


def _call(path):
    function, arguments = pickle.loads(Path(path).read_bytes())
    try:
        outcome = function(*arguments), None
    except Exception as error:
        outcome = None, error
    Path(path).write_bytes(pickle.dumps(outcome))


@functools.cache
def _zygote():
    """A socket that takes requests for processes, see `tests.zygote`."""
    ours, theirs = socket.socketpair()
    server = str(Path(__file__).with_name("zygote.py"))
    process = subprocess.Popen([sys.executable, server, *PACKAGES], stdin=theirs)
    theirs.close()

    @atexit.register
    def end():
        ours.close()
        process.wait()

    return ours


class _Forked:
    """What tests use of `subprocess.Popen`."""

    def __init__(self, request, stdin=None, stdout=None, stderr=None):
        self.returncode = None
        self._channel, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            descriptors = [stack.enter_context(theirs).fileno()]
            for number, stream in enumerate((stdin, stdout, stderr)):
                pipe = None
                if stream == subprocess.PIPE:
                    ends = os.pipe()
                    stream, kept = ends if number == 0 else reversed(ends)
                    stack.callback(os.close, stream)
                    pipe = open(kept, "r" if number else "w")  # noqa: SIM115
                setattr(self, ("stdin", "stdout", "stderr")[number], pipe)
                stream = number if stream is None else stream
                descriptors.append(stream if isinstance(stream, int) else stream.fileno())
            socket.send_fds(_zygote(), [b"."], descriptors)
        with self._channel.makefile("wb") as file:
            pickle.dump(request, file)
        self.pid = int.from_bytes(self._channel.recv(4))

    def wait(self, timeout=None):
        if self.returncode is None:
            self._channel.settimeout(timeout)
            try:
                self.returncode = int.from_bytes(self._channel.recv(4), signed=True)
            except TimeoutError:
                raise subprocess.TimeoutExpired("a forked process", timeout) from None
            self._channel.close()
        return self.returncode

    def communicate(self):
        if self.stdin is not None and not self.stdin.closed:
            _write_all(self.stdin, "")
        with ThreadPoolExecutor(2) as pool:
            written = list(pool.map(_read_all, (self.stdout, self.stderr)))
        self.wait()
        return written

    def send_signal(self, number):
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it has died since
                os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.wait()
