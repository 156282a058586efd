"""The oracle itself: against 50 digits, against SciPy, and against scikit-learn."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from tests import datasets, goldens, reference, tolerances

STRUCTURES = list(reference.MOMENT_FORMS)
DENSITY_CASES = goldens.density_cases()
EM_CASES = goldens.em_cases()


def case_id(case):
    return f"{case.name}-{case.covariance_type}"


@pytest.mark.parametrize("case", DENSITY_CASES, ids=case_id)
def test_densities_have_the_digits_of_the_goldens(case):
    mixture = (case.means, case.precisions_cholesky, case.covariance_type)
    bound = tolerances.log_density_error(case.X, *mixture)
    actual = reference.log_densities(case.X, *mixture)
    assert np.all(np.abs(actual - case.log_densities) <= bound)

    resp, log_likelihood = reference.responsibilities(case.X, case.weights, *mixture)
    largest = bound.max(axis=1)
    # The log weights are of size 690 at most, and good to a rounding.
    assert np.all(np.abs(log_likelihood - case.log_likelihood) <= largest + 1e-12)
    np.testing.assert_array_less(
        np.abs(resp - case.responsibilities),
        (2 * largest[:, np.newaxis] + 1e-12) * np.abs(case.responsibilities)
        + tolerances.NEGLIGIBLE_RESPONSIBILITY,
    )


@pytest.mark.parametrize("case", EM_CASES, ids=case_id)
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
def test_em_has_the_digits_of_the_goldens(case, dtype):
    fit = reference.em(
        case.X,
        case.weights,
        case.means,
        case.precisions_cholesky,
        case.covariance_type,
        tol=0,
        max_iter=len(case.iterations),
        reg_covar=case.reg_covar,
        sample_weight=case.sample_weight,
        dtype=dtype,
    )
    digits = np.finfo(dtype).eps / tolerances.EPS
    rtol = max(digits * tolerances.golden_em_tolerance(case.X), tolerances.GOLDEN_ROUNDING)
    for lower_bound, parameters, golden in zip(
        fit.lower_bounds, fit.history, case.iterations, strict=True
    ):
        np.testing.assert_allclose(lower_bound, golden.lower_bound, rtol=rtol)
        for actual, desired in zip(parameters, golden[1:], strict=True):
            atol = rtol * np.abs(desired).max()
            np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_log_densities_agree_with_scipy(covariance_type):
    random = np.random.RandomState(0)
    X, means = random.normal(size=(20, 3)), random.normal(size=(2, 3))
    full = np.stack([np.cov(random.normal(size=(3, 10))) for _ in range(2)])
    covariances, matrices = {
        "full": (full, full),
        "tied": (full[0], full[[0, 0]]),
        "diag": (np.array([np.diag(c) for c in full]), [np.diag(np.diag(c)) for c in full]),
        "spherical": (np.array([0.5, 3.0]), [0.5 * np.eye(3), 3.0 * np.eye(3)]),
    }[covariance_type]
    factors = reference.precision_cholesky(covariances, covariance_type)
    actual = reference.log_densities(X, means, factors, covariance_type)
    for k in range(2):
        desired = multivariate_normal(means[k], matrices[k]).logpdf(X)
        np.testing.assert_allclose(actual[:, k], desired, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_both_factorisations_give_the_upper_factor(covariance_type):
    random = np.random.RandomState(1)
    covariances = np.stack([np.cov(random.normal(size=(4, 12))) for _ in range(2)])
    if covariance_type == "tied":
        covariances = covariances[0]
    upper = reference.precision_cholesky(covariances, covariance_type)
    np.testing.assert_array_equal(upper, np.triu(upper))
    precisions = upper @ np.swapaxes(upper, -1, -2)
    np.testing.assert_allclose(precisions, np.linalg.inv(covariances), rtol=1e-10)
    again = reference.precision_cholesky_from_precisions(precisions, covariance_type)
    np.testing.assert_allclose(again, upper, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
@pytest.mark.parametrize("start", ["hard", "soft", "single rows"])
def test_em_agrees_with_scikit_learn(covariance_type, start):
    X = datasets.load("iris").X
    random = np.random.RandomState(2)
    if start == "soft":
        resp = random.dirichlet(np.ones(3), len(X))
    else:
        resp = np.eye(3)[np.repeat([0, 1, 2], 50)]
        if start == "single rows":
            resp[np.arange(len(X)) % 50 > 0] = 0
    options = {"reg_covar": 1e-2}
    weights, means, covariances = reference.start_from_responsibilities(
        X, resp, covariance_type, **options
    )
    theirs = GaussianMixture(3, covariance_type=covariance_type, tol=1e-4, **options)
    theirs._initialize(X, resp)
    np.testing.assert_allclose(weights, theirs.weights_, rtol=1e-12)
    np.testing.assert_allclose(means, theirs.means_, rtol=1e-12)
    np.testing.assert_allclose(covariances, theirs.covariances_, rtol=1e-10, atol=1e-12)

    fit = reference.em(
        X,
        weights,
        means,
        reference.precision_cholesky(covariances, covariance_type),
        covariance_type,
        tol=1e-4,
        **options,
    )
    theirs.set_params(
        weights_init=theirs.weights_ / theirs.weights_.sum(),
        means_init=theirs.means_,
        precisions_init=_precisions(theirs),
    )
    theirs.fit(X)
    assert (fit.n_iter, fit.converged) == (theirs.n_iter_, theirs.converged_)
    np.testing.assert_allclose(fit.lower_bounds[-1], theirs.lower_bound_, rtol=1e-10)
    np.testing.assert_allclose(fit.weights, theirs.weights_, rtol=1e-9)
    np.testing.assert_allclose(fit.means, theirs.means_, rtol=1e-9)
    np.testing.assert_allclose(fit.covariances, theirs.covariances_, rtol=1e-8, atol=1e-10)


def _precisions(model):
    factors = model.precisions_cholesky_
    if model.covariance_type in ("full", "tied"):
        return factors @ np.swapaxes(factors, -1, -2)
    return factors**2


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_the_two_pass_m_step_is_the_one_pass_m_step(covariance_type):
    """The identities that let a kernel gather its sums about last iteration's means."""
    random = np.random.RandomState(3)
    X = datasets.load("iris").X
    resp = random.dirichlet(np.ones(3), len(X))
    sample_weight = random.uniform(0, 3, len(X))
    old_means = X[:3]
    sums = reference.sufficient_statistics(X, resp, old_means, "outer", sample_weight)
    nk, means, covariances = reference.maximize(X, resp, covariance_type, 1e-3, sample_weight)
    tiny = reference.N_EPS * sample_weight.mean()
    np.testing.assert_allclose(nk, sums.weight + tiny, rtol=1e-15)
    delta = (sums.first - tiny * old_means) / nk[:, np.newaxis]
    np.testing.assert_allclose(means, old_means + delta, rtol=1e-13)
    cross = np.einsum("ki,kj->kij", delta, sums.first)
    scatter = (
        sums.second
        - cross
        - np.swapaxes(cross, 1, 2)
        + np.einsum("k,ki,kj->kij", sums.weight, delta, delta)
    )
    one_pass = {
        "full": scatter / nk[:, np.newaxis, np.newaxis] + 1e-3 * np.eye(4),
        "tied": scatter.sum(axis=0) / nk.sum() + 1e-3 * np.eye(4),
        "diag": np.diagonal(scatter, axis1=1, axis2=2) / nk[:, np.newaxis] + 1e-3,
        "spherical": np.trace(scatter, axis1=1, axis2=2) / nk / 4 + 1e-3,
    }[covariance_type]
    np.testing.assert_allclose(one_pass, covariances, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", STRUCTURES)
def test_a_weight_is_a_number_of_repeats_and_has_no_unit(covariance_type):
    random = np.random.RandomState(4)
    X = datasets.load("iris").X
    resp = random.dirichlet(np.ones(3), len(X))
    repeats = random.randint(0, 4, len(X))
    weighted = reference.maximize(X, resp, covariance_type, 1e-3, repeats)
    repeated = reference.maximize(
        X.repeat(repeats, axis=0), resp.repeat(repeats, axis=0), covariance_type, 1e-3
    )
    scaled = reference.maximize(X, resp, covariance_type, 1e-3, 1e-12 * repeats)
    for one, two, three in zip(weighted[1:], repeated[1:], scaled[1:], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
        np.testing.assert_allclose(one, three, rtol=1e-12)


def test_sums_of_statistics_by_hand():
    X = np.array([[1.0, 2.0], [3.0, 5.0]])
    sums = reference.sufficient_statistics(
        X,
        resp=np.array([[0.5, 0.5], [1.0, 0.0]]),
        reference=np.array([[0.0, 0.0], [1.0, 1.0]]),
        moment_form="outer",
        sample_weight=np.array([2.0, 3.0]),
        log_likelihood=np.array([-1.0, -2.0]),
    )
    np.testing.assert_array_equal(sums.weight, [4.0, 1.0])
    np.testing.assert_array_equal(sums.first, [[10.0, 17.0], [0.0, 1.0]])
    np.testing.assert_array_equal(
        sums.second, [[[28.0, 47.0], [47.0, 79.0]], [[0.0, 0.0], [0.0, 1.0]]]
    )
    assert (sums.log_likelihood, sums.total_weight, sums.n_rows) == (-8.0, 5.0, 2)
