"""Precision factors of blocks of covariance matrices: of what patterns observe of each component.

They are many and small. As many as there are lanes are factorized side by side, each in its lane:
six times as fast as one after the other.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.elementary import log_positive
from fastgmm.kernels.layout import EPS, SINGULAR
from fastgmm.kernels.linalg.few_features import factor_definition
from fastgmm.kernels.simd import LANE_BYTES, Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_row, aligned_rows
from fastgmm.kernels.views import lesser, part

_VECTORS = 2
"""Vectors of matrices that are worked on at once, so that none waits for its own last result."""

SIDE_BY_SIDE = _VECTORS * LANE_BYTES // 8
"""Matrices that are worked on at once."""


def _factor_definition(covariances, p, roots, factors, log_determinants):
    given = covariances[: p * p, :SIDE_BY_SIDE].T.reshape(-1, p, p)
    found = np.empty_like(given)
    factor_definition(given, found)
    log_determinants[:SIDE_BY_SIDE] = np.log(found.diagonal(axis1=1, axis2=2)).sum(axis=1)
    rows, columns = np.triu_indices(p)
    factors[rows * p + columns, :SIDE_BY_SIDE] = found[:, rows, columns].T


@microkernel(_factor_definition)
def factor_side_by_side(typing, covariances, p, roots, factors, log_determinants):
    """Upper triangular U with ``U @ U.T = inv(covariance)``, of `SIDE_BY_SIDE` matrices.

    NaN where a covariance is singular to rounding, or not finite. covariances, roots (scratch) and
    factors (>= p * p, stride): entry (i, j) of all matrices in row i * p + j, of which those with
    i <= j count; log_determinants (stride,) of the factors.
    """
    arrays = covariances, types.intp, roots, factors, log_determinants

    def emit(context, builder, signature, args):
        v = Vectors(builder, types.float64)
        given, p, roots, out, logs = unpack_arguments(context, builder, signature, args)
        for array in (given, roots, out):
            assert array.element == v.scalar
        _emit_factors(v, *(_Matrices(v, array, p) for array in (given, roots, out)), p, logs)
        return context.get_dummy_value()

    return types.void(*arrays), emit


class _Matrices:
    """Entries of matrices that lie side by side."""

    def __init__(self, v, array, p):
        self._v, self._array, self._p = v, array, p

    def _places(self, i, j):
        v = self._v
        begin = v.at(v.at(i, self._p, j), self._array.shape[1])
        return [v.plus(begin, n * v.lanes) for n in range(_VECTORS)]

    def load(self, i, j):
        return [self._v.load(self._array, place) for place in self._places(i, j)]

    def store(self, values, i, j):
        for value, place in zip(values, self._places(i, j), strict=True):
            self._v.store(value, self._array, place)


def _emit_factors(v, given, roots, factors, p, logs):
    b, one, zero = v.builder, v.constant(1.0), v.constant(0.0)
    undefined, infinite = v.constant("nan"), v.constant("inf")

    def each(function, *operands):
        return [function(*some) for some in zip(*operands, strict=True)]

    def taken_off(total, left, right):
        return each(lambda x, y, z: v.fma(b.fneg(y), z, x), total, left, right)

    def only_if(conditions, good):
        return each(lambda condition, x: b.select(condition, x, undefined), conditions, good)

    def root_row(m, good):
        """Row m of the upper triangle R of covariance = R.T @ R; of the inverse, its diagonal."""

        def entry(j):
            def step(h, x):
                return taken_off(x, roots.load(h, m), roots.load(h, j))

            return v.loop(0, m, 1, given.load(m, j), step)

        pivot = entry(m)
        for bound in (
            lambda x: b.fcmp_ordered(">", x, zero),
            lambda x: b.fcmp_ordered("<", x, infinite),
        ):
            good = only_if(each(bound, pivot), good)
        inverse = each(lambda x: b.fdiv(one, v.sqrt(x)), pivot)
        factors.store(inverse, m, m)

        def column(j, _):
            roots.store(each(v.mul, entry(j), inverse), m, j)

        v.loop(v.plus(m, 1), p, 1, [], column)
        return good

    least = b.fmul(b.sitofp(p, v.scalar), ir.Constant(v.scalar, SINGULAR * EPS))

    def inverse_row(done, good):
        """Row m of the inverse of R, from the last upwards."""
        m = b.sub(v.plus(p, -1), done)
        diagonal = factors.load(m, m)

        def column(j, known):
            def step(h, x):
                return taken_off(x, roots.load(m, h), factors.load(h, j))

            total = v.loop(v.plus(m, 1), v.plus(j, 1), 1, [zero] * _VECTORS, step)
            entry = each(v.mul, total, diagonal)
            factors.store(entry, m, j)
            return each(v.fma, entry, entry, known)

        # The diagonal of the precisions, of features of variance 1: what others leave of each.
        known = v.loop(v.plus(m, 1), p, 1, each(v.mul, diagonal, diagonal), column)
        known = each(lambda x, y: v.mul(v.mul(x, y), v.splat(least)), known, given.load(m, m))
        return only_if(each(lambda x: b.fcmp_ordered("<", x, one), known), good)

    good = v.loop(0, p, 1, [one] * _VECTORS, root_row)
    good = v.loop(0, p, 1, good, inverse_row)

    def check_row(m, totals):
        totals = each(lambda x, y: v.add(x, log_positive(v, y)), totals, factors.load(m, m))
        v.loop(m, p, 1, [], lambda j, _: factors.store(each(v.mul, factors.load(m, j), good), m, j))
        return totals

    totals = v.loop(0, p, 1, [zero] * _VECTORS, check_row)
    for n, total in enumerate(each(v.mul, totals, good)):
        v.store(total, logs, v.index(n * v.lanes))


@entry_point
def marginal_factors():
    """Kernel for precision factors of some features, for many choices of these.

    Returns
    -------
    callable (covariances, known, means, factors, log_determinants, projected)
        covariances (k, d, d), or (1, d, d) for all components; known (m, p), numbers of features;
        means (m, k, p) of these; out: factors U (m, k or 1, p, p) of the known features, ``U @ U.T
        = inv(covariance)``, NaN where that is singular to rounding, log_determinants of these (m, k
        or 1), and projected (m, k, p), ``U.T @ mean``.
    """
    stacks = [types.Array(types.float64, n, "C") for n in (4, 2, 3)]
    read = types.Array(types.float64, 3, "C", readonly=True)
    features = types.Array(types.int64, 2, "C", readonly=True)

    @kernel(signature=types.void(read, features, read, *stacks))
    def factorize(covariances, known, means, factors, log_determinants, projected):
        n_own, (m, k, p) = len(covariances), means.shape
        given = aligned_rows(p * p, SIDE_BY_SIDE, factors)
        roots = aligned_rows(p * p, SIDE_BY_SIDE, factors)
        found = aligned_rows(p * p, SIDE_BY_SIDE, factors)
        logs = aligned_row(SIDE_BY_SIDE, factors)
        for first in range(0, m * n_own, SIDE_BY_SIDE):
            count = lesser(SIDE_BY_SIDE, m * n_own - first)
            for lane in range(SIDE_BY_SIDE):
                i, c = divmod(first + lesser(lane, count - 1), n_own)
                o, covariance = part(known, i), part(covariances, c)
                for a in range(p):
                    row = part(covariance, o[a])
                    for b in range(a, p):
                        given[a * p + b, lane] = row[o[b]]
            factor_side_by_side(given, p, roots, found, logs)
            for lane in range(count):
                i, c = divmod(first + lane, n_own)
                out = part(part(factors, i), c)
                for a in range(p):
                    for b in range(a):
                        out[a, b] = 0.0
                    for b in range(a, p):
                        out[a, b] = found[a * p + b, lane]
                log_determinants[i, c] = logs[lane]
        for i in range(m):
            for c in range(k):
                factor = part(part(factors, i), lesser(c, n_own - 1))
                mean, white = part(part(means, i), c), part(part(projected, i), c)
                for b in range(p):
                    white[b] = 0.0
                    for a in range(b + 1):
                        white[b] += factor[a, b] * mean[a]

    return factorize
