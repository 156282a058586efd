"""``python -m benchmarks.sizing``: CPU time of an iteration and memory of a fit, with formulas.

Times are of one thread, of fits of several iterations less fits of few, the median of the repeats.
The formulas of ``docs/sizing.md`` are fitted to them, and printed beside them: nanoseconds for a
row and a component are ``a + b d + c d^2`` for full covariances, and ``a + b d`` for diagonal ones.
Memory is the peak of a fit beyond its rows, each in a process of its own. Takes some two minutes.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.command import Record, command
from benchmarks.memory import peak
from benchmarks.suite.calls import em_iterations
from benchmarks.suite.clock import cpu_seconds_of, iterations_in_turn
from benchmarks.suite.problems import parse_shape

SHAPES = (
    *("400000x2x8", "200000x4x8", "100000x8x8", "100000x8x32"),
    *("50000x16x16", "20000x32x32", "10000x64x16", "5000x128x16"),
)
MEMORY_SHAPES = ("200000x8x8", "800000x8x8", "200000x8x128", "200000x32x32", "50000x128x32")
POWERS = {"full": 3, "diag": 2}  # terms of the polynomial in the number of features


def fitted(features: NDArray, times: NDArray, terms: int) -> NDArray:
    """Coefficients that make the relative errors small, by least squares."""
    columns = np.vander(features, terms, increasing=True) / times[:, np.newaxis]
    return np.linalg.lstsq(columns, np.ones(len(times)))[0]


def nanoseconds(structure: str, repeats: int) -> NDArray:
    """For a row and a component of an iteration, of every shape."""
    found = []
    for shape in SHAPES:
        n, _, k = parse_shape(shape)
        fit = partial(em_iterations, shape=shape, covariance_type=structure, start="k-means++")
        taken = iterations_in_turn({shape: fit}, (2, 7), repeats, cpu_seconds_of)
        found.append(1e9 * taken.seconds(shape) / (n * k))
    return np.array(found)


@command(repeats=5)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every formula, shape and peak of memory."""
    features = np.array([parse_shape(shape)[1] for shape in SHAPES])
    columns: dict[str, NDArray] = {}
    for structure, terms in POWERS.items():
        times = nanoseconds(structure, asked.repeats)
        coefficients = fitted(features, times, terms)
        columns[f"{structure}, ns"] = times
        columns[f"{structure}, formula"] = np.polynomial.polynomial.polyval(features, coefficients)
        powers = (f"{c:.3g} d^{power}" for power, c in enumerate(coefficients))
        yield {"structure": structure, "ns for a row and a component": " + ".join(powers)}
    for i, shape in enumerate(SHAPES):
        figures = {name: float(values[i]) for name, values in columns.items()}
        yield {"rows x features x components": shape, **figures}
    yield from (peak(shape, "kmeans") for shape in MEMORY_SHAPES)


if __name__ == "__main__":
    main()
