"""What passes read goes into tiles: rows, weights, labels, given responsibilities.

All of them are micro-kernels, also where plain loops would run as fast. Numba takes longer to
compile those: with plain loops for labels, given responsibilities and their roots, an entry point
for statistics takes 0.15 s (isotropic) to 0.4 s (Cholesky) more than its 1.8 and 3.3 s.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import inlined, microkernel
from fastgmm.kernels.layout import RUN, SIDE_BY_SIDE
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments
from fastgmm.kernels.tiles import emit_whole_groups, whole_groups_definition
from fastgmm.kernels.transpose import emit_gather, emit_load


def _load_tile_definition(X, start, stop, origin, tile):
    d, count = X.shape[1], stop - start
    points = whole_groups_definition(count, tile.itemsize)
    tile[:d, :count] = (X[start:stop] - origin).T
    tile[d, :count] = 1.0
    tile[: d + 1, count:points] = 0.0
    return points


@microkernel(_load_tile_definition)
def load_tile(typing, X, start, stop, origin, tile):
    """Rows start to stop of X, less the origin, as columns; a last row of ones.

    X (rows, d) of any layout and either type; origin (d,), float64; tile (> d, stride). Returns the
    number of columns to work on: whole groups, filled up with zeros.
    """
    signature = types.intp(X, types.intp, types.intp, origin, tile)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        array, start, stop, centre, out = unpack_arguments(context, builder, signature, args)
        (_, d), count = array.shape, builder.sub(stop, start)
        points = _begin_rows(v, out, d, count)
        emit_load(v, array, start, count, centre, out)
        ones = out.part(builder, d)
        _fill(v, ones, points, 1.0)
        _fill_end(v, ones, count, points)
        return points

    return signature, emit


def _load_picked_definition(X, picked, first, last, origin, tile):
    d, count = X.shape[1], last - first
    points = whole_groups_definition(count, tile.itemsize)
    tile[:d, :count] = (X[picked[first:last]] - origin).T
    tile[:d, count:points] = 0.0
    return points


@microkernel(_load_picked_definition)
def load_picked(typing, X, picked, first, last, origin, tile):
    """`load_tile` of the rows of X whose numbers are picked[first:last], in order; no ones."""
    signature = types.intp(X, picked, types.intp, types.intp, origin, tile)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        array, picked, first, last, centre, out = unpack_arguments(
            context, builder, signature, args
        )
        count, begin = builder.sub(last, first), v.element(picked, first)
        points = _begin_rows(v, out, array.shape[1], count)
        length = builder.sub(v.element(picked, v.plus(last, -1)), v.plus(begin, -1))
        with builder.if_else(builder.icmp_signed("==", length, count)) as (neighbours, scattered):
            with neighbours:
                emit_load(v, array, begin, count, centre, out)
            with scattered:
                emit_gather(v, array, picked, first, count, centre, out)
        return points

    return signature, emit


def _fill(v, row, points, value):
    """row[:points] = value, for whole groups."""
    v.loop(0, points, v.lanes, [], lambda t, _: v.store(v.constant(value), row, t))


def _fill_end(v, row, count, points):
    """row[count:points] = 0."""
    zero = ir.Constant(v.scalar, 0.0)
    v.loop(count, points, 1, [], lambda t, _: v.put(zero, row, t))


def _clear_end(v, row, points):
    """Clear the last of some whole groups. Points that are loaded later overwrite their part."""
    for n in range(GROUP):
        v.store(v.constant(0.0), row, v.plus(points, (n - GROUP) * v.lanes))


def _begin_rows(v, rows, n_rows, count):
    """Clear the end of rows that are to be filled up to whole groups; returns the points in these.

    It clears whole vectors, also where points belong: so it has to run before they are loaded.
    """
    points = emit_whole_groups(v, count, v.index(v.itemsize))
    with v.builder.if_then(v.builder.icmp_signed("<", count, points)):
        v.loop(0, n_rows, 1, [], lambda j, _: _clear_end(v, rows.part(v.builder, j), points))
    return points


def _total(v, count, load):
    """Sum in float64, by `SIDE_BY_SIDE` sums."""
    builder, zero = v.builder, ir.Constant(ir.DoubleType(), 0.0)
    whole = builder.and_(count, v.index(-SIDE_BY_SIDE))

    def add(t, sums):
        return [builder.fadd(a, load(v.plus(t, n))) for n, a in enumerate(sums)]

    a, b, c, d = v.loop(0, whole, SIDE_BY_SIDE, [zero] * SIDE_BY_SIDE, add)
    (a,) = v.loop(whole, count, 1, [a], add)
    return builder.fadd(builder.fadd(a, b), builder.fadd(c, d))


def _add_totals_definition(X, start, stop, totals):
    totals += X[start:stop].sum(axis=0, dtype=np.float64)


@microkernel(_add_totals_definition)
def add_totals(typing, X, start, stop, totals):
    """Add rows start to stop of X (rows, d) to totals (d,), float64."""
    signature = types.void(X, types.intp, types.intp, totals)

    def emit(context, builder, signature, args):
        v = Vectors(builder, X.dtype)
        array, start, stop, out = unpack_arguments(context, builder, signature, args)

        def run(first, _):
            count = v.lesser(builder.sub(stop, first), v.index(RUN))

            def feature(j, _):
                def number(t):
                    return v.widen(v.element(array, builder.add(first, t), j))

                v.put(builder.fadd(v.number(out, j), _total(v, count, number)), out, j)

            v.loop(0, array.shape[1], 1, [], feature)

        v.loop(start, stop, RUN, [], run)
        return context.get_dummy_value()

    return signature, emit


def _load_weights_definition(sample_weight, start, stop, points, weights):
    count = stop - start
    weights[:count] = sample_weight[start:stop] if len(sample_weight) else 1.0
    weights[count:points] = 0.0
    return float(weights[:count].sum(dtype=np.float64))


@microkernel(_load_weights_definition)
def load_weights(typing, sample_weight, start, stop, points, weights):
    """Weights of the rows start to stop, 1 where none are given; zero beyond. Returns their sum."""
    signature = types.float64(sample_weight, types.intp, types.intp, types.intp, weights)

    def emit(context, builder, signature, args):
        v = Vectors(builder, weights.dtype)
        given, start, stop, points, out = unpack_arguments(context, builder, signature, args)
        count = builder.sub(stop, start)

        def copy(t, _):
            weight = v.element(given, builder.add(start, t))
            v.put(v.narrow(weight), out, t)

        none = builder.icmp_signed("==", given.shape[0], v.index(0))
        with builder.if_else(none) as (alike, each):
            with alike:
                _fill(v, out, points, 1.0)
                number, alike_end = builder.sitofp(count, ir.DoubleType()), builder.block
            with each:
                v.loop(0, count, 1, [], copy)
                total = _total(v, count, lambda t: v.widen(v.element(out, t)))
                each_end = builder.block
        total = v.join((number, alike_end), (total, each_end))
        _fill_end(v, out, count, points)
        return total

    return signature, emit


def _load_labels_definition(labels, start, stop, weights, responsibilities):
    count, numbers = stop - start, np.arange(len(responsibilities))[:, np.newaxis]
    responsibilities[:, :count] = weights[:count] * (labels[start:stop] == numbers)
    points = whole_groups_definition(count, weights.itemsize)
    responsibilities[:, count:points] = 0.0


@microkernel(_load_labels_definition)
def load_labels(typing, labels, start, stop, weights, responsibilities):
    """Responsibilities of rows that belong to one component each, weighted, as rows of a tile."""
    signature = types.void(labels, types.intp, types.intp, weights, responsibilities)

    def emit(context, builder, signature, args):
        v = Vectors(builder, weights.dtype)
        chosen, start, stop, weight, out = unpack_arguments(context, builder, signature, args)
        count, kind = builder.sub(stop, start), ir.IntType(32)
        _begin_rows(v, out, out.shape[0], count)
        whole, labels_type = builder.and_(count, v.index(-v.lanes)), ir.VectorType(kind, v.lanes)

        def component(c, _):
            row, this = out.part(builder, c), builder.trunc(c, kind)

            def label(t, kind):
                address = chosen.address(builder, builder.add(start, t))
                return builder.load(address, align=4, typ=kind)

            # No branch: what comes next cannot be guessed.
            def vector(t, _):
                mine = builder.icmp_signed("==", label(t, labels_type), v.splat(this))
                v.store(builder.select(mine, v.load(weight, t), v.constant(0.0)), row, t)

            def point(t, _):
                mine = builder.icmp_signed("==", label(t, kind), this)
                zero = ir.Constant(v.scalar, 0.0)
                v.put(builder.select(mine, v.element(weight, t), zero), row, t)

            v.loop(0, whole, v.lanes, [], vector)
            v.loop(whole, count, 1, [], point)

        v.loop(0, out.shape[0], 1, [], component)
        return context.get_dummy_value()

    return signature, emit


def _load_responsibilities_definition(given, start, stop, weights, responsibilities):
    count = stop - start
    responsibilities[:, :count] = given[start:stop].T * weights[:count]
    points = whole_groups_definition(count, weights.itemsize)
    responsibilities[:, count:points] = 0.0


@microkernel(_load_responsibilities_definition)
def load_responsibilities(typing, given, start, stop, weights, responsibilities):
    """Given responsibilities (rows, k), weighted, as rows of a tile."""
    signature = types.void(given, types.intp, types.intp, weights, responsibilities)

    def emit(context, builder, signature, args):
        v = Vectors(builder, weights.dtype)
        given, start, stop, weight, out = unpack_arguments(context, builder, signature, args)
        count, (k, stride) = builder.sub(stop, start), out.shape
        _begin_rows(v, out, k, count)

        # In the order in which they lie in memory. It happens once a fit, and needs no vectors.
        def point(t, _):
            row, weight_t = builder.add(start, t), v.widen(v.element(weight, t))

            def component(c, _):
                weighted = builder.fmul(v.element(given, row, c), weight_t)
                v.put(v.narrow(weighted), out, v.at(c, stride, t))

            v.loop(0, k, 1, [], component)

        v.loop(0, count, 1, [], point)
        return context.get_dummy_value()

    return signature, emit


@inlined
def load_given(labels, given, start, stop, weights, responsibilities):
    """`load_labels` if there are any, else `load_responsibilities`."""
    if len(labels):
        load_labels(labels, start, stop, weights, responsibilities)
    else:
        load_responsibilities(given, start, stop, weights, responsibilities)


def _take_roots_definition(rows, points):
    rows[:, :points] = np.sqrt(rows[:, :points])


@microkernel(_take_roots_definition)
def take_roots(typing, rows, points):
    """Replace the first numbers of every row, none of them negative, by their square roots."""
    signature = types.void(rows, types.intp)

    def emit(context, builder, signature, args):
        v = Vectors(builder, rows.dtype)
        array, points = unpack_arguments(context, builder, signature, args)

        def row(c, _):
            numbers = array.part(builder, c)
            v.loop(
                0,
                points,
                v.lanes,
                [],
                lambda t, _: v.store(v.sqrt(v.load(numbers, t)), numbers, t),
            )

        v.loop(0, array.shape[0], 1, [], row)
        return context.get_dummy_value()

    return signature, emit
