"""Peak memory of a fit beyond its rows: resident size at its highest less that just before.

The rows exist before, and another fit has loaded and compiled what is needed; asv's own `peakmem_`
would count both, and the compiler with them. Linux only.
"""

import ctypes
import ctypes.util
import gc
from pathlib import Path
from typing import Any

from . import problems
from .data import make_mixture

COMPILING_ROWS = 1 << 14
"""From here on k-means starts, and passes over many components, have kernels of their own."""

STATUS = Path("/proc/self/status")


def process_bytes(name: str) -> int:
    """Return a size such as VmRSS (now) or VmHWM (the peak) of this process."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"{STATUS} has no {name}")


def forget_peak() -> None:
    """Give free memory back and set the process's peak to its present size."""
    gc.collect()
    libc = ctypes.CDLL(ctypes.util.find_library("c"))
    if hasattr(libc, "malloc_trim"):  # glibc only
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def make_model(library: str, k: int, init_params: str) -> Any:
    """Return an estimator that runs three iterations."""
    arguments: dict[str, Any] = {
        "n_components": k,
        "init_params": init_params,
        "tol": 0.0,
        "max_iter": 3,
        "random_state": 0,
    }
    if library == "scikit-learn":
        return problems.scikit_learn_mixture(**arguments)
    return problems.mixture(None, **arguments)


def extra_bytes(library: str, shape: tuple[int, int, int], init_params: str) -> int:
    """Fit in this process and return the peak beyond the rows, in bytes."""
    n, d, k = shape
    with problems.quietly():
        # So many rows that every kernel of the fit is compiled, and compiling is not counted.
        make_model(library, k, init_params).fit(make_mixture(COMPILING_ROWS, d, k))
        X = make_mixture(n, d, k)
        model = make_model(library, k, init_params)
        forget_peak()
        before = process_bytes("VmRSS")
        model.fit(X)
    return process_bytes("VmHWM") - before


class PeakMemory:
    """For EM alone (`random_from_data`), and with the default start."""

    version = "2"
    params = (["random_from_data", "kmeans"], ["100000x8x8", "400000x8x8", "100000x8x64"])
    param_names = ("init_params", "shape")
    unit = "bytes"

    def setup(self, init_params: str, shape: str) -> None:
        if not STATUS.exists():
            raise NotImplementedError("needs Linux's /proc")

    def track_peak_beyond_rows(self, init_params: str, shape: str) -> int:
        return extra_bytes("fastgmm", problems.parse_shape(shape), init_params)
