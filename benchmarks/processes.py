"""Processes that measure: each calls functions, in its time, and none outlives who started it."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

PATIENCE = 600.0
"""Seconds that a process may take for one answer. What hangs is a failure, not a long wait."""

UNFAIR_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""They choose kernels or tiles of OpenBLAS other than the machine's own, which slows scikit-learn
far more than fastgmm."""


def fair_environment(threads: int | None = None, **others: str) -> dict[str, str]:
    """Variables of a process that measures, whose BLAS has so many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if threads else ()
    kept = {name: value for name, value in os.environ.items() if name not in UNFAIR_VARIABLES}
    return kept | dict.fromkeys(names, str(threads)) | others


class NoAnswer(Exception):
    """A process has ended; the message says how.

    Parameters
    ----------
    how : str
    messages : str
        What it wrote.
    """

    def __init__(self, how: str, messages: str):
        super().__init__(how)
        self.messages = messages


class Raised(Exception):
    """A function has raised in a process, which goes on.

    Parameters
    ----------
    kind : str
        The name of the exception.
    text, trace : str
        What it says, and where it was raised.
    """

    def __init__(self, kind: str, text: str, trace: str):
        super().__init__(f"{kind}: {text}")
        self.kind, self.text, self.trace = kind, text, trace


class Worker:
    """A process that calls functions; `benchmarks.worker` is its other end.

    Parameters
    ----------
    seconds : float, optional
        That an answer may take; `PATIENCE` by default.
    prefix : sequence of str
        A command that runs the process.
    options : dict
        Of the process.
    """

    def __init__(self, seconds: float | None = None, prefix: Sequence[str] = (), **options: Any):
        self._command = [*prefix, sys.executable, "-m", "benchmarks.worker"]
        self._seconds, self._options = seconds, options

    def __enter__(self) -> "Worker":
        # A file, for nobody empties a pipe while samples are taken.
        self._messages = tempfile.TemporaryFile("w+")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command,
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=self._messages,
            **self._options,
        )
        return self

    def __exit__(self, *error: Any) -> None:
        self._process.kill()
        self._process.communicate()
        self._messages.close()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of a module returns there; both it and its arguments are JSON."""
        self.ask(function, *arguments)
        return self.answer()

    def ask(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin a call, whose `answer` is to be fetched."""
        request = json.dumps([function.__module__, function.__name__, arguments])
        with suppress(OSError):  # then there is no answer either
            print(request, file=self._process.stdin, flush=True)

    def answer(self) -> Any:
        """What the function returned.

        Raises
        ------
        Raised
            If it raised.
        NoAnswer
            If the process has ended, or takes too long.
        """
        seconds, late = self._seconds or PATIENCE, threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            line = self._process.stdout.readline()  # type: ignore[union-attr]
        finally:
            timer.cancel()
        if not line:
            code = self._process.wait()
            self._messages.seek(0)
            how = f"took over {seconds:g} s" if late.is_set() else f"ended with exit code {code}"
            raise NoAnswer(how, self._messages.read())
        answer = json.loads(line)
        if answer["raised"] is not None:
            raise Raised(*answer["raised"])
        return answer["value"]


def in_new_process(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a function returns in a process that has done nothing before."""
    with Worker(**options) as worker:
        return worker.call(function, *arguments)
