"""``python -m benchmarks.iteration``: Seconds per EM iteration of scikit-learn and of fastgmm.

Both fit the same rows from the parameters that these were drawn from, with ``tol=0``, in turn, in
one process, with the same number of threads. A fit of LAST iterations less a fit of FIRST, divided
by their difference, is the time of an iteration; what a fit does once drops out. The median over
the repeats is printed. GFlop/s counts 2 n k d^2 useful operations of an iteration with full
covariances.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks import command
from benchmarks.command import SHAPES, Command, Record
from benchmarks.suite.calls import LIBRARIES, OURS, THEIRS, em_iterations
from benchmarks.suite.clock import Call, iterations_in_turn, rested, seconds_of
from benchmarks.suite.problems import DTYPES, STRUCTURES, parse_shape


def gemm_rate(dtype: str, size: int = 2048, repeats: int = 6) -> float:
    """The GFlop/s of NumPy's matrix product, the best of `repeats`."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
    b, out = a.T.copy(), np.empty_like(a)
    best = min(seconds_of(lambda: np.matmul(a, b, out=out)) for _ in range(repeats))
    return 2.0 * size**3 / best / 1e9


def measure(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every shape."""
    gemm = gemm_rate(asked.dtype)
    for shape in asked.shapes:

        def make(library: str, iterations: int, shape: str = shape) -> Call:
            problem = {"covariance_type": asked.covariance_type, "dtype": asked.dtype}
            return em_iterations(
                shape=shape,
                iterations=iterations,
                library=library,
                threads=asked.threads,
                **problem,
            )

        taken = iterations_in_turn(
            {library: partial(make, library) for library in LIBRARIES},
            asked.iterations,
            asked.repeats,
            partial(rested, warm_up=make(OURS, 1)),
        )
        n, d, k = parse_shape(shape)
        full, seconds = asked.covariance_type == "full", taken.seconds(OURS)
        rate = 2.0 * n * k * d**2 / seconds / 1e9 if full and seconds > 0 else None
        yield {
            "rows x features x components": shape,
            **command.beside_scikit_learn(taken),
            "GFlop/s": rate,
            "% of gemm's": rate and 100 * rate / gemm,
            "means differ by": command.difference(
                taken.values[OURS].means_, taken.values[THEIRS].means_
            ),
        }


main = Command(
    "iteration",
    __doc__,
    measure,
    {
        "--covariance-type": command.one_of(STRUCTURES),
        "--dtype": command.one_of(DTYPES),
        "--threads": command.whole(2),
        "--repeats": command.whole(5),
        "--iterations": command.iterations(1, 6),
        "--shapes": command.shapes(*SHAPES),
    },
)

if __name__ == "__main__":
    main()
