"""``python -m benchmarks.scaling``: What an iteration costs on Dask, and would on 1000 workers.

Measures on this machine what the model of ``docs/scaling.md`` is made of: the kernels' time for a
row and a component on one thread; what client and scheduler spend on an iteration, on a task, and
on a megabyte that travels; and the M-step's time. Then simulates an iteration by these constants,
beside measured ones on one and two worker processes of one thread, and on as many workers as asked
for. A network adds ``--latency`` and ``--bandwidth``, which are not measured. Takes two minutes.
"""

import argparse
import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import fastgmm
from benchmarks.command import Record, command, shapes
from benchmarks.dask_workers import Watch, held_by_workers, workers
from benchmarks.suite.problems import Problem, parse_shape
from fastgmm.engines.base import MergeTree
from fastgmm.sources.base import RowGrid

USUAL = "1000000x8x16"
TINY = "180000x8x16"  # its kernels take little more time than its tasks
WIDE = "4096x64x64"  # its parameters and sums are of megabytes, its rows few
PARTITIONS = 200
WORKERS = (1, 2, 4)
"""Worker processes. With more on few cores, client and scheduler wait for a core themselves."""


@dataclass(frozen=True)
class Constants:
    """Of the cost model, in seconds; an iteration, a task and a byte take client and scheduler."""

    row: float  # of the kernels for a row and a component, on one thread
    iteration: float
    task: float
    byte: float
    waiting: float  # what an iteration of a single task takes longer than all of these
    m_step: float  # for a component, divided by the cube of the number of features


def seconds_of(rows: Any, shape: str, iterations: int = 30, **how: Any) -> list[float]:
    """Wall time and this process's CPU time of an iteration."""
    model = fastgmm.GaussianMixture(max_iter=iterations, **Problem(shape).arguments, **how)
    model._listener = watch = Watch()
    model.fit(rows)
    return watch.seconds()


def locally(shape: str, threads: int, **how: Any) -> list[float]:
    """The same on threads of this process."""
    return seconds_of(Problem(shape).rows, shape, n_jobs=threads, **how)


def on_workers(shape: str, **how: Any) -> list[float]:
    """The same on a cluster whose workers hold the rows."""
    return seconds_of(held_by_workers(Problem(shape).rows, PARTITIONS), shape, **how)


def parameter_bytes(d: int, k: int) -> int:
    """Bytes that every worker gets in an iteration: a mean and a factor of every component."""
    return 8 * k * (d * d + d + 1)


