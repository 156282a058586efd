"""Dask on this machine: worker processes of one thread each, rows that they hold, and a watch."""

import time
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, wait

from fastgmm.em import Listener


def workers(number: int, **more: Any) -> Client:
    """The client of so many, which end with it; the scheduler is in this process."""
    how = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50, **more}
    return Client(n_workers=number, **how)


def held_by_workers(X: Any, partitions: int) -> Any:
    """Rows that the workers of the present client hold, in so many parts."""
    n, d = X.shape
    rows = da.from_array(X, chunks=(-(-n // partitions), d)).persist()
    wait(rows)
    return rows


class Watch(Listener):
    """Times iterations of a fit, and tells a function the number of each that is done."""

    def __init__(self, then: Callable[[int], None] = lambda number: None):
        self._ends: list[tuple[float, float]] = []
        self._then = then

    def iteration_ends(self, *_: Any) -> None:
        self._ends.append((time.perf_counter(), time.process_time()))
        self._then(len(self._ends))

    def seconds(self) -> list[float]:
        """Of an iteration after the first, medians: on the wall, and CPU time of this process."""
        return np.median(np.diff(self._ends, axis=0), axis=0).tolist()
