"""What a user waits for before a first fit, and in it: imports, compiling, loading kernels."""

import os
import subprocess
import sys
import tempfile

FIRST_FIT = """
import time
from sklearn.datasets import load_iris
X = load_iris().data
from fastgmm import GaussianMixture
started = time.perf_counter()
GaussianMixture(3, random_state=0).fit(X)
print(time.perf_counter() - started)
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


class Import:
    """Each sample is a new process."""

    version = "1"
    rounds = 1
    repeat = (3, 5, 10.0)
    number = 1

    def timeraw_import_fastgmm(self) -> str:
        return "import fastgmm"


class FirstFit:
    """The first fit of a process: of iris, with default arguments, imports not counted."""

    version = "1"
    params = (["nothing compiled", "compiled before"],)
    param_names = ("cache",)
    unit = "seconds"
    timeout = 300

    def setup(self, cache: str) -> None:
        self.directory = tempfile.TemporaryDirectory()
        if cache == "compiled before":
            run_python(FIRST_FIT, NUMBA_CACHE_DIR=self.directory.name)

    def teardown(self, cache: str) -> None:
        self.directory.cleanup()

    def track_first_fit(self, cache: str) -> float:
        samples = 1 if cache == "nothing compiled" else 3
        return min(
            float(run_python(FIRST_FIT, NUMBA_CACHE_DIR=self.directory.name))
            for _ in range(samples)
        )
