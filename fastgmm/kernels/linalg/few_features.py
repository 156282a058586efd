"""Precision factors of matrices no larger than a block: all of a matrix is in registers.

The same operations in the same order as `fastgmm.kernels.linalg.factors`. Written out for every
size up to `BLOCK`, they compile in a tenth of the time of those loops, which a first fit waits for.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import as_written, entry_point, kernel, microkernel
from fastgmm.kernels.layout import EPS, SINGULAR
from fastgmm.kernels.simd import Vectors, unpack_arguments


def factor_definition(covariances, factors):
    for covariance, out in zip(covariances, factors, strict=True):
        d = len(covariance)
        root, inverse = np.triu(covariance), np.zeros_like(covariance)
        with np.errstate(divide="ignore", invalid="ignore"):
            for m in range(d):
                for h in range(m):
                    root[m, m:] -= root[h, m] * root[h, m:]
                root[m, m] = np.sqrt(root[m, m])
                root[m, m + 1 :] /= root[m, m]
            for m in range(d - 1, -1, -1):
                inverse[m, m] = 1.0 / root[m, m]
                inverse[m, m + 1 :] = -root[m, m + 1 :] @ inverse[m + 1 :, m + 1 :]
                inverse[m, m + 1 :] *= inverse[m, m]
            known = (covariance.diagonal()[:, None] * inverse**2).sum(axis=1)
        pivots = root.diagonal()
        definite = ((pivots > 0) & (pivots < np.inf) & (known * (SINGULAR * d * EPS) < 1)).all()
        out[:] = np.triu(inverse if definite else np.full((d, d), np.nan))


@microkernel(factor_definition)
def factor(typing, covariances, factors):
    """Upper triangular U (m, d, d) with ``U @ U.T = inv(covariance)``, d at most `BLOCK`.

    A triangle of NaN where a covariance is singular to rounding, or not finite.
    """
    signature = types.void(covariances, factors)

    def emit(context, builder, signature, args):
        v = Vectors(builder, types.float64)
        given, out = unpack_arguments(context, builder, signature, args)

        def of_size(d):
            v.loop(0, given.shape[0], 1, [], lambda c, _: _factor_one(v, d, given, out, c))

        v.by_features(given.shape[1], few=of_size)
        return context.get_dummy_value()

    return signature, emit


def _factor_one(v, d, given, out, c):
    """Emit the factor of matrix c."""
    builder, (given, out) = v.builder, (array.part(v.builder, c) for array in (given, out))
    zero, one, infinity = (ir.Constant(v.scalar, value) for value in (0.0, 1.0, float("inf")))

    def less(a, b):
        return builder.fcmp_ordered("<", a, b)

    pairs = [(i, j) for i in range(d) for j in range(i, d)]
    covariance = {(i, j): v.number(given, v.index(i * d + j)) for i, j in pairs}
    # The upper triangle R of covariance = R.T @ R.
    root, good = dict(covariance), []
    for m in range(d):
        for h in range(m):
            taken = builder.fneg(root[h, m])
            for j in range(m, d):
                root[m, j] = v.fma(taken, root[h, j], root[m, j])
        good += [less(zero, root[m, m]), less(root[m, m], infinity)]
        root[m, m] = v.sqrt(root[m, m])
        for j in range(m + 1, d):
            root[m, j] = builder.fdiv(root[m, j], root[m, m])
    # Its inverse, from the last row upwards.
    inverse = {}
    for m in range(d - 1, -1, -1):
        for j in range(m + 1, d):
            inverse[m, j] = zero
        for h in range(m + 1, d):
            taken = builder.fneg(root[m, h])
            for j in range(h, d):
                inverse[m, j] = v.fma(taken, inverse[h, j], inverse[m, j])
        inverse[m, m] = builder.fdiv(one, root[m, m])
        for j in range(m + 1, d):
            inverse[m, j] = v.mul(inverse[m, j], inverse[m, m])
    # The diagonal of the precisions, of features of variance 1: what others leave of each.
    least = ir.Constant(v.scalar, SINGULAR * d * EPS)
    for i in range(d):
        deviation, known = v.sqrt(covariance[i, i]), zero
        for j in range(i, d):
            scaled = v.mul(deviation, inverse[i, j])
            known = v.fma(scaled, scaled, known)
        good.append(less(v.mul(known, least), one))
    definite = good[0]
    for condition in good[1:]:
        definite = builder.and_(definite, condition)
    undefined = ir.Constant(v.scalar, float("nan"))
    for i in range(d):
        for j in range(i):
            v.put(zero, out, v.index(i * d + j))
        for j in range(i, d):
            number = builder.select(definite, inverse[i, j], undefined)
            v.put(number, out, v.index(i * d + j))


@entry_point
def few_precision_factors():
    """Kernel for precision factors of matrices that are no larger than a block.

    Returns
    -------
    callable (covariances, factors)
        As of `fastgmm.kernels.linalg.factors.precision_factors`.
    """
    stack = types.Array(types.float64, 3, "C")

    @kernel(signature=types.void(types.Array(types.float64, 3, "C", readonly=True), stack))
    def factorize(covariances, factors):
        as_written()
        factor(covariances, factors)

    return factorize
