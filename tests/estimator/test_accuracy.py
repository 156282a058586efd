"""Right answers where scikit-learn cancels: against 50 digits and against long double."""

import numpy as np
import pytest
from sklearn import mixture

from fastgmm import GaussianMixture, fit_many
from fastgmm.batch.fit_many import item_seeds
from tests import datasets, goldens, reference, structures, tolerances
from tests.estimator.helpers import assert_close, quiet_fit

EM_CASES = goldens.em_cases()
DENSITY_CASES = goldens.density_cases()


def case_id(case):
    return f"{case.name}-{case.covariance_type}"


def fit_case(case, max_iter):
    return quiet_fit(
        GaussianMixture(
            len(case.weights),
            covariance_type=case.covariance_type,
            weights_init=case.weights,
            means_init=case.means,
            precisions_init=case.precisions,
            reg_covar=case.reg_covar,
            max_iter=max_iter,
            tol=0,
        ),
        case.X,
        sample_weight=case.sample_weight,
    )


@pytest.mark.parametrize("case", EM_CASES, ids=case_id)
def test_em_against_50_digits(case):
    rtol = tolerances.golden_em_tolerance(case.X)
    for n_iter, golden in enumerate(case.iterations, start=1):
        model = fit_case(case, n_iter)
        np.testing.assert_allclose(model.lower_bound_, golden.lower_bound, rtol=rtol)
        assert_close(model.weights_, golden.weights, rtol)
        assert_close(model.covariances_, golden.covariances, rtol)
        # Means in units of their own: within a few roundings of the largest.
        largest = np.abs(golden.means).max()
        np.testing.assert_allclose(
            model.means_, golden.means, rtol=0, atol=max(1e-12, 8 * tolerances.EPS * largest)
        )


def model_by_hand(case):
    model = GaussianMixture(len(case.weights), covariance_type=case.covariance_type)
    model.weights_, model.means_ = case.weights, case.means
    model.precisions_cholesky_ = case.precisions_cholesky
    return model


@pytest.mark.parametrize("case", DENSITY_CASES, ids=case_id)
def test_densities_against_50_digits(case):
    model = model_by_hand(case)
    bound = tolerances.log_density_error(
        case.X, case.means, case.precisions_cholesky, case.covariance_type
    )
    densities = model._estimate_log_prob(case.X)
    assert np.all(np.abs(densities - case.log_densities) <= bound)

    # The log weights are of size 690 at most, and good to a rounding.
    largest = bound.max(axis=1) + 1e-12
    log_likelihood = model.score_samples(case.X)
    assert np.all(np.abs(log_likelihood - case.log_likelihood) <= largest)
    assert abs(model.score(case.X) - case.log_likelihood.mean()) <= largest.max()

    resp = model.predict_proba(case.X)
    error = np.abs(resp - case.responsibilities)
    allowed = 2 * largest[:, np.newaxis] * np.abs(case.responsibilities)
    assert np.all(error <= allowed + tolerances.NEGLIGIBLE_RESPONSIBILITY)
    labels = model.predict(case.X)
    chosen = case.responsibilities[np.arange(len(labels)), labels]
    assert np.all(chosen >= case.responsibilities.max(axis=1) * (1 - 2 * largest))


def start_near(X, covariance_type, n_components=3):
    """Weights, means and precisions from the first rows: exact in the dtype of X."""
    d = X.shape[1]
    precisions = {
        "full": np.stack([0.25 * np.eye(d)] * n_components),
        "tied": 0.25 * np.eye(d),
        "diag": np.full((n_components, d), 0.25),
        "spherical": np.full(n_components, 0.25),
    }[covariance_type]
    weights = np.full(n_components, 1 / n_components)
    weights[-1] = 1 - weights[:-1].sum()
    order = np.argsort(X[:, 0])
    rows = order[np.linspace(0, len(X) - 1, n_components).astype(int)]
    return weights, X[rows].astype(np.float64), precisions


OFFSETS = [
    (np.float64, 0.0),
    (np.float64, 1e4),
    (np.float64, 1e8),
    (np.float32, 0.0),
    (np.float32, 1e3),
    (np.float32, 1e4),
]


def offset_tolerance(dtype, offset):
    if dtype == np.float32:
        return tolerances.ORACLE_FIT_RTOL_FLOAT32
    # A mean is stored with a rounding of eps * offset, in standard deviations; some ten
    # iterations pass it on to the covariances.
    return tolerances.ORACLE_FIT_RTOL + 100 * tolerances.EPS * offset


@pytest.mark.parametrize("covariance_type", structures.SHARED)
@pytest.mark.parametrize(("dtype", "offset"), OFFSETS)
def test_data_far_from_the_origin(covariance_type, dtype, offset):
    X = datasets.offset_blobs(offset, dtype)
    weights, means, precisions = start_near(X, covariance_type)
    model = quiet_fit(
        GaussianMixture(
            3,
            covariance_type=covariance_type,
            weights_init=weights,
            means_init=means,
            precisions_init=precisions,
            max_iter=10,
            tol=0,
        ),
        X,
    )
    fit = reference.em(
        X,
        weights,
        means,
        reference.precision_cholesky_from_precisions(precisions, covariance_type),
        covariance_type,
        tol=0,
        max_iter=10,
        dtype=np.longdouble,
    )
    rtol = offset_tolerance(dtype, offset)
    assert_close(model.covariances_, fit.covariances, rtol)
    assert_close(model.weights_, fit.weights, rtol)
    np.testing.assert_allclose(
        model.lower_bounds_, np.array(fit.lower_bounds, dtype=float), rtol=rtol
    )
    # The means in units of the clusters' standard deviation, 1, not of the offset.
    np.testing.assert_allclose(
        model.means_,
        fit.means,
        rtol=0,
        atol=10 * rtol + 2 * float(np.finfo(dtype).eps) * offset,
    )


