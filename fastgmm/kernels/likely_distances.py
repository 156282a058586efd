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

_LEAST = 2.0 * NEGLIGIBLE
"""Below the largest log-density: so far from what counts that no rounding makes up for it."""

_ROUNDING = 1.0 + 2.0**-40
"""The same of log-densities that are larger than that."""


def _first_features(d):
    return min(max(_FEWEST, d // _SHARE), d)


def _likely_definition(tile, points, means, axes, scales, constants, room, distances):
    (k, d), lanes = means.shape, LANE_BYTES // constants.itemsize
    first = _first_features(d)
    for t in range(0, points, lanes):
        here = slice(t, t + lanes)
        squares = ((tile[:d, here] - means[:, :, np.newaxis]) * axes[:, :, np.newaxis]) ** 2
        begun, whole = squares[:, :first].sum(axis=1), squares.sum(axis=1)
        at_most = constants[:k, np.newaxis] + scales[:, np.newaxis] * begun
        likeliest = np.unique(at_most.argmax(axis=0))
        reached = constants[:k, np.newaxis] + scales[:, np.newaxis] * whole
        largest = reached[likeliest].max(axis=0)
        counts = (at_most > largest * _ROUNDING + _LEAST).any(axis=1)
        counts[likeliest] = True
        distances[:, here] = np.where(counts[:, np.newaxis], whole, begun)


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
    share = builder.sdiv(d, v.index(_SHARE))
    first = v.lesser(v.greater(v.index(_FEWEST), share), d)

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

        def finish(i, height, found):
            rows = [v.whole_number(listed, v.plus(i, r)) for r in range(height)]
            sums = add_squares(rows, first, d, [v.load(out, place(c)) for c in rows])
            (largest,) = found
            for c, total in zip(rows, sums, strict=True):
                v.store(total, out, place(c))
                largest = v.maximum(log_density(c, total), largest)
            return [largest]

        # Those that are the likeliest so far of some point; then those that may come near to them.
        def turn(others, found):
            least = v.fma(found[0], v.constant(_ROUNDING), v.constant(_LEAST))
            is_others = builder.icmp_signed("!=", others, v.index(0))

            def look(c, n):
                v.put(number(c), listed, n[0])
                likeliest = v.any(builder.fcmp_ordered("==", owner, v.splat(number(c))))
                at_most = log_density(c, v.load(out, place(c)))
                counts = v.any(builder.fcmp_unordered(">", at_most, least))
                other = builder.and_(counts, builder.not_(likeliest))
                chosen = builder.select(is_others, other, likeliest)
                return [builder.add(n[0], builder.zext(chosen, ir.IntType(64)))]

            (n,) = v.loop(0, k, 1, [v.index(0)], look)
            return v.blocks(n, found, finish)

        v.loop(0, 2, 1, [lowest], turn)

    v.loop(0, count, v.lanes, [], vector)
