"""Densities and EM by hand: against exact arithmetic, scipy, and the estimators."""

import doctest

import mpmath
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris

import fastgmm
import fastgmm.gaussian.densities
import fastgmm.gaussian.steps
from fastgmm import gaussian
from tests import structures
from tests.mixtures import random_parameters, random_rows

#: Roundings by the square root of the condition, and some more.
_ACCURATE = 1e-10


def test_examples_of_the_docstrings():
    for module in (gaussian, gaussian.densities, gaussian.steps):
        outcome = doctest.testmod(module)
        assert outcome.attempted > 0
        assert outcome.failed == 0


def exact_logpdf(offset, matrix, *, is_precision):
    with mpmath.workdps(60):
        rows, matrix = mpmath.matrix(offset.tolist()), mpmath.matrix(matrix.tolist())
        solved = matrix * rows if is_precision else mpmath.lu_solve(matrix, rows)
        log_determinant = mpmath.log(mpmath.det(matrix)) * (-1 if is_precision else 1)
        square = (rows.T * solved)[0]
        return float(-(square + log_determinant + len(offset) * mpmath.log(2 * mpmath.pi)) / 2)


@pytest.mark.parametrize("d", [2, 7])
@pytest.mark.parametrize("name", ["covariance", "precision"])
def test_a_condition_of_1e10_costs_few_digits(d, name):
    random = np.random.default_rng(d)
    axes, _ = np.linalg.qr(random.standard_normal((d, d)))
    matrix = (axes * np.geomspace(1e5, 1e-5, d)) @ axes.T
    matrix = (matrix + matrix.T) / 2
    x, mean = random.standard_normal(d), random.standard_normal(d)
    expected = exact_logpdf(x - mean, matrix, is_precision=name == "precision")
    assert gaussian.logpdf(x, mean, **{name: matrix}) == pytest.approx(expected, rel=_ACCURATE)


def test_the_ways_to_say_a_width_agree():
    x, mean = np.linspace(-3, 4, 12).reshape(3, 4), np.array([0.0, 1.0, -1.0, 0.5])
    expected = stats.norm.logpdf(x, mean, 0.7)
    np.testing.assert_allclose(gaussian.logpdf(x, mean=mean, scale=0.7), expected, rtol=1e-14)
    np.testing.assert_allclose(
        gaussian.logpdf(x, mean=mean, precision=0.7**-2), expected, rtol=1e-14
    )
    covariance = np.array([[2.0, 0.6, 0, 0], [0.6, 1, 0.1, 0], [0, 0.1, 3, 1], [0, 0, 1, 0.9]])
    expected = stats.multivariate_normal.logpdf(x, mean, covariance)
    precision = np.linalg.inv(covariance)
    factor = np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1]
    for width in (
        {"covariance": covariance},
        {"precision": (precision + precision.T) / 2},
        {"precision_cholesky": factor},
    ):
        np.testing.assert_allclose(gaussian.logpdf(x, mean, **width), expected, rtol=1e-12)
        np.testing.assert_allclose(gaussian.pdf(x[0], mean, **width), np.exp(expected[0]))
    assert np.ndim(gaussian.pdf(x[0], mean, covariance=covariance)) == 0
    assert gaussian.logpdf([np.inf, 0, 0, 0], mean, covariance=covariance) == -np.inf
    assert gaussian.pdf(-np.inf, 0.0, scale=1.0) == 0.0
    assert gaussian.pdf(1.0, 0.5, covariance=4.0) == gaussian.pdf(1.0, 0.5, scale=2.0)
    one = gaussian.logpdf([[1.0], [2.0]], mean=[0.0], covariance=[[4.0]])
    np.testing.assert_allclose(one, stats.norm.logpdf([1.0, 2.0], 0.0, 2.0), rtol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, TypeError, "none of them"),
        ({"scale": 1.0, "precision": 1.0}, TypeError, "scale and precision"),
        ({"scale": 0.0}, ValueError, "scale should be positive, but is 0"),
        ({"precision": [1.0, -2.0]}, ValueError, "precision should be positive, but is -2"),
        ({"scale": np.nan}, ValueError, "scale holds NaN or infinity"),
        ({"scale": [1.0, 2.0, 3.0]}, ValueError, "do not broadcast"),
        ({"x": [0.0, np.nan], "scale": 1.0}, ValueError, r"x holds NaN, first at \(1,\)"),
        ({"x": ["a", "b"], "scale": 1.0}, ValueError, "x should hold real numbers"),
        ({"covariance": np.eye(3)}, ValueError, r"\(d, d\)"),
        ({"x": np.zeros((4, 3)), "covariance": np.eye(2)}, ValueError, "the mean has 2 variables"),
        ({"covariance": [[1.0, 2.0], [0.0, 1.0]]}, ValueError, "covariance should be symmetric"),
        ({"covariance": [[1.0, 2.0], [2.0, 1.0]]}, ValueError, "positive definite"),
        ({"precision": np.ones((2, 2))}, ValueError, "positive definite"),
        ({"precision_cholesky": [[1.0, 0.0], [1.0, 1.0]]}, ValueError, "upper triangular"),
        ({"x": [None, 1.0], "scale": 1.0}, ValueError, "x should hold real numbers"),
        ({"x": [10**400, 1], "scale": 1.0}, ValueError, "x holds a number beyond"),
        ({"mean": np.ma.array([1.0, 2.0], mask=[0, 1]), "scale": 1.0}, ValueError, "mean holds ma"),
        ({"x": [], "mean": [], "covariance": np.eye(0)}, ValueError, "mean should be of one"),
    ],
)
def test_errors_of_densities(arguments, error, words):
    with pytest.raises(error, match=words):
        gaussian.logpdf(**{"x": [0.0, 0.0], "mean": [0.0, 0.0], **arguments})


