"""Processes that measure: each has its time, none outlives who started it, and some answer."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

PATIENCE = 600.0
"""Seconds that a process may take for one answer. What hangs is a failure, not a long wait."""

UNFAIR_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""They choose kernels or tiles of OpenBLAS other than the machine's own, which slows scikit-learn
far more than fastgmm."""

_running: set[subprocess.Popen[str]] = set()


def fair_environment(threads: int | None = None, **others: str) -> dict[str, str]:
    """Variables of a process that measures, whose BLAS has so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if threads else ()
    kept = {name: value for name, value in os.environ.items() if name not in UNFAIR_VARIABLES}
    return kept | dict.fromkeys(names, str(threads)) | others


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone when the block is left."""
    process = subprocess.Popen(command, text=True, **options)
    _running.add(process)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        _running.discard(process)


@contextmanager
def patience(
    process: subprocess.Popen[str], seconds: float | None = None
) -> Iterator[threading.Event]:
    """Kill the process if the block takes longer; the event tells whether."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds or PATIENCE, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM end all processes and raise KeyboardInterrupt in the main thread.

    The processes first: other threads wait for them, and leaving waits for those threads.
    """

    def stop(*_: Any) -> None:
        for process in list(_running):
            process.kill()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class NoAnswer(Exception):
    """A worker has ended; the message says how.

    Parameters
    ----------
    how : str
    messages : str
        What the process wrote of it.
    """

    def __init__(self, how: str, messages: str):
        super().__init__(how)
        self.messages = messages


class Worker:
    """A process that writes a line of JSON first, and then one for every line it reads.

    Parameters
    ----------
    module : str
        Which it runs; within, `answers` is the other end.
    arguments : list of str
    log : Path
        For its messages. A file, for nobody empties a pipe while samples are taken.
    seconds : float, optional
        That an answer may take; `PATIENCE` by default.
    options : dict
        Of the process.
    """

    def __init__(
        self,
        module: str,
        arguments: list[str],
        log: Path,
        seconds: float | None = None,
        **options: Any,
    ):
        self._command = [sys.executable, "-m", module, *arguments]
        self._log, self._seconds, self._options = log, seconds, options
        self._open = ExitStack()

    def __enter__(self) -> "Worker":
        pipe = subprocess.PIPE
        with ExitStack() as stack:
            self._messages = stack.enter_context(self._log.open("w+"))
            self._process = stack.enter_context(
                started(
                    self._command, stdin=pipe, stdout=pipe, stderr=self._messages, **self._options
                )
            )
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    def ask(self, line: str) -> Any:
        """The answer to a line.

        Raises
        ------
        NoAnswer
            If the process ends, or takes too long.
        """
        assert self._process.stdin is not None
        with suppress(OSError):  # then there is no answer either
            print(line, file=self._process.stdin, flush=True)
        return self.answer()

    def answer(self) -> Any:
        """The next answer, or the first."""
        assert self._process.stdout is not None
        with patience(self._process, self._seconds) as late:
            line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        code = self._process.wait()
        self._messages.seek(0)
        if late.is_set():
            raise NoAnswer(f"took over {self._seconds or PATIENCE:g} s", self._messages.read())
        raise NoAnswer(f"ended with exit code {code}", self._messages.read())


def answers() -> Callable[[Any], None]:
    """What a worker answers by; whatever else prints from now on is a message."""
    kept = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return lambda content: print(json.dumps(content), file=kept, flush=True)
