"""Sufficient statistics of many data sets at once are those of each, stacked."""

import numpy as np
import pytest

from fastgmm.covariance import STRUCTURES
from fastgmm.passes.cells import distance_spreads
from fastgmm.passes.many import ManyPass
from fastgmm.statistics import MomentForm, SufficientStatistics
from tests import mixtures, structures

SETS, K, D = 3, 2, 4

every_structure = pytest.mark.parametrize("covariance_type", structures.OF_SHAPES)


def _of_sets(operands):
    """Operands of several data sets, with an axis in front."""
    parts = zip(*operands, strict=True)
    return type(operands[0])(*(None if part[0] is None else np.stack(part) for part in parts))


def of_many(covariance_type):
    """Statistics of many data sets, and a list of those of each."""
    structure, random = STRUCTURES[covariance_type], np.random.RandomState(0)
    rows = [mixtures.random_rows(n, D, random) for n in (30, 50, 70)]
    parameters = [mixtures.random_parameters(covariance_type, K, D, random) for _ in rows]
    operands = [structure.operands(p) for p in parameters]
    stacked = _of_sets(operands)
    offsets = np.cumsum([0, *map(len, rows)])
    many = ManyPass(np.concatenate(rows), offsets, structure.forms).statistics(stacked)
    single = [
        ManyPass(X, np.array([0, len(X)]), structure.forms).statistics(_of_sets([o]))
        for X, o in zip(rows, operands, strict=True)
    ]
    return many, single


def assert_stacked(many, single):
    for name in ("log_likelihood", "total_weight", "n_rows", "weight", "first", "reference"):
        expected = np.concatenate([getattr(s, name) for s in single])
        np.testing.assert_array_equal(getattr(many, name), expected)


@every_structure
def test_every_property_and_method(covariance_type):
    many, single = of_many(covariance_type)
    assert_stacked(many, single)
    assert many.n_rows.tolist() == [30, 50, 70]
    assert "3 data sets, 150 rows" in repr(many)
    assert_stacked(many.scaled(10.0), [s.scaled(10.0) for s in single])
    assert many.scaled(10.0).n_rows.tolist() == [30, 50, 70]
    factors = np.array([1.0, 2.0, 4.0])
    each = [s.scaled(f) for s, f in zip(single, factors, strict=True)]
    assert_stacked(many.scaled(factors), each)
    np.testing.assert_allclose(many.pooled().weight, [s.pooled().weight[0] for s in single])
    np.testing.assert_allclose(many.pooled().reference, [s.pooled().reference[0] for s in single])
    elsewhere = SufficientStatistics.zero(many.form, many.reference + 1.0)
    moved = many.about(elsewhere)
    alone = [s.about(SufficientStatistics.zero(s.form, s.reference + 1.0)) for s in single]
    assert_stacked(moved, alone)
    both = many + many
    np.testing.assert_array_equal(both.weight, 2 * many.weight)


@every_structure
def test_spreads_of_many_mixtures(covariance_type):
    structure, random = STRUCTURES[covariance_type], np.random.RandomState(0)
    parameters = [mixtures.random_parameters(covariance_type, K, D, random) for _ in range(SETS)]
    operands = [structure.operands(p) for p in parameters]
    stacked = _of_sets(operands)
    units = np.arange(1.0, D + 1)
    found = distance_spreads(stacked, structure.forms, units)
    assert found.shape == (SETS, K)
    for i, own in enumerate(operands):
        np.testing.assert_array_equal(found[i], distance_spreads(own, structure.forms, units))


@pytest.mark.parametrize("d", [1, 3, 4, 6, 513, 515, 516])
@pytest.mark.parametrize("sets", [1, 2])
def test_outer_moments_come_back_whatever_the_number_of_features(sets, d):
    random = np.random.RandomState(0)
    first, second = random.standard_normal((sets, 2, d)), random.standard_normal((sets, 2, d, d))
    second += second.swapaxes(-1, -2)
    record = SufficientStatistics.from_moments(
        MomentForm.OUTER,
        np.zeros_like(first),
        log_likelihood=np.zeros(sets),
        total_weight=np.ones(sets),
        n_rows=np.ones(sets),
        weight=random.uniform(size=(sets, 2)),
        first=first,
        second=second,
    )
    np.testing.assert_array_equal(record.first, first)
    np.testing.assert_array_equal(record.second, second)
    assert not np.shares_memory(record.second, record.sums)