@pytest.mark.parametrize("name", ["covariance", "precision", "precision_cholesky"])
def test_offsets_beyond_all_numbers_have_the_density_0(name):
    x = [[1e308, 1.0], [1e308, 1e308], [0.0, 0.0]]
    with np.errstate(all="raise"):
        found = gaussian.logpdf(x, [-1e308, 0.0], **{name: np.eye(2)})
        turned = gaussian.logpdf([[1.7e308, -1.7e308]], [0.0, 0.0], precision=[[5, 4.0], [4.0, 5]])
    np.testing.assert_array_equal(found, -np.inf)
    np.testing.assert_array_equal(turned, -np.inf)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_a_covariance_beyond_all_numbers_is_refused(covariance_type):
    X = 1e200 * np.random.default_rng(0).standard_normal((9, 2))
    with np.errstate(all="raise"):
        with pytest.raises(ValueError, match="the covariance overflows; scale X"):
            gaussian.covariance_matrix(X)
        with pytest.raises(ValueError, match="the covariance overflows; scale X"):
            gaussian.m_step(X, np.full((9, 2), 0.5), covariance_type=covariance_type)


@pytest.mark.parametrize("covariance_type", ["E", "V"])
def test_structures_of_one_feature_are_refused_for_more(covariance_type):
    X, words = np.eye(3), f"covariance_type='{covariance_type}' is for 1 feature, but "
    with pytest.raises(ValueError, match=f"{words}X has 3"):
        gaussian.m_step(X, np.ones((3, 1)), covariance_type=covariance_type)
    for function in (gaussian.e_step, gaussian.log_likelihood):
        with pytest.raises(ValueError, match=f"{words}the means have 3"):
            function(X, [1.0], X[:1], np.ones((1, 1, 1)), covariance_type=covariance_type)


def test_covariance_matrix_divides_by_n():
    random = np.random.default_rng(0)
    X, counts = 1e4 + random_rows(40, 3, random), random.integers(0, 4, 40)
    np.testing.assert_allclose(gaussian.covariance_matrix(X), np.cov(X.T, bias=True), rtol=1e-11)
    weighted = gaussian.covariance_matrix(X, sample_weight=counts)
    np.testing.assert_allclose(weighted, np.cov(X.T, bias=True, fweights=counts), rtol=1e-11)
    np.testing.assert_allclose(gaussian.covariance_matrix([[1.0], [3.0]]), [[1.0]], rtol=1e-15)


