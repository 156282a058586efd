"""The passes of k-means against plain NumPy, for every dtype and shape."""

import numpy as np
import pytest

from fastgmm.kernels.kmeans.lloyd import lloyd_pass, sums_in_order
from fastgmm.kernels.kmeans.seeding import distances_pass, seeding_pass
from tests import mixtures
from tests.kernels.passes import RTOL, assert_close, every_dtype, every_shape


class KMeansProblem:
    def __init__(self, dtype, shape, weighted):
        n, d, k = shape
        random = np.random.RandomState(n)
        self.X = mixtures.random_rows(n, d, random, dtype)
        self.weights = random.uniform(0, 3, n) if weighted else mixtures.NO_WEIGHTS
        self.weights_or_ones = self.weights if weighted else np.ones(n)
        self.origin = random.standard_normal(d)
        self.centers = 3 * random.standard_normal((k, d)).astype(dtype)
        rows = (self.X - self.origin)[:, np.newaxis, :]
        self.distances = ((rows - self.centers.astype(np.float64)) ** 2).sum(axis=2)

    @property
    def seeding_arguments(self):
        return self.X, self.weights, self.origin

    @property
    def lloyd_arguments(self):
        centers = self.centers.astype(np.float64)
        offsets = -0.5 * (centers**2).sum(axis=1)
        narrow = centers.astype(np.float32), offsets.astype(np.float32)
        return *self.seeding_arguments, centers, offsets, *narrow, 0.0


kmeans_cases = pytest.mark.parametrize("weighted", [False, True])


@every_dtype
@every_shape
@kmeans_cases
def test_seeding_potentials(dtype, shape, weighted):
    problem = KMeansProblem(dtype, shape, weighted)
    closest = np.random.RandomState(1).uniform(0, 8, shape[0]).astype(dtype)
    before, potentials = closest.copy(), np.zeros(shape[2])
    seed = seeding_pass(np.dtype(dtype))
    none = problem.centers[:0]
    seed(*problem.seeding_arguments, none, problem.centers, closest, potentials)
    nearer = np.minimum(problem.distances, before[:, np.newaxis])
    assert_close(potentials, problem.weights_or_ones @ nearer, RTOL[dtype])
    np.testing.assert_array_equal(closest, before)


@every_dtype
@every_shape
@kmeans_cases
def test_seeding_takes_up_a_center(dtype, shape, weighted):
    """And weighs the candidates with it."""
    problem = KMeansProblem(dtype, shape, weighted)
    nearest = np.minimum.accumulate(problem.distances, axis=1)
    rows = (problem.X - problem.origin)[:, np.newaxis, :]
    seed = seeding_pass(np.dtype(dtype))
    for n_candidates in (0, 1, 3):
        closest, potentials = np.full(shape[0], np.inf, dtype), np.zeros(n_candidates)
        candidates = np.resize(0.5 * problem.centers, (n_candidates, shape[1]))
        distances = ((rows - candidates.astype(np.float64)) ** 2).sum(axis=2)
        for c, center in enumerate(problem.centers):
            potentials[:] = 0
            seed(*problem.seeding_arguments, center[np.newaxis], candidates, closest, potentials)
            assert_close(closest, nearest[:, c], RTOL[dtype])
            nearer = np.minimum(nearest[:, c, np.newaxis], distances)
            assert_close(potentials, problem.weights_or_ones @ nearer, RTOL[dtype])


@every_shape
def test_distances_in_float32(shape):
    problem = KMeansProblem(np.float32, shape, False)
    points = problem.centers.astype(np.float64)
    found = np.zeros((len(points), shape[0] + 3), np.float32)
    distances_pass()(problem.X, points, found[:, 3:])
    desired = ((problem.X.astype(np.float64) - points[:, np.newaxis]) ** 2).sum(axis=2)
    np.testing.assert_allclose(found[:, 3:], desired, rtol=1e-7)
    assert not found[:, :3].any()


