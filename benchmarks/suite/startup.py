"""What a user waits for before a first fit, and in it: imports, compiling, loading kernels."""

import os
import subprocess
import sys
import tempfile

from .clock import Call

TIMED = """
import time
{before}
started = time.{clock}()
{timed}
print(time.{clock}() - started)
"""

IRIS = "from sklearn.datasets import load_iris; X = load_iris().data"
CLUSTERS = """
import numpy as np
X = np.random.default_rng(0).normal(size=(500, {n_features}))
X += np.repeat([0.0, 5.0, 10.0], (167, 167, 166))[:, np.newaxis]
"""


def seconds_of_code(timed: str, before: str = "", clock: str = "perf_counter", **env: str) -> float:
    """Seconds of Python code in a new process, after other code."""
    code = TIMED.format(timed=timed, before=before, clock=clock)
    command = [sys.executable, "-c", code]
    return float(subprocess.check_output(command, env=os.environ | env, text=True))


def _fit(rows: str, cache: str, clock: str = "perf_counter", arguments: str = "") -> float:
    """Seconds of the first fit of a process, imports not counted."""
    fit = f"GaussianMixture(3, random_state=0{arguments}).fit(X)"
    before = f"{rows}\nfrom fastgmm import GaussianMixture"
    return seconds_of_code(fit, before, clock, NUMBA_CACHE_DIR=cache)


def importing() -> Call:
    """What asv then runs in new processes."""
    return lambda: "import fastgmm"


def first_fits(repeats: int) -> list[float]:
    """Seconds of first fits of iris, one a process; the very first finds nothing compiled."""
    with tempfile.TemporaryDirectory() as cache:
        return [_fit(IRIS, cache) for _ in range(1 + repeats)]


def first_fit_ever(structure: str, n_features: int) -> float:
    """CPU seconds of a fit of 500 rows, imports not counted, that finds nothing compiled."""
    rows = CLUSTERS.format(n_features=n_features)
    with tempfile.TemporaryDirectory() as cache:
        return _fit(rows, cache, "process_time", f", covariance_type={structure!r}")


def first_fit(*, cache: str) -> Call:
    """The first fit of a process: of iris, with default arguments, imports not counted."""
    if cache == "nothing compiled":
        return lambda: first_fits(0)[0]
    return lambda: min(first_fits(3)[1:])
