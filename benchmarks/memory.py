"""``python -m benchmarks.memory``: the peak memory of a fit beyond its data.

Each fit runs in a process of its own, after a fit that loads and compiles what is needed.
The figure is the highest resident size during the fit less the resident size just before it, when
the rows exist already. ``random_from_data`` shows EM itself; the default initialisation also pays
for scikit-learn's k-means, which copies the rows.
"""

import argparse
import json
import subprocess
import sys

from benchmarks.iteration import parse_shape
from benchmarks.suite.memory import extra_bytes

INITIALISATIONS = ("random_from_data", "kmeans")


def in_new_process(library: str, shape: tuple[int, int, int], init_params: str) -> int:
    """Call `extra_bytes` in a new process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", library, init_params]
    command += ["--shape", ",".join(map(str, shape))]
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(finished.stdout)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__.split("\n\n")[1]
    )
    parser.add_argument("--shape", type=parse_shape, default=(1_000_000, 16, 64), metavar="N,D,K")
    parser.add_argument(
        "--scikit-learn", action="store_true", help="measure scikit-learn as well (gigabytes)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, not text")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.one:
        library, init_params = parsed.one
        print(extra_bytes(library, parsed.shape, init_params))
        return
    n, d, k = parsed.shape
    libraries = ("fastgmm", "scikit-learn") if parsed.scikit_learn else ("fastgmm",)
    results = []
    if not parsed.json:
        print(f"(n, d, k) = ({n}, {d}, {k}), full, float64; X itself {8 * n * d / 1e6:.0f} MB")
    for library in libraries:
        for init_params in INITIALISATIONS:
            extra = in_new_process(library, parsed.shape, init_params)
            results.append({"library": library, "init_params": init_params, "extra_bytes": extra})
            if not parsed.json:
                print(f"{library:14} {init_params:18} {extra / 1e6:8.1f} MB beyond X", flush=True)
    if parsed.json:
        print(json.dumps({"shape": parsed.shape, "results": results}, indent=2))


if __name__ == "__main__":
    main()
