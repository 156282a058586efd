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


class Failure(Exception):
    """A process gives no answer: a function has raised there, or the process has ended.

    The `reason` is a line; the message also says where, and the end of what the process has told.
    The `kind` is the name of what was raised, and empty if the process has ended.
    """

    def __init__(self, where: str, reason: str, told: str, kind: str = ""):
        super().__init__("\n".join([f"{where}: {reason}", *told.strip().splitlines()[-12:]]))
        self.reason, self.kind = reason, kind


class Worker:
    """A process that calls functions; `benchmarks.worker` is its other end.

    An answer may take so many `seconds`, by default `PATIENCE`. The process is run by a command,
    the `prefix`, and has the `options` of `subprocess.Popen`. Errors give it the `name`.
    """

    def __init__(
        self, name: str, seconds: float | None = None, prefix: Sequence[str] = (), **options: Any
    ):
        self._command = [*prefix, sys.executable, "-m", "benchmarks.worker"]
        self._name, self._seconds, self._options = name, seconds, options

    def __enter__(self) -> "Worker":
        # A file, for nobody empties a pipe while samples are taken.
        self._messages = tempfile.TemporaryFile("w+")
        files = {"stderr": self._messages, **self._options}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._command, text=True, stdin=pipe, stdout=pipe, **files)
        self.pid = self._process.pid
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
        self._asked = " ".join(filter(None, [function.__name__, *map(str, arguments)]))
        request = json.dumps([function.__module__, function.__name__, arguments])
        with suppress(OSError):  # then there is no answer either
            print(request, file=self._process.stdin, flush=True)

    def answer(self) -> Any:
        """What the function returned; a `Failure` if it raised, or the process gives no answer."""
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
            where = f"{self._asked!r} on {self._name}"
            raise Failure(where, f"the process {how}", self._messages.read())
        answer = json.loads(line)
        if answer["raised"] is not None:
            kind, text, trace = answer["raised"]
            raise Failure(f"{self._asked!r} failed on {self._name}", f"{kind}: {text}", trace, kind)
        return answer["value"]


def in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process that has done nothing before."""
    with Worker("a new process") as worker:
        return worker.call(function, *arguments)
