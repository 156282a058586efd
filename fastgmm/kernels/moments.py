r"""Weighted sufficient statistics of the points of a tile, added to float64 sums.

With r the weighted responsibilities and :math:`u = x - \mu_c` (Bishop 2006, eq. 9.24 to 9.27, about
the pass's own means instead of zero, which keeps what would cancel):

- outer: :math:`\sum_t r\, (u, 1)(u, 1)^T`, the lower triangle of a ``(d + 1, d + 1)`` matrix, whose
  last row holds the first moments and the weight, in blocks (see `fastgmm.kernels.layout`);
- diagonal: ``first (d), weight, second (d)`` with :math:`\sum_t r\, u_j^2`;
- trace: ``first (d), weight, second`` with :math:`\sum_t r\, \|u\|^2`;
- none: ``first (d), weight``.
"""

import numpy as np
from numba.core import types

from fastgmm.kernels.compile import kernel, microkernel
from fastgmm.kernels.layout import BLOCK, outer_blocks
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments


def _outer_definition(tile, points, mean, roots, scratch, block):
    d, n = len(mean), outer_blocks(len(mean))
    rows = np.zeros((BLOCK * n, points), dtype=tile.dtype)
    rows[:d] = (tile[:d, :points] - mean[:, None]) * roots[:points]
    rows[d] = roots[:points]
    lower = np.tril(rows @ rows.T)
    blocks = lower.reshape(n, BLOCK, n, BLOCK).transpose(0, 2, 1, 3)
    block += blocks[np.tril_indices(n)].ravel()


_MOST_BLOCKS = 4
"""Blocks whose sums stay in registers at once, where each has a single row."""


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
        (d,) = arrays[2].shape
        for features in range(1, BLOCK + 1):
            with builder.if_then(builder.icmp_signed("==", d, v.index(features))):
                _outer_in_registers(v, features, *arrays)
        with builder.if_then(builder.icmp_signed(">", d, v.index(BLOCK))):
            _outer_in_blocks(v, *arrays)
        return context.get_dummy_value()

    return signature, emit


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
    found = dict(zip(pairs, totals, strict=True))
    for number, (i, j) in enumerate(zip(*np.tril_indices(outer_blocks(d)), strict=True)):
        rows = range(i * BLOCK, (i + 1) * BLOCK)
        columns = range(j * BLOCK, (j + 1) * BLOCK)
        block = [found.get((m, n), v.constant(0.0)) for m in rows for n in columns]
        v.add_sums_to(block, sums, v.index(number * BLOCK * BLOCK))


def _outer_in_blocks(v, x, count, mu, roots, z, sums):
    """Outer moments of any number of features, a block of rows by a block of columns at a time."""
    builder, stride, (d,) = v.builder, x.shape[1], mu.shape

    # Rows lie in blocks, a vector of each in turn: a block of products then reads two streams.
    def place(j, t):
        block, row = builder.and_(j, v.index(-BLOCK)), builder.and_(j, v.index(BLOCK - 1))
        within = builder.add(builder.mul(t, v.index(BLOCK)), builder.mul(row, v.index(v.lanes)))
        return builder.add(builder.mul(block, stride), within)

    def gather(t, kept):
        """z = sqrt(r) (x - mean) and, below, sqrt(r): one array serves both sides.

        Where no lane has any responsibility, nothing is kept.
        """
        root = v.load(roots, t)
        some = v.any(builder.fcmp_unordered(">", root, v.constant(0.0)))  # or NaN
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

    (kept,) = v.loop(0, count, v.lanes, [v.index(0)], gather)

    def load(first, n, t):
        return v.load(z, v.plus(place(first, t), n * v.lanes))

    def add_block(i, j, products):
        # Blocks of sums lie row by row: those of the rows above come to i (i + 4) / 2 numbers.
        above = builder.lshr(builder.mul(i, v.plus(i, BLOCK)), v.index(1))
        v.add_sums_to(products, sums, builder.add(above, builder.mul(j, v.index(BLOCK))))

    def block_row(i, height, _):
        def block(j, width, on_diagonal=False):
            products = _products(
                v,
                lambda m, t: load(i, m, t),
                height,
                None if on_diagonal else lambda n, t: load(j, n, t),
                width,
                kept,
            )
            add_block(i, j, products)

        if height == 1:
            _single_row(v, i, kept, load, add_block)
        else:
            v.loop(0, i, BLOCK, [], lambda j, _: block(j, BLOCK))
            block(i, height, on_diagonal=True)

    v.blocks(v.plus(d, 1), [], block_row)


