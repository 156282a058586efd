"""How far `fit_many` is: a bar if rich is installed, else a line now and then."""

import importlib.util
import sys
import threading
import time
from typing import Any

_SECONDS = 5.0
"""Between two lines."""


class Progress:
    """Counts fits that are done, from any thread; a context manager.

    Parameters
    ----------
    total : int
    shown : bool
        On standard error.
    what : str, optional
        What is counted.
    n_done : int, optional
        How many are done before it begins.
    """

    def __init__(self, total: int, shown: bool, what: str = "data sets", n_done: int = 0):
        self._total, self._shown, self._what = total, shown, what
        self._done, self._failed, self._before = n_done, 0, n_done
        self._lock = threading.Lock()
        self._begin = self._last = time.perf_counter()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if self._shown and importlib.util.find_spec("rich"):
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("fitting", total=self._total, completed=self._done)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n_done: int, n_failed: int) -> None:
        """Some more are done, of which some failed."""
        with self._lock:
            self._done += n_done
            self._failed += n_failed
            if self._bar is not None:
                text = f"fitting, {self._failed} failed" if self._failed else "fitting"
                self._bar.update(self._task, completed=self._done, description=text)
            elif self._shown:
                self._print_line()

    def _print_line(self) -> None:
        now = time.perf_counter()
        if now - self._last < _SECONDS and self._done < self._total:
            return
        self._last = now
        rate = (self._done - self._before) / max(now - self._begin, 1e-9)
        print(
            f"fastgmm: {self._done} of {self._total} {self._what}, {self._failed} failed, "
            f"{rate:.0f} per second",
            file=sys.stderr,
            flush=True,
        )
