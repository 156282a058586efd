"""``python -m benchmarks.sizing``: time of an iteration, and memory of a fit.

Times are CPU times on one thread, of fits of several iterations less fits of few, the median of
the repeats. The formulas of ``docs/sizing.md`` are fitted to them, and printed beside them:
nanoseconds for a row and a component are ``a + b d + c d^2`` for full covariances, and ``a + b d``
for diagonal ones. Memory is the peak of a fit beyond its rows, each in a process of its own.
"""

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

import fastgmm
from benchmarks.fairness import restart_without_unfair_variables
from benchmarks.memory import in_new_process
from benchmarks.suite.data import make_mixture
from benchmarks.suite.problems import quietly

SHAPES = (
    (400_000, 2, 8),
    (200_000, 4, 8),
    (100_000, 8, 8),
    (100_000, 8, 32),
    (50_000, 16, 16),
    (20_000, 32, 32),
    (10_000, 64, 16),
    (5_000, 128, 16),
)
MEMORY_SHAPES = (
    (200_000, 8, 8),
    (800_000, 8, 8),
    (200_000, 8, 128),
    (200_000, 32, 32),
    (50_000, 128, 32),
)
POWERS = {"full": 3, "diag": 2}
"""Terms of the polynomial in the number of features."""

FEW, SEVERAL = 2, 7


def nanoseconds(coefficients: NDArray[Any], d: NDArray[Any] | int) -> NDArray[Any]:
    """For a row and a component of d features, by the formula."""
    return np.polynomial.polynomial.polyval(d, coefficients)


def fitted(features: NDArray[Any], times: NDArray[Any], terms: int) -> NDArray[Any]:
    """Coefficients that make the relative errors small, by least squares."""
    columns = np.vander(features, terms, increasing=True) / times[:, np.newaxis]
    return np.linalg.lstsq(columns, np.ones(len(times)))[0]


def measured(shape: tuple[int, int, int], structure: str, repeats: int) -> float:
    """Nanoseconds for a row and a component of an iteration."""
    n, d, k = shape
    X = make_mixture(n, d, k)
    model = fastgmm.GaussianMixture(
        k,
        covariance_type=structure,
        init_params="k-means++",
        random_state=0,
        tol=0.0,
        n_jobs=1,
    )
    samples = []
    with quietly():
        clone(model).set_params(max_iter=1).fit(X)  # compiles
        for _ in range(repeats):
            seconds = []
            for iterations in (FEW, SEVERAL):
                one = clone(model).set_params(max_iter=iterations)
                begin = time.process_time()
                one.fit(X)
                seconds.append(time.process_time() - begin)
            samples.append((seconds[1] - seconds[0]) / (SEVERAL - FEW))
    return 1e9 * statistics.median(samples) / (n * k)


def times(repeats: int) -> dict[str, Any]:
    """What was measured of every structure, the coefficients, and what they say."""
    found: dict[str, Any] = {}
    features = np.array([d for _, d, _ in SHAPES])
    for structure, terms in POWERS.items():
        taken = np.array([measured(shape, structure, repeats) for shape in SHAPES])
        coefficients = fitted(features, taken, terms)
        found[structure] = {
            "coefficients": coefficients.tolist(),
            "measured": taken.tolist(),
            "formula": nanoseconds(coefficients, features).tolist(),
        }
    return found


def memory() -> list[int]:
    """Bytes beyond the rows, per shape, of fits with the default start."""
    return [in_new_process("fastgmm", shape, "kmeans") for shape in MEMORY_SHAPES]


def as_markdown(found: dict[str, Any], beyond: list[int]) -> str:
    """The tables of the page."""
    lines = []
    for structure, one in found.items():
        terms = [f"{c:.3g} d^{power}" for power, c in enumerate(one["coefficients"])]
        lines.append(f"{structure}: {' + '.join(terms)} ns for a row and a component")
    lines += ["", "| rows, features, components | full | formula | diag | formula |"]
    lines += ["|---" * 5 + "|"]
    for i, (n, d, k) in enumerate(SHAPES):
        cells = [
            f"{one[which][i]:.3g} ns" for one in found.values() for which in ("measured", "formula")
        ]
        lines.append(f"| {n:,}, {d}, {k} | {' | '.join(cells)} |")
    lines += ["", "| rows, features, components | rows | beyond them |", "|---|---|---|"]
    for (n, d, k), extra in zip(MEMORY_SHAPES, beyond, strict=True):
        lines.append(f"| {n:,}, {d}, {k} | {8e-6 * n * d:.0f} MB | {1e-6 * extra:.0f} MB |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sizing",
        description="Measures the time of an EM iteration and the memory of a fit on this machine, "
        "and fits the formulas of docs/sizing.md to them. Takes some two minutes.",
    )
    parser.add_argument("--repeats", type=int, default=5, help="of which the median counts")
    parser.add_argument("--json", action="store_true", help="print JSON, not Markdown")
    parsed = parser.parse_args(arguments)
    found, beyond = times(parsed.repeats), memory()
    if parsed.json:
        print(json.dumps({"shapes": SHAPES, "times": found, "memory": beyond}, indent=2))
    else:
        print(as_markdown(found, beyond))


if __name__ == "__main__":
    restart_without_unfair_variables("benchmarks.sizing")
    main()
