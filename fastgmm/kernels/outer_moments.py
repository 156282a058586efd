r"""Outer moments of the points of a tile, added to float64 sums.

With r the weighted responsibilities and :math:`u = x - \mu_c`, :math:`\sum_t r\, (u, 1)(u, 1)^T`,
the lower triangle of a ``(d + 1, d + 1)`` matrix, whose last row holds the first moments and the
weight, in blocks (see `fastgmm.kernels.layout`).
"""

import functools
import itertools

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.layout import BLOCK, outer_blocks, outer_place
from fastgmm.kernels.moments import block_products
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments


def _outer_definition(tile, points, mean, roots, scratch, block):
    d, n = len(mean), outer_blocks(len(mean))
    rows = np.zeros((BLOCK * n, points), dtype=tile.dtype)
    rows[:d] = (tile[:d, :points] - mean[:, None]) * roots[:points]
    rows[d] = roots[:points]
    lower = np.tril(rows @ rows.T)
    blocks = lower.reshape(n, BLOCK, n, BLOCK).transpose(0, 2, 1, 3)
    block += blocks[np.tril_indices(n)].ravel()


_LONG = 24
"""From so many features on it pays to count the points that have a responsibility at all."""

_FEW = 3
"""Points are few if one in so many of those in the same vectors counts.

They are then taken one by one. A pass over 16 clusters that lie apart, in 32 or 64 features, takes
three quarters of the time that it takes otherwise.
"""

_MOST_BLOCKS = 4
"""So many blocks of a single row each have their sums in registers at once."""


@microkernel(_outer_definition)
def outer_moments(typing, tile, points, mean, roots, scratch, block):
    """Add one component's outer moments to block (outer_size(d),).

    tile (>= d, stride), mean (d,), roots (stride,): square roots of the responsibilities, scratch
    (blocks of rows that cover d + 1, stride).
    """
    signature = types.void(tile, types.intp, mean, roots, scratch, block)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        arrays = unpack_arguments(context, builder, signature, args)
        v.by_features(
            arrays[2].shape[0],
            lambda d: _outer_in_registers(v, d, *arrays),
            lambda: _outer_of_many_features(v, *arrays),
        )
        return context.get_dummy_value()

    return signature, emit


def _outer_of_each_definition(tile, points, means, roots, order, begin, scratch, blocks):
    for c in order[begin : len(means)].astype(int):
        _outer_definition(tile, points, means[c], roots[c], scratch, blocks[c])


def _of_each(tile, means, roots, order, scratch, blocks, *, few):
    """Signature and emitter of `outer_moments` of many components, of few features or of more."""
    signature = types.void(tile, types.intp, means, roots, order, types.intp, scratch, blocks)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, mu, r, order, begin, z, sums = unpack_arguments(context, builder, signature, args)
        k, d = mu.shape

        def components(one):
            def component(m, _):
                c = v.whole_number(order, m)
                mu_c, r_c, sums_c = (array.part(builder, c) for array in (mu, r, sums))
                one(x, count, mu_c, r_c, z, sums_c)

            v.loop(begin, k, 1, [], component)

        if few:
            v.by_features(d, few=lambda n: components(functools.partial(_outer_in_registers, v, n)))
        else:
            v.by_features(d, many=lambda: components(functools.partial(_outer_of_many_features, v)))
        return context.get_dummy_value()

    return signature, emit


@microkernel(_outer_of_each_definition)
def outer_moments_of_few(typing, tile, points, means, roots, order, begin, scratch, blocks):
    """`outer_moments` for the components whose numbers stand in order[begin:k], as floats.

    Of up to `BLOCK` features.
    """
    return _of_each(tile, means, roots, order, scratch, blocks, few=True)


@microkernel(_outer_of_each_definition)
def outer_moments_of_many(typing, tile, points, means, roots, order, begin, scratch, blocks):
    """`outer_moments_of_few` for more than `BLOCK` features."""
    return _of_each(tile, means, roots, order, scratch, blocks, few=False)


