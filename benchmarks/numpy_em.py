"""EM on rows with missing values in plain NumPy and LAPACK, pattern by pattern: what to beat."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from benchmarks.suite.calls import ITERATIONS
from benchmarks.suite.clock import Call
from benchmarks.suite.problems import Problem

REG_COVAR = 1e-6  # the default of fastgmm
Groups = list[tuple[np.ndarray, np.ndarray]]
"""Of every pattern a mask (d,), which features are observed, and these of all such rows (n, p)."""

Parameters = tuple[np.ndarray, np.ndarray, np.ndarray]  # weights, means and covariances


def numpy_em(*, iterations: int = ITERATIONS, threads: int | None = None, **problem: Any) -> Call:
    """Iterations on a problem; BLAS takes as many threads as the process lets it."""
    posed = Problem(**problem)
    groups, start = grouped(posed.rows), posed.arguments

    def run() -> Any:
        covariances = np.linalg.inv(start["precisions_init"])
        parameters = start["weights_init"], start["means_init"], covariances
        for _ in range(iterations):
            parameters = numpy_iteration(groups, parameters)
        return SimpleNamespace(means_=parameters[1])

    return run


def numpy_iteration(groups: Groups, parameters: Parameters) -> Parameters:
    """An iteration of EM, with what NumPy and LAPACK do best."""
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


def grouped(X: np.ndarray) -> Groups:
    """Rows by pattern, with what is observed of them."""
    patterns, numbers = np.unique(~np.isnan(X), axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)
    return [(mask, X[numbers == i][:, mask]) for i, mask in enumerate(patterns)]
