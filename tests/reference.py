"""A plain EM for Gaussian mixtures in NumPy: the oracle for every kernel.

It is written to be read, not to be fast: dense arrays of n rows by k components, one loop
over components, centred differences everywhere. The names and the model are those of
Bishop, *Pattern Recognition and Machine Learning* (2006), section 9.2.2:

====================  ==========================================================  ==========
step                  formula                                                     equation
====================  ==========================================================  ==========
E-step                r_nk = pi_k N(x_n | mu_k, S_k) / sum_j pi_j N(x_n | ...)    9.23
M-step, means         mu_k = 1/N_k sum_n r_nk x_n                                 9.24
M-step, covariances   S_k = 1/N_k sum_n r_nk (x_n - mu_k)(x_n - mu_k)^T           9.25
M-step, weights       pi_k = N_k / N, with N_k = sum_n r_nk                       9.26, 9.27
log-likelihood        sum_n log sum_k pi_k N(x_n | mu_k, S_k)                     9.28
====================  ==========================================================  ==========

The restricted covariances are those of Murphy, *Machine Learning: A Probabilistic
Perspective* (2012), section 11.4.2: ``diag`` is the diagonal of S_k, ``spherical`` the mean
of that diagonal, ``tied`` the scatter about the components' means, pooled.

What scikit-learn adds is kept: N_k is increased by ten machine epsilons, the means are
divided by that increased N_k, the weights are normalised, and ``reg_covar`` is added to the
diagonal. What scikit-learn loses is not: ``diag``, ``spherical`` and ``tied`` are computed
there as E[x^2] - mean^2, which cancels far from the origin. The expanded form also carries
a term 10 eps mean^2 / N_k, which has no meaning (it depends on where the origin is) and
which the centred form does not have.

For ``tied``, scikit-learn takes the scatter of all rows, whatever their responsibilities.
That matters in a start from single rows (``k-means++``, ``random_from_data``), where all
rows but k have responsibility zero for every component: these still add x x^T, about the
origin, while the divisor is k. This is kept too.

A row of weight w counts as w rows. Weights have no unit: multiplying all of them by a
constant changes no mean and no covariance, so the ten epsilons are ten epsilons of an
average row.

Every function takes ``dtype``: ``numpy.float64``, or ``numpy.longdouble`` for 64 bits of
mantissa where the platform has them. Factorisations are written out because LAPACK has no
long double.

Shapes by structure, as in scikit-learn: ``full`` (k, d, d), ``tied`` (d, d), ``diag``
(k, d), ``spherical`` (k,).
"""

from typing import NamedTuple

import numpy as np

N_EPS = 10 * np.finfo(np.float64).eps


class Statistics(NamedTuple):
    """Weighted sums over rows, about a reference point for each component.

    Attributes
    ----------
    reference : ndarray of shape (k, d)
    weight : ndarray of shape (k,)
        sum_n w_n r_nk.
    first : ndarray of shape (k, d)
        sum_n w_n r_nk (x_n - reference_k).
    second : ndarray of shape (k, d, d), (k, d) or (k,), or None
        sum_n w_n r_nk (x_n - reference_k)(x_n - reference_k)^T; its diagonal; or its trace.
    log_likelihood : float
        sum_n w_n log p(x_n).
    total_weight : float
    n_rows : int
    """

    reference: np.ndarray
    weight: np.ndarray
    first: np.ndarray
    second: np.ndarray | None
    log_likelihood: float
    total_weight: float
    n_rows: int


