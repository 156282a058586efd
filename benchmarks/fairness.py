"""What a comparison with other libraries takes to be fair."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

UNFAIR_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""They choose kernels or tiles of OpenBLAS other than the machine's own, which slows scikit-learn
far more than fastgmm."""

REST = 0.15
"""Seconds in which everyone's threads come to rest: OpenBLAS's spin for 2^28 cycles, 0.1 s, after
their last work, and would take a core from whoever is timed next."""


def restart_without_unfair_variables(module: str) -> None:
    """Start this command again without the variables that would flatter fastgmm.

    BLAS reads them when it is loaded, so unsetting them in this process would be too late.
    """
    found = [name for name in UNFAIR_VARIABLES if name in os.environ]
    if not found:
        return
    print(f"warning: {', '.join(found)} would slow BLAS; starting without", file=sys.stderr)
    environment = {key: value for key, value in os.environ.items() if key not in found}
    os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call takes, on cores that nobody else uses, and what it returns."""
    time.sleep(REST)
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value
