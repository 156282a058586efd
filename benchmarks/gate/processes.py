"""Processes of the gate: each has its time, and none outlives the gate."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 600.0
"""Seconds that a process may take for one answer. What hangs is a failure, not a long wait."""

_running: set[subprocess.Popen[str]] = set()


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
def patience(process: subprocess.Popen[str]) -> Iterator[threading.Event]:
    """Kill the process if the block takes longer than `PATIENCE`; the event tells whether."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(PATIENCE, end)
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
