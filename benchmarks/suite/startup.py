"""What a user waits for before a first fit, and in it: imports, compiling, loading kernels."""

import os
import subprocess
import sys
import tempfile

from .clock import Call

FIRST_FIT = """
import time
from sklearn.datasets import load_iris
X = load_iris().data
from fastgmm import GaussianMixture
started = time.perf_counter()
GaussianMixture(3, random_state=0).fit(X)
print(time.perf_counter() - started)
"""

FIRST_FIT_EVER = """
import time
import numpy as np
from fastgmm import GaussianMixture
X = np.random.default_rng(0).normal(size=(500, {n_features}))
X += np.repeat([0.0, 5.0, 10.0], (167, 167, 166))[:, np.newaxis]
started = time.process_time()
GaussianMixture(3, covariance_type="{structure}", random_state=0).fit(X)
print(time.process_time() - started)
"""


def run_python(code: str, **variables: str) -> str:
    """Run `code` in a new process and return what it prints."""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return finished.stdout


def importing() -> Call:
    """What asv then runs in new processes."""
    return lambda: "import fastgmm"


def first_fits(repeats: int) -> list[float]:
    """Seconds of first fits of iris, one a process; the very first finds nothing compiled."""
    with tempfile.TemporaryDirectory() as cache:
        return [float(run_python(FIRST_FIT, NUMBA_CACHE_DIR=cache)) for _ in range(1 + repeats)]


def first_fit_ever(structure: str, n_features: int) -> float:
    """CPU seconds of a fit of 500 rows, imports not counted, that finds nothing compiled."""
    code = FIRST_FIT_EVER.format(structure=structure, n_features=n_features)
    with tempfile.TemporaryDirectory() as cache:
        return float(run_python(code, NUMBA_CACHE_DIR=cache))


def first_fit(*, cache: str) -> Call:
    """The first fit of a process: of iris, with default arguments, imports not counted."""
    if cache == "nothing compiled":
        return lambda: first_fits(0)[0]
    return lambda: min(first_fits(3)[1:])
