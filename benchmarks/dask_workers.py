"""Dask on this machine: worker processes of one thread each, and rows that they hold."""

from typing import Any

import dask.array as da
from distributed import Client, wait


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
