"""What follows of missing features, and the sums that are expanded to them, against plain NumPy."""

from itertools import combinations

import numpy as np
import pytest

from fastgmm.kernels.regression import conditional_matrices, expansion
from fastgmm.statistics import MomentForm, SufficientStatistics

K = 3


def choices(d, p):
    """All patterns that observe p of d features, and what they miss."""
    chosen = list(combinations(range(d), p))
    known = np.array(chosen, dtype=np.int64).reshape(len(chosen), p)
    others = [np.setdiff1d(np.arange(d), some) for some in chosen]
    return known, np.array(others, dtype=np.int64).reshape(len(chosen), d - p)


def matrices(d, seed=0):
    roots = np.random.default_rng(seed).standard_normal((K, d, 2 * d))
    return roots @ roots.swapaxes(1, 2)


def conditioned(precisions, known, others):
    (m, p), q = known.shape, others.shape[1]
    gains, covariances = np.empty((m, K, q, p)), np.empty((m, K, q, q))
    conditional_matrices()(precisions, known, others, gains, covariances)
    return gains, covariances


@pytest.mark.parametrize(("d", "p"), [(1, 1), (1, 0), (3, 0), (5, 1), (5, 4), (6, 3), (9, 9)])
def test_conditionals_of_precisions_are_those_of_covariances(d, p):
    covariances = matrices(d)
    known, others = choices(d, p)
    gains, left = conditioned(np.linalg.inv(covariances), known, others)
    for i, (o, u) in enumerate(zip(known, others, strict=True)):
        for c, S in enumerate(covariances):
            gain = S[np.ix_(u, o)] @ np.linalg.inv(S[np.ix_(o, o)])
            np.testing.assert_allclose(gains[i, c], gain, rtol=1e-9, atol=1e-11)
            rest = S[np.ix_(u, u)] - gain @ S[np.ix_(o, u)]
            np.testing.assert_allclose(left[i, c], rest, rtol=1e-9, atol=1e-11)


def test_a_precision_that_is_not_definite_leaves_nothing():
    precisions = np.stack([np.eye(3), np.diag([1.0, 0.0, 1.0]), np.full((3, 3), np.nan)])
    gains, left = conditioned(precisions, *choices(3, 2))
    assert np.isfinite(left[:, 0]).all()
    assert np.isnan(left[1, 1]).all()  # that feature is the one that is missing
    assert np.isnan(left[:, 2]).all()
    assert np.isnan(gains[:, 2]).all()


@pytest.mark.parametrize(("d", "p"), [(1, 1), (3, 1), (5, 4), (6, 3), (9, 7), (4, 4)])
def test_sums_are_those_of_expected_rows(d, p):
    random = np.random.default_rng(1)
    covariances = matrices(d)
    means, reference = random.standard_normal((2, K, d))
    known, others = choices(d, p)
    gains, left = conditioned(np.linalg.inv(covariances), known, others)
    records, weight, first, second = [], 0.0, 0.0, 0.0
    for i, (o, u) in enumerate(zip(known, others, strict=True)):
        X, shares = random.standard_normal((20, p)), random.uniform(size=(20, K))
        shares[:, 2] = 0.0 if i == 0 else shares[:, 2]
        observed = X[:, np.newaxis] - reference[:, o]
        own = np.einsum("nk,nka,nkb->kab", shares, observed, observed)
        records.append(
            SufficientStatistics.from_moments(
                MomentForm.OUTER,
                reference[:, o],
                log_likelihood=float(i),
                total_weight=20.0,
                n_rows=20,
                weight=shares.sum(axis=0),
                first=np.einsum("nk,nka->ka", shares, observed),
                second=own,
            ).sums
        )
        rows = np.empty((20, K, d))
        rows[..., o] = observed
        expected = np.einsum("kup,nkp->nku", gains[i], X[:, np.newaxis] - means[:, o])
        rows[..., u] = expected + means[:, u] - reference[:, u]
        weight = weight + shares.sum(axis=0)
        first = first + np.einsum("nk,nka->ka", shares, rows)
        second = second + np.einsum("nk,nka,nkb->kab", shares, rows, rows)
        spread = np.zeros((K, d, d))
        spread[:, u[:, np.newaxis], u] = left[i]
        second += shares.sum(axis=0)[:, np.newaxis, np.newaxis] * spread
    total = np.zeros(MomentForm.OUTER.n_sums(K, d))
    expansion()(np.stack(records), known, others, gains, left, means, reference, total)
    found = SufficientStatistics(MomentForm.OUTER, reference, total)
    m = len(known)
    assert (found.log_likelihood, found.n_rows) == (m * (m - 1) / 2, 20 * m)
    np.testing.assert_allclose(found.weight, weight, rtol=1e-12)
    np.testing.assert_allclose(found.first, first, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.second, second, rtol=1e-9, atol=1e-9)
