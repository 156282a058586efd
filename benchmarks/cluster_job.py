"""``python -m benchmarks.cluster_job``: A fit by Dask of rows larger than memory; workers die.

Writes a folder of Parquet files, ``--gigabytes 20 --directory /tmp/rows``, fits them in this
process, does so again on two worker processes with a limit of memory each, of which one is killed
with -9 amid the sums of the second and of the third iteration, compares the bits of both models,
and prints what it saw. The files are removed unless ``--keep``; kept, they are taken again.
"""

import argparse
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from distributed import Client

import fastgmm
from benchmarks.batch_job import N_COMPONENTS, alike, made_rows, options, say
from benchmarks.command import Record, command
from benchmarks.dask_workers import Watch, workers
from benchmarks.suite.memory import process_bytes

KILLED_AFTER = (1, 2)  # iterations


def fit(rows: Path, watch: Watch, **how: Any) -> Any:
    """A fit of a folder of files."""
    start: dict[str, Any] = {"init_params": "random_from_data", "random_state": 0}
    model = fastgmm.GaussianMixture(N_COMPONENTS, tol=0.0, max_iter=3, **start)
    model._listener = watch
    return model.fit(fastgmm.open_source(rows, **how))


class Killer:
    """Kills a worker that is summing rows, and sees how much memory workers take."""

    def __init__(self, client: Client):
        self.peaks: dict[int, int] = {}
        self.killed = 0
        self.over = threading.Event()  # sums of few rows may never be seen
        self._client = client

    def look(self) -> dict[str, int]:
        """Process numbers of the workers, by address."""
        pids: dict[str, int] = self._client.run(os.getpid, on_error="ignore")
        self.peaks |= {pid: process_bytes("VmHWM", pid) for pid in pids.values()}
        return pids

    def after_iteration(self, number: int) -> None:
        say(f"two workers: iteration {number}")
        if number in KILLED_AFTER:
            threading.Thread(target=self._kill).start()

    def _kill(self) -> None:
        at_work: list[int] = []
        while not at_work and not self.over.is_set():
            pids, processing = self.look(), self._client.processing()
            at_work = [
                pids[address]
                for address, keys in processing.items()
                if address in pids and any(key.startswith("fastgmm-sums") for key in keys)
            ]
        for pid in at_work[:1]:
            say(f"worker {pid} is killed")
            os.kill(pid, signal.SIGKILL)
            self.killed += 1


ROWS_LIMIT = {"default": "1GB", "help": "of rows in memory of every process"}


@command(limited=False, **options("2GB", "of every worker"), rows_limit=ROWS_LIMIT)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record of the rows, of both fits, and of what they come to."""
    with made_rows(asked) as written:
        yield written
        here = Watch(lambda number: say(f"this process: iteration {number}"))
        local = fit(asked.directory / "rows", here, memory_limit=asked.rows_limit)
        with workers(2, memory_limit=asked.memory_limit) as client:
            killer = Killer(client)
            there = Watch(killer.after_iteration)
            how = {"engine": "dask", "memory_limit": asked.rows_limit}
            model = fit(asked.directory / "rows", there, **how)
            killer.over.set()
            killer.look()
        for name, watch in (("this process", here), ("two workers", there)):
            seconds, _ = watch.seconds()
            yield {"fit": name, "s an iteration": seconds, "GB/s": written["GB"] / seconds}
        yield {
            "GB of this machine's memory": psutil.virtual_memory().total / 1e9,
            "peak MB of the workers' processes": ", ".join(
                f"{peak / 1e6:.0f}" for peak in killer.peaks.values()
            ),
            "limit": asked.memory_limit,
            "workers killed": killer.killed,
        }
        yield from alike(local, model)


if __name__ == "__main__":
    main()