class Fit(NamedTuple):
    """What :func:`em` returns; ``history`` holds (weights, means, covariances) per iteration."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    lower_bounds: list
    n_iter: int
    converged: bool
    history: list


# --- linear algebra for any floating dtype ------------------------------------------------


def cholesky_lower(matrix):
    """Lower L with L L^T = matrix, column by column; ValueError when not positive-definite."""
    matrix = np.array(matrix)
    d = len(matrix)
    lower = np.zeros_like(matrix)
    for j in range(d):
        pivot = matrix[j, j] - lower[j, :j] @ lower[j, :j]
        if not pivot > 0:
            raise ValueError("the matrix is not positive-definite")
        lower[j, j] = np.sqrt(pivot)
        for i in range(j + 1, d):
            lower[i, j] = (matrix[i, j] - lower[i, :j] @ lower[j, :j]) / lower[j, j]
    return lower


def inverse_lower(lower):
    """Inverse of a lower triangular matrix by forward substitution."""
    d = len(lower)
    inverse = np.zeros_like(lower)
    for i in range(d):
        unit = np.zeros(d, dtype=lower.dtype)
        unit[i] = 1
        inverse[i] = (unit - lower[i, :i] @ inverse[:i]) / lower[i, i]
    return inverse


def precision_cholesky(covariances, covariance_type, dtype=np.float64):
    """Factor U of the precision, U U^T = S^-1: U = L^-T for S = L L^T, so U is upper."""
    covariances = np.asarray(covariances, dtype=dtype)
    if covariance_type == "full":
        return np.stack([inverse_lower(cholesky_lower(c)).T for c in covariances])
    if covariance_type == "tied":
        return inverse_lower(cholesky_lower(covariances)).T
    if not np.all(covariances > 0):
        raise ValueError("a variance is not positive")
    return 1 / np.sqrt(covariances)


def precision_cholesky_from_precisions(precisions, covariance_type, dtype=np.float64):
    """Upper U with U U^T = precision: the Cholesky factor of the reversed matrix, reversed."""
    precisions = np.asarray(precisions, dtype=dtype)
    if covariance_type == "full":
        return np.stack([cholesky_lower(p[::-1, ::-1])[::-1, ::-1] for p in precisions])
    if covariance_type == "tied":
        return cholesky_lower(precisions[::-1, ::-1])[::-1, ::-1]
    return np.sqrt(precisions)


# --- the E-step ---------------------------------------------------------------------------


def log_determinants(precisions_cholesky, covariance_type, n_components, n_features):
    """Log-determinant of each precision factor, (k,): the sum of the logs of its diagonal."""
    if covariance_type == "full":
        return np.array([np.log(np.diagonal(u)).sum() for u in precisions_cholesky])
    if covariance_type == "tied":
        return np.repeat(np.log(np.diagonal(precisions_cholesky)).sum(), n_components)
    if covariance_type == "diag":
        return np.log(precisions_cholesky).sum(axis=1)
    return n_features * np.log(precisions_cholesky)


def whiten(X, mean, precision_cholesky, covariance_type):
    """y = (x - mean) @ U for one component; U is (d, d), (d,) or a number. Never expanded."""
    difference = X - mean
    if covariance_type in ("full", "tied"):
        return difference @ precision_cholesky
    return difference * precision_cholesky


def log_densities(X, means, precisions_cholesky, covariance_type, dtype=np.float64):
    """log N(x_n | mu_k, S_k), shape (n, k): log|U| - (d log 2 pi + |y|^2) / 2, Bishop 2.43."""
    X = np.asarray(X, dtype=dtype)
    means = np.asarray(means, dtype=dtype)
    factors = np.asarray(precisions_cholesky, dtype=dtype)
    n_components, n_features = means.shape
    log_dets = log_determinants(factors, covariance_type, n_components, n_features)
    two_pi = 8 * np.arctan(np.ones((), dtype=dtype))
    result = np.empty((len(X), n_components), dtype=dtype)
    for k in range(n_components):
        factor = factors if covariance_type == "tied" else factors[k]
        y = whiten(X, means[k], factor, covariance_type)
        result[:, k] = log_dets[k] - (n_features * np.log(two_pi) + (y * y).sum(axis=1)) / 2
    return result


def log_sum_exp(values):
    """log sum_k exp(values[:, k]), with the row's largest value taken out."""
    largest = values.max(axis=1, keepdims=True)
    return (largest + np.log(np.exp(values - largest).sum(axis=1, keepdims=True)))[:, 0]


