"""Scatter that is pooled over components: with noise, against outer moments of each of them."""

import numpy as np
import pytest

from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.estimates import scatter_within
from fastgmm.engines.threads import ThreadEngine
from fastgmm.parameters import Background
from fastgmm.passes import open_pass
from fastgmm.passes.cells import CellPass
from fastgmm.passes.dense import DensePass
from fastgmm.passes.many import ManyPass
from fastgmm.sources.array import array_source
from fastgmm.statistics import MomentForm
from tests import mixtures, tolerances

TIED = STRUCTURES["tied"]


def noisy(X, k, seed, means=None):
    """Operands of a mixture with noise, which has a share of every row."""
    parameters = mixtures.random_parameters("tied", k, X.shape[1], np.random.RandomState(seed))
    if means is not None:
        parameters.means[:] = means
    operands = TIED.operands(parameters)
    middle = operands.constants.mean() - 0.5 * X.shape[1]
    return operands._replace(background=Background(middle, -1.0, None))


def check(rows, operands, rtol):
    found, expected = (rows.statistics(operands, careful=careful) for careful in (False, True))
    assert (found.form, expected.form) == (MomentForm.NONE, MomentForm.OUTER)
    found_within = scatter_within(found, expected.reference - found.reference)
    within = expected.second.sum(axis=-3)
    assert expected.weight.sum() < 0.95 * np.sum(rows.n_rows)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=rtol)
    np.testing.assert_allclose(found.weight, expected.weight, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found_within, within, atol=rtol * np.abs(within).max())
    np.testing.assert_allclose(found.scatter.weight[..., 0], found.weight.sum(axis=-1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (4, 3), (5, 9), (17, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_all_rows(d, k, dtype, weighted):
    random = np.random.RandomState(d)
    X = mixtures.random_rows(700, d, random, dtype)
    weights = random.uniform(0.5, 1.5, len(X)) if weighted else None
    rows = open_pass(array_source(X, weights), TIED.forms, ThreadEngine(1), k)
    assert isinstance(rows, DensePass)
    rtol = {np.float64: 1e-11, np.float32: 10 * tolerances.CHUNKING_RTOL_FLOAT32}[dtype]
    check(rows, noisy(X, k, seed=d), rtol)


def test_rows_in_cells():
    random = np.random.RandomState(0)
    k, n = 64, 1 << 14
    means = 40.0 * np.stack(np.divmod(np.arange(k), 8), axis=1)
    X = means[np.arange(n) % k] + random.standard_normal((n, 2))
    rows = open_pass(array_source(X), TIED.forms, ThreadEngine(1), k)
    assert isinstance(rows, CellPass)
    check(rows, noisy(X, k, seed=0, means=means), 1e-9)


def test_many_data_sets():
    X = mixtures.random_rows(90, 3, np.random.RandomState(0), np.float64)
    one = noisy(X, 2, seed=1)
    several = type(one)(*(np.stack([part, part]) for part in one[:-1]))
    log_density = np.full(2, one.background.log_density)
    several = several._replace(background=Background(log_density, -1.0, None))
    check(ManyPass(X, np.array([0, 40, 90]), TIED.forms), several, 1e-11)