def _pooled_definition(tile, points, responsibilities, scratch, block):
    x = tile[:-1, :points]
    row, column = np.tril_indices(len(x))
    second = (x * responsibilities[:, :points].sum(axis=0)) @ x.T
    block[outer_place(row, column)] += second[row, column]


@microkernel(_pooled_definition)
def pooled_second_moments(typing, tile, points, responsibilities, scratch, block):
    """Add the second moments of all components together, about the origin, to block.

    Its first moments and weight are those of the components, and are left out. tile (d + 1,
    stride); responsibilities (k, stride); scratch of a row; block as `outer_moments` takes it.
    """
    signature = types.void(tile, types.intp, responsibilities, scratch, block)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, r, shares, sums = unpack_arguments(context, builder, signature, args)
        d, (k, stride) = v.plus(x.shape[0], -1), r.shape
        span = range(0, GROUP * v.lanes, v.lanes)

        def add_up(t, _):
            def add(c, totals):
                at = v.at(c, stride, t)
                return [
                    v.add(total, v.load(r, v.plus(at, n)))
                    for n, total in zip(span, totals, strict=True)
                ]

            totals = v.loop(0, k, 1, [v.constant(0.0)] * GROUP, add)
            for n, total in zip(span, totals, strict=True):
                v.store(total, shares, v.plus(t, n))

        def number(first, n, t):
            return v.load(x, v.at(v.plus(first, n), stride, t))

        def weighted(first, m, t):
            return v.mul(number(first, m, t), v.load(shares, t))

        v.loop(0, count, GROUP * v.lanes, [], add_up)
        _add_blocks(v, d, count, weighted, number, sums)
        return context.get_dummy_value()

    return signature, emit


def _outer_of_many_features(v, *arrays):
    with v.builder.if_else(_few_count(v, *arrays)) as (few, many):
        with few:
            _outer_of_few(v, *arrays)
        with many:
            _outer_in_blocks(v, *arrays)


def _outer_in_registers(v, d, x, count, mu, roots, z, sums):
    """Outer moments of no more features than a block has rows: nothing is stored on the way."""
    stride, means = x.shape[1], [v.broadcast(mu, v.index(j)) for j in range(d)]
    pairs = [(m, n) for m in range(d + 1) for n in range(m + 1)]

    def step(t, totals):
        root = v.load(roots, t)
        u = [v.sub(v.load(x, v.at(v.index(j), stride, t)), means[j]) for j in range(d)]
        rows = [*(v.mul(root, u_j) for u_j in u), root]
        return [v.fma(rows[m], rows[n], total) for (m, n), total in zip(pairs, totals, strict=True)]

    totals = v.loop(0, count, v.lanes, [v.constant(0.0)] * len(pairs), step)
    found, width = v.lane_sums(totals), min(BLOCK, v.lanes)
    for number, (m, n) in enumerate(pairs):
        if n % width == 0:
            neighbours = v.part(found, number, min(width, m + 1 - n))
            v.add_numbers_to(v.filled(neighbours, width), sums, v.index(outer_place(m, n)))


def _outer_in_blocks(v, x, count, mu, roots, z, sums):
    """Outer moments of any number of features, a block of rows by a block of columns at a time."""
    builder, stride, (d,) = v.builder, x.shape[1], mu.shape
    place = functools.partial(_row_place, v, stride)

    def gather(t, kept):
        """z = sqrt(r) (x - mean) and, below, sqrt(r): one array serves both sides.

        Where no lane has any responsibility, nothing is kept.
        """
        root = v.load(roots, t)
        some = v.any(_counts(v, root))
        with builder.if_then(some):
            v.store(root, z, place(d, kept[0]))

            def features(j, width, _):
                for n in range(width):
                    u = v.sub(
                        v.load(x, v.at(v.plus(j, n), stride, t)), v.broadcast(mu, v.plus(j, n))
                    )
                    v.store(v.mul(u, root), z, v.plus(place(j, kept[0]), n * v.lanes))

            v.blocks(d, [], features)
        return [builder.select(some, v.plus(kept[0], v.lanes), kept[0])]

    def row(first, n, t):
        return v.load(z, v.plus(place(first, t), n * v.lanes))

    (kept,) = v.loop(0, count, v.lanes, [v.index(0)], gather)
    _add_blocks(v, v.plus(d, 1), kept, row, row, sums)