@pytest.mark.parametrize("covariance_type", structures.OF_FORMS)
@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@pytest.mark.parametrize(("dtype", "offset"), OFFSETS)
def test_the_offset_does_not_matter(covariance_type, init_params, dtype, offset):
    """A fit of moved data is the moved fit; in scikit-learn it fails or has other covariances."""
    far = datasets.offset_blobs(offset, dtype)
    near = far.astype(np.float64) - offset  # exact: both have the same exponent range
    options = {
        "covariance_type": covariance_type,
        "init_params": init_params,
        "max_iter": 10,
        "tol": 0,
        "random_state": 0,
    }
    moved = quiet_fit(GaussianMixture(3, **options), far)
    at_home = quiet_fit(GaussianMixture(3, **options), near)
    rtol = offset_tolerance(dtype, offset)
    assert_close(moved.covariances_, at_home.covariances_, rtol)
    assert_close(moved.weights_, at_home.weights_, rtol)
    np.testing.assert_allclose(moved.lower_bounds_, at_home.lower_bounds_, rtol=rtol)
    near_labels = at_home.predict(near)
    assert np.mean(moved.predict(far) == near_labels) > 0.99


@pytest.mark.parametrize("covariance_type", structures.OF_FORMS)
def test_a_converged_fit_at_offset_1e8(covariance_type):
    """With default arguments, from the raw data to the labels."""
    dataset = datasets.load("offset_1e8")
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(dataset.X)
    near = GaussianMixture(2, covariance_type=covariance_type, random_state=0)
    near.fit(dataset.X - 1e8)
    assert model.converged_
    assert model.n_iter_ == near.n_iter_
    assert_close(model.covariances_, near.covariances_, 1e-5)
    np.testing.assert_array_equal(model.predict(dataset.X), near.predict(dataset.X - 1e8))


@pytest.mark.parametrize("covariance_type", structures.SHARED)
def test_long_sums_in_float32_do_not_drift(covariance_type):
    """200 000 rows: a float32 sum of ones stops being exact, a float64 one does not."""
    random = np.random.RandomState(22)
    X = random.standard_normal((200_000, 2)).astype(np.float32) + np.float32(30)
    model = GaussianMixture(covariance_type=covariance_type).fit(X)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(model.means_[0], wide.mean(axis=0), rtol=2 * tolerances.EPS32)
    covariance = np.cov(wide.T, bias=True)
    desired = {
        "full": covariance[np.newaxis],
        "tied": covariance,
        "diag": np.diag(covariance)[np.newaxis],
        "spherical": np.array([np.trace(covariance) / 2]),
    }[covariance_type]
    # reg_covar adds 1e-6 to variances of 1.
    assert_close(model.covariances_, desired, 3e-6)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize(("dtype", "scale"), [(np.float64, 1e6), (np.float32, 1e3)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_components_that_shrink_to_a_tight_group(covariance_type, dtype, scale, seed):
    """Wide ones near the origin take hold of rows that lie close together, away from it."""
    random = np.random.RandomState(seed)
    wide, tight = scale * random.normal(size=(3000, 8)), 0.01 * random.normal(size=(3000, 8))
    X = np.concatenate([wide, tight + 0.3 * scale]).astype(dtype)
    params = {"covariance_type": covariance_type, "max_iter": 20, "random_state": seed}
    model = quiet_fit(GaussianMixture(8, **params), X)
    assert np.isfinite(model.lower_bound_)
    if covariance_type == "full":  # scikit-learn's diagonals cancel
        theirs = quiet_fit(mixture.GaussianMixture(8, **params), X.astype(np.float64))
        np.testing.assert_allclose(model.lower_bound_, theirs.lower_bound_, rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_feature_that_is_the_sum_of_others(seed):
    """No digits to spare: without a second look at it, its covariance is singular to rounding."""
    random = np.random.RandomState(seed)
    rows = np.repeat(3 * random.normal(size=(8, 7)), 500, axis=0)
    rows = 2e3 * (rows + random.normal(size=rows.shape))
    X = np.column_stack([rows, rows.sum(axis=1)])
    params = {"max_iter": 30, "tol": 0, "reg_covar": 1e-6}
    many = fit_many([X, X[:2000]], 8, random_state=seed, **params)
    alone = GaussianMixture(8, random_state=item_seeds(seed, 2)[0], **params)
    quiet_fit(alone, X)
    assert np.isfinite(alone.lower_bound_)
    np.testing.assert_array_equal(many[0].precisions_cholesky_, alone.precisions_cholesky_)
