"""``python -m benchmarks.iteration``: Seconds per EM iteration of scikit-learn and of fastgmm.

Both fit the same rows from the parameters that these were drawn from, with ``tol=0``, in turn, in
one process, with the same number of threads. A fit of LAST iterations less a fit of FIRST, divided
by their difference, is the time of an iteration; what a fit does once drops out. The median over
the repeats is printed. GFlop/s counts 2 n k d^2 useful operations of an iteration with full
covariances. The figures stand in ``docs/performance.md``.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.command import (
    SHAPES,
    Record,
    beside_scikit_learn,
    command,
    difference,
    iterations,
    one_of,
    shapes,
)
from benchmarks.suite.calls import LIBRARIES, OURS, THEIRS, em_iterations
from benchmarks.suite.clock import iterations_in_turn, rested, seconds_of
from benchmarks.suite.problems import DTYPES, STRUCTURES, parse_shape


def gemm_rate(dtype: str, size: int = 2048, repeats: int = 6) -> float:
    """The GFlop/s of NumPy's matrix product, the best of `repeats`."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    b, out = a.T.copy(), np.empty_like(a)
    best = min(seconds_of(lambda: np.matmul(a, b, out=out)) for _ in range(repeats))
    return 2.0 * size**3 / best / 1e9


@command(
    covariance_type=one_of(STRUCTURES),
    dtype=one_of(DTYPES),
    threads=2,
    repeats=5,
    iterations=iterations(1, 6),
    shapes=shapes(*SHAPES),
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every shape."""
    gemm = gemm_rate(asked.dtype)
    how = {name: getattr(asked, name) for name in ("covariance_type", "dtype", "threads")}
    for shape in asked.shapes:
        make = {
            each: partial(em_iterations, library=each, shape=shape, **how) for each in LIBRARIES
        }
        seconds = partial(rested, warm_up=make[OURS](iterations=1))
        taken = iterations_in_turn(make, asked.iterations, asked.repeats, seconds)
        (n, d, k), ours = parse_shape(shape), taken.seconds(OURS)
        full = asked.covariance_type == "full" and ours > 0
        rate = 2.0 * n * k * d**2 / ours / 1e9 if full else None
        yield {
            "rows x features x components": shape,
            **beside_scikit_learn(taken),
            "GFlop/s": rate,
            "% of gemm's": rate and 100 * rate / gemm,
            "means differ by": difference(taken.values[OURS].means_, taken.values[THEIRS].means_),
        }


if __name__ == "__main__":
    main()
