"""Which components are *central*: their moments may be taken about the origin of a pass.

Moments about a component's own mean need the mean taken off every number, for each component anew.
Moments about the origin need no such step, and the products of features that go into them are the
same for all components. They are moved to the means afterwards, which takes one step for a
component instead of one for a point.

The price is digits. Far from the origin, a second moment about it is much larger than the one about
the mean, and so is its rounding. That is why a component has to lie near the origin, and why its
moments are looked at before they are moved. The argument ``careful`` of the statistics' kernels
turns all this off.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import inlined, microkernel
from fastgmm.kernels.simd import Vectors, unpack_arguments

_FARTHEST = {True: 8.0, False: 5.0}
"""A component is central if its mean is no more than so many standard deviations from the origin.

The key says whether numbers are float64. A second moment about the origin is at most one plus the
square of this times the one about the mean, and loses as many digits.
"""

MOST_LOST = {True: 128.0, False: 32.0}
"""A second moment about the origin may be so many times the one about the component's new mean.

Beyond that the component has moved or shrunk in this very pass, and too many digits would be lost.
Its moments are then computed again, about its old mean. The key says whether numbers are float64.
"""

_LEAST_GAINED = 2.0
"""Moments are computed again only if that makes them smaller by more than this factor.

A component that moved far has a large second moment about its old mean, too.
"""


def _mark(norms, central, farthest):
    central[: len(norms)] = norms <= farthest
    return int((norms <= farthest).sum())


def _mark_central_definition(projected, central):
    norms = np.sqrt((projected**2).sum(axis=1))
    return _mark(norms, central, _FARTHEST[projected.dtype == np.float64])


@microkernel(_mark_central_definition)
def mark_central(typing, projected, central):
    r"""central[c] = 1 if component c is near to the origin, in its own standard deviations, else 0.

    projected (k, d), the whitened means; central (>= k,). Near by :math:`\|U^T \mu\|`, which is no
    less than :math:`|\mu_j| / \sigma_j` for any feature j (Cauchy and Schwarz, with :math:`\Sigma =
    (U U^T)^{-1}`). Returns how many are.
    """
    return _marking(projected, central, along_axes=False)


def _mark_central_along_axes_definition(projected, central):
    norms = np.abs(projected).max(axis=1)
    return _mark(norms, central, _FARTHEST[projected.dtype == np.float64])


@microkernel(_mark_central_along_axes_definition)
def mark_central_along_axes(typing, projected, central):
    """`mark_central` where features are apart: near along each axis; projected are scaled means."""
    return _marking(projected, central, along_axes=True)


@inlined
def mark_none(projected, central):
    """For forms that no component has to be near the origin for."""


def _marking(projected, central, along_axes):
    """Signature and emitter of `mark_central`, or of `mark_central_along_axes`."""
    signature = types.intp(projected, central)

    def emit(context, builder, signature, args):
        v = Vectors(builder, projected.dtype)
        means, out = unpack_arguments(context, builder, signature, args)
        (k, d), zero = means.shape, ir.Constant(v.scalar, 0.0)
        farthest = ir.Constant(v.scalar, _FARTHEST[v.double] ** 2)

        def component(c, found):
            def feature(j, so_far):
                number = v.number(means, v.at(c, d, j))
                square = builder.fadd(so_far[0], builder.fmul(number, number))
                inside = builder.fcmp_ordered("<=", square, farthest)
                near = builder.select(inside, so_far[1], zero)
                return [zero if along_axes else square, near]

            _, near = v.loop(0, d, 1, [zero, ir.Constant(v.scalar, 1.0)], feature)
            v.put(near, out, c)
            return [builder.add(found[0], builder.fptosi(near, found[0].type))]

        return v.loop(0, k, 1, [v.index(0)], component)[0]

    return signature, emit


def keeps_digits_definition(second, first, weight, mean, most_lost):
    about_new = second * weight - first * first
    about_old = second + mean * (weight * mean - 2.0 * first)
    return about_new * most_lost >= second * weight or about_old * _LEAST_GAINED >= second


def emit_keeps_digits(v, second, first, weight, mean, most_lost):
    """Whether a feature's second moment about the origin keeps digits enough to be moved.

    All are float64, and `most_lost` is one of `MOST_LOST`. A moment that is not a number does not.
    """
    builder = v.builder
    weighted = builder.fmul(second, weight)
    about_new = v.fma(builder.fneg(first), first, weighted)
    moved = v.fma(weight, mean, builder.fneg(builder.fadd(first, first)))
    about_old = v.fma(mean, moved, second)
    least_gained = ir.Constant(ir.DoubleType(), _LEAST_GAINED)
    return builder.or_(
        builder.fcmp_ordered(">=", builder.fmul(about_new, most_lost), weighted),
        builder.fcmp_ordered(">=", builder.fmul(about_old, least_gained), second),
    )
