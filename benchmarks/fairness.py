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

AWAKE = 0.1
"""Seconds of untimed work after that: on virtual machines, Linux may take half as long to spread
threads over cores that have been idle (it takes them for preempted)."""


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


def seconds_of(
    call: Callable[[], Any], warm_up: Callable[[], Any] | None = None
) -> tuple[float, Any]:
    """Return the seconds that a call takes, on cores that nobody else uses, and what it returns.

    Parameters
    ----------
    call : callable
    warm_up : callable, optional
        Called until all cores are awake; for calls of less than some seconds.
    """
    time.sleep(REST)
    awake = time.perf_counter() + AWAKE
    while warm_up is not None and time.perf_counter() < awake:
        warm_up()
    started = time.perf_counter()
    value = call()
    return time.perf_counter() - started, value
