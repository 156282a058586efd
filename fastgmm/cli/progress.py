"""Progress of a fit on the standard error: a bar on a terminal, else a line per iteration."""

import sys
import threading
import time
from contextlib import suppress
from typing import Self

import rich.progress
from rich.console import Console

from fastgmm.em import EMResult, Listener
from fastgmm.sources.base import RowSource


def progress_of(
    quiet: bool, verbose: bool, max_iter: int, n_init: int, bound_name: str
) -> "Progress":
    """What tells of the progress of a fit, as the options and the standard error ask for."""
    arguments = (max_iter, n_init, bound_name)
    if quiet:
        return Progress(*arguments)
    return Bar(*arguments, lines=verbose) if sys.stderr.isatty() else Lines(*arguments)


class Progress(Listener):
    """Hears of a fit and says nothing; the base of those that do.

    A context manager.

    Parameters
    ----------
    max_iter, n_init : int
    bound_name : str
        What to call the bound that EM raises.

    Attributes
    ----------
    iteration : int
        Number of the last iteration; 0 before the first.
    """

    def __init__(self, max_iter: int, n_init: int, bound_name: str):
        self._max_iter, self._n_init, self._bound_name = max_iter, n_init, bound_name
        self._n_rows = 0
        self._start = 0
        self._began = self._last = time.perf_counter()
        self._n_seen = 0
        self.iteration = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def opened(self, source: RowSource) -> None:
        """Rows are open, and about to be fitted."""
        self._n_rows = source.n_rows

    def restart_begins(self, number: int) -> None:
        self._start, self.iteration = number, 0
        self._last = time.perf_counter()

    def iteration_ends(self, result: EMResult, change: float) -> None:
        now, number = time.perf_counter(), result.n_iter
        if not self._n_seen:
            self._began = self._last
        self._n_seen += 1
        self.iteration = number
        seconds, self._last = now - self._last, now
        left = self._max_iter - number + (self._n_init - self._start - 1) * self._max_iter
        seconds_left = left * (now - self._began) / self._n_seen
        start = f"start {self._start + 1}/{self._n_init}  " if self._n_init > 1 else ""
        self.say(
            f"{start}iteration {number}",
            f"{self._bound_name} {result.lower_bound:.6f}",
            f"change {change:.2e}",
            f"{_count(self._n_rows / max(seconds, 1e-9))} rows/s",
            f"at most {_time(seconds_left)} left",
        )

    def say(self, *pieces: str) -> None:
        """Tell of an iteration: its number, the bound, its change, speed and time left, as text."""


class Lines(Progress):
    """Prints a line per iteration."""

    def say(self, *pieces: str) -> None:
        # Who closes the standard error, as `2>&1 | head` does, does not want the fit to end.
        with suppress(OSError):
            print("  ".join(pieces), file=sys.stderr, flush=True)


class Bar(Progress):
    """Draws a bar that moves with the rows that are read, and ends with the last iteration.

    Parameters
    ----------
    max_iter, n_init, bound_name
        See `Progress`.
    lines : bool, optional
        Whether to print a line per iteration, too.
    """

    def __init__(self, max_iter: int, n_init: int, bound_name: str, lines: bool = False):
        super().__init__(max_iter, n_init, bound_name)
        self._lines = lines
        self._bar = rich.progress.Progress(
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=12),
            rich.progress.TextColumn("{task.fields[text]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("reading", total=None, text="")
        self._text = ""
        self._n_read = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def opened(self, source: RowSource) -> None:
        super().opened(source)
        source.on_read = self._rows_were_read
        self._bar.update(self._task, description="start")

    def restart_begins(self, number: int) -> None:
        super().restart_begins(number)
        self._move("iteration 1", self._text)

    def say(self, *pieces: str) -> None:
        if self._lines:
            self._bar.console.print("  ".join(pieces), highlight=False, markup=False)
        iteration, bound, _, speed, left = pieces
        self._move(f"{iteration}/{self._max_iter}", f"{bound}  {speed}  {left}")

    def _move(self, description: str, text: str) -> None:
        with self._lock:
            self._n_read = 0
        self._text = text
        total = self._max_iter * self._n_init * self._n_rows
        self._bar.update(
            self._task, description=description, text=text, total=total, completed=self._completed()
        )

    def _completed(self) -> int:
        done = self._start * self._max_iter + self.iteration
        return done * self._n_rows + min(self._n_read, self._n_rows)

    def _rows_were_read(self, n_rows: int) -> None:
        with self._lock:
            self._n_read += n_rows
        self._bar.update(self._task, completed=self._completed())


def _count(number: float) -> str:
    """A large number in short."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def _time(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
