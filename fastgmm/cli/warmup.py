"""``fastgmm warmup``: compile every kernel now, so that no later fit on this machine waits."""

import time
from pathlib import Path

import numpy as np
import typer

from fastgmm.cli.errors import note


def warmup() -> None:
    """Compile every kernel; what was compiled before is only loaded."""
    from fastgmm.kernels.every import every_kernel

    started = time.perf_counter()
    for name, make in every_kernel():
        before = time.perf_counter()
        make()
        typer.echo(f"{name:28} {time.perf_counter() - before:7.2f} s")
    typer.echo(f"all kernels ready in {time.perf_counter() - started:.2f} s")
    if not _is_kept():
        note(
            "The compiled kernels could not be kept, so that every process compiles them anew. Is "
            "the cache's folder writable, its path shorter than 260 characters on Windows, and "
            "FASTGMM_NUMBA_CACHE not 0? NUMBA_CACHE_DIR names another folder."
        )


def _is_kept() -> bool:
    """Whether a kernel, now that it is compiled, has a file in the cache."""
    from fastgmm.kernels.scatter_pass import totals_pass

    kernel = totals_pass(np.dtype(np.float64))
    folder = getattr(getattr(kernel, "stats", None), "cache_path", None)
    if folder is None:
        return False
    name = kernel.py_func.__qualname__.rpartition(".")[2]
    return any(Path(folder).glob(f"*{name}*.nbc"))
