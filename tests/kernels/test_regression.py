"""What follows of missing features, and the sums that are expanded to them, against plain NumPy."""

from itertools import combinations

import numpy as np
import pytest

from fastgmm.covariance.estimates import scatter_within
from fastgmm.covariance.linalg import log_diagonals, upper_precision_factors
from fastgmm.kernels.layout import HEADER
from fastgmm.kernels.linalg.marginals import marginal_factors
from fastgmm.kernels.regression import (
    conditional_matrices,
    expansion,
    pooled_expansion,
    separate_expansion,
)
from fastgmm.passes.dense import with_own_scatter
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


def drawn(random, about, i):
    """20 rows of pattern i, shares of the components in them, and moments about points (K, p)."""
    X, shares = random.standard_normal((20, about.shape[1])), random.uniform(size=(20, K))
    shares[:, 2] = 0.0 if i == 0 else shares[:, 2]
    observed = X[:, np.newaxis] - about
    moments = {
        "log_likelihood": float(i),
        "total_weight": 20.0,
        "n_rows": 20,
        "weight": shares.sum(axis=0),
        "first": np.einsum("nk,nka->ka", shares, observed),
    }
    second = np.einsum("nk,nka,nkb->kab", shares, observed, observed)
    return X, shares, moments, second


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
        X, shares, moments, own = drawn(random, reference[:, o], i)
        record = SufficientStatistics.from_moments(
            MomentForm.OUTER, reference[:, o], second=own, **moments
        )
        records.append(record.sums)
        rows = np.empty((20, K, d))
        rows[..., o] = X[:, np.newaxis] - reference[:, o]
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


@pytest.mark.parametrize(("d", "p"), [(1, 1), (3, 1), (5, 4), (6, 3), (9, 7), (4, 4)])
def test_pooled_sums_are_those_of_each_component(d, p):
    """Of components that share a covariance; the origin of the pooled ones is of no account."""
    random = np.random.default_rng(2)
    shared = np.repeat(matrices(d)[:1], K, axis=0)
    means, reference = random.standard_normal((2, K, d))
    origin = random.standard_normal(d)
    known, others = choices(d, p)
    gains, left = conditioned(np.linalg.inv(shared), known, others)
    records, pooled_records = [], []
    for i, o in enumerate(known):
        _, _, moments, second = drawn(random, reference[:, o], i)
        of_each = SufficientStatistics.from_moments(
            MomentForm.OUTER, reference[:, o], second=second, **moments
        )
        own = SufficientStatistics.from_moments(MomentForm.NONE, reference[:, o], **moments)
        everywhere = np.repeat(origin[np.newaxis, o], K, axis=0)
        moved = of_each.about(SufficientStatistics.zero(MomentForm.OUTER, everywhere))
        block = moved.sums[HEADER:].reshape(K, -1).sum(axis=0)
        records.append(of_each.sums)
        pooled_records.append(np.concatenate([own.sums, block]))
    total = np.zeros(MomentForm.OUTER.n_sums(K, d))
    expansion()(np.stack(records), known, others, gains, left, means, reference, total)
    of_each = SufficientStatistics(MomentForm.OUTER, reference, total)
    pooled = np.zeros(MomentForm.POOLED.n_sums(K, d))
    given = gains[:, :1].copy(), left[:, :1].copy(), means, reference, origin
    pooled_expansion()(np.stack(pooled_records), known, others, *given, pooled)
    found = with_own_scatter(SufficientStatistics(MomentForm.POOLED, reference, pooled), origin)
    np.testing.assert_allclose(found.sums[:HEADER], of_each.sums[:HEADER], rtol=1e-12)
    np.testing.assert_allclose(found.weight, of_each.weight, rtol=1e-12)
    np.testing.assert_allclose(found.first, of_each.first, rtol=1e-9, atol=1e-9)
    within = scatter_within(found, np.zeros_like(reference))
    np.testing.assert_allclose(within, of_each.second.sum(axis=0), rtol=1e-9, atol=1e-9)
    # The scatter is a whole record, as of one component.
    whole = of_each.about(SufficientStatistics.zero(MomentForm.OUTER, np.tile(origin, (K, 1))))
    np.testing.assert_allclose(found.scatter.first[0], whole.first.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.scatter.weight, whole.weight.sum(), rtol=1e-12)


@pytest.mark.parametrize(("d", "p"), [(1, 1), (3, 1), (5, 4), (6, 3), (4, 4)])
def test_separate_sums_are_the_diagonals_of_those_of_diagonal_matrices(d, p):
    random = np.random.default_rng(3)
    variances = random.uniform(0.5, 2.0, (K, d))
    means, reference = random.standard_normal((2, K, d))
    known, others = choices(d, p)
    gains, left = conditioned(np.eye(d) / variances[:, np.newaxis], known, others)
    outer, separate = [], []
    for i, o in enumerate(known):
        _, _, moments, second = drawn(random, reference[:, o], i)
        forms = {
            MomentForm.OUTER: second,
            MomentForm.DIAGONAL: np.diagonal(second, axis1=-2, axis2=-1),
        }
        for (form, moment), records in zip(forms.items(), (outer, separate), strict=True):
            record = SufficientStatistics.from_moments(
                form, reference[:, o], second=moment, **moments
            )
            records.append(record.sums)
    total = np.zeros(MomentForm.OUTER.n_sums(K, d))
    expansion()(np.stack(outer), known, others, gains, left, means, reference, total)
    expected = SufficientStatistics(MomentForm.OUTER, reference, total)
    total = np.zeros(MomentForm.DIAGONAL.n_sums(K, d))
    chosen = np.ascontiguousarray(variances[:, others].swapaxes(0, 1))
    separate_expansion()(np.stack(separate), known, others, chosen, means, reference, total)
    found = SufficientStatistics(MomentForm.DIAGONAL, reference, total)
    np.testing.assert_allclose(found.sums[:HEADER], expected.sums[:HEADER], rtol=1e-12)
    np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-12)
    np.testing.assert_allclose(found.first, expected.first, rtol=1e-9, atol=1e-12)
    diagonal = np.diagonal(expected.second, axis1=-2, axis2=-1)
    np.testing.assert_allclose(found.second, diagonal, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("own", [1, K])
@pytest.mark.parametrize(("d", "p"), [(1, 1), (4, 2), (6, 5), (9, 3)])
def test_marginal_factors_are_those_of_blocks_one_by_one(own, d, p):
    covariances, (known, _) = matrices(d)[:own], choices(d, p)
    m = len(known)
    covariances[0, 0, 0] = np.inf if own > 1 else covariances[0, 0, 0]
    means = np.random.default_rng(4).standard_normal((m, K, p))
    factors, log_determinants = np.empty((m, own, p, p)), np.empty((m, own))
    projected = np.empty_like(means)
    marginal_factors()(covariances, known, means, factors, log_determinants, projected)
    for i, o in enumerate(known):
        blocks = covariances[:, o[:, np.newaxis], o]
        expected = upper_precision_factors(blocks)
        np.testing.assert_allclose(factors[i], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(log_determinants[i], log_diagonals(expected), atol=1e-11)
        white = np.einsum("kj,kji->ki", means[i], np.broadcast_to(expected, (K, p, p)))
        np.testing.assert_allclose(projected[i], white, rtol=1e-9, atol=1e-11)
