r"""Weighted sufficient statistics of the points of a tile, added to float64 sums.

With r the weighted responsibilities and :math:`u = x - \mu_c` (Bishop 2006, eq. 9.24 to 9.27, about
the pass's own means instead of zero, which keeps what would cancel):

- outer: :math:`\sum_t r\, (u, 1)(u, 1)^T`, the lower triangle of a ``(d + 1, d + 1)`` block: the
  second moments, in the last row the first, in the corner the weight;
- diagonal: ``first (d), weight, second (d)`` with :math:`\sum_t r\, u_j^2`;
- trace: ``first (d), weight, second`` with :math:`\sum_t r\, \|u\|^2`;
- none: ``first (d), weight``.
"""

import numpy as np
from numba.core import types

from fastgmm.kernels.compile import kernel, microkernel
from fastgmm.kernels.simd import BLOCK, GROUP, Vectors, unpack_arguments


def _outer_definition(tile, points, mean, responsibilities, scratch, block):
    d = len(mean)
    centred = np.ones((d + 1, points))
    centred[:d] = tile[:d, :points] - mean[:, None]
    block += np.tril((centred * responsibilities[:points]) @ centred.T)


@microkernel(_outer_definition)
def outer_moments(typing, tile, points, mean, responsibilities, scratch, block):
    """Add one component's outer moments to block (d + 1, d + 1).

    tile (>= d, stride), mean (d,), responsibilities (stride,), scratch (>= d + 1, stride).
    """
    signature = types.void(tile, types.intp, mean, responsibilities, scratch, block)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, mu, r, z, sums = unpack_arguments(context, builder, signature, args)
        stride, (d,) = x.shape[1], mu.shape

        def scale(t, _):
            """z = sqrt(r) (x - mean) and, below, sqrt(r): one array serves both sides."""
            root = v.sqrt(v.load(r, t))
            v.store(root, z, v.at(d, stride, t))

            def feature(j, _):
                u = v.sub(v.load(x, v.at(j, stride, t)), v.broadcast(mu, j))
                v.store(v.mul(u, root), z, v.at(j, stride, t))

            v.loop(0, d, 1, [], feature)

        v.loop(0, count, v.lanes, [], scale)
        rows = v.plus(d, 1)

        def block_row(i, height, _):
            whole = i if height == BLOCK else v.builder.and_(rows, v.index(-BLOCK))
            v.loop(0, whole, BLOCK, [], lambda j, _: product(i, height, j, BLOCK))
            v.loop(whole, i, 1, [], lambda j, _: product(i, height, j, 1))
            product(i, height, i, height, on_diagonal=True)

        def product(i, height, j, width, on_diagonal=False):
            _add_products(v, z, stride, count, i, height, z, j, width, sums, rows, on_diagonal)

        v.blocks(rows, [], block_row)
        return context.get_dummy_value()

    return signature, emit


@kernel
def all_outer_moments(tile, points, means, responsibilities, scratch, blocks):
    """`outer_moments` for every component."""
    rows = means.shape[1] + 1
    for c in range(means.shape[0]):
        block = blocks[c].reshape(rows, rows)
        outer_moments(tile, points, means[c], responsibilities[c], scratch, block)


def _first_definition(tile, points, responsibilities, sums):
    sums[:, : len(tile)] += responsibilities[:, :points] @ tile[:, :points].T


@microkernel(_first_definition)
def first_moments(typing, tile, points, responsibilities, sums):
    """sums[c, j] += sum over t of responsibilities[c, t] tile[j, t], for all components.

    tile (rows, stride), whose last row of ones makes the weights; sums (k, >= rows).
    """
    signature = types.void(tile, types.intp, responsibilities, sums)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, r, out = unpack_arguments(context, builder, signature, args)
        (rows, stride), (k, _), out_stride = x.shape, r.shape, out.shape[1]

        def components(c, height, _):
            def features(j, width, _):
                _add_products(v, r, stride, count, c, height, x, j, width, out, out_stride)

            v.blocks(rows, [], features)

        v.blocks(k, [], components)
        return context.get_dummy_value()

    return signature, emit


