r"""Weighted sufficient statistics of the points of a tile, added to float64 sums.

With r the weighted responsibilities and :math:`u = x - \mu_c` (Bishop 2006, eq. 9.24 to 9.27, about
the pass's own means instead of zero, which keeps what would cancel; `fastgmm.kernels.central` tells
where that is not needed):

- outer: see `fastgmm.kernels.outer_moments`;
- diagonal: ``first (d), weight, second (d)`` with :math:`\sum_t r\, u_j^2`;
- trace: ``first (d), weight, second`` with :math:`\sum_t r\, \|u\|^2`;
- none: ``first (d), weight``.
"""

import functools

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.central import emit_keeps_digits, keeps_digits_definition
from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.layout import BLOCK
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments
from fastgmm.kernels.tiles import MOST_VECTORS


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

        last = v.plus(k, -1)

        def components(height):
            """Emit blocks of so many components, of which the last may be missing."""

            def block(c, _):
                rows_of_r = [v.plus(c, m) for m in range(height)]
                is_there = builder.icmp_signed("<=", rows_of_r[-1], last)
                rows_of_r[-1] = v.lesser(rows_of_r[-1], last)

                def features(j, width, _):
                    products = block_products(
                        v,
                        lambda m, t: v.load(r, v.at(rows_of_r[m], stride, t)),
                        height,
                        lambda n, t: v.load(x, v.at(v.plus(j, n), stride, t)),
                        width,
                        count,
                    )
                    sums = v.lane_sums(products)

                    def add(row):
                        numbers = v.part(sums, row * BLOCK, width)
                        v.add_numbers_to(numbers, out, v.at(v.plus(c, row), out_stride, j))

                    for row in range(height - 1):
                        add(row)
                    with builder.if_then(is_there):
                        add(height - 1)

                v.blocks(rows, [], features)

            return block

        # What is left over is taken for two or for four, which takes half as long to compile as
        # blocks of every height. One component alone would wait as long as two.
        rest = builder.and_(k, v.index(BLOCK - 1))
        pair = builder.icmp_signed("<=", rest, v.index(BLOCK // 2))
        whole = builder.select(pair, builder.sub(k, rest), k)
        v.loop(0, whole, BLOCK, [], components(BLOCK))
        v.loop(whole, k, BLOCK // 2, [], components(BLOCK // 2))
        return context.get_dummy_value()

    return signature, emit


def block_products(v, left, height, right, width, count, on_diagonal=False):
    """Products of `height` rows on the left and `width` rows on the right over `count` points.

    `left` and `right` make vector t of a row. On the diagonal, only pairs on and below it are
    formed. Returns `BLOCK` squared vectors, row by row, whose lanes are still to be summed; zero
    outside height and width.
    """
    found = {}
    at_a_time = BLOCK if on_diagonal else GROUP
    for first in range(0, width, at_a_time):
        numbers = range(first, min(first + at_a_time, width))
        pairs = [(m, n) for m in range(height) for n in numbers if n <= m or not on_diagonal]

        def step(t, totals, numbers=numbers, pairs=pairs):
            rows = {m: left(m, t) for m in range(height)}
            columns = {n: right(n, t) for n in numbers}
            return [v.fma(rows[m], columns[n], s) for (m, n), s in zip(pairs, totals, strict=True)]

        totals = v.loop(0, count, v.lanes, [v.constant(0.0)] * len(pairs), step)
        found |= dict(zip(pairs, totals, strict=True))
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
        _emit_diagonal(v, *unpack_arguments(context, builder, signature, args))
        return context.get_dummy_value()

    return signature, emit


@microkernel(_diagonal_definition)
def diagonal_moments_of_few(typing, tile, points, mean, responsibilities, block):
    """`diagonal_moments`, where points without a part in the component take no time."""
    signature = types.void(tile, types.intp, mean, responsibilities, block)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, mu, r, sums = unpack_arguments(context, builder, signature, args)
        places = v.offsets(MOST_VECTORS)

        def weighing(t):
            return builder.fcmp_unordered("!=", v.load(r, t), v.constant(0.0))

        def look(t, found):
            v.put(t, places, found[0])
            mask = weighing(t)
            some = builder.zext(v.any(mask), places.element)
            return [builder.add(found[0], some), builder.add(found[1], v.number_of(mask))]

        found, n_points = v.loop(0, count, v.lanes, [v.index(0)] * 2, look)

        def over_found(carried, step):
            return v.loop(0, found, 1, carried, lambda i, c: step(v.number(places, i), c))

        def point(i, lane_of):
            t = v.number(places, i)
            bits = builder.bitcast(weighing(t), ir.IntType(v.lanes))
            return builder.add(t, lane_of(builder.zext(bits, t.type)))

        with builder.if_then(builder.icmp_signed(">", found, v.index(0))):
            first = point(v.index(0), v.lowest_bit)
            last = point(v.plus(found, -1), v.highest_bit)
            apart = builder.and_(builder.sub(last, first), v.index(v.lanes - 1))
            one = builder.icmp_signed("==", n_points, v.index(1))
            two = builder.icmp_signed("==", n_points, v.index(2))
            two = builder.and_(two, builder.icmp_signed("!=", apart, v.index(0)))
            with builder.if_else(builder.or_(one, two)) as (very_few, more):
                with very_few:
                    _add_total(v, r, count, sums, mu.shape[0])
                    with builder.if_else(one) as (single, pair):
                        with single:
                            _emit_diagonal_of_points(v, x, [first], mu, r, sums)
                        with pair:
                            _emit_diagonal_of_points(v, x, [first, last], mu, r, sums)
                with more:
                    _emit_diagonal(v, x, count, mu, r, sums, over_found)
        return context.get_dummy_value()

    return signature, emit


def _emit_diagonal_of_points(v, x, points, mu, r, sums):
    """The moments of one point, or of two in different lanes: by vectors of features."""
    builder, stride, (d,) = v.builder, x.shape[1], mu.shape
    whole = builder.and_(d, v.index(-v.lanes))

    def column(t, j):
        vector = ir.Constant(v.type, ir.Undefined)
        for lane in range(v.lanes):
            number = v.number(x, v.at(v.plus(j, lane), stride, t))
            vector = builder.insert_element(vector, number, ir.Constant(ir.IntType(32), lane))
        return vector

    def add(j, mean, numbers, weights, put):
        centred = [v.sub(number, mean) for number in numbers]
        weighted = [v.mul(u, weight) for u, weight in zip(centred, weights, strict=True)]
        squares = [v.mul(w, u) for w, u in zip(weighted, centred, strict=True)]
        put(functools.reduce(v.add, weighted), sums, j)
        put(functools.reduce(v.add, squares), sums, v.plus(builder.add(j, d), 1))

    weights = [v.number(r, t) for t in points]
    spread = [v.splat(weight) for weight in weights]

    def features(j, _):
        add(j, v.load(mu, j), [column(t, j) for t in points], spread, v.add_numbers_to)

    def feature(j, _):
        numbers = [v.number(x, v.at(j, stride, t)) for t in points]
        add(j, v.number(mu, j), numbers, weights, v.add_to)

    v.loop(0, whole, v.lanes, [], features)
    v.loop(whole, d, 1, [], feature)


def _emit_diagonal(v, x, count, mu, r, sums, over=None):
    """`over(carried, step)` goes over the vectors of points; over all if it is not given."""
    stride, (d,) = x.shape[1], mu.shape
    over = over or (lambda carried, step: v.loop(0, count, v.lanes, carried, step))
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

        totals = over([v.constant(0.0)] * (2 * width), step)
        side_by_side = v.lane_sums(totals[::2] + totals[1::2])
        v.add_numbers_to(v.part(side_by_side, 0, width), sums, j)
        behind = v.plus(v.builder.add(j, d), 1)
        v.add_numbers_to(v.part(side_by_side, width, width), sums, behind)

    v.blocks(d, [], features)


def _diagonal_of_others_definition(tile, points, means, responsibilities, central, blocks):
    for c in np.flatnonzero(central[: len(means)] == 0):
        _diagonal_definition(tile, points, means[c], responsibilities[c], blocks[c])


@microkernel(_diagonal_of_others_definition)
def diagonal_moments_of_others(typing, tile, points, means, responsibilities, central, blocks):
    """`diagonal_moments` of the components that are not central."""
    signature = types.void(tile, types.intp, means, responsibilities, central, blocks)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, mu, r, near, sums = unpack_arguments(context, builder, signature, args)

        def component(c, _):
            with builder.if_then(builder.not_(v.is_set(v.number(near, c)))):
                _emit_diagonal(v, x, count, *(array.part(builder, c) for array in (mu, r, sums)))

        v.loop(0, mu.shape[0], 1, [], component)
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


def _about_means_definition(about_origin, means, blocks):
    d = means.shape[1]
    blocks += about_origin[:, : blocks.shape[1]]
    blocks[:, :d] -= about_origin[:, d : d + 1] * means


@microkernel(_about_means_definition)
def add_about_means(typing, about_origin, means, blocks):
    """Add sums (k, >= size) whose first moments are about the origin to blocks about the means."""
    signature = types.void(about_origin, means, blocks)

    def emit(context, builder, signature, args):
        v = Vectors(builder, means.dtype)
        given, mu, out = unpack_arguments(context, builder, signature, args)
        (k, d), size = mu.shape, out.shape[1]

        def component(c, _):
            given_c, mu_c, out_c = (array.part(builder, c) for array in (given, mu, out))
            weight = builder.fneg(v.number(given_c, d))

            def add(j, number):
                v.put(builder.fadd(v.number(out_c, j), number), out_c, j)

            def first(j, _):
                add(j, v.fma(weight, v.widen(v.number(mu_c, j)), v.number(given_c, j)))

            v.loop(0, d, 1, [], first)
            v.loop(d, size, 1, [], lambda j, _: add(j, v.number(given_c, j)))

        v.loop(0, k, 1, [], component)
        return context.get_dummy_value()

    return signature, emit


def _append_squares_definition(tile, points):
    d = len(tile) // 2
    tile[d + 1 :, :points] = tile[:d, :points] ** 2


@microkernel(_append_squares_definition)
def append_squares(typing, tile, points):
    """Below the rows of a tile (2 d + 1, stride) and its row of ones: the squares of the rows."""
    signature = types.void(tile, types.intp)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, points = unpack_arguments(context, builder, signature, args)
        rows, stride = x.shape
        d = builder.lshr(rows, v.index(1))

        def feature(j, _):
            def square(t, _):
                number = v.load(x, v.at(j, stride, t))
                below = v.at(v.plus(builder.add(j, d), 1), stride, t)
                v.store(v.mul(number, number), x, below)

            v.loop(0, points, v.lanes, [], square)

        v.loop(0, d, 1, [], feature)
        return context.get_dummy_value()

    return signature, emit


def _squares_about_means_definition(about_origin, means, most_lost, central, blocks):
    d, any_lost = means.shape[1], False
    for c, mu in enumerate(means.astype(np.float64)):
        first, weight, second = np.split(about_origin[c, : 2 * d + 1], [d, d + 1])
        keeps = (
            keeps_digits_definition(*feature, most_lost)
            for feature in zip(second, first, np.repeat(weight, d), mu, strict=True)
        )
        lost = not all(keeps)
        if central[c] and not lost:
            blocks[c, :d] += first - weight * mu
            blocks[c, d] += weight[0]
            blocks[c, d + 1 :] += second - mu * (2.0 * first - weight * mu)
        lost = lost and central[c] != 0.0
        any_lost |= lost
        central[c] = not lost
    return any_lost


@microkernel(_squares_about_means_definition)
def add_squares_about_means(typing, about_origin, means, most_lost, central, blocks):
    """Add diagonal moments about the origin of the components that are central.

    Of those that lost more than `most_lost` none are added, and they alone are no longer marked as
    central; returns whether there are any.
    """
    signature = types.boolean(about_origin, means, types.float64, central, blocks)

    def emit(context, builder, signature, args):
        v, double = Vectors(builder, means.dtype), Vectors(builder, types.float64)
        given, mu, most_lost, near, out = unpack_arguments(context, builder, signature, args)
        k, d = mu.shape

        def component(c, any_lost):
            given_c, mu_c, out_c = (array.part(builder, c) for array in (given, mu, out))
            weight = double.number(given_c, d)

            def feature(j):
                """Its mean, and its moments about the origin."""
                behind = v.plus(builder.add(d, j), 1)
                numbers = (double.number(given_c, at) for at in (j, behind))
                return behind, v.widen(v.number(mu_c, j)), *numbers

            def check(j, kept):
                _, mean, first, second = feature(j)
                keeps = emit_keeps_digits(double, second, first, weight, mean, most_lost)
                return [builder.and_(kept[0], keeps)]

            def move(j, _):
                behind, mean, first, second = feature(j)
                weighted = builder.fmul(weight, mean)
                about_mean = builder.fsub(first, weighted)
                double.put(builder.fadd(double.number(out_c, j), about_mean), out_c, j)
                twice = builder.fsub(builder.fadd(first, first), weighted)
                about_mean = double.fma(builder.fneg(mean), twice, second)
                double.put(builder.fadd(double.number(out_c, behind), about_mean), out_c, behind)

            (keeps,) = v.loop(0, d, 1, [ir.Constant(ir.IntType(1), 1)], check)
            is_near = v.is_set(v.number(near, c))
            with builder.if_then(builder.and_(is_near, keeps)):
                double.put(builder.fadd(double.number(out_c, d), weight), out_c, d)
                v.loop(0, d, 1, [], move)
            lost = builder.and_(is_near, builder.not_(keeps))
            one, zero = ir.Constant(v.scalar, 1.0), ir.Constant(v.scalar, 0.0)
            v.put(builder.select(lost, zero, one), near, c)
            return [builder.or_(any_lost[0], lost)]

        return v.loop(0, k, 1, [ir.Constant(ir.IntType(1), 0)], component)[0]

    return signature, emit