def responsibilities(X, weights, means, precisions_cholesky, covariance_type, dtype=np.float64):
    """r_nk (n, k) of Bishop 9.23, and log p(x_n) (n,)."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(np.asarray(weights, dtype=dtype))
    weighted = log_weights + log_densities(X, means, precisions_cholesky, covariance_type, dtype)
    log_likelihood = log_sum_exp(weighted)
    return np.exp(weighted - log_likelihood[:, np.newaxis]), log_likelihood


# --- the statistics -----------------------------------------------------------------------

MOMENT_FORMS = {"full": "outer", "tied": "none", "diag": "diagonal", "spherical": "trace"}


def sufficient_statistics(
    X, resp, reference, moment_form, sample_weight=None, log_likelihood=0.0, dtype=np.float64
):
    """The sums of :class:`Statistics`; ``moment_form`` is a value of ``MOMENT_FORMS``."""
    X = np.asarray(X, dtype=dtype)
    reference = np.asarray(reference, dtype=dtype)
    sample_weight = _weights_or_ones(sample_weight, len(X), dtype)
    weighted = np.asarray(resp, dtype=dtype) * sample_weight[:, np.newaxis]
    differences = [X - point for point in reference]
    first = np.stack([w @ diff for w, diff in zip(weighted.T, differences, strict=True)])
    outer = np.stack(
        [
            (w[:, np.newaxis] * diff).T @ diff
            for w, diff in zip(weighted.T, differences, strict=True)
        ]
    )
    diagonal = np.diagonal(outer, axis1=1, axis2=2)
    second = {
        "outer": outer,
        "diagonal": diagonal,
        "trace": diagonal.sum(axis=1),
        "none": None,
    }[moment_form]
    return Statistics(
        reference=reference,
        weight=weighted.sum(axis=0),
        first=first,
        second=second,
        log_likelihood=(sample_weight * log_likelihood).sum(),
        total_weight=sample_weight.sum(),
        n_rows=len(X),
    )


# --- the M-step ---------------------------------------------------------------------------


def maximize(X, resp, covariance_type, reg_covar, sample_weight=None, dtype=np.float64):
    """The M-step in two passes: first the means, then the moments about these means.

    Returns
    -------
    nk : ndarray of shape (k,)
        sum_n w_n r_nk + 10 eps (of an average row).
    means : ndarray of shape (k, d)
    covariances : ndarray
        With ``reg_covar`` on the diagonal.
    """
    X = np.asarray(X, dtype=dtype)
    resp = np.asarray(resp, dtype=dtype)
    sample_weight = _weights_or_ones(sample_weight, len(X), dtype)
    present = sample_weight > 0
    tiny = N_EPS * sample_weight[present].mean()

    # mean = sum w r x / nk, summed about the centre of the data: sum w r x is
    # (sum w r (x - c)) + (nk - tiny) c.
    centre = (sample_weight @ X) / sample_weight.sum()
    about_centre = sufficient_statistics(
        X, resp, np.tile(centre, (resp.shape[1], 1)), "none", sample_weight, dtype=dtype
    )
    nk = about_centre.weight + tiny
    means = centre + (about_centre.first - tiny * centre) / nk[:, np.newaxis]

    scatter = sufficient_statistics(X, resp, means, "outer", sample_weight, dtype=dtype).second
    d = X.shape[1]
    if covariance_type == "full":
        covariances = scatter / nk[:, np.newaxis, np.newaxis] + reg_covar * np.eye(d)
    elif covariance_type == "tied":
        unassigned = resp.sum(axis=1) == 0
        rest = (sample_weight[unassigned, np.newaxis] * X[unassigned]).T @ X[unassigned]
        covariances = (scatter.sum(axis=0) + rest) / nk.sum() + reg_covar * np.eye(d)
    else:
        covariances = np.diagonal(scatter, axis1=1, axis2=2) / nk[:, np.newaxis] + reg_covar
        if covariance_type == "spherical":
            covariances = covariances.mean(axis=1)
    return nk, means, covariances


def start_from_responsibilities(
    X, resp, covariance_type, reg_covar, sample_weight=None, dtype=np.float64
):
    """(weights, means, covariances) of scikit-learn's first M-step.

    Unlike in later M-steps the weights are nk over the number of rows, so they sum to
    1 + 10 k eps / n.
    """
    sample_weight = _weights_or_ones(sample_weight, len(X), dtype)
    nk, means, covariances = maximize(X, resp, covariance_type, reg_covar, sample_weight, dtype)
    return nk / sample_weight.sum(), means, covariances


# --- the loop -----------------------------------------------------------------------------


def em(
    X,
    weights,
    means,
    precisions_cholesky,
    covariance_type,
    tol=1e-3,
    max_iter=100,
    reg_covar=1e-6,
    sample_weight=None,
    dtype=np.float64,
):
    """EM with scikit-learn's stopping rule.

    Each iteration is an E-step and an M-step; its lower bound is the mean log-likelihood
    per unit of weight under the parameters *before* the M-step. The loop stops after the
    first iteration whose bound differs from the one before by less than ``tol``.
    """
    X = np.asarray(X, dtype=dtype)
    sample_weight = _weights_or_ones(sample_weight, len(X), dtype)
    weights = np.asarray(weights, dtype=dtype)
    means = np.asarray(means, dtype=dtype)
    factors = np.asarray(precisions_cholesky, dtype=dtype)
    covariances = None
    lower_bounds, history = [], []
    previous, converged = -np.inf, False
    for _ in range(max_iter):
        resp, log_likelihood = responsibilities(X, weights, means, factors, covariance_type, dtype)
        nk, means, covariances = maximize(X, resp, covariance_type, reg_covar, sample_weight, dtype)
        weights = nk / nk.sum()
        factors = precision_cholesky(covariances, covariance_type, dtype)
        lower_bounds.append((sample_weight @ log_likelihood) / sample_weight.sum())
        history.append((weights, means, covariances))
        if abs(lower_bounds[-1] - previous) < tol:
            converged = True
            break
        previous = lower_bounds[-1]
    return Fit(
        weights=weights,
        means=means,
        covariances=covariances,
        precisions_cholesky=factors,
        lower_bounds=lower_bounds,
        n_iter=len(lower_bounds),
        converged=converged,
        history=history,
    )


def _weights_or_ones(sample_weight, n_rows, dtype):
    if sample_weight is None:
        return np.ones(n_rows, dtype=dtype)
    return np.asarray(sample_weight, dtype=dtype)