def _single_row(v, i, count, load, add_block):
    """Row i of the outer moments where it is the only one left, the roots' own.

    `_MOST_BLOCKS` blocks of columns at once: four sums would wait for each other.
    """
    builder, zero = v.builder, v.constant(0.0)

    def blocks(j, n_blocks, on_diagonal):
        columns = [(v.plus(j, b * BLOCK), n) for b in range(n_blocks) for n in range(BLOCK)]
        if on_diagonal:
            columns.append((i, 0))

        def step(t, totals):
            row = load(i, 0, t)
            return [
                v.fma(row, load(*column, t), total)
                for column, total in zip(columns, totals, strict=True)
            ]

        totals = v.loop(0, count, v.lanes, [zero] * len(columns), step)
        for first in range(0, len(columns), BLOCK):
            sums = totals[first : first + BLOCK]
            add_block(i, columns[first][0], [*sums, *[zero] * (BLOCK * BLOCK - len(sums))])

    step = _MOST_BLOCKS * BLOCK
    whole = builder.and_(v.plus(i, -1), v.index(-step))
    v.loop(0, whole, step, [], lambda j, _: blocks(j, _MOST_BLOCKS, on_diagonal=False))
    rest = builder.sub(i, whole)
    for n_blocks in range(1, _MOST_BLOCKS + 1):
        with builder.if_then(builder.icmp_signed("==", rest, v.index(n_blocks * BLOCK))):
            blocks(whole, n_blocks, on_diagonal=True)


@kernel
def all_outer_moments(tile, points, means, roots, scratch, blocks):
    """`outer_moments` for every component."""
    for c in range(means.shape[0]):
        outer_moments(tile, points, means[c], roots[c], scratch, blocks[c])


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
                products = _products(
                    v,
                    lambda m, t: v.load(r, v.at(v.plus(c, m), stride, t)),
                    height,
                    lambda n, t: v.load(x, v.at(v.plus(j, n), stride, t)),
                    width,
                    count,
                )
                for n, total in enumerate(v.horizontal_sums(products)):
                    row, column = divmod(n, BLOCK)
                    if row < height and column < width:
                        at = v.at(v.plus(c, row), out_stride, v.plus(j, column))
                        v.add_to(total, out, at)

            v.blocks(rows, [], features)

        v.blocks(k, [], components)
        return context.get_dummy_value()

    return signature, emit


def _products(v, left, height, right, width, count):
    """Products of `height` rows on the left and `width` rows on the right over `count` points.

    `left` and `right` load vector t of a row. Without a right side it is the left, and only pairs
    on and below the diagonal are formed. Returns `BLOCK` squared vectors, row by row, whose lanes
    are still to be summed; zero outside height and width.
    """
    pairs = [(m, n) for m in range(height) for n in range(width) if right or n <= m]

    def step(t, totals):
        rows = [left(m, t) for m in range(height)]
        columns = [right(n, t) for n in range(width)] if right else rows
        return [
            v.fma(rows[m], columns[n], total) for (m, n), total in zip(pairs, totals, strict=True)
        ]

    totals = v.loop(0, count, v.lanes, [v.constant(0.0)] * len(pairs), step)
    found = dict(zip(pairs, totals, strict=True))
    zero = v.constant(0.0)
    return [found.get((m, n), zero) for m in range(BLOCK) for n in range(BLOCK)]


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
