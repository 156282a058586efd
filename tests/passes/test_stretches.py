"""Chunks of rows at hand that one call of a kernel works on have the bits of calls for each."""

import numpy as np
import pytest

from fastgmm.covariance import STRUCTURES
from fastgmm.engines.threads import ThreadEngine
from fastgmm.passes.dense import DensePass
from fastgmm.passes.kernel_operands import kernels_for
from fastgmm.passes.predictions import classified_log_likelihood, mean_log_likelihood
from fastgmm.sources.array import array_source
from fastgmm.starts import GivenResponsibilities, LabelledRows
from tests import mixtures
from tests.structures import OF_FORMS

N, D, K = 30_000, 8, 12


def passes(structure, dtype=np.float64, weighted=False, n_threads=1, heard=None):
    """The same rows twice: in stretches of chunks, and chunk by chunk."""
    random = np.random.RandomState(0)
    X = mixtures.random_rows(N, D, random, dtype)
    weights = random.uniform(0.5, 1.5, N) if weighted else None
    for is_at_hand in (True, False):
        source = array_source(X, weights)
        source.reader.is_at_hand &= is_at_hand
        assert source.is_at_hand == is_at_hand
        if heard is not None:
            source.on_read = heard[is_at_hand].append
        yield DensePass(source, structure.forms, ThreadEngine(n_threads), K)


def check(made):
    found, expected = made
    assert found.reference.tobytes() == expected.reference.tobytes()
    assert found.sums.tobytes() == expected.sums.tobytes()


@pytest.mark.parametrize("careful", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", OF_FORMS)
def test_e_steps(name, weighted, dtype, careful):
    structure = STRUCTURES[name]
    parameters = mixtures.random_parameters(name, K, D, np.random.RandomState(1))
    operands = structure.operands(parameters)
    made = passes(structure, dtype, weighted)
    check([rows.statistics(operands, careful=careful) for rows in made])


@pytest.mark.parametrize("name", OF_FORMS)
def test_given_shares(name):
    random = np.random.RandomState(2)
    about = random.standard_normal((K, D))
    labels = LabelledRows(random.randint(K, size=N), K)
    shares = GivenResponsibilities(random.dirichlet(np.ones(K), size=N))
    for given in (labels, shares):
        check([rows.given(given, about) for rows in passes(STRUCTURES[name], weighted=True)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_centre_and_scatter(weighted, dtype):
    together, apart = passes(STRUCTURES["tied"], dtype, weighted)
    assert together.centre().tobytes() == apart.centre().tobytes()
    check([rows.scatter(apart.centre() + 1) for rows in (together, apart)])


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_rows_are_read_in_stretches(n_threads):
    heard = {True: [], False: []}
    structure = STRUCTURES["full"]
    parameters = mixtures.random_parameters("full", K, D, np.random.RandomState(1))
    operands = structure.operands(parameters)
    check(
        [
            rows.statistics(operands)
            for rows in passes(structure, np.float64, False, n_threads, heard)
        ]
    )
    together, apart = heard[True], heard[False]
    assert sum(together) == sum(apart) == N
    assert len(together) < len(apart)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_likelihoods_with_classes(weighted, dtype):
    structure = STRUCTURES["diag"]
    parameters = mixtures.random_parameters("diag", K, D, np.random.RandomState(1))
    choice = kernels_for(structure.operands(parameters), structure.forms, np.dtype(dtype))
    together, apart = (rows._source for rows in passes(structure, dtype, weighted))
    found = classified_log_likelihood(together, choice, ThreadEngine(1))
    assert found == classified_log_likelihood(apart, choice, ThreadEngine(1))
    assert found[0] == mean_log_likelihood(apart, choice, ThreadEngine(1))
