"""Peak memory of a fit beyond its rows: resident size at its highest less that just before.

The rows exist before, and another fit has loaded and compiled what is needed; asv's own `peakmem_`
would count both, and the compiler with them. Linux only.
"""

import ctypes
import ctypes.util
import gc
from functools import partial
from pathlib import Path
from typing import Any

from .calls import OURS, em_iterations
from .clock import Call, quietly
from .problems import parse_shape

COMPILING_ROWS = 1 << 14
"""From here on k-means starts, and passes over many components, have kernels of their own."""

STATUS = Path("/proc/self/status")


def process_bytes(name: str, process: int | str = "self") -> int:
    """Return a size such as VmRSS (now) or VmHWM (the peak) of this process, or of another."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * int(dict(line.split(":", 1) for line in lines)[name].split()[0])


def forget_peak() -> None:
    """Give free memory back and set the process's peak to its present size."""
    gc.collect()
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(libc, "malloc_trim"):  # glibc only
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def beyond_rows(init_params: str, shape: str, library: str = OURS) -> int:
    """Bytes beyond the rows at the peak of three iterations.

    The figure is right once in a process, for memory that is free then is no more afterwards.
    """
    how: dict[str, Any] = {"start": init_params, "library": library, "threads": None}
    fit = partial(em_iterations, iterations=3, **how)
    _, d, k = parse_shape(shape)
    with quietly():
        # So many rows that every kernel of the fit is compiled, and compiling is not counted.
        fit(shape=f"{COMPILING_ROWS}x{d}x{k}")()
        call = fit(shape=shape)
        forget_peak()
        before = process_bytes("VmRSS")
        call()
    return process_bytes("VmHWM") - before


def peak_memory(*, init_params: str, shape: str) -> Call:
    """See `beyond_rows`."""
    if not STATUS.exists():
        raise NotImplementedError("needs Linux's /proc")
    return partial(beyond_rows, init_params, shape)
