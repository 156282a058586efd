"""``python -m benchmarks.cluster_job``: A fit by Dask of rows larger than memory; workers die.

Writes a folder of Parquet files, ``--gigabytes 20 --directory /tmp/rows``, fits them in this
process, does so again on two worker processes with a limit of memory each, of which one is killed
with -9 amid the sums of the second and of the third iteration, compares the bits of both models,
and prints what it saw. The files are removed unless ``--keep``; kept, they are taken again.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from distributed import Client

import fastgmm
from benchmarks.batch_job import N_COMPONENTS, made_rows, options, tell_whether_alike
from benchmarks.command import parser_of
from benchmarks.dask_workers import workers
from benchmarks.suite.clock import quietly
from benchmarks.suite.memory import process_bytes
from fastgmm.em import Listener

MAX_ITER = 3
KILLED_AFTER = (1, 2)  # iterations


class Watch(Listener):
    """Tells of iterations, and calls a function when some of them begin."""

    def __init__(self, name: str, amid: Callable[[], None] | None = None):
        self.seconds: list[float] = []
        self._name, self._amid, self._last = name, amid, time.monotonic()

    def iteration_ends(self, *_: Any) -> None:
        now = time.monotonic()
        self.seconds.append(now - self._last)
        self._last = now
        print(f"{self._name}: iteration {len(self.seconds)}, {self.seconds[-1]:.1f} s", flush=True)
        if self._amid is not None and len(self.seconds) in KILLED_AFTER:
            threading.Thread(target=self._amid).start()


def fit(rows: Path, watch: Watch, **how: Any) -> Any:
    """A fit of a folder of files."""
    arguments: dict[str, Any] = {"tol": 0.0, "max_iter": MAX_ITER, "random_state": 0}
    model = fastgmm.GaussianMixture(N_COMPONENTS, init_params="random_from_data", **arguments)
    model._listener = watch
    return model.fit(fastgmm.open_source(rows, **how))


def summing(client: Client) -> list[str]:
    """Addresses of the workers that are summing rows at this moment."""
    return [
        address
        for address, keys in client.processing().items()
        if any(key.startswith("fastgmm-sums") for key in keys)
    ]


def on_workers(
    rows: Path, memory_limit: str, of_rows: str
) -> tuple[Any, Watch, dict[int, int], list[int]]:
    """The model, its iterations, the peak memory of processes that were workers, and the killed."""
    peaks: dict[int, int] = {}
    killed: list[int] = []
    over = threading.Event()  # sums of few rows may never be seen
    with workers(2, memory_limit=memory_limit) as client:

        def look() -> dict[str, int]:
            pids: dict[str, int] = client.run(os.getpid, on_error="ignore")
            peaks.update({pid: process_bytes("VmHWM", pid) for pid in pids.values()})
            return pids

        def kill() -> None:
            at_work: list[int] = []
            while not at_work and not over.is_set():
                pids = look()
                at_work = [pids[address] for address in summing(client) if address in pids]
            for pid in at_work[:1]:
                print(f"worker {pid} is killed", flush=True)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

        watch = Watch("two workers", kill)
        model = fit(rows, watch, engine="dask", memory_limit=of_rows)
        over.set()
        look()
    return model, watch, peaks, killed


def main(arguments: list[str] | None = None) -> None:
    """Make the data, run the fits, and print the figures."""
    rows_limit = {"default": "1GB", "help": "of rows in memory of every process"}
    limits = options("2GB", "of every worker", rows_limit=rows_limit)
    asked = parser_of(__doc__, limits).parse_args(arguments)
    rows = asked.directory / "rows"
    with made_rows(asked) as n_bytes, quietly():
        memory = psutil.virtual_memory().total
        print(f"this machine has {memory / 1e9:.1f} GB of memory", flush=True)
        here = Watch("this process")
        local = fit(rows, here, memory_limit=asked.rows_limit)
        model, there, peaks, killed = on_workers(rows, asked.memory_limit, asked.rows_limit)
        for name, watch in (("this process", here), ("two workers", there)):
            seconds = float(np.median(watch.seconds[1:]))
            print(f"{name}: {seconds:.1f} s an iteration, {n_bytes / 1e9 / seconds:.2f} GB/s")
        told = ", ".join(f"{peak / 1e6:.0f} MB" for peak in peaks.values())
        print(f"peak memory of the workers' processes, limit {asked.memory_limit}: {told}")
        print(f"workers killed: {len(killed)}")
        tell_whether_alike(local, model)


if __name__ == "__main__":
    main()
