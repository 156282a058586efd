"""Exponential and logarithm of vectors, against 40 digits.

An error is measured in units in the last place of the exact answer; a correctly rounded answer has
at most 0.5.
"""

import math

import mpmath
import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic

from fastgmm.kernels import elementary
from fastgmm.kernels.elementary import LOG2_E, SMALLEST_EXP, log_and_inverse, log_positive
from fastgmm.kernels.simd import LANE_BYTES, Vectors, unpack_arguments
from tests.kernels import compile_when_called

pytestmark = pytest.mark.compiled_only

N = 2000

#: What the polynomials and the few roundings around them may lose. The logarithm adds terms of like
#: size just beside 1.
EXP_ULPS, LOG_ULPS, INVERSE_ULPS = 1.0, 2.0, 2.0


def vectorized(emitter):
    """A function of arrays from an emitter of one vector's worth of code."""

    @intrinsic
    def fill(typing, x, out):
        def emit(context, builder, signature, args):
            v = Vectors(builder, x.dtype)
            source, target = unpack_arguments(context, builder, signature, args)

            def step(t, _):
                v.store(emitter(v, v.load(source, t)), target, t)

            v.loop(0, source.shape[0], v.lanes, [], step)
            return context.get_dummy_value()

        return types.void(x, out), emit

    run = compile_when_called(lambda x, out: fill(x, out))

    def function(x):
        padded = np.ones(-(-len(x) // LANE_BYTES) * LANE_BYTES, x.dtype)
        padded[: len(x)] = x
        out = np.empty_like(padded)
        run(padded, out)
        return out[: len(x)]

    return function


def exp2_above(v, x):
    """2^x where that is a normal number."""
    counts = v.builder.fcmp_ordered(">", x, v.constant(SMALLEST_EXP[v.double] / math.log(2.0)))
    return elementary.exp2(v, x, 1.0, counts)


def exp_above(v, x):
    """e^x where that is a normal number: how the passes use it."""
    counts = v.builder.fcmp_ordered(">", x, v.constant(SMALLEST_EXP[v.double]))
    return elementary.exp2(v, x, LOG2_E, counts)


exp2 = vectorized(exp2_above)
exp = vectorized(exp_above)
log = vectorized(log_positive)
log_beside_inverse = vectorized(lambda v, x: log_and_inverse(v, x)[0])
inverse = vectorized(lambda v, x: log_and_inverse(v, x)[1])


def ulps(actual, function, x):
    """Largest error, in units in the last place."""
    largest = 0.0
    with mpmath.workdps(40):
        for got, argument in zip(actual, x, strict=True):
            truth = function(mpmath.mpf(float(argument)))
            spacing = float(np.spacing(np.abs(x.dtype.type(float(truth)))))
            largest = max(largest, abs(float((mpmath.mpf(float(got)) - truth) / spacing)))
    return largest


def around(points, dtype):
    """Every point and its nearest neighbours on either side."""
    points = np.asarray(points, dtype)
    steps = np.arange(-2, 3)[:, np.newaxis] * np.spacing(np.abs(points))
    return (points + steps.astype(dtype)).ravel()


def smallest(dtype):
    """Smallest argument of the exponential."""
    return np.nextafter(dtype(SMALLEST_EXP[dtype == np.float64] / np.log(2.0)), dtype(0))


def exp_arguments(dtype):
    random, low = np.random.RandomState(0), float(smallest(dtype))
    x = np.concatenate(
        [
            random.uniform(low, 0, N),
            -np.exp(random.uniform(-50, np.log(-low), N)),
            around(np.arange(int(low), 0, 3), dtype),
            around(np.arange(int(low), 0, 3) + 0.5, dtype),  # where the power of two changes
            around([-1.0, low], dtype),
            [0.0, -0.0, low, np.nextafter(dtype(0), dtype(-1))],
        ]
    ).astype(dtype)
    return np.clip(x, smallest(dtype), dtype(0))


def log_arguments(dtype):
    random, limits = np.random.RandomState(1), np.finfo(dtype)
    low, high = np.log(float(limits.tiny)), np.log(float(limits.max))
    powers = 2.0 ** np.linspace(limits.minexp + 1, limits.maxexp - 1, 151).round()
    x = np.concatenate(
        [
            np.exp(random.uniform(low, high, N)),
            random.uniform(1, 64, N),  # the sums of densities that kernels take it of
            1 + np.exp(random.uniform(-37, 0, N)),
            around(powers, dtype),
            around(np.sqrt(0.5) * powers, dtype),  # where the power of two changes
            around(1 - np.exp(random.uniform(-30, -0.1, 50)), dtype),
            [limits.tiny, limits.max],
        ]
    ).astype(dtype)
    return np.clip(x, limits.tiny, limits.max)


every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def exact_exp2(x):
    return mpmath.power(2, x)


@every_dtype
def test_exp_is_good_to_the_last_place(dtype):
    x = exp_arguments(dtype)
    assert ulps(exp2(x), exact_exp2, x) < EXP_ULPS


@every_dtype
def test_log_is_good_to_the_last_place(dtype):
    x = log_arguments(dtype)
    assert ulps(log(x), mpmath.log, x) < LOG_ULPS


@every_dtype
def test_log_and_inverse_are_good_to_the_last_places(dtype):
    quarter = 4 * np.finfo(dtype).tiny
    x = np.clip(log_arguments(dtype), quarter, 1 / quarter)
    assert ulps(log_beside_inverse(x), mpmath.log, x) < LOG_ULPS
    assert ulps(inverse(x), lambda x: 1 / x, x) < INVERSE_ULPS


@every_dtype
def test_exp_to_another_base_is_off_by_the_rounding_of_its_logarithm(dtype):
    low = SMALLEST_EXP[dtype == np.float64]
    x = -np.exp(np.random.RandomState(2).uniform(-50, np.log(-low), N)).astype(dtype)
    with mpmath.workdps(40):
        rounding = abs(float(mpmath.mpf(float(dtype(LOG2_E))) * mpmath.log(2) - 1))
        ratios = [got * mpmath.exp(-t) for got, t in zip(exp(x).tolist(), x.tolist(), strict=True)]
        errors = np.array([abs(float(ratio - 1)) for ratio in ratios])
    assert np.all(errors < np.finfo(dtype).eps + rounding * np.abs(x))


@every_dtype
def test_exact_values(dtype):
    np.testing.assert_array_equal(exp2(np.array([0.0, -0.0], dtype)), 1)
    whole = np.arange(int(smallest(dtype)), 1).astype(dtype)
    np.testing.assert_array_equal(exp2(whole), np.exp2(whole))
    assert log(np.array([1.0], dtype)) == 0
    assert not np.signbit(log(np.array([1.0], dtype)))


@every_dtype
def test_what_does_not_count_is_zero(dtype):
    below = np.array([np.nextafter(smallest(dtype), dtype(-np.inf)), -1e30, -np.inf], dtype)
    np.testing.assert_array_equal(exp2(below), 0)
    assert exp2(np.array([smallest(dtype)])) > 0
