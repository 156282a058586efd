"""``python -m benchmarks.missing``: Seconds of an EM iteration on rows with missing values.

One iteration on complete rows, on rows of 8 patterns of missing values, and on rows of which 10 %
of all values are missing at random; and, on the latter two and for `full`, one of an EM in plain
NumPy that goes by patterns, too. All from the same parameters, in turn; NumPy's BLAS gets as many
threads as fastgmm. On one thread CPU time is taken, on several that of the clock on the wall. A fit
of LAST iterations less one of FIRST, divided by their difference, is the time of an iteration;
printed are the medians over the repeats, those of the ratios in the same repeat, and by how much
the means of both differ at the end. The figures stand in ``docs/missing.md``.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from benchmarks.command import (
    Record,
    command,
    difference,
    iterations,
    one_shape,
    some_of,
)
from benchmarks.suite.calls import em_iterations
from benchmarks.suite.clock import cpu_seconds_of, in_turn, iterations_in_turn, seconds_of
from benchmarks.suite.problems import MISSING, STRUCTURES, Problem

REG_COVAR = 1e-6
"""The default of both."""

Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]


def numpy_iteration(
    groups: list[tuple[np.ndarray, np.ndarray]], parameters: Parameters
) -> Parameters:
    """An iteration of EM, pattern by pattern, with what NumPy and LAPACK do best.

    Parameters
    ----------
    groups : list of (mask (d,), rows (n, p))
        Which features are observed, and these of all such rows.
    parameters : tuple of ndarray
        Weights, means and covariances.
    """
    weights, means, covariances = parameters
    k, d = means.shape
    N, first, second = np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d))
    for mask, rows in groups:
        n, p = rows.shape
        log_densities = np.empty((n, k))
        roots = [np.linalg.cholesky(S[np.ix_(mask, mask)]) for S in covariances]
        for c, root in enumerate(roots):
            white = solve_triangular(root, (rows - means[c, mask]).T, lower=True)
            log_density = -0.5 * (p * np.log(2 * np.pi) + (white**2).sum(axis=0))
            log_densities[:, c] = log_density + np.log(weights[c] / root.diagonal().prod())
        shares = np.exp(log_densities - logsumexp(log_densities, axis=1)[:, np.newaxis])
        for c, S in enumerate(covariances):
            centred = rows - means[c, mask]
            gain = np.linalg.solve(S[np.ix_(mask, mask)], S[mask]).T
            s, W = shares[:, c] @ centred, (shares[:, c, np.newaxis] * centred).T @ centred
            total = shares[:, c].sum()
            N[c] += total
            first[c] += gain @ s
            second[c] += gain @ W @ gain.T + total * (S - gain @ S[mask])
    shift = first / N[:, np.newaxis]
    new = second / N[:, np.newaxis, np.newaxis] - shift[:, :, np.newaxis] * shift[:, np.newaxis]
    return N / N.sum(), means + shift, new + REG_COVAR * np.eye(d)


def grouped(X: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows by pattern, with what is observed of them."""
    patterns, numbers = np.unique(~np.isnan(X), axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)
    return [(mask, X[numbers == i][:, mask]) for i, mask in enumerate(patterns)]


@command(
    structures=some_of(STRUCTURES, ["full"]),
    shape=one_shape("200000x8x8"),
    iterations=iterations(1, 11),
    repeats=5,
    numpy_repeats=3,
    threads=1,
)
def main(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every structure and kind of rows."""
    clock = cpu_seconds_of if asked.threads == 1 else seconds_of
    for structure in asked.structures:
        fit = partial(em_iterations, shape=asked.shape, covariance_type=structure)
        make = {each: partial(fit, threads=asked.threads, missing=each) for each in MISSING}
        taken = iterations_in_turn(make, asked.iterations, asked.repeats, clock)
        for missing in MISSING:
            problem = Problem(asked.shape, structure, missing=missing)
            seconds, groups = taken.seconds(missing), grouped(problem.rows)
            theirs = apart = None
            if len(groups) > 1 and structure == "full":
                start = problem.arguments
                covariances = np.linalg.inv(start["precisions_init"])
                parameters = start["weights_init"], start["means_init"], covariances
                plain = partial(numpy_iteration, groups, parameters)
                found = in_turn({"NumPy": plain}, asked.numpy_repeats, clock)
                theirs = found.seconds("NumPy")
                _, means, _ = numpy_iteration(groups, found.values["NumPy"])
                apart = difference(make[missing](iterations=2)().means_, means)
            yield {
                "structure": structure,
                "missing": missing,
                "threads": asked.threads,
                "patterns": len(groups),
                "fastgmm, ms": 1e3 * seconds,
                "times complete": taken.ratio(missing, "nothing"),
                "NumPy, ms": theirs and 1e3 * theirs,
                "times faster": theirs and theirs / seconds,
                "means differ by": apart,
            }


if __name__ == "__main__":
    main()
