"""Linear algebra of stacks of matrices, large enough for several blocks."""

import numpy as np
import pytest
import threadpoolctl

from fastgmm.covariance import blas, linalg
from fastgmm.covariance.linalg import upper_precision_factors
from fastgmm.kernels.layout import BLOCK, EPS, SINGULAR, from_panels, to_panels

SIZES = (1, 2, 5, 16, 63, 64, 65, 130)


def positive_definite(d, n_matrices=4, seed=0):
    rows = np.random.default_rng(seed).standard_normal((n_matrices, 3 * d + 1, d))
    return np.swapaxes(rows, 1, 2) @ rows / rows.shape[1]


@pytest.mark.parametrize("d", SIZES)
def test_factors_are_upper_triangular_roots_of_the_precisions(d):
    covariances = positive_definite(d)
    factors = upper_precision_factors(covariances)
    assert not np.tril(factors, -1).any()
    assert (np.diagonal(factors, axis1=1, axis2=2) > 0).all()
    precisions = factors @ np.swapaxes(factors, 1, 2)
    np.testing.assert_allclose(precisions @ covariances, np.tile(np.eye(d), (4, 1, 1)), atol=1e-9)


def test_factors_of_large_matrices():
    d = linalg.LARGE + 1
    covariances = positive_definite(d, n_matrices=2)
    factors = upper_precision_factors(covariances)
    assert not np.tril(factors, -1).any()
    roots = np.linalg.inv(np.linalg.cholesky(covariances)).swapaxes(1, 2)
    np.testing.assert_allclose(factors, roots, rtol=1e-10, atol=1e-11)
    covariances[0, 400, 300] = covariances[0, 300, 400] = np.nan
    again = upper_precision_factors(covariances)
    assert np.isnan(again[0][np.triu_indices(d)]).all()
    np.testing.assert_array_equal(again[1], factors[1])


def made_by_blas(covariances):
    d = covariances.shape[-1]
    factors = np.empty_like(covariances)
    for covariance, factor in zip(covariances, factors, strict=True):
        blas.Root(covariance, SINGULAR * d * EPS).write_factor(factor)
    return factors


@pytest.mark.parametrize("d", [33, 289, 577])
def test_factors_by_blas_are_those_of_the_kernel(d):
    covariances = positive_definite(d)
    covariances *= 10.0 ** np.arange(-30, 30, 15)[:, np.newaxis, np.newaxis]
    expected = upper_precision_factors(covariances)
    largest = np.abs(expected).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(
        made_by_blas(covariances) / largest, expected / largest, rtol=0, atol=1e-13
    )
    for bad in (np.nan, np.inf, -1.0, 0.0):
        covariances[1, d // 2, d // 2] = bad
        np.testing.assert_array_equal(
            np.isnan(made_by_blas(covariances)), np.isnan(upper_precision_factors(covariances))
        )


def test_what_is_singular_to_rounding_is_so_by_blas_and_by_the_kernel():
    """Two features that differ by less and less, in one block and in two."""
    d = 2 * blas._LEAF
    covariances = np.tile(positive_definite(d, n_matrices=1), (30, 1, 1))
    for i, covariance in enumerate(covariances):
        for one, other in ((3, 7), (10, d - 10)):
            covariance[other] = covariance[one]
            covariance[:, other] = covariance[:, one]
            covariance[other, other] += 10.0 ** (-i / 2.0)
    found, desired = made_by_blas(covariances), upper_precision_factors(covariances)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(desired))
    defined = ~np.isnan(desired).any(axis=(1, 2))
    assert 20 < defined.sum() < 30
    rows = found[defined] @ found[defined].swapaxes(1, 2) @ covariances[defined]
    for i, row in enumerate(rows):
        np.testing.assert_allclose(row, np.eye(d), atol=1e-11 * 10.0 ** (i / 2.0))


