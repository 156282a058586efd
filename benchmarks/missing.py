"""``python -m benchmarks.missing``: iterations on rows with missing values.

One iteration on complete rows, on rows of 8 patterns of missing values, and on rows of which 10 %
of all values are missing at random; and, on the latter two, one of an EM in plain NumPy that goes
by patterns, too. All from the same parameters on one thread, in turn, in seconds of CPU time. A fit
of `last` iterations less one of `first`, divided by their difference, is the time of an iteration;
the medians over the repeats are printed, and by how much the means of both differ at the end.
"""

import argparse
import json
import statistics
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from benchmarks.fairness import restart_without_unfair_variables
from benchmarks.suite.data import make_mixture, start_parameters
from fastgmm import GaussianMixture

SHAPE = (200_000, 8, 8)
REG_COVAR = 1e-6

Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Timing:
    """Of one kind of rows; `seconds` are per iteration, NumPy's None for complete rows."""

    rows: str
    patterns: int
    seconds: float
    times_complete: float
    numpy_seconds: float | None
    speed_up: float | None
    means_relative_difference: float | None


def kinds_of_rows(n: int, d: int, k: int) -> dict[str, np.ndarray]:
    """The same rows three times: complete, with 8 patterns, and with 10 % of values missing."""
    X = make_mixture(n, d, k)
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


def our_fit(X: np.ndarray, start: dict[str, Any], iterations: int) -> GaussianMixture:
    """A fit of so many iterations on one thread."""
    model = GaussianMixture(
        len(start["weights_init"]),
        max_iter=iterations,
        tol=0,
        reg_covar=REG_COVAR,
        n_jobs=1,
        missing_values="em",
        **start,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X)


def cpu_seconds(call: Any) -> float:
    """CPU time of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def measure(
    shape: tuple[int, int, int], iterations: tuple[int, int], repeats: int, numpy_repeats: int
) -> list[Timing]:
    """Time all kinds of rows, in turn."""
    first, last = iterations
    rows = kinds_of_rows(*shape)
    start = start_parameters(rows["complete"], shape[2], "full")
    samples: dict[str, list[float]] = {name: [] for name in rows}
    for X in rows.values():
        our_fit(X, start, first)
    for _ in range(repeats):
        for name, X in rows.items():
            short, long = (
                cpu_seconds(lambda n=n, X=X: our_fit(X, start, n)) for n in (first, last)
            )
            samples[name].append((long - short) / (last - first))
    seconds = {name: statistics.median(values) for name, values in samples.items()}
    timings = []
    for name, X in rows.items():
        groups, theirs, difference = grouped(X), None, None
        if len(groups) > 1:
            begun = parameters = _parameters(start)
            theirs = statistics.median(
                cpu_seconds(lambda g=groups, p=begun: numpy_iteration(g, p))
                for _ in range(numpy_repeats)
            )
            for _ in range(2):
                parameters = numpy_iteration(groups, parameters)
            ours = our_fit(X, start, 2).means_
            difference = float(np.abs(ours / parameters[1] - 1).max())
        timings.append(
            Timing(
                name,
                len(groups),
                seconds[name],
                seconds[name] / seconds["complete"],
                theirs,
                None if theirs is None else theirs / seconds[name],
                difference,
            )
        )
    return timings


def _parameters(start: dict[str, Any]) -> Parameters:
    return start["weights_init"], start["means_init"], np.linalg.inv(start["precisions_init"])


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.missing", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--numpy-repeats", type=int, default=3)
    parser.add_argument("--iterations", type=int, nargs=2, default=(1, 11))
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE, metavar=("N", "D", "K"))
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parsed = parser.parse_args(arguments)
    restart_without_unfair_variables("benchmarks.missing")
    with threadpool_limits(1):
        iterations = tuple(parsed.iterations)
        timings = measure(tuple(parsed.shape), iterations, parsed.repeats, parsed.numpy_repeats)
    if parsed.json:
        print(json.dumps([asdict(timing) for timing in timings], indent=2))
        return
    print("| rows | patterns | fastgmm | of complete | NumPy | speed-up | means differ |")
    print("|---|---|---|---|---|---|---|")
    for t in timings:
        theirs = ["", "", ""]
        if t.numpy_seconds is not None:
            theirs = [
                f"{1e3 * t.numpy_seconds:.0f} ms",
                f"{t.speed_up:.0f}x",
                f"{t.means_relative_difference:.0e}",
            ]
        ours = f"{1e3 * t.seconds:.1f} ms | {t.times_complete:.2f}x"
        print(f"| {t.rows} | {t.patterns} | {ours} | {' | '.join(theirs)} |")


if __name__ == "__main__":
    main()
