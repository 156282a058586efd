"""Distances of the points of a tile to the components that may count for them.

Of many features, most components are out of the question after a few of these: a sum of squares
only grows. What is left of their distances is not computed, and changes no bit, for the
responsibilities that would follow are left out anyway.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.layout import NEGLIGIBLE
from fastgmm.kernels.simd import LANE_BYTES, Vectors, unpack_arguments

_FEWEST = 16
"""Features that are looked at first, at least."""

_SHARE = 8
"""One feature in so many is looked at first."""

_FURTHER = 3
"""So many times these are looked at next, of components that are not out of the question yet."""

_FEW = 8
"""Components below which all distances are computed as they are."""

_LEAST = NEGLIGIBLE - 1.0
"""Below the largest log-density: a little less than what counts."""

_ROUNDING = 1.0 + 2.0**-40
"""The largest log-density times this is less by more than rounding, where it is far below zero."""


def _features_looked_at(k, d):
    first = d if k < _FEW else min(max(_FEWEST, d // _SHARE), d)
    return first, min(_FURTHER * first, d)


def _likely_definition(tile, points, means, axes, scales, constants, room, distances):
    (k, d), lanes = means.shape, LANE_BYTES // constants.itemsize
    first, further = _features_looked_at(k, d)
    for t in range(0, points, lanes):
        here = slice(t, t + lanes)
        squares = ((tile[:d, here] - means[:, :, np.newaxis]) * axes[:, :, np.newaxis]) ** 2
        of_first, of_more, whole = (squares[:, :n].sum(axis=1) for n in (first, further, d))
        at_most, still, reached = (
            constants[:k, np.newaxis] + scales[:, np.newaxis] * part
            for part in (of_first, of_more, whole)
        )
        likeliest = np.zeros((k, 1), dtype=bool)
        likeliest[at_most.argmax(axis=0)] = True
        least = np.where(likeliest, reached, -np.inf).max(axis=0) * _ROUNDING + _LEAST
        others = (at_most > least).any(axis=1, keepdims=True) & ~likeliest
        left = (still > least).any(axis=1, keepdims=True) & others
        distances[:, here] = np.where(others, of_more, of_first)
        distances[:, here] = np.where(likeliest | left, whole, distances[:, here])


@microkernel(_likely_definition)
def centred_distances_to_likely(
    typing, tile, points, means, axes, scales, constants, room, distances
):
    """`centred_diagonal_distances`, as large as need be to be seen to be negligible.

    Of components that count for no point of a vector, the squares of the first features alone.
    axes (k, d) are what features are scaled by, scales and constants those of `normalize`; room
    (>= k,) is written to.
    """
    operands = means, axes, scales, constants
    signature = types.void(tile, types.intp, *operands, room, distances)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, *operands, listed, out = unpack_arguments(context, builder, signature, args)
        _to_likely(v, x, count, *operands, listed, out)
        return context.get_dummy_value()

    return signature, emit


def _to_likely(v, x, count, mu, axes, scale, constant, listed, out):
    builder, (k, d), stride, out_stride = v.builder, mu.shape, x.shape[1], out.shape[1]
    share = v.lesser(v.greater(v.index(_FEWEST), builder.sdiv(d, v.index(_SHARE))), d)
    first = builder.select(builder.icmp_signed("<", k, v.index(_FEW)), d, share)
    further = v.lesser(builder.mul(first, v.index(_FURTHER)), d)

    def number(c):
        return builder.sitofp(c, v.scalar)

    def vector(t, _):
        def place(c):
            return v.at(c, out_stride, t)

        def log_density(c, distance):
            return v.fma(v.broadcast(scale, c), distance, v.broadcast(constant, c))

        def add_squares(rows, start, stop, sums):
            def feature(j, sums):
                x_j, added = v.load(x, v.at(j, stride, t)), []
                for c, total in zip(rows, sums, strict=True):
                    at = v.at(c, d, j)
                    u = v.mul(v.sub(x_j, v.broadcast(mu, at)), v.broadcast(axes, at))
                    added.append(v.fma(u, u, total))
                return added

            return v.loop(start, stop, 1, sums, feature)

        def begin(c, height, found):
            rows, (most, owner) = [v.plus(c, r) for r in range(height)], found
            sums = add_squares(rows, 0, first, [v.constant(0.0)] * height)
            for row, total in zip(rows, sums, strict=True):
                v.store(total, out, place(row))
                at_most = log_density(row, total)
                more = builder.fcmp_ordered(">", at_most, most)
                most = builder.select(more, at_most, most)
                owner = builder.select(more, v.splat(number(row)), owner)
            return [most, owner]

        lowest = v.constant("-inf")
        _, owner = v.blocks(k, [lowest, v.constant(0.0)], begin)

        # Those that are the likeliest so far of some point, in whole; then those that may come near
        # to them, a little further; then those that still may.
        def turn(n, found):
            is_first, is_second = (builder.icmp_signed("==", n, v.index(i)) for i in (0, 1))
            begin = builder.select(builder.icmp_signed("==", n, v.index(2)), further, first)
            end = builder.select(is_second, further, d)
            least = v.fma(found[0], v.constant(_ROUNDING), v.constant(_LEAST))

            def look(c, n_listed):
                v.put(number(c), listed, n_listed[0])
                likeliest = v.any(builder.fcmp_ordered("==", owner, v.splat(number(c))))
                at_most = log_density(c, v.load(out, place(c)))
                counts = v.any(builder.fcmp_unordered(">", at_most, least))
                other = builder.and_(counts, builder.not_(likeliest))
                chosen = builder.select(is_first, likeliest, other)
                return [builder.add(n_listed[0], builder.zext(chosen, ir.IntType(64)))]

            def go_on(i, height, found):
                rows = [v.whole_number(listed, v.plus(i, r)) for r in range(height)]
                sums = add_squares(rows, begin, end, [v.load(out, place(c)) for c in rows])
                (largest,) = found
                for c, total in zip(rows, sums, strict=True):
                    v.store(total, out, place(c))
                    larger = v.maximum(log_density(c, total), largest)
                    largest = builder.select(is_first, larger, largest)
                return [largest]

            (n_listed,) = v.loop(0, k, 1, [v.index(0)], look)
            return v.blocks(n_listed, found, go_on)

        v.loop(0, 3, 1, [lowest], turn)

    v.loop(0, count, v.lanes, [], vector)