@pytest.mark.parametrize("shape", [(801, 5, 803), (833, 40, 700)])
def test_bits_by_blas_are_the_same_on_any_number_of_threads(shape):
    p, q, r = shape
    random = np.random.default_rng(0)
    left, right = random.standard_normal((p, q)), random.standard_normal((q, r))
    covariances = positive_definite(p, n_matrices=1)

    def made():
        factors = made_by_blas(covariances)
        squares = blas.squared_upper(factors[0]), blas.squared(left)
        return factors, *squares, blas.product(left, right)

    with threadpoolctl.threadpool_limits(1, "blas"):
        alone = made()
    for one, other in zip(alone, made(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("d", [63, 64, 300, linalg.LARGE + 1])
def test_squares_of_triangles(d):
    triangle = np.triu(np.random.default_rng(0).standard_normal((2, d, d)))
    desired = triangle @ triangle.swapaxes(1, 2)
    for found in (
        linalg.squared(triangle, upper=True),
        np.stack([blas.squared_upper(matrix) for matrix in triangle]),
    ):
        np.testing.assert_allclose(found, desired, rtol=1e-12, atol=1e-12 * d)
        np.testing.assert_array_equal(found, found.swapaxes(1, 2))


@pytest.mark.parametrize("leading", [(2,), (40,), (3, 5)], ids=str)
def test_crossed_products_in_pieces_have_the_bits_of_those_in_one(leading):
    random = np.random.default_rng(0)
    left, right, matrices = (
        random.standard_normal((*leading, 150, *rest)) for rest in ((), (), (150,))
    )
    cross = left[..., :, np.newaxis] * right[..., np.newaxis, :]
    desired = matrices - (cross + cross.swapaxes(-1, -2))
    linalg.subtract_crossed(matrices, left, right)
    np.testing.assert_array_equal(matrices, desired)


@pytest.mark.parametrize("shape", [(3, 2), (linalg._LONG, 1), (2, 3, linalg._LONG)], ids=str)
def test_sums_of_squares(shape):
    values = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(linalg.sum_of_squares(values), (values**2).sum())
    np.testing.assert_allclose(linalg.sum_of_squares(values.T), (values**2).sum())
    values[0, 0] = np.nan
    assert np.isnan(linalg.sum_of_squares(values))


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 0.0])
def test_what_has_no_factor_is_not_a_number_and_leaves_the_others_alone(d, bad):
    covariances = positive_definite(d)
    expected = upper_precision_factors(covariances)
    covariances[1, d // 2, d // 2] = bad
    factors = upper_precision_factors(covariances)
    assert np.isnan(factors[1][np.triu_indices(d)]).all()
    assert not np.tril(factors, -1).any()
    np.testing.assert_array_equal(factors[[0, 2, 3]], expected[[0, 2, 3]])


@pytest.mark.parametrize("d", SIZES[1:])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_off_the_diagonal_counts_too(d, bad):
    covariances = positive_definite(d)
    covariances[2, 0, 1] = covariances[2, 1, 0] = bad
    assert np.isnan(upper_precision_factors(covariances)[2]).any()


@pytest.mark.parametrize("d", [1, 2, 4, 5, 8, 11, 17, 63, 64, 65, 130])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3)], ids=str)
def test_panels_hold_the_columns_of_triangles_and_give_them_back(leading, d):
    matrices = np.triu(np.random.RandomState(0).standard_normal((*leading, d, d)))
    assert to_panels(matrices).dtype == np.float64
    panels, matrices = to_panels(matrices, np.float32), matrices.astype(np.float32)
    assert panels.dtype == np.float32
    assert panels.shape == (*leading, -(-d // BLOCK) * d, BLOCK)
    for i in range(0, d, BLOCK):
        columns = matrices[..., i : i + BLOCK]
        panel = panels[..., i // BLOCK * d : (i // BLOCK + 1) * d, :]
        np.testing.assert_array_equal(panel[..., : columns.shape[-1]], columns)
        assert not panel[..., columns.shape[-1] :].any()
    np.testing.assert_array_equal(from_panels(panels, d), matrices)


@pytest.mark.parametrize(
    "shape",
    [(65, 65, 65), (3, 70, 2000), (128, 17, 131), (1, 600, 600), (259, 195, 521), (801, 800, 803)],
)
@pytest.mark.parametrize("leading", [(), (3,), (2, 2)], ids=str)
def test_products_of_large_matrices(leading, shape):
    p, q, r = shape
    random = np.random.default_rng(0)
    left = random.standard_normal((*leading, q, p)).swapaxes(-1, -2)
    right = random.standard_normal((*leading, q, r))
    assert p * q * r > linalg.BY_ONE_THREAD
    for factor, upper in ((right, False), (np.triu(right), True)):
        found = linalg.product(left, factor, upper=upper)
        np.testing.assert_allclose(found, left @ factor, rtol=1e-12, atol=1e-12 * q)
    triangle = np.triu(left)
    np.testing.assert_allclose(
        linalg.product(triangle, right), triangle @ right, rtol=1e-12, atol=1e-12 * q
    )
    symmetric = linalg.squared(left)
    np.testing.assert_allclose(
        symmetric, linalg.product(left, left.swapaxes(-1, -2).copy()), rtol=1e-12, atol=1e-12 * q
    )
    np.testing.assert_array_equal(symmetric, symmetric.swapaxes(-1, -2))
    single = linalg.product(left.astype(np.float32), right.astype(np.float32))
    assert single.dtype == np.float32
