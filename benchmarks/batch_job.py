"""``python -m benchmarks.batch_job``: A fit of rows larger than memory, killed twice on the way.

Writes a folder of Parquet files, ``--gigabytes 20 --directory /tmp/rows``, fits them by the command
line within a limit of memory, does so again in a job that is killed with -9 twice on the way,
compares the bits of both models, and prints what it saw. The files are removed unless ``--keep``;
kept, they are taken again.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import fastgmm
from benchmarks.command import parser_of
from benchmarks.suite.memory import process_bytes

N_FEATURES = 16
N_COMPONENTS = 4
MAX_ITER = 4
FILE_ROWS = 1 << 22
ROW_BYTES = 8 * N_FEATURES
KILLED_IN = (2, 3)  # iterations

OPTIONS = (
    f"-k {N_COMPONENTS} --tol 0 --max-iter {MAX_ITER} --random-state 0 --init-params k-means++ "
    "--checkpoint-every 0 --json"
)


@dataclass
class Run:
    """What was seen of a process: the time that each line came, and the most memory it had."""

    seconds: float
    iterations: list[float]
    peak_bytes: int
    code: int


def unfinished(folder: Path) -> Path:
    """Where rows are until all are written."""
    return folder.with_suffix(".unfinished")


def write_rows(folder: Path, n_rows: int) -> None:
    """Write rows of a mixture, in files of half a gigabyte; what is there already is taken."""
    if folder.exists():
        return
    final, folder = folder, unfinished(folder)
    folder.mkdir(parents=True)
    centres = np.random.default_rng(0).uniform(-3, 3, (N_COMPONENTS, N_FEATURES))
    names = [f"x{j}" for j in range(N_FEATURES)]
    for number, start in enumerate(range(0, n_rows, FILE_ROWS)):
        rng = np.random.default_rng([1, number])
        with pq.ParquetWriter(
            folder / f"part-{number:04}.parquet",
            pa.schema([(name, pa.float64()) for name in names]),
            compression="none",  # of random digits there is nothing to compress
            use_dictionary=False,
            write_statistics=False,
        ) as writer:
            for begin in range(start, min(start + FILE_ROWS, n_rows), 1 << 18):
                n = min(1 << 18, n_rows - begin)
                labels = rng.integers(N_COMPONENTS, size=n)
                columns = [rng.standard_normal(n) + centres[labels, j] for j in range(N_FEATURES)]
                writer.write_table(pa.table(columns, names=names))
    folder.rename(final)


def run(name: str, command: list[str], kill_in: int | None = None) -> Run:
    """Run a command, and kill it when an iteration has begun if it is asked for."""
    began = last = time.monotonic()
    iterations, peak = [], 0
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr or ():
            print(f"{name}: {line.rstrip()}", flush=True)
            found = re.match(r"iteration (\d+) ", line)
            if found is None:
                continue
            iterations.append(time.monotonic() - last)
            last = time.monotonic()
            peak = process_bytes("VmHWM", process.pid)  # of all its life until now
            if int(found[1]) + 1 == kill_in:
                process.kill()
                print(f"{name}: killed in iteration {kill_in}", flush=True)
    return Run(time.monotonic() - began, iterations, peak, process.returncode)


def options(memory_limit: str, of_what: str, **more: Any) -> dict[str, Any]:
    """What jobs of rows larger than memory ask for: how many, where, and within what limit."""
    return {
        "gigabytes": 20.0,
        "directory": {"type": Path, "required": True, "help": "a folder to be made"},
        "memory_limit": {"default": memory_limit, "help": of_what},
        "keep": False,
        **more,
    }


@contextmanager
def made_rows(asked: argparse.Namespace) -> Iterator[int]:
    """The bytes that so many rows take in files, which are removed afterwards unless kept."""
    folder, rows = asked.directory, asked.directory / "rows"
    others = set(folder.iterdir() if folder.exists() else ()) - {rows, unfinished(rows)}
    if any(path.suffix != ".npz" for path in others):
        raise SystemExit(f"{folder} holds other files, and would be removed: name a new folder")
    n_rows, began = int(asked.gigabytes * 1e9 / ROW_BYTES), time.monotonic()
    try:
        write_rows(rows, n_rows)
        files = list(rows.iterdir())
        n_bytes = sum(path.stat().st_size for path in files)
        print(
            f"{n_rows} rows x {N_FEATURES} features in {len(files)} files, "
            f"{n_bytes / 1e9:.2f} GB, written in {time.monotonic() - began:.0f} s",
            flush=True,
        )
        yield n_bytes
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)


def tell_whether_alike(*models: Any) -> None:
    """Whether two models have the same parameters, bit for bit, by the same way to them."""
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_")
    one, other = (
        [np.asarray(getattr(model, name)).tobytes() for name in names] for model in models
    )
    print(f"the same bits: {'yes' if one == other else 'NO'}")
    if one != other:
        raise SystemExit(1)


def main(arguments: list[str] | None = None) -> None:
    """Make the data, run the jobs, and print the figures."""
    asked = parser_of(__doc__, options("1GB", "of every job")).parse_args(arguments)
    with made_rows(asked) as n_bytes:
        measure(asked, n_bytes)


def measure(asked: argparse.Namespace, n_bytes: int) -> None:
    """Run the jobs."""
    folder = asked.directory

    def command(name: str) -> list[str]:
        line = [sys.executable, "-c", "from fastgmm.cli import main; main()", "fit"]
        line += [str(folder / "rows"), *OPTIONS.split(), "--memory-limit", asked.memory_limit]
        line += ["--checkpoint", str(folder / f"{name}-job.npz")]
        return [*line, "--out", str(folder / f"{name}.npz")]

    # Both jobs at a time: the pages that one has read are there for the other.
    with ThreadPoolExecutor(2) as pool:
        alone = pool.submit(run, "undisturbed", command("undisturbed"))
        runs = [run("disturbed", command("disturbed"), kill) for kill in (*KILLED_IN, None)]
        undisturbed = alone.result()
    codes = [each.code for each in (undisturbed, *runs)]
    if codes != [0, -9, -9, 0]:
        raise SystemExit(
            f"The jobs ended by the codes {codes}, not 0, -9, -9, 0. Of too few rows, one may "
            "be over before it is killed: ask for more --gigabytes."
        )
    seconds = float(np.median(undisturbed.iterations[1:]))
    print(
        f"undisturbed: {undisturbed.seconds:.0f} s; an iteration takes {seconds:.1f} s, "
        f"{n_bytes / 1e9 / seconds:.2f} GB/s"
    )
    peaks = ", ".join(f"{each.peak_bytes / 1e6:.0f} MB" for each in (undisturbed, *runs))
    print(f"peak memory of the processes, --memory-limit {asked.memory_limit}: {peaks}")
    tell_whether_alike(
        *(fastgmm.load(folder / f"{name}.npz") for name in ("undisturbed", "disturbed"))
    )


if __name__ == "__main__":
    main()