@pytest.mark.parametrize("covariance_type", structures.ALL)
def test_em_by_hand_is_that_of_the_estimator(covariance_type):
    X = load_iris().data
    model = fastgmm.GaussianMixture(3, covariance_type=covariance_type, random_state=0)
    model.set_params(max_iter=0).fit(X)
    parameters = model.weights_, model.means_, model.covariances_
    likelihoods = []
    for _ in range(10):
        likelihoods.append(gaussian.log_likelihood(X, *parameters, covariance_type=covariance_type))
        r = gaussian.e_step(X, *parameters, covariance_type=covariance_type)
        parameters = gaussian.m_step(X, r, 1e-6, covariance_type=covariance_type)
    model.set_params(max_iter=10, tol=0.0, warm_start=True)
    with pytest.warns(UserWarning, match="did not converge"):
        model.fit(X)
    # M-steps that iterate begin anew here, and end within their own tolerance.
    tolerance = 1e-7 if covariance_type in ("EVE", "VVE") else 1e-10
    for name, array in zip(("weights_", "means_", "covariances_"), parameters, strict=True):
        expected = getattr(model, name)
        atol = tolerance * np.abs(expected).max()
        np.testing.assert_allclose(array, expected, rtol=0, atol=atol, err_msg=name)
    bounds = model.lower_bounds_[-10:]
    np.testing.assert_allclose(likelihoods, np.multiply(bounds, len(X)), rtol=tolerance)
    np.testing.assert_allclose(
        gaussian.e_step(X, *parameters, covariance_type=covariance_type),
        model.predict_proba(X),
        atol=tolerance,
    )


def test_weights_count_rows_and_files_are_read(tmp_path):
    random = np.random.default_rng(1)
    X, shares = random_rows(30, 2, random), random.dirichlet([1.0, 1.0], 30)
    counts = random.integers(0, 3, 30)
    np.save(tmp_path / "rows.npy", X)
    weighted = gaussian.m_step(tmp_path / "rows.npy", shares, sample_weight=counts)
    repeated = gaussian.m_step(np.repeat(X, counts, axis=0), np.repeat(shares, counts, axis=0))
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)
    assert gaussian.log_likelihood(X, *weighted, sample_weight=counts) == pytest.approx(
        gaussian.log_likelihood(np.repeat(X, counts, axis=0), *weighted), rel=1e-12
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": [0.5, 0.6]}, "sum to one, but sum to 1.1"),
        ({"weights": [1.5, -0.5]}, "should not be negative"),
        ({"means": [0.0, 1.0]}, r"means should have the shape of \(k, d\)"),
        ({"weights": [1.0]}, r"weights should have the shape of \(2,\)"),
        ({"covariances": np.ones((2, 2))}, r"covariances should have the shape of \(2, 2, 2\)"),
        ({"covariances": np.stack([np.eye(2), np.ones((2, 2))])}, r"first at \(1,\)"),
        ({"covariances": np.full((2, 2, 2), np.nan)}, "covariances holds NaN"),
        ({"covariance_type": "round"}, "covariance_type should be one of full"),
        ({"X": np.zeros((3, 5))}, "X has 5 features, but the means have 2"),
        ({"X": np.zeros(3)}, "Expected 2D array"),
        ({"X": [[np.nan, 0.0]]}, "contains NaN"),
    ],
)
def test_errors_of_the_e_step(changes, words):
    parameters = random_parameters("full", 2, 2, np.random.default_rng(0))
    arguments = {
        "X": np.zeros((3, 2)),
        "weights": parameters.weights,
        "means": parameters.means,
        "covariances": parameters.covariances,
    }
    for function in (gaussian.e_step, gaussian.log_likelihood):
        with pytest.raises(ValueError, match=words):
            function(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"responsibilities": np.ones((4, 1))}, r"shape of \(3, k\)"),
        ({"responsibilities": np.ones((3, 2))}, "row 0 sums to 2"),
        ({"responsibilities": np.full((3, 2), np.nan)}, "responsibilities holds NaN"),
        ({"reg_covar": "1"}, "reg_covar should be a number, at least 0, but is '1'"),
        ({"reg_covar": -1.0}, "reg_covar should be a number, at least 0"),
        ({"X": [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]}, "ill-defined empirical covariance"),
    ],
)
def test_errors_of_the_m_step(changes, words):
    arguments = {"X": [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], "responsibilities": np.ones((3, 1))}
    with pytest.raises(ValueError, match=words):
        gaussian.m_step(**{**arguments, **changes})
