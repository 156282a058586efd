"""Axes of matrices, and those that several come nearest to sharing, against plain NumPy."""

import numpy as np
import pytest
from numba import config
from scipy.stats import ortho_group

from fastgmm.covariance.linalg import from_axes, principal_axes, shared_axes

#: Without the compiler many features take a quarter of a minute each time.
SIZES = (1, 2, 3, 5, 9) if config.DISABLE_JIT else (1, 2, 3, 5, 16, 33)


def random_scatters(d, k=3, seed=0):
    roots = np.random.default_rng(seed).standard_normal((k, d, 2 * d))
    return roots @ roots.swapaxes(1, 2)


def matrices(kind, d):
    random = np.random.default_rng(0)
    plain = random_scatters(d, 4)
    units = 10.0 ** random.uniform(-4, 4, (4, d))
    few = random.standard_normal((4, d, 1))
    return {
        "plain": plain,
        "units": plain * units[:, np.newaxis] * units[..., np.newaxis],
        "rank one": few @ few.swapaxes(1, 2),
        "identity": np.tile(3.0 * np.eye(d), (4, 1, 1)),
        "tiny": 1e-300 * plain,
        "huge": 1e300 * plain,
        "nothing": 0.0 * plain,
    }[kind]


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize(
    "kind", ["plain", "units", "rank one", "identity", "tiny", "huge", "nothing"]
)
def test_principal_axes(kind, d):
    stack = matrices(kind, d)
    variances, axes = principal_axes(stack.reshape(2, 2, d, d))
    size = max(np.abs(stack).max(), np.finfo(float).tiny)
    variances, axes = variances.reshape(4, d) / size, axes.reshape(4, d, d)
    assert (np.diff(variances, axis=-1) >= 0).all()
    np.testing.assert_allclose(variances, np.linalg.eigvalsh(stack / size), atol=1e-13)
    np.testing.assert_allclose(
        axes.swapaxes(1, 2) @ axes, np.tile(np.eye(d), (4, 1, 1)), atol=1e-13
    )
    np.testing.assert_allclose(from_axes(axes, variances), stack / size, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_axes_of_what_is_not_finite(bad):
    stack = random_scatters(4)
    expected = principal_axes(stack)
    stack[1, 2, 3] = bad
    variances, axes = principal_axes(stack)
    assert np.isnan(variances[1]).all()
    np.testing.assert_array_equal(variances[[0, 2]], expected[0][[0, 2]])
    np.testing.assert_array_equal(axes[[0, 2]], expected[1][[0, 2]])
    spreads, _ = shared_axes(stack, np.ones(3), 0.0, np.eye(4))
    assert np.isnan(spreads[1]).all()
    assert np.isfinite(spreads[[0, 2]]).all()


def cost(scatters, weights, power, axes):
    """What the axes are to make small."""
    spreads = np.einsum("hj,khi,ij->kj", axes, scatters, axes)
    if power == 0.0:
        return (weights * np.log(spreads).sum(axis=1)).sum()
    return (weights * spreads.prod(axis=1) ** power).sum()


every_power = pytest.mark.parametrize("equal_volumes", [False, True])


@every_power
@pytest.mark.parametrize("d", SIZES[1:])
def test_no_turn_of_shared_axes_is_any_use(d, equal_volumes):
    scatters, weights = random_scatters(d), np.array([1.0, 2.0, 0.5])
    power = 1.0 / d if equal_volumes else 0.0
    start = ortho_group.rvs(d, random_state=1)
    spreads, axes = shared_axes(scatters, weights, power, start)
    np.testing.assert_allclose(axes.T @ axes, np.eye(d), atol=1e-12)
    np.testing.assert_allclose(
        spreads, np.einsum("hj,khi,ij->kj", axes, scatters, axes), rtol=1e-10
    )
    least = cost(scatters, weights, power, axes)
    assert least <= cost(scatters, weights, power, start)
    for i in range(d):
        for j in range(i):
            for angle in (-1e-3, 1e-3):
                turned = axes.copy()
                turned[:, [i, j]] = axes[:, [i, j]] @ [
                    [np.cos(angle), np.sin(angle)],
                    [-np.sin(angle), np.cos(angle)],
                ]
                assert cost(scatters, weights, power, turned) >= least


@every_power
def test_shared_axes_in_the_plane_are_the_best_of_all(equal_volumes):
    angles = np.linspace(0.0, np.pi / 2, 20_001)
    power = 0.5 if equal_volumes else 0.0
    for seed in range(5):
        scatters, weights = random_scatters(2, seed=seed), np.array([1.0, 3.0, 0.5])
        _, start = np.linalg.eigh(scatters.sum(axis=0))
        _, axes = shared_axes(scatters, weights, power, start)
        turned = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
        best = min(cost(scatters, weights, power, turned[..., t]) for t in range(0, 20_001, 10))
        assert cost(scatters, weights, power, axes) <= best + 1e-9


@every_power
@pytest.mark.parametrize("d", SIZES)
def test_axes_that_are_shared_are_found(d, equal_volumes):
    random = np.random.default_rng(0)
    truth = ortho_group.rvs(d, random_state=2) if d > 1 else np.eye(1)
    variances = random.uniform(0.1, 10, (2, 3, d))
    scatters = from_axes(np.broadcast_to(truth, (2, 3, d, d)), variances)
    start = np.tile(np.eye(d), (2, 1, 1))
    power = 1.0 / d if equal_volumes else 0.0
    spreads, axes = shared_axes(scatters, np.ones((2, 3)), power, start)
    np.testing.assert_allclose(np.sort(spreads), np.sort(variances), rtol=1e-9)
    for g in range(2):
        np.testing.assert_allclose(np.abs(truth.T @ axes[g]).max(axis=0), 1.0, rtol=1e-9)
        alone = shared_axes(scatters[g], np.ones(3), power, start[g])
        np.testing.assert_array_equal(spreads[g], alone[0])
        np.testing.assert_array_equal(axes[g], alone[1])


@every_power
@pytest.mark.parametrize("d", SIZES[1:5])
@pytest.mark.parametrize("unit", [1e6, 1e9, 1e12])
def test_shared_axes_of_features_in_units_of_different_size(d, equal_volumes, unit):
    """Turns that are no larger than deviations differ are of no use, either."""
    units = unit ** np.linspace(0.0, 1.0, d)
    scatters, weights = random_scatters(d) * units * units[:, np.newaxis], np.array([1.0, 2.0, 0.5])
    power = 1.0 / d if equal_volumes else 0.0
    _, start = principal_axes(scatters.sum(axis=0))
    spreads, axes = shared_axes(scatters, weights, power, start)
    exactly, axes = scatters.astype(np.longdouble), axes.astype(np.longdouble)
    found = np.einsum("hj,khi,ij->kj", axes, exactly, axes)
    np.testing.assert_allclose(spreads, found.astype(np.float64), rtol=1e-9)
    least = cost(exactly, weights, power, axes)
    for i in range(d):
        for j in range(i):
            ratios = found[:, i] / found[:, j]
            for angle in (-1e-3, 1e-3):
                tangent = angle / np.sqrt(np.maximum(ratios, 1.0 / ratios).max())
                turned = axes.copy()
                turned[:, i] += tangent * axes[:, j]
                turned[:, j] -= tangent * axes[:, i]
                turned[:, [i, j]] /= np.sqrt(1.0 + tangent**2)
                assert cost(exactly, weights, power, turned) >= least - 1e-11 * abs(least)
