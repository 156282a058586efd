"""Volumes and the shape that components have in common, against their definition in NumPy."""

import numpy as np
import pytest

from fastgmm.covariance.linalg import diagonals
from fastgmm.covariance.volumes import of_equal_shapes, settled_volumes
from fastgmm.kernels.layout import BLOCK
from fastgmm.kernels.linalg.common_shapes import common_matrix


def scatters(d, k=3, sets=2):
    roots = np.random.default_rng(d).standard_normal((sets, k, d, 2 * d))
    return np.exp(np.arange(k))[:, np.newaxis, np.newaxis] * (roots @ roots.swapaxes(-1, -2))


@pytest.mark.parametrize("d", [1, 2, BLOCK, BLOCK + 1, 9])
def test_each_is_the_best_for_the_other(d):
    scatter = scatters(d)
    weight = 1.0 + np.arange(6.0).reshape(2, 3)
    none = np.zeros(weight.shape)
    volumes, shape = settled_volumes(common_matrix(d <= BLOCK), scatter, weight, none, weight)
    of_volumes = (scatter / volumes[..., np.newaxis, np.newaxis]).sum(axis=1)
    of_volumes *= d / np.trace(of_volumes, axis1=-2, axis2=-1)[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(shape, of_volumes, rtol=1e-9, atol=1e-9)
    traces = (scatter * np.linalg.inv(shape)[:, np.newaxis]).sum(axis=(-1, -2))
    np.testing.assert_allclose(volumes, traces / (weight * d), rtol=1e-8)
    for i in range(2):  # each by itself
        alone = settled_volumes(
            common_matrix(d <= BLOCK), scatter[i], weight[i], none[i], weight[i]
        )
        np.testing.assert_array_equal(alone[0], volumes[i])
        np.testing.assert_array_equal(alone[1], shape[i])


@pytest.mark.parametrize("d", [1, 2, 5])
def test_variances_are_those_of_diagonal_matrices(d):
    spreads = diagonals(scatters(d)).copy()
    weight = 1.0 + np.arange(6.0).reshape(2, 3)
    none = np.zeros(weight.shape)
    variances = of_equal_shapes(spreads, weight, none, None)
    matrices = np.zeros((2, 3, d, d))
    diagonals(matrices)[...] = spreads
    spheres = spreads.mean(axis=-1) / weight
    volumes, shape = settled_volumes(common_matrix(d <= BLOCK), matrices, weight, none, spheres)
    expected = volumes[..., np.newaxis] * diagonals(shape)[:, np.newaxis]
    np.testing.assert_allclose(variances, expected, rtol=1e-9)


def test_what_has_no_volume_has_no_say():
    spreads = np.array([[2.0, 8.0], [1e-9, 1e-9], [1.0, 4.0]])
    weight = np.array([1.0, 2.0, 4.0])
    variances = of_equal_shapes(spreads, weight, np.full(3, 1e-9), None)
    np.testing.assert_allclose(variances[[0, 2]], [[2.0, 8.0], [0.25, 1.0]])
    np.testing.assert_array_equal(variances[1], 0.0)
    matrices = spreads[..., np.newaxis] * np.eye(2)
    matrices[:, 1, 1] = 0.0  # a singular shape leaves the volumes of spheres
    volumes, _ = settled_volumes(common_matrix(True), matrices, weight, np.full(3, 1e-9), weight)
    np.testing.assert_allclose(volumes, [1.0, 0.0, 0.125])


def test_volumes_may_be_as_different_as_they_like():
    spreads = np.array([[1.0, 4.0], [2e42, 8e42]])
    np.testing.assert_allclose(of_equal_shapes(spreads, np.ones(2), np.zeros(2), None), spreads)
    matrices = spreads[..., np.newaxis] * np.eye(2)
    volumes, shape = settled_volumes(
        common_matrix(True), matrices, np.ones(2), np.zeros(2), spreads.mean(axis=-1)
    )
    np.testing.assert_allclose(volumes[:, np.newaxis, np.newaxis] * shape, matrices)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_comes_to_an_end(bad):
    spreads = np.array([[[1.0, 2.0], [bad, 1.0]], [[1.0, 2.0], [3.0, 6.0]]])
    variances = of_equal_shapes(spreads, np.ones((2, 2)), np.zeros((2, 2)), None)
    assert not np.isfinite(variances[0]).all()
    np.testing.assert_allclose(variances[1], spreads[1])
