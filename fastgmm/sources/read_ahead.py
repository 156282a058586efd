"""Fetches rows in the background, just before they are needed."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_LEAST_ROWS = 1024
"""Reads of fewer rows are taken for look-ups, which nothing follows."""


class ReadAhead:
    """Calls `prefetch` on a thread for the rows that follow those being read.

    Chunks are read in the order of their numbers, by any number of threads; so what follows a chunk
    is what is needed next. One call is under way at a time; requests that come meanwhile replace
    one another, so that it never lags behind.

    Parameters
    ----------
    prefetch : callable
        ``prefetch(start, stop)``. Its errors are ignored: they come back when the rows are read.
    n_rows : int
        Of the source.
    distance : int
        How many rows to fetch ahead; 0 for none.
    step : int, optional
        Fewer rows than this from the last call on, there is none.
    """

    def __init__(
        self, prefetch: Callable[[int, int], None], n_rows: int, distance: int, step: int = 0
    ):
        self._prefetch = prefetch
        self._n_rows = n_rows
        self._distance = distance
        self._step = step
        self._start_anew()

    def _start_anew(self) -> None:
        # After a fork the child has neither the thread nor, perhaps, a free lock.
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._wanted: tuple[int, int] | None = None
        self._last = -self._step
        self._working = False

    def announce(self, start: int, stop: int) -> None:
        """Say that rows start to stop are being read."""
        ahead = min(stop + self._distance, self._n_rows)
        if stop - start < _LEAST_ROWS or ahead <= stop:
            return
        if self._process != os.getpid():
            self._start_anew()
        with self._lock:
            # Threads read a little out of order; a new pass is far away.
            if abs(stop - self._last) < self._step:
                return
            self._last = stop
            self._wanted = (stop, ahead)
            if self._working:
                return
            self._working = True
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="fastgmm-read-ahead")
            executor = self._executor
        try:
            executor.submit(self._work)
        except RuntimeError:
            # The interpreter is shutting down.
            self._working = False

    def _work(self) -> None:
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, None
                if wanted is None:
                    self._working = False
                    return
            try:
                self._prefetch(*wanted)
            except Exception:
                continue
