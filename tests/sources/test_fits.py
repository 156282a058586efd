"""The same rows give the same bits, whatever they are read from and on however many threads."""

from functools import cache, partial

import numpy as np
import pytest

from fastgmm.covariance import STRUCTURES
from fastgmm.engines.threads import ThreadEngine
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.families.variational_bayes import Priors, VariationalBayes
from fastgmm.families.weight_posteriors import WEIGHT_POSTERIORS
from fastgmm.passes.kernel_operands import kernels_for
from fastgmm.passes.predictions import predict_rows
from fastgmm.sources.array import array_source
from fastgmm.starts import make_starts
from tests.fits import Fit
from tests.sources.kinds import SOURCES

K = 3


def make_rows(dtype):
    random = np.random.RandomState(3)
    X = random.standard_normal((9000, 4)) + 4 * random.randint(0, K, (9000, 1))
    return X.astype(dtype), random.randint(1, 9, 9000) / 4


def make_family(kind, fit):
    """Families by name; the priors are far from the data, and matter."""
    structure = fit.structure
    if kind == "maximum likelihood":
        return MaximumLikelihood(structure, GivenParameters())
    covariance = structure.of_one(fit.pooled.covariances)
    priors = Priors(WEIGHT_POSTERIORS[kind], 0.1, 2.0, np.ones(4), 5.0, covariance)
    return VariationalBayes(structure, priors, fit.rows.weight_scale)


def fit_and_predict(source, X, weights, structure, kind, n_threads):
    """Everything that a fit and predictions come to, from a start at single rows of X."""
    structure, engine = STRUCTURES[structure], ThreadEngine(n_threads)
    family = partial(make_family, kind)
    fit = Fit(source, structure, K, tol=1e-4, max_iter=20, n_threads=n_threads, family=family)
    random_state = np.random.RandomState(0)
    starts = make_starts(X, K, "random_from_data", random_state, weights, engine)
    result = fit.run(fit.first_parameters(starts, 2))
    parameters = result.parameters
    choice = kernels_for(structure.operands(parameters), structure.forms, source.dtype)
    predicted = [
        predict_rows(source, choice, engine, output)
        for output in ("labels", "responsibilities", "log_likelihoods")
    ]
    return [
        np.array(result.lower_bounds),
        parameters.weights,
        parameters.means,
        parameters.covariances,
        *predicted,
    ]


@cache
def of_an_array(structure, kind, weighted):
    """Rows, their weights, and what a fit to them in memory comes to."""
    X, weights = make_rows(np.float64 if weighted else np.float32)
    weights = weights if weighted else None
    source = array_source(X, weights)
    return X, weights, fit_and_predict(source, X, weights, structure, kind, 1)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("structure", "kind", "weighted"),
    [("full", "maximum likelihood", False), ("tied", "dirichlet_process", True)],
)
def test_same_bits(tmp_path, monkeypatch, name, structure, kind, weighted):
    # Many chunks, and blocks that do not fit in them.
    monkeypatch.setattr("fastgmm.sources.base._LEAST_WORK", 1 << 16)
    monkeypatch.setattr("fastgmm.sources.blocks._LARGEST_BLOCK_BYTES", 1 << 14)
    X, weights, expected = of_an_array(structure, kind, weighted)
    source = SOURCES[name](tmp_path, X, weights)
    for n_threads in (1, 3):
        found = fit_and_predict(source, X, weights, structure, kind, n_threads)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)