def _row_place(v, stride, j, t):
    """Where vector t of row j lies for `_outer_in_blocks`.

    Rows lie in blocks, a vector of each in turn: a block of products then reads two streams.
    """
    builder = v.builder
    block, row = builder.and_(j, v.index(-BLOCK)), builder.and_(j, v.index(BLOCK - 1))
    within = builder.add(builder.mul(t, v.index(BLOCK)), builder.mul(row, v.index(v.lanes)))
    return builder.add(builder.mul(block, stride), within)


def _add_blocks(v, rows, count, left, right, sums):
    """Add the products of rows on the left by those on the right, on and below the diagonal.

    `left` and `right` make vector t of the row n after the first of a block.
    """

    def block_row(i, height, _):
        def block(j, width, on_diagonal=False):
            products = block_products(
                v,
                lambda m, t: left(i, m, t),
                height,
                lambda n, t: right(j, n, t),
                width,
                count,
                on_diagonal,
            )
            v.add_sums_to(products, sums, sums_place(v, i, j))

        if height == 1:
            _single_row(v, i, count, left, right, sums)
        else:
            v.loop(0, i, BLOCK, [], lambda j, _: block(j, BLOCK))
            block(i, height, on_diagonal=True)

    v.blocks(rows, [], block_row)


def _single_row(v, i, count, left, right, sums):
    """Row i of the outer moments where it is the only one left, the roots' own.

    `_MOST_BLOCKS` blocks of columns at once: four sums would wait for each other.
    """
    builder, zero = v.builder, v.constant(0.0)

    def blocks(j, n_blocks, on_diagonal):
        columns = [(v.plus(j, b * BLOCK), n) for b in range(n_blocks) for n in range(BLOCK)]
        if on_diagonal:
            columns.append((i, 0))

        def step(t, totals):
            row = left(i, 0, t)
            return [
                v.fma(row, right(*column, t), total)
                for column, total in zip(columns, totals, strict=True)
            ]

        found = v.lane_sums(v.loop(0, count, v.lanes, [zero] * len(columns), step))
        for first in range(0, len(columns), BLOCK):
            numbers = v.part(found, first, min(BLOCK, len(columns) - first))
            v.add_numbers_to(v.filled(numbers, BLOCK), sums, sums_place(v, i, columns[first][0]))

    step = _MOST_BLOCKS * BLOCK
    whole = v.greater(builder.and_(v.plus(i, -1), v.index(-step)), v.index(0))
    v.loop(0, whole, step, [], lambda j, _: blocks(j, _MOST_BLOCKS, on_diagonal=False))
    rest = builder.sub(i, whole)
    for n_blocks in range(_MOST_BLOCKS + 1):
        with builder.if_then(builder.icmp_signed("==", rest, v.index(n_blocks * BLOCK))):
            blocks(whole, n_blocks, on_diagonal=True)


def sums_place(v, row, column):
    """Where the product of two rows, row >= column, stands: `outer_place`.

    Blocks of the rows above a block's first, i, come to i (i + 4) / 2 numbers.
    """
    builder = v.builder
    i, j = (builder.and_(number, v.index(-BLOCK)) for number in (row, column))
    above = builder.lshr(builder.mul(i, v.plus(i, BLOCK)), v.index(1))
    within = builder.add(builder.mul(builder.sub(row, i), v.index(BLOCK)), builder.sub(column, j))
    return builder.add(builder.add(above, builder.mul(j, v.index(BLOCK))), within)


