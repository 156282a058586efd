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
from pathlib import Path
from typing import Any

import numpy as np

import fastgmm
from benchmarks.command import Record, command
from benchmarks.suite.calls import write_parquet
from benchmarks.suite.data import make_mixture
from benchmarks.suite.memory import process_bytes

N_FEATURES = 16
N_COMPONENTS = 4
MAX_ITER = 4
FILE_ROWS = 1 << 22  # at most; half a gigabyte
KILLED_IN = (2, 3)  # iterations

OPTIONS = (
    f"-k {N_COMPONENTS} --tol 0 --max-iter {MAX_ITER} --random-state 0 --init-params k-means++ "
    "--checkpoint-every 0 --json"
)


def write_rows(folder: Path, n_rows: int) -> None:
    """Write so many rows of a mixture, in files alike; what is there already is taken."""
    if folder.exists():
        return
    new, n_files = folder.with_suffix(".unfinished"), -(-n_rows // FILE_ROWS)
    new.mkdir(parents=True)
    X = make_mixture(n_rows // n_files, N_FEATURES, N_COMPONENTS)
    # Of random digits there is nothing to compress.
    how: dict[str, Any] = {"compression": "none", "use_dictionary": False}
    write_parquet(new / "0.parquet", X, row_group_size=1 << 18, **how)
    for number in range(1, n_files):
        shutil.copyfile(new / "0.parquet", new / f"{number}.parquet")
    new.rename(folder)


def say(progress: str) -> None:
    """Tell how far a job has come, apart from the table."""
    print(progress, file=sys.stderr, flush=True)


def run(name: str, line: list[str], kill_in: int | None = None) -> Record:
    """Run a command, and kill it when an iteration has begun if it is asked for."""
    began = last = time.monotonic()
    iterations, peak = [], 0
    with subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        for told in process.stderr or ():
            say(f"{name}: {told.rstrip()}")
            found = re.match(r"iteration (\d+) ", told)
            if found is None:
                continue
            iterations.append(time.monotonic() - last)
            last = time.monotonic()
            peak = process_bytes("VmHWM", process.pid)  # of all its life until now
            if int(found[1]) + 1 == kill_in:
                process.kill()
    return {
        "job": name,
        "killed in iteration": kill_in,
        "s": time.monotonic() - began,
        "s an iteration": float(np.median(iterations[1:])) if iterations[1:] else None,
        "peak MB": peak / 1e6,
        "exit code": process.returncode,
    }


def options(memory_limit: str, of_what: str) -> dict[str, Any]:
    """What jobs of rows larger than memory ask for: how many, where, and within what limit."""
    return {
        "gigabytes": 20.0,
        "directory": {"type": Path, "required": True, "help": "a folder to be made"},
        "memory_limit": {"default": memory_limit, "help": of_what},
        "keep": False,
    }


@contextmanager
def made_rows(asked: argparse.Namespace) -> Iterator[Record]:
    """What so many rows take in files, which are removed afterwards unless kept."""
    folder, rows = asked.directory, asked.directory / "rows"
    if any(path.stem != "rows" and path.suffix != ".npz" for path in folder.glob("*")):
        raise SystemExit(f"{folder} holds other files, and would be removed: name a new folder")
    n_rows, began = int(asked.gigabytes * 1e9 / (8 * N_FEATURES)), time.monotonic()
    try:
        write_rows(rows, n_rows)
        sizes = [path.stat().st_size for path in rows.iterdir()]
        yield {
            "rows": n_rows,
            "features": N_FEATURES,
            "files": len(sizes),
            "GB": sum(sizes) / 1e9,
            "s to write": time.monotonic() - began,
        }
    finally:
        if not asked.keep:
            shutil.rmtree(folder, ignore_errors=True)


def alike(*models: Any) -> Iterator[Record]:
    """Whether two models have the same parameters, bit for bit, by the same way to them."""
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_")
    one, other = (
        [np.asarray(getattr(model, name)).tobytes() for name in names] for model in models
    )
    yield {"the same bits": "yes" if one == other else "NO"}
    if one != other:
        raise SystemExit(1)


@command(limited=False, **options("1GB", "of every job"))
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record of the rows, of every job, and of what they come to."""
    folder, names = asked.directory, ("undisturbed", "disturbed")

    def line(name: str) -> list[str]:
        line = [sys.executable, "-c", "from fastgmm.cli import main; main()", "fit"]
        line += [str(folder / "rows"), *OPTIONS.split(), "--memory-limit", asked.memory_limit]
        line += ["--checkpoint", str(folder / f"{name}-job.npz")]
        return [*line, "--out", str(folder / f"{name}.npz")]

    with made_rows(asked) as written:
        yield written
        # Both jobs at a time: the pages that one has read are there for the other.
        with ThreadPoolExecutor(2) as pool:
            alone, other = names
            undisturbed = pool.submit(run, alone, line(alone))
            runs = [run(other, line(other), kill) for kill in (*KILLED_IN, None)]
        runs = [undisturbed.result(), *runs]
        yield from runs
        codes = [each["exit code"] for each in runs]
        if codes != [0, -9, -9, 0]:
            raise SystemExit(
                f"The jobs ended by the codes {codes}, not 0, -9, -9, 0. Of too few rows, one may "
                "be over before it is killed: ask for more --gigabytes."
            )
        yield {"GB/s, undisturbed": written["GB"] / runs[0]["s an iteration"]}
        yield from alike(*(fastgmm.load(folder / f"{name}.npz") for name in names))


if __name__ == "__main__":
    main()