@every_dtype
@every_shape
@kmeans_cases
def test_lloyd_step(dtype, shape, weighted):
    n, d, k = shape
    problem = KMeansProblem(dtype, shape, weighted)
    labels, limits, sums = np.full(n, k, np.int32), np.zeros(n, np.float32), np.zeros((k, d + 1))
    drifts = np.append(np.full(k, 0.5, np.float32), np.float32(np.inf))
    step = lloyd_pass(np.dtype(dtype))
    arguments = problem.lloyd_arguments
    assert step(*arguments, drifts, labels, limits, sums) == (n, 0)
    np.testing.assert_array_equal(labels, problem.distances.argmin(axis=1))
    two = np.sort(np.sqrt(problem.distances), axis=1)[:, :2]
    if k > 1:
        assert np.all(limits <= two[:, 1] - two[:, 0] + 0.5 + 1e-6)
        # For rounding, in float32; and where moves leave little of a lead, in the rows' type.
        norms = np.sqrt(((problem.X - problem.origin) ** 2).sum(axis=1))
        kept_back = 1e-2 + norms * np.sqrt(16 * (d + 3) * np.finfo(dtype).eps)
        assert np.all(limits >= two[:, 1] - two[:, 0] + 0.5 - kept_back)
    rows = np.column_stack([problem.X - problem.origin, np.ones(n)])
    desired = (np.eye(k)[labels] * problem.weights_or_ones[:, np.newaxis]).T @ rows
    assert_close(sums, desired, RTOL[dtype])
    # Labels that are right already do not count, and those that are wrong change both sums.
    wrong = labels.copy()
    wrong[: n // 2] = (labels[: n // 2] + 1) % k
    limits[:] = 0
    sums = (np.eye(k)[wrong] * problem.weights_or_ones[:, np.newaxis]).T @ rows
    assert step(*arguments, drifts, wrong, limits, sums) == (n // 2 if k > 1 else 0, 0)
    np.testing.assert_array_equal(wrong, labels)
    assert_close(sums, desired, RTOL[dtype])


@every_dtype
def test_a_lloyd_step_reads_no_row_within_its_limit(dtype):
    problem = KMeansProblem(dtype, (1337, 3, 4), False)
    random = np.random.RandomState(3)
    labels, sums = random.randint(0, 4, 1337).astype(np.int32), np.zeros((4, 4))
    drifts = np.array([1, 2, 3, 4, np.inf], np.float32)
    limits = drifts[labels]
    kept = random.uniform(size=1337) < 0.5
    limits[kept] *= np.float32(1.0001)
    problem.X[kept] = np.nan
    before = labels.copy()
    step = lloyd_pass(np.dtype(dtype))
    step(*problem.lloyd_arguments, drifts, labels, limits, sums)
    assert np.isfinite(sums).all()
    np.testing.assert_array_equal(labels[kept], before[kept])
    np.testing.assert_array_equal(labels[~kept], problem.distances[~kept].argmin(axis=1))


@every_dtype
def test_a_lloyd_step_leaves_rows_in_doubt(dtype):
    """Those whose nearest center leads by no more than the leeway."""
    problem = KMeansProblem(dtype, (1337, 3, 4), False)
    labels, limits, sums = np.full(1337, 4, np.int32), np.zeros(1337, np.float32), np.zeros((4, 4))
    drifts = np.append(np.zeros(4, np.float32), np.float32(np.inf))
    step = lloyd_pass(np.dtype(dtype))
    *arguments, _ = problem.lloyd_arguments
    changed, in_doubt = step(*arguments, 0.1, drifts, labels, limits, sums)
    two = np.sort(np.sqrt(problem.distances), axis=1)[:, :2]
    close = two[:, 1] - two[:, 0] < 0.1 - 1e-3
    assert 0 < close.sum() <= in_doubt < 1337
    assert changed == 1337 - in_doubt
    np.testing.assert_array_equal(np.isneginf(limits), labels == 4)
    assert np.all(labels[close] == 4)
    np.testing.assert_array_equal(labels[labels < 4], problem.distances[labels < 4].argmin(axis=1))
    assert sums[:, -1].sum() == changed
    # Sums that are not wanted are not taken.
    labels[:] = 4
    assert step(*arguments, 0.1, drifts, labels, limits, np.zeros((0, 4))) == (changed, in_doubt)


@every_dtype
@every_shape
@kmeans_cases
def test_sums_in_order(dtype, shape, weighted):
    n, d, k = shape
    problem, labels = KMeansProblem(dtype, shape, weighted), np.arange(n, dtype=np.int32) % k
    sums, weights = np.zeros((k, d), dtype), np.zeros(k, dtype)
    given = problem.weights.astype(dtype)
    sums_in_order(np.dtype(dtype))(problem.X, given, labels, sums, weights)
    desired, totals = np.zeros((k, d), dtype), np.zeros(k, dtype)
    for t in range(n):
        weight = given[t] if weighted else dtype(1)
        desired[labels[t]] += weight * problem.X[t]
        totals[labels[t]] += weight
    np.testing.assert_array_equal(weights, totals)
    if weighted:  # products may be fused with sums
        assert_close(sums, desired, RTOL[dtype])
    else:
        np.testing.assert_array_equal(sums, desired)
