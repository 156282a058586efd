"""Densities against 50 digits: ill-conditioned, far from zero, tiny weights, d = 1, k = 1."""

import numpy as np
import pytest

from fastgmm import GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.parameters import MixtureParameters
from fastgmm.passes.chunks import chunk_predictions
from tests import goldens, mixtures, structures, tolerances

CASES = goldens.density_cases()

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.name}-{c.covariance_type}")


def assert_golden(case, log_densities, log_likelihoods, responsibilities):
    """Within the bounds of a forward error analysis."""
    bound = tolerances.log_density_error(
        case.X, case.means, case.precisions_cholesky, case.covariance_type
    )
    largest = bound.max(axis=1)
    log_weight = tolerances.log_weight_error(case.weights)
    if log_densities is not None:
        assert np.all(np.abs(log_densities - case.log_densities) <= bound)
    assert np.all(np.abs(log_likelihoods - case.log_likelihood) <= largest + log_weight)
    assert np.all(
        np.abs(responsibilities - case.responsibilities)
        <= (2 * largest[:, np.newaxis] + log_weight) * np.abs(case.responsibilities)
        + tolerances.NEGLIGIBLE_RESPONSIBILITY
    )


@every_case
def test_prediction_pass(case):
    structure = STRUCTURES[case.covariance_type]
    chunk, (n, k) = mixtures.as_chunk(case.X), case.log_densities.shape

    def predict(output, weights, *shape):
        parameters = MixtureParameters(weights, case.means, None, case.precisions_cholesky)
        out = np.empty(shape)
        operands = mixtures.operands_of(structure, parameters, np.float64)
        chunk_predictions(chunk, structure.forms, operands, output, out)
        return out

    assert_golden(
        case,
        predict("log_densities", np.ones(k), n, k),
        predict("log_likelihoods", case.weights, n),
        predict("responsibilities", case.weights, n, k),
    )


@every_case
def test_estimator_with_attributes_set_by_hand(case):
    model = GaussianMixture(len(case.weights), covariance_type=case.covariance_type)
    model.weights_, model.means_ = case.weights, case.means
    model.precisions_cholesky_ = case.precisions_cholesky
    log_densities = model._estimate_log_prob(case.X)
    assert_golden(case, log_densities, model.score_samples(case.X), model.predict_proba(case.X))
    likely = case.log_densities + np.log(case.weights.astype(np.longdouble))
    chosen = np.take_along_axis(likely, model.predict(case.X)[:, np.newaxis], axis=1)[:, 0]
    error = tolerances.log_density_error(
        case.X, case.means, case.precisions_cholesky, case.covariance_type
    ).max(axis=1)
    assert np.all(chosen >= likely.max(axis=1) - 2 * error)


def test_the_cases_are_hard():
    """So that the tests above show something."""
    assert {case.covariance_type for case in CASES} == set(structures.SHARED)
    assert max(np.abs(case.X).max() for case in CASES) >= 1e8
    assert min(case.weights.min() for case in CASES) < 1e-100
    assert {1} <= {case.X.shape[1] for case in CASES}
    assert {1} <= {len(case.weights) for case in CASES}
