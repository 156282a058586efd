"""``python -m benchmarks.missing``: Seconds of an EM iteration on rows with missing values.

One iteration on complete rows, on rows of 8 patterns of missing values, and on rows of which 10 %
of all values are missing at random; and, on the latter two and for `full`, one of an EM in plain
NumPy that goes by patterns, too. All from the same parameters, in turn; NumPy's BLAS gets as many
threads as fastgmm. On one thread CPU time is taken, on several that of the clock on the wall. A fit
of LAST iterations less one of FIRST, divided by their difference, is the time of an iteration;
printed are the medians over the repeats, those of the ratios in the same repeat, and by how much
the means of both differ at the end.
"""

import argparse
from collections.abc import Iterator
from functools import partial

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from benchmarks import command
from benchmarks.command import Command, Record
from benchmarks.suite.calls import OURS, mixture
from benchmarks.suite.clock import CPU, WALL, Call, in_turn, iterations_in_turn, seconds_of
from benchmarks.suite.problems import STRUCTURES, Problem

REG_COVAR = 1e-6
Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]


def kinds_of_rows(X: np.ndarray) -> dict[str, np.ndarray]:
    """The same rows three times: complete, with 8 patterns, and with 10 % of values missing."""
    n, d = X.shape
    random = np.random.default_rng(1)
    patterns = np.zeros((8, d), dtype=bool)
    for i in range(1, 8):  # up to three values are missing, of no two alike
        patterns[i, (np.arange(1 + (i - 1) % 3) + i) % d] = True
    few, many = X.copy(), X.copy()
    few[patterns[random.integers(8, size=n)]] = np.nan
    many[random.uniform(size=(n, d)) < 0.1] = np.nan
    return {
        "complete": X,
        "8 patterns": few,
        "10 % missing": many[~np.isnan(many).all(axis=1)],
    }


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


def measure(asked: argparse.Namespace) -> Iterator[Record]:
    """A record for every structure and kind of rows."""
    seconds_of_call = partial(seconds_of, clock=CPU if asked.threads == 1 else WALL)
    for structure in asked.structures:
        problem = Problem(asked.shape, structure)
        rows, start = kinds_of_rows(problem.rows), problem.arguments

        def make(name: str, iterations: int, rows=rows, start=start) -> Call:
            model = mixture(
                OURS,
                asked.threads,
                max_iter=iterations,
                reg_covar=REG_COVAR,
                missing_values="em",
                **start,
            )
            return partial(model.fit, rows[name])

        makers = {name: partial(make, name) for name in rows}
        taken = iterations_in_turn(makers, asked.iterations, asked.repeats, seconds_of_call)
        for name, X in rows.items():
            seconds, groups = taken.seconds(name), grouped(X)
            theirs = difference = None
            if len(groups) > 1 and structure == "full":
                begun = (
                    start["weights_init"],
                    start["means_init"],
                    np.linalg.inv(start["precisions_init"]),
                )
                call = partial(numpy_iteration, groups, begun)
                plain = in_turn({"numpy": call}, asked.numpy_repeats, seconds_of_call)
                theirs = plain.seconds("numpy")
                _, means, _ = numpy_iteration(groups, plain.values["numpy"])
                difference = command.difference(make(name, 2)().means_, means)
            yield {
                "structure": structure,
                "rows": name,
                "threads": asked.threads,
                "patterns": len(groups),
                "fastgmm, ms": 1e3 * seconds,
                "times complete": taken.ratio(name, "complete"),
                "NumPy, ms": theirs and 1e3 * theirs,
                "times faster": theirs and theirs / seconds,
                "means differ by": difference,
            }


main = Command(
    "missing",
    __doc__,
    measure,
    {
        "--structures": command.some_of(STRUCTURES, ["full"]),
        "--shape": {"type": command.shape, "default": "200000x8x8", "metavar": "N,D,K"},
        "--iterations": command.iterations(1, 11),
        "--repeats": command.whole(5),
        "--numpy-repeats": command.whole(3),
        "--threads": command.whole(1),
    },
)

if __name__ == "__main__":
    main()