def _counts(v, roots):
    """Where a root says that a point counts: it is not zero, or NaN, which has to show."""
    return v.builder.fcmp_unordered(">", roots, ir.Constant(roots.type, None))


def _few_count(v, x, count, mu, roots, z, sums):
    """Whether few points of the vectors that hold any that count do so themselves."""
    builder, (d,) = v.builder, mu.shape
    long = builder.icmp_signed(">=", d, v.index(_LONG))

    def vector(t, found):
        points = v.number_of(_counts(v, v.load(roots, t)))
        some = builder.icmp_signed(">", points, v.index(0))
        computed = builder.select(some, v.index(v.lanes), v.index(0))
        return [builder.add(found[0], points), builder.add(found[1], computed)]

    end = builder.select(long, count, v.index(0))
    points, computed = v.loop(0, end, v.lanes, [v.index(0)] * 2, vector)
    return builder.icmp_signed("<", builder.mul(points, v.index(_FEW)), computed)


def _outer_of_few(v, x, count, mu, roots, z, sums):
    """Outer moments of few points, each of which has its features side by side.

    No lane works for a point that does not count, and no lane sums are left to be folded; but as
    much again of the triangle as a block takes is computed for nothing.
    """
    builder, (d,), span = v.builder, mu.shape, 2 * v.lanes
    whole = max(v.lanes, BLOCK)
    stride = builder.and_(v.plus(d, whole), v.index(-whole))

    def gather(t, kept):
        """A point's sqrt(r) (x - mean), sqrt(r), and zeros up to the stride."""
        root = v.number(roots, t)
        counts = _counts(v, root)
        with builder.if_then(counts):
            begin = v.at(kept[0], stride)
            for n in range(0, whole, v.lanes):
                v.store(v.constant(0.0), z, v.plus(builder.add(begin, stride), n - whole))

            def feature(j, _):
                u = v.sub(v.number(x, v.at(j, x.shape[1], t)), v.number(mu, j))
                v.put(v.mul(u, root), z, builder.add(begin, j))

            v.loop(0, d, 1, [], feature)
            v.put(root, z, builder.add(begin, d))
        return [builder.select(counts, v.plus(kept[0], 1), kept[0])]

    (kept,) = v.loop(0, count, 1, [v.index(0)], gather)

    def block_row(i, _):
        def columns(j, _):
            """Products of `BLOCK` rows from i with two vectors of columns from j."""

            def point(t, totals):
                begin = v.at(t, stride)
                right = [v.load(z, v.plus(builder.add(begin, j), n)) for n in (0, v.lanes)]
                left = [v.broadcast(z, v.plus(builder.add(begin, i), h)) for h in range(BLOCK)]
                factors = itertools.product(left, right)
                return [v.fma(a, b, total) for (a, b), total in zip(factors, totals, strict=True)]

            totals = v.loop(0, kept, 1, [v.constant(0.0)] * (2 * BLOCK), point)
            lines = list(zip(totals[::2], totals[1::2], strict=True))
            for first in range(0, span, BLOCK):
                column = v.plus(j, first)
                block = sums_place(v, i, column)
                numbers = [v.part(line, first, BLOCK) for line in lines]
                with builder.if_then(builder.icmp_signed("<", column, i)):
                    for h in range(BLOCK):
                        v.add_numbers_to(numbers[h], sums, v.plus(block, h * BLOCK))
                with builder.if_then(builder.icmp_signed("==", column, i)):
                    for h in range(BLOCK):
                        lower = v.part([numbers[h]], 0, h + 1)
                        v.add_numbers_to(lower, sums, v.plus(block, h * BLOCK))

        v.loop(0, v.plus(i, 1), span, [], columns)

    v.loop(0, v.plus(d, 1), BLOCK, [], block_row)
