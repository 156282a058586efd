"""EM for rows with missing values in plain NumPy: the oracle for what `missing_values="em"` does.

One row after another, by the formulas of Ghahramani and Jordan (1994): a row's density is that of
what is there, and what is not there enters the moments by its conditional mean and covariance.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp


class EStep(NamedTuple):
    """Of all rows; moments are about the means."""

    log_likelihoods: np.ndarray
    responsibilities: np.ndarray
    expected: np.ndarray
    weight: np.ndarray
    first: np.ndarray
    second: np.ndarray


def e_step(X, weights, means, matrices, sample_weight=None, *, widths=None, labels=None):
    """Densities, responsibilities, expected rows (n, k, d) and moments, for covariances (k, d, d).

    Rows that have no value count for nothing. With the widths (d,) of a box, noise has the weight
    that the components leave, and the last column of the responsibilities. A row with a label that
    is no -1 is of that component.
    """
    (n, d), k = X.shape, len(means)
    sample_weight = np.ones(n) if sample_weight is None else sample_weight
    log_densities = np.empty((n, k))
    expected, left = np.empty((n, k, d)), np.zeros((n, k, d, d))
    for i, x in enumerate(X):
        o, u = ~np.isnan(x), np.isnan(x)
        for c in range(k):
            S = matrices[c]
            gain = S[np.ix_(u, o)] @ np.linalg.inv(S[np.ix_(o, o)])
            z = x[o] - means[c][o]
            expected[i, c, o] = x[o]
            expected[i, c, u] = means[c][u] + gain @ z
            left[i, c][np.ix_(u, u)] = S[np.ix_(u, u)] - gain @ S[np.ix_(o, u)]
            distance = z @ np.linalg.inv(S[np.ix_(o, o)]) @ z
            log_det = np.linalg.slogdet(2 * np.pi * S[np.ix_(o, o)])[1]
            log_densities[i, c] = np.log(weights[c]) - 0.5 * (log_det + distance)
    if widths is not None:
        volumes = [np.prod(widths[~np.isnan(x)]) for x in X]
        log_densities = np.c_[log_densities, np.log((1.0 - np.sum(weights)) / np.array(volumes))]
    if labels is not None:
        columns = np.arange(log_densities.shape[1])
        others = (labels[:, np.newaxis] >= 0) & (labels[:, np.newaxis] != columns)
        log_densities[others] = -np.inf
    log_likelihoods = logsumexp(log_densities, axis=1)
    responsibilities = np.exp(log_densities - log_likelihoods[:, np.newaxis])
    seen = sample_weight * ~np.isnan(X).all(axis=1)
    shares = responsibilities[:, :k] * seen[:, np.newaxis]
    centred = expected - means
    second = np.einsum("nk,nki,nkj->kij", shares, centred, centred)
    second += np.einsum("nk,nkij->kij", shares, left)
    first = np.einsum("nk,nki->ki", shares, centred)
    return EStep(log_likelihoods, responsibilities, expected, shares.sum(axis=0), first, second)


def m_step(step, means, covariance_type, total=None):
    """Weights, means and covariances as matrices, for scikit-learn's structures.

    The weight of all rows has to be given if some of it is that of noise.
    """
    k, d = means.shape
    N = step.weight[:, np.newaxis, np.newaxis]
    shift = step.first / step.weight[:, np.newaxis]
    covariances = step.second / N - shift[:, :, np.newaxis] * shift[:, np.newaxis]
    if covariance_type == "tied":
        covariances = np.repeat((N * covariances).sum(axis=0, keepdims=True) / N.sum(), k, axis=0)
    elif covariance_type == "diag":
        covariances = covariances * np.eye(d)
    elif covariance_type == "spherical":
        variances = np.trace(covariances, axis1=1, axis2=2) / d
        covariances = variances[:, np.newaxis, np.newaxis] * np.eye(d)
    total = step.weight.sum() if total is None else total
    return step.weight / total, means + shift, covariances


def with_holes(n, d, seed, share=0.15, k=2, dtype=np.float64):
    """Rows of k clusters with correlated features; values missing at random, of one row all.

    Returns
    -------
    X : ndarray of shape (n, d)
    labels : ndarray of shape (n,)
    """
    random = np.random.RandomState(seed)
    labels = np.arange(n) % k
    shapes = np.eye(d) + 0.4 * random.standard_normal((k, d, d))
    X = np.einsum("nd,nde->ne", random.standard_normal((n, d)), shapes[labels])
    X += 5.0 * labels[:, np.newaxis] + 2.0
    X[random.uniform(size=(n, d)) < share] = np.nan
    X[n // 2] = np.nan
    return X.astype(dtype), labels