def record_bytes(d: int, k: int) -> int:
    """Bytes of the sums of some chunks."""
    return 8 * k * (d * (d + 1) // 2 + d + 1)


def n_nodes(n_leaves: int, start: int, stop: int) -> int:
    """Records that the sums of chunks start to stop are merged into."""
    tree = MergeTree(n_leaves)
    for leaf in range(start, stop):
        tree.add(leaf, 0)
    return len(tree.nodes)


def simulated(
    shape: str,
    n_workers: int,
    threads: int,
    found: Constants,
    latency: float = 0.0,
    bandwidth: float = math.inf,
    slower: float = 0.0,
) -> Record:
    """Where the time of an iteration goes.

    Tasks leave one after the other, every worker sums its chunks, and records are taken up one
    after the other as they come, over a network of so many seconds one way and bytes a second. The
    slowest worker takes so much longer than the fastest; the others lie in between.
    """
    n, d, k = parse_shape(shape)
    grid = RowGrid.of(n, d, k)
    ends = np.round(np.linspace(0, len(grid), n_workers + 1)).astype(int)
    ones = 1 + slower * np.linspace(0, 1, n_workers)
    chunk = (found.row * k * grid.rows_per_chunk * ones).tolist()
    per_byte = found.byte + 1 / bandwidth
    clock = sent = 0.0
    arrivals = []
    for worker, (start, stop) in enumerate(itertools.pairwise(ends.tolist())):
        if start < stop:
            clock += found.task / 2 + per_byte * parameter_bytes(d, k)
            works = chunk[worker] * -(-(stop - start) // threads)
            nodes = n_nodes(len(grid), start, stop)
            arrivals.append((clock + works + 2 * latency, nodes))
            sent += parameter_bytes(d, k) + nodes * record_bytes(d, k)
    for arrival, nodes in sorted(arrivals):
        clock = max(clock, arrival) + found.task / 2 + per_byte * nodes * record_bytes(d, k)
    m_step = found.m_step * k * d**3
    total = clock + found.iteration + found.waiting + m_step
    kernels = found.row * n * k
    return {
        "rows x features x components": shape,
        "workers": n_workers,
        "threads": threads,
        "MB that travel": sent / 1e6,
        "M-step, ms": 1e3 * m_step,
        "iteration, ms": 1e3 * total,
        "of ideal": f"{kernels / (n_workers * threads) / total:.0%}",
    }


def constants() -> tuple[Constants, Record]:
    """What this machine needs, and what it was made of."""
    n, _, k = parse_shape(USUAL)
    row = locally(USUAL, 1, iterations=8)[1] / (n * k)
    found, wide = [], 0.0
    for number in WORKERS:
        with workers(number):
            found.append(on_workers(TINY))
            wide = wide or on_workers(WIDE)[1]
    walls, cpus = zip(*found, strict=True)
    task, iteration = np.polyfit(WORKERS, cpus, 1).tolist()
    n, _, k = parse_shape(TINY)
    waiting = max(walls[0] - row * n * k - iteration - task, 0.0)
    _, d, k = parse_shape(WIDE)
    few, more = (locally(f"{n}x{d}x{k}", 1)[1] for n in (10 * k, 20 * k))
    m_step = max(2 * few - more, 0.0)  # of no rows at all
    travelling = parameter_bytes(d, k) + record_bytes(d, k)
    byte = max(wide - iteration - task - m_step, 0.0) / travelling
    told = {
        f"{number} workers, ms": 1e3 * wall for number, wall in zip(WORKERS, walls, strict=True)
    }
    told["2 local threads, ms"] = 1e3 * locally(TINY, 2)[0]
    return Constants(row, iteration, task, byte, waiting, m_step / (k * d**3)), told


@command(
    limited=False,
    check={**shapes(), "default": "3000000x8x16", "help": "the shape that is measured, too"},
    shapes=shapes("1000000000x8x16", "1000000000x64x64", "100000000x256x256"),
    workers=(10, 100, 1000),
    threads={"default": 4, "help": "of every worker"},
    latency={"default": 2e-4, "help": "seconds, one way"},
    bandwidth={"default": 1.25, "help": "GB a second"},
    slower={"default": 0.1, "help": "the slowest worker, by this share"},
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """The constants, two iterations that are measured, and those that are simulated."""
    warnings.simplefilter("ignore", UserWarning)  # of Dask: rows that travel in a graph
    found, told = constants()
    yield {f"{name}, ns": 1e9 * seconds for name, seconds in asdict(found).items()}
    yield {f"iteration of {TINY} in {PARTITIONS} partitions": "", **told}
    for number in (1, 2):
        local = locally(asked.check, number, iterations=8)[0]
        with workers(number):
            seen = on_workers(asked.check, iterations=8)[0]
        expected = simulated(asked.check, number, 1, found)
        yield {
            "rows x features x components": asked.check,
            "workers": number,
            "local threads, ms": 1e3 * local,
            "measured, ms": 1e3 * seen,
            "simulated, ms": expected["iteration, ms"],
        }
    network = asked.latency, asked.bandwidth * 1e9, asked.slower
    for shape in asked.shapes:
        for number in asked.workers:
            yield simulated(shape, number, asked.threads, found, *network)


if __name__ == "__main__":
    main()
