"""Progress of a fit on the standard error: a bar on a terminal, else lines."""

import math
import sys
import threading
import time
from abc import ABC, abstractmethod
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
    display: Display = Nothing()
    if not quiet:
        bar = sys.stderr.isatty()
        display = Bar(max_iter, n_init, lines=verbose) if bar else Lines(0.0 if verbose else 1.0)
    return Progress(max_iter, n_init, bound_name, display)


class Display(ABC):
    """Where progress is seen; what it has no use for does nothing."""

    def open(self) -> None:  # noqa: B027
        """The fit is about to begin."""

    def close(self) -> None:  # noqa: B027
        """It is over."""

    def rows_opened(self, source: RowSource) -> None:  # noqa: B027
        """Rows are open, and about to be fitted."""

    def restart_begins(self, number: int) -> None:  # noqa: B027
        """Restart `number`, counted from 0, begins."""

    def goes_on(self, number: int) -> None:  # noqa: B027
        """The fit goes on from a checkpoint, after iteration `number`."""

    @abstractmethod
    def say(self, number: int, *pieces: str) -> None:
        """Tell of an iteration: its start and number, the bound, its change, speed, time left.

        The first has no change.
        """


class Progress(Listener):
    """Hears of a fit, and tells a display of it; a context manager.

    Parameters
    ----------
    max_iter, n_init : int
    bound_name : str
        What to call the bound that EM raises.
    display : Display

    Attributes
    ----------
    iteration : int
        Number of the last iteration; 0 before the first.
    """

    def __init__(self, max_iter: int, n_init: int, bound_name: str, display: Display):
        self._max_iter, self._n_init, self._bound_name = max_iter, n_init, bound_name
        self._display = display
        self._n_rows = 0
        self._start = 0
        self._began = self._last = time.perf_counter()
        self._n_seen = 0
        self.iteration = 0

    def __enter__(self) -> Self:
        self._display.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self._display.close()

    def opened(self, source: RowSource) -> None:
        """Rows are open, and about to be fitted."""
        self._n_rows = source.n_rows
        self._display.rows_opened(source)

    def restart_begins(self, number: int) -> None:
        self._start, self.iteration = number, 0
        self._last = time.perf_counter()
        self._display.restart_begins(number)

    def iteration_begins(self, number: int) -> None:
        if number > 1 and self.iteration == 0:
            self.iteration = number - 1
            self._display.goes_on(self.iteration)

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
        self._display.say(
            number,
            f"{start}iteration {number}",
            f"{self._bound_name} {result.lower_bound:.6f}",
            *([f"change {change:.2e}"] if math.isfinite(change) else []),
            f"{_count(self._n_rows / max(seconds, 1e-9))} rows/s",
            f"at most {_time(seconds_left)} left",
        )


class Nothing(Display):
    """Says nothing."""

    def say(self, number: int, *pieces: str) -> None:
        pass


class Lines(Display):
    """Prints lines: of the first iteration, of one now and then, and of the last.

    Parameters
    ----------
    interval : float
        Least seconds between two lines.
    """

    def __init__(self, interval: float):
        self._interval = interval
        self._said = -math.inf
        self._unsaid = ""

    def close(self) -> None:
        if self._unsaid:
            self._print(self._unsaid)

    def goes_on(self, number: int) -> None:
        self._print(f"goes on from the checkpoint, after iteration {number}")

    def say(self, number: int, *pieces: str) -> None:
        line, now = "  ".join(pieces), time.monotonic()
        if now - self._said < self._interval:
            self._unsaid = line
            return
        self._said, self._unsaid = now, ""
        self._print(line)

    def _print(self, line: str) -> None:
        # Who closes the standard error, as `2>&1 | head` does, does not want the fit to end.
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)


class Bar(Display):
    """Draws a bar that moves with the rows that are read, and ends with the last iteration.

    Parameters
    ----------
    max_iter, n_init : int
    lines : bool
        Whether to print a line per iteration, too.
    """

    def __init__(self, max_iter: int, n_init: int, lines: bool):
        self._max_iter, self._n_init, self._lines = max_iter, n_init, lines
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
        self._n_rows = self._n_read = self._start = self._iteration = 0
        self._lock = threading.Lock()

    def open(self) -> None:
        self._bar.start()

    def close(self) -> None:
        self._bar.stop()

    def rows_opened(self, source: RowSource) -> None:
        self._n_rows = source.n_rows
        source.on_read = self._rows_were_read
        self._bar.update(self._task, description="start")

    def restart_begins(self, number: int) -> None:
        self._start, self._iteration = number, 0
        self._move("iteration 1", self._text)

    def goes_on(self, number: int) -> None:
        self._print(f"goes on from the checkpoint, after iteration {number}")

    def say(self, number: int, *pieces: str) -> None:
        self._iteration = number
        if self._lines:
            self._print("  ".join(pieces))
        iteration, bound, *_, speed, left = pieces
        self._move(f"{iteration}/{self._max_iter}", f"{bound}  {speed}  {left}")

    def _print(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, markup=False)

    def _move(self, description: str, text: str) -> None:
        with self._lock:
            self._n_read = 0
        self._text = text
        total = self._max_iter * self._n_init * self._n_rows
        self._bar.update(
            self._task, description=description, text=text, total=total, completed=self._completed()
        )

    def _completed(self) -> int:
        done = self._start * self._max_iter + self._iteration
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
