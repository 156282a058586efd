"""The pass over rows with missing values, against the oracle, for every structure."""

import numpy as np
import pytest

from fastgmm import GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.estimates import scatter_within
from fastgmm.engines.threads import ThreadEngine
from fastgmm.families import MaximumLikelihood
from fastgmm.passes import open_pass
from fastgmm.passes.missing import MissingPass
from fastgmm.passes.patterns import KnownPatterns, patterns_of
from fastgmm.sources.array import array_source
from fastgmm.sources.missing import MissingTally
from fastgmm.starts import LabelledRows
from fastgmm.statistics import MomentForm
from tests import structures, tolerances
from tests.missing.reference import e_step, with_holes


def opened(X, name, k=2, weights=None):
    source = array_source(X, weights).allowing_missing()
    tally = MissingTally.of(source)
    return open_pass(source, STRUCTURES[name].forms, ThreadEngine(1), k, tally=tally)


def matrices_of(model):
    k, d = model.means_.shape
    structure = STRUCTURES[model.covariance_type]
    factors = structure.as_matrices(model.precisions_cholesky_, k, d)
    return np.linalg.inv(factors @ factors.swapaxes(1, 2))


def in_form(form, second):
    if form is MomentForm.OUTER:
        return second
    if form is MomentForm.NONE:
        return second.sum(axis=0)
    diagonal = np.diagonal(second, axis1=-2, axis2=-1)
    return diagonal.sum(axis=-1) if form is MomentForm.TRACE else diagonal


def second_of(statistics):
    """Second moments about the reference, in `in_form`."""
    if statistics.form is MomentForm.NONE:
        return scatter_within(statistics, np.zeros_like(statistics.reference))
    return statistics.second


@pytest.fixture(scope="module")
def rows():
    X, labels = with_holes(90, 4, seed=0)
    seen = ~np.isnan(X).all(axis=1)
    return X[seen], labels[seen]


@pytest.fixture(params=structures.ALL)
def model(request, rows):
    X = np.where(np.isnan(rows[0]), np.nanmean(rows[0], axis=0), rows[0])
    return GaussianMixture(2, covariance_type=request.param, max_iter=0, random_state=0).fit(X)


def one_value_each(X, labels):
    alone = np.arange(X.shape[1]) == np.arange(len(X))[:, np.newaxis] % X.shape[1]
    return np.where(alone, np.nan_to_num(X, nan=1.0), np.nan)


def a_constant_feature(X, labels):
    X = X.copy()
    X[~np.isnan(X[:, 1]), 1] = 3.0
    return X


def a_feature_of_one_cluster(X, labels):
    X = X.copy()
    X[labels == 1, 2] = np.nan
    return X[~np.isnan(X).all(axis=1)]


def as_they_are(X, labels):
    return X


KINDS = (as_they_are, one_value_each, a_constant_feature, a_feature_of_one_cluster)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_statistics_are_those_of_the_oracle(model, rows, kind, monkeypatch):
    X = kind(*rows)
    weights = np.random.RandomState(1).uniform(0.5, 2.0, len(X))
    operands = model._structure.operands(MaximumLikelihood.parameters_of(model))
    expected = e_step(X, model.weights_, model.means_, matrices_of(model), weights)
    point = model.means_ + np.array([[3.0], [-2.0]])
    shift = (model.means_ - point)[:, :, np.newaxis]
    first = expected.first[:, :, np.newaxis]
    cross = first @ shift.swapaxes(1, 2)
    moved = expected.second + cross + cross.swapaxes(1, 2)
    moved += expected.weight[:, np.newaxis, np.newaxis] * shift @ shift.swapaxes(1, 2)
    for most in (1 << 20, 0):  # patterns together, and chunk by chunk
        monkeypatch.setattr("fastgmm.passes.missing._MOST_SUMS", most)
        source = opened(X, model.covariance_type, weights=weights)
        assert isinstance(source, MissingPass)
        scale = source.weight_scale
        for about, careful in ((None, False), (None, True), (point, True)):
            found = source.statistics(operands, about=about, careful=careful).scaled(scale)
            second = expected.second if about is None else moved
            total = weights @ expected.log_likelihoods
            assert found.log_likelihood == pytest.approx(total, rel=1e-12)
            assert (found.n_rows, found.total_weight) == (len(X), pytest.approx(weights.sum()))
            np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-11)
            size = np.abs(second).max()
            about_mean = found.first - found.weight[:, np.newaxis] * (
                0 if about is None else model.means_ - about
            )
            np.testing.assert_allclose(about_mean, expected.first, atol=1e-11 * size)
            at = in_form(found.form, second)
            np.testing.assert_allclose(second_of(found), at, atol=1e-11 * size)


def test_float32_rows(model, rows):
    X = rows[0].astype(np.float32)
    operands = model._structure.operands(MaximumLikelihood.parameters_of(model))
    found = opened(X, model.covariance_type).statistics(operands)
    expected = e_step(X, model.weights_, model.means_, matrices_of(model))
    rtol = tolerances.CHUNKING_RTOL_FLOAT32
    assert found.log_likelihood == pytest.approx(expected.log_likelihoods.sum(), rel=rtol)
    at = in_form(found.form, expected.second)
    np.testing.assert_allclose(second_of(found), at, atol=10 * rtol * np.abs(at).max())


@pytest.mark.parametrize("d", [3, 16, 17, 48, 49, 130])
def test_patterns_of_any_number_of_features(d):
    random = np.random.RandomState(d)
    rows = np.where(random.uniform(size=(300, d)) < 0.02, np.nan, 1.0)
    patterns, numbers = patterns_of(rows)
    np.testing.assert_array_equal(patterns[numbers], ~np.isnan(rows))
    assert len(patterns) == len(np.unique(np.isnan(rows), axis=0))
    assert (np.diff(patterns.sum(axis=1)) >= 0).all()
    known = KnownPatterns(patterns[1:])
    np.testing.assert_array_equal(known.numbers(rows), numbers - 1)


def test_rows_that_change_are_noticed(rows):
    X = rows[0].copy()
    source = opened(X, "full")
    X[:, 0], X[:, 1:] = 1.0, np.nan
    operands = STRUCTURES["full"].operands(
        MaximumLikelihood.parameters_of(GaussianMixture(2).fit(np.nan_to_num(rows[0])))
    )
    with pytest.raises(ValueError, match="has changed since it was opened"):
        source.statistics(operands)


def test_given_labels_take_what_is_missing_to_vary_as_its_feature_does(rows):
    X, labels = rows[0], np.arange(len(rows[0])) % 2
    about, variances = np.nanmean(X, axis=0), np.nanvar(X, axis=0)
    found = opened(X, "diag").given(LabelledRows(labels, 2), np.stack([about, about]))
    for c in (0, 1):
        of_c, missing = X[labels == c], np.isnan(X[labels == c])
        squares = np.nansum((of_c - about) ** 2, axis=0) + missing.sum(axis=0) * variances
        np.testing.assert_allclose(found.second[c], squares)
    everything = opened(X, "full").scatter(about)
    np.testing.assert_allclose(np.diagonal(everything.second[0]), len(X) * variances)
