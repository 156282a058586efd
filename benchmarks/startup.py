"""``python -m benchmarks.startup``: what a user waits for before and in a first small fit.

Everything that must be new is measured in a new process: the imports, the first fit ever (an empty
cache of compiled kernels), and the first fit of a process that finds them compiled. A fit of iris
is then compared with scikit-learn's, in turn in one process.
"""

import argparse
import json
import statistics
import tempfile

from benchmarks.suite.startup import FIRST_FIT, run_python

IMPORT = """
import time
started = time.perf_counter()
import {module}
print(time.perf_counter() - started)
"""

IRIS = """
import json, statistics, time
import sklearn.mixture
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_limits
import fastgmm

X = load_iris().data

def seconds(model):
    started = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - started

def medians(n_jobs):
    theirs = sklearn.mixture.GaussianMixture(3, random_state=0)
    ours = fastgmm.GaussianMixture(3, random_state=0, n_jobs=n_jobs)
    pairs = [(seconds(theirs), seconds(ours)) for _ in range({repeats} + 5)][5:]
    return [statistics.median(pair[i] for pair in pairs) for i in (0, 1)]

result = {{"default threads": medians(None)}}
with threadpool_limits(1):
    result["one thread"] = medians(1)
print(json.dumps(result))
"""


def import_seconds(modules: tuple[str, ...], repeats: int) -> dict[str, float]:
    """Return the median seconds of importing each module, in turn; the first round only warms."""
    samples: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(repeats + 1):
        for module in modules:
            samples[module].append(float(run_python(IMPORT.format(module=module))))
    return {module: statistics.median(samples[module][1:]) for module in modules}


def first_fit_seconds(repeats: int) -> dict[str, float]:
    """Return the seconds of the first fit ever, and of the first in a later process."""
    with tempfile.TemporaryDirectory() as cache:
        cold = float(run_python(FIRST_FIT, NUMBA_CACHE_DIR=cache))
        warm = [float(run_python(FIRST_FIT, NUMBA_CACHE_DIR=cache)) for _ in range(repeats)]
    return {"nothing cached": cold, "cached": statistics.median(warm)}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON, not text")
    parsed = parser.parse_args(arguments)
    if parsed.repeats < 1:
        parser.error("--repeats must be at least 1")
    result = {
        "import": import_seconds(("sklearn.mixture", "fastgmm", "numba"), parsed.repeats),
        "first_fit": first_fit_seconds(parsed.repeats),
        "iris": json.loads(run_python(IRIS.format(repeats=20 * parsed.repeats))),
    }
    if parsed.json:
        print(json.dumps(result, indent=2))
        return
    for module, seconds in result["import"].items():
        print(f"import {module:32} {seconds:8.3f} s")
    for state, seconds in result["first_fit"].items():
        print(f"first fit in a new process, {state:15} {seconds:4.3f} s")
    for threads, (theirs, ours) in result["iris"].items():
        print(
            f"fit of iris, {threads:16} scikit-learn {1e3 * theirs:7.2f} ms, "
            f"fastgmm {1e3 * ours:7.2f} ms"
        )


if __name__ == "__main__":
    main()
