r"""Weighted sufficient statistics of the points of a tile, added to float64 sums.

With r the weighted responsibilities and :math:`u = x - \mu_c` (Bishop 2006, eq. 9.24 to 9.27, about
the pass's own means instead of zero, which keeps what would cancel; `fastgmm.kernels.central` tells
where that is not needed):

- outer: see `fastgmm.kernels.outer_moments`;
- diagonal: ``first (d), weight, second (d)`` with :math:`\sum_t r\, u_j^2`;
- trace: ``first (d), weight, second`` with :math:`\sum_t r\, \|u\|^2`;
- none: ``first (d), weight``.
"""

import numpy as np
from numba.core import types

from fastgmm.kernels.central import keeps_digits
from fastgmm.kernels.compile import kernel, microkernel
from fastgmm.kernels.layout import BLOCK
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments


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
                products = block_products(
                    v,
                    lambda m, t: v.load(r, v.at(v.plus(c, m), stride, t)),
                    height,
                    lambda n, t: v.load(x, v.at(v.plus(j, n), stride, t)),
                    width,
                    count,
                )
                sums = v.lane_sums(products)
                for row in range(height):
                    numbers = v.part(sums, row * BLOCK, width)
                    v.add_numbers_to(numbers, out, v.at(v.plus(c, row), out_stride, j))

            v.blocks(rows, [], features)

        v.blocks(k, [], components)
        return context.get_dummy_value()

    return signature, emit


def block_products(v, left, height, right, width, count):
    """Products of `height` rows on the left and `width` rows on the right over `count` points.

    `left` and `right` load vector t of a row. Without a right side it is the left, and only pairs
    on and below the diagonal are formed. Returns `BLOCK` squared vectors, row by row, whose lanes
    are still to be summed; zero outside height and width.
    """
    found = {}
    at_a_time = GROUP if right else BLOCK
    for first in range(0, width, at_a_time):
        numbers = range(first, min(first + at_a_time, width))
        pairs = [(m, n) for m in range(height) for n in numbers if right or n <= m]

        def step(t, totals, numbers=numbers, pairs=pairs):
            rows = {m: left(m, t) for m in range(height)}
            columns = {n: right(n, t) for n in numbers} if right else rows
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


@kernel
def append_squares(tile, points):
    """Below the rows of a tile and its row of ones: the squares of the rows."""
    d = len(tile) // 2
    for j in range(d):
        for t in range(points):
            tile[d + 1 + j, t] = tile[j, t] * tile[j, t]


@kernel
def add_squares_about_means(about_origin, means, most_lost, central, blocks):
    """Add diagonal moments about the origin of the components that are central.

    Of those that lost more than `most_lost` none are added, and they alone are no longer marked as
    central; returns whether there are any.
    """
    k, d = means.shape
    any_lost = False
    for c in range(k):
        weight, lost = about_origin[c, d], False
        for j in range(d):
            first, second = about_origin[c, j], about_origin[c, d + 1 + j]
            lost |= not keeps_digits(second, first, weight, np.float64(means[c, j]), most_lost)
        if central[c] and not lost:
            blocks[c, d] += weight
            for j in range(d):
                mean, first = np.float64(means[c, j]), about_origin[c, j]
                second = about_origin[c, d + 1 + j]
                blocks[c, j] += first - weight * mean
                blocks[c, d + 1 + j] += second - mean * (2.0 * first - weight * mean)
        lost &= central[c] != 0.0
        any_lost |= lost
        central[c] = not lost
    return any_lost