def _add_products(
    v, a, stride, count, i, height, b, j, width, sums, sums_stride, on_diagonal=False
):
    """sums[i:i+height, j:j+width] += a[i:i+height] b[j:j+width]^T, products over the points."""
    pairs = [(m, n) for m in range(height) for n in range(width) if n <= m or not on_diagonal]

    def step(t, totals):
        left = [v.load(a, v.at(v.plus(i, m), stride, t)) for m in range(height)]
        right = (
            left
            if on_diagonal
            else [v.load(b, v.at(v.plus(j, n), stride, t)) for n in range(width)]
        )
        return [
            v.fma(left[m], right[n], total) for (m, n), total in zip(pairs, totals, strict=True)
        ]

    totals = v.loop(0, count, v.lanes, [v.constant(0.0)] * len(pairs), step)
    for (m, n), total in zip(pairs, v.horizontal_sums(totals), strict=True):
        v.add_to(total, sums, v.plus(v.at(v.plus(i, m), sums_stride, j), n))


def _diagonal_definition(tile, points, mean, responsibilities, block):
    d = len(mean)
    centred = tile[:d, :points] - mean[:, None]
    block[:d] += centred @ responsibilities[:points]
    block[d] += responsibilities[:points].sum()
    block[d + 1 :] += (centred**2) @ responsibilities[:points]


@microkernel(_diagonal_definition)
def diagonal_moments(typing, tile, points, mean, responsibilities, block):
    """Add one component's diagonal moments to block (2 d + 1,)."""
    signature = types.void(tile, types.intp, mean, responsibilities, block)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, mu, r, sums = unpack_arguments(context, builder, signature, args)
        stride, (d,) = x.shape[1], mu.shape
        _add_total(v, r, count, sums, d)

        def features(j, width, _):
            means = [v.broadcast(mu, v.plus(j, n)) for n in range(width)]

            def step(t, totals):
                weight, totals = v.load(r, t), list(totals)
                for n in range(width):
                    u = v.sub(v.load(x, v.at(v.plus(j, n), stride, t)), means[n])
                    weighted = v.mul(u, weight)
                    totals[2 * n] = v.add(totals[2 * n], weighted)
                    totals[2 * n + 1] = v.fma(weighted, u, totals[2 * n + 1])
                return totals

            totals = v.loop(0, count, v.lanes, [v.constant(0.0)] * (2 * width), step)
            totals = v.horizontal_sums(totals)
            for n in range(width):
                first = v.plus(j, n)
                v.add_to(totals[2 * n], sums, first)
                v.add_to(totals[2 * n + 1], sums, v.plus(v.builder.add(first, d), 1))

        v.blocks(d, [], features)
        return context.get_dummy_value()

    return signature, emit


@kernel
def all_diagonal_moments(tile, points, means, responsibilities, blocks):
    """`diagonal_moments` for every component."""
    for c in range(means.shape[0]):
        diagonal_moments(tile, points, means[c], responsibilities[c], blocks[c])


def _add_total(v, array, count, sums, position):
    """sums[position] += sum of the first `count` elements of `array`."""

    def step(t, totals):
        return [
            v.add(total, v.load(array, v.plus(t, n * v.lanes))) for n, total in enumerate(totals)
        ]

    totals = v.loop(0, count, GROUP * v.lanes, [v.constant(0.0)] * GROUP, step)
    for total in v.horizontal_sums(totals):
        v.add_to(total, sums, position)


def _trace_definition(distances, points, responsibilities, sums, column):
    sums[:, column] += (responsibilities[:, :points] * distances[:, :points]).sum(axis=1)


@microkernel(_trace_definition)
def trace_moments(typing, distances, points, responsibilities, sums, column):
    """sums[c, column] += sum over t of responsibilities[c, t] distances[c, t]."""
    signature = types.void(distances, types.intp, responsibilities, sums, types.intp)

    def emit(context, builder, signature, args):
        v = Vectors(builder, distances.dtype)
        q, count, r, out, column = unpack_arguments(context, builder, signature, args)
        (k, stride), out_stride = q.shape, out.shape[1]

        def component(c, _):
            def step(t, totals):
                at = v.at(c, stride, t)
                return [v.fma(v.load(q, at), v.load(r, at), totals[0])]

            (total,) = v.loop(0, count, v.lanes, [v.constant(0.0)], step)
            v.add_to(v.horizontal_sums([total])[0], out, v.at(c, out_stride, column))

        v.loop(0, k, 1, [], component)
        return context.get_dummy_value()

    return signature, emit
