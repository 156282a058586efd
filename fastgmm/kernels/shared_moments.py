r"""Outer moments about the origin, of many central components at once.

With :math:`x` a point and a last 1, :math:`\sum_t r_{tc}\, x x^T` for all c is a product of two
matrices: the responsibilities, and the products of features, which are the same for all components.
No point is centred and weighted for each of them, and no lane sums are left to be folded, for the
lanes are components. On AVX-512, the moments of 16 components in float64 take 0.6 (8 features) to
0.75 (32 features) of the time that they take one by one.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.central import MOST_LOST, emit_keeps_digits, keeps_digits_definition
from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.layout import BLOCK, outer_place
from fastgmm.kernels.outer_moments import sums_place
from fastgmm.kernels.simd import LANE_BYTES, MANY_REGISTERS, Vectors, unpack_arguments

POINTS = 64
"""Points that are worked on at a time. Their products stay in the L1 cache."""

PRODUCTS = 24 if MANY_REGISTERS else 12
"""Products of features that are formed at a time."""

_TOGETHER = PRODUCTS // 2
"""Products that are multiplied by one or two vectors of components at a time.

The sums of two vectors just fit into the registers.
"""

_ALONE = 12
"""Up to so many features a single vector of components pays.

With more features only two vectors do, for they share each product that is read.
"""

MOST_FEATURES = {True: 96, False: 48}
"""Up to so many features moments are taken about the origin; the key says whether in float64.

With more features the sums outgrow the caches, and next to nothing is gained.
"""

_LEAST_ROWS = 256
"""Rows of a data set from which on it pays to clear the sums and to move them to the means."""


def n_products(n_features):
    """Number of products of two among the features and the 1, every pair once."""
    return (n_features + 1) * (n_features + 2) // 2


def _choose_definition(central, means, n_rows, order):
    (k, d), n = means.shape, int(central[: len(means)].sum())
    order[:k] = np.argsort(-central[:k], kind="stable")
    if not BLOCK < d <= MOST_FEATURES[means.dtype == np.float64] or n_rows < _LEAST_ROWS:
        return 0
    unit = LANE_BYTES // means.itemsize * (1 if d <= _ALONE else 2)
    rest = n % unit
    return n - rest if 4 * rest < 3 * unit else n


@microkernel(_choose_definition)
def choose_shared(typing, central, means, n_rows, order):
    """Number of components for `shared_outer_moments`: the first of order, the others follow.

    central (k,), of `mark_central`; means (k, d); n_rows of the data set; out: order (k,), a
    permutation, as floats. The components chosen are central and fill whole vectors; the last
    vector may be filled by three quarters only.
    """
    signature = types.intp(central, means, types.intp, order)

    def emit(context, builder, signature, args):
        v = Vectors(builder, means.dtype)
        near, mu, n_rows, out = unpack_arguments(context, builder, signature, args)
        k, d = mu.shape

        def list_those(which, begin):
            def component(c, place):
                here = v.is_set(v.number(near, c))
                here = here if which else builder.not_(here)
                with builder.if_then(here):
                    v.put(builder.sitofp(c, v.scalar), out, place[0])
                return [builder.add(place[0], builder.zext(here, place[0].type))]

            return v.loop(0, k, 1, [begin], component)[0]

        n = list_those(True, v.index(0))
        list_those(False, n)
        alone = builder.icmp_signed("<=", d, v.index(_ALONE))
        unit = builder.select(alone, v.index(v.lanes), v.index(2 * v.lanes))
        rest = builder.srem(n, unit)
        filled = builder.icmp_signed(
            ">=", builder.mul(rest, v.index(4)), builder.mul(unit, v.index(3))
        )
        count = builder.select(filled, n, builder.sub(n, rest))
        for pays in (
            builder.icmp_signed(">", d, v.index(BLOCK)),
            builder.icmp_signed("<=", d, v.index(MOST_FEATURES[v.double])),
            builder.icmp_signed(">=", n_rows, v.index(_LEAST_ROWS)),
        ):
            count = builder.select(pays, count, v.index(0))
        return count

    return signature, emit


def _shared_definition(tile, points, roots, order, count, scratch, sums):
    x, n = tile[:, :points], n_products(len(tile) - 1)
    i, j = np.tril_indices(len(tile))
    shares = roots[order[:count].astype(int), :points] ** 2
    sums[:n, :count] += (x[i] * x[j]) @ shares.T


@microkernel(_shared_definition)
def shared_outer_moments(typing, tile, points, roots, order, count, scratch, sums):
    """sums[p, m] += sum over t of r_t x_ti x_tj, for pair p of rows i >= j of a tile.

    tile (d + 1, stride), the last row of ones; roots (k, stride), whose squares are the
    responsibilities r of component order[m], m < count; scratch of POINTS * (PRODUCTS + columns)
    numbers; sums (n_products(d) + PRODUCTS, columns) of float64, columns >= count whole vectors.
    """
    signature = types.void(tile, types.intp, roots, order, types.intp, scratch, sums)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, points, *others = unpack_arguments(context, builder, signature, args)

        def some(start, _):
            here = v.lesser(builder.sub(points, start), v.index(POINTS))
            _add_products(v, x, start, here, *others)

        v.loop(0, points, POINTS, [], some)
        return context.get_dummy_value()

    return signature, emit


def _add_products(v, x, start, points, roots, order, count, scratch, sums):
    """`shared_outer_moments` for up to `POINTS` points."""
    builder, rows, columns = v.builder, x.shape[0], sums.shape[1]
    shares = scratch.behind(builder, v.index(POINTS * PRODUCTS))
    _transpose_shares(v, start, points, roots, order, count, columns, shares)
    n = builder.lshr(builder.mul(rows, v.plus(rows, 1)), v.index(1))
    used = builder.and_(v.plus(count, v.lanes - 1), v.index(-v.lanes))
    in_pairs = builder.and_(used, v.index(-2 * v.lanes))

    def block(first, pair):
        height = v.lesser(builder.sub(n, first), v.index(PRODUCTS))
        pair = _form_products(v, x, start, points, height, pair, scratch)

        def multiply(c, width):
            def products(p, _):
                _multiply(v, points, scratch, p, shares, c, width, columns, first, sums)

            v.loop(0, height, _TOGETHER, [], products)

        v.loop(0, in_pairs, 2 * v.lanes, [], lambda c, _: multiply(c, 2))
        v.loop(in_pairs, used, v.lanes, [], lambda c, _: multiply(c, 1))
        return pair

    v.loop(0, n, PRODUCTS, [v.index(0), v.index(0)], block)


def _transpose_shares(v, start, points, roots, order, count, columns, shares):
    """shares[t, m] = roots[order[m], start + t]^2, zero from `count` up to whole vectors."""
    builder, stride = v.builder, roots.shape[1]

    def components(first, _):
        begins, there = [], []
        for n in range(v.lanes):
            m = v.plus(first, n)
            there.append(builder.icmp_signed("<", m, count))
            c = v.whole_number(order, builder.select(there[n], m, v.index(0)))
            begins.append(v.at(c, stride, start))

        def vector(t, _):
            block = []
            for begin, is_there in zip(begins, there, strict=True):
                root = v.load(roots, builder.add(begin, t))
                block.append(builder.select(is_there, v.mul(root, root), v.constant(0.0)))
            for n, row in enumerate(v.transpose(block)):
                v.store(row, shares, v.at(v.plus(t, n), columns, first))

        v.loop(0, points, v.lanes, [], vector)

    v.loop(0, count, v.lanes, [], components)


def _form_products(v, x, start, points, height, pair, products):
    """products[p, t] = x_ti x_tj for `height` pairs of rows from `pair` on; returns the next.

    Zero up to `PRODUCTS`.
    """
    builder, stride = v.builder, x.shape[1]

    def product(p, pair):
        i, j = pair
        rows = [v.at(row, stride, start) for row in pair]

        def vector(t, _):
            a, b = (v.load(x, builder.add(row, t)) for row in rows)
            v.store(v.mul(a, b), products, v.at(p, v.index(POINTS), t))

        v.loop(0, points, v.lanes, [], vector)
        last = builder.icmp_signed("==", i, j)
        next_j = builder.select(last, v.index(0), v.plus(j, 1))
        return [builder.add(i, builder.zext(last, i.type)), next_j]

    def nothing(p, _):
        begin, zero = v.at(p, v.index(POINTS)), v.constant(0.0)
        v.loop(0, POINTS, v.lanes, [], lambda t, _: v.store(zero, products, builder.add(begin, t)))

    v.loop(height, PRODUCTS, 1, [], nothing)
    return v.loop(0, height, 1, pair, product)


def _multiply(v, points, products, p, shares, c, width, columns, first, sums):
    """sums[first + p, c] += products[p] . shares[c]: `_TOGETHER` products, `width` vectors of c."""

    def point(t, totals):
        r = [v.load(shares, v.plus(v.at(t, columns, c), n * v.lanes)) for n in range(width)]
        updated = []
        for m in range(_TOGETHER):
            product = v.broadcast(products, v.at(v.plus(p, m), v.index(POINTS), t))
            for n in range(width):
                updated.append(v.fma(product, r[n], totals[m * width + n]))
        return updated

    totals = v.loop(0, points, 1, [v.constant(0.0)] * (_TOGETHER * width), point)
    for m in range(_TOGETHER):
        row = v.at(v.plus(v.builder.add(first, p), m), columns, c)
        for n in range(width):
            v.add_numbers_to(totals[m * width + n], sums, v.plus(row, n * v.lanes))


def _about_means_definition(sums, order, count, means, blocks):
    rows, n_lost = means.shape[1] + 1, 0
    i, j = np.tril_indices(rows)
    for m in reversed(range(count)):
        c = int(order[m])
        moments = np.zeros((rows, rows), dtype=sums.dtype)
        moments[i, j] = moments[j, i] = sums[: len(i), m]
        # S - m f^T - f m^T + w m m^T, and of the row of ones likewise, whose mean here is 0.
        mean, first, weight = np.append(means[c], 0.0), moments[-1], moments[-1, -1]
        most_lost = MOST_LOST[means.dtype == np.float64]
        features = zip(np.diagonal(moments)[:-1], first, mean, strict=False)
        if not all(keeps_digits_definition(s, f, weight, mu, most_lost) for s, f, mu in features):
            n_lost += 1
            order[len(means) - n_lost] = c
            continue
        cross = np.outer(mean, first)
        about = moments - cross - cross.T + weight * np.outer(mean, mean)
        blocks[c, outer_place(i, j)] += about[i, j]
    return n_lost


@microkernel(_about_means_definition)
def add_shared_about_means(typing, sums, order, count, means, blocks):
    """Add sums of `shared_outer_moments` to blocks (k, outer_size(d)), about the means (k, d).

    Returns the number of components that lost more than `MOST_LOST`: theirs are not added, and
    their numbers stand at the end of order (k,).
    """
    signature = types.intp(sums, order, types.intp, means, blocks)

    def emit(context, builder, signature, args):
        v = Vectors(builder, means.dtype)
        given, order, count, mu, out = unpack_arguments(context, builder, signature, args)
        (k, d), columns, double = mu.shape, given.shape[1], Vectors(builder, types.float64)
        last_row = builder.lshr(builder.mul(d, v.plus(d, 1)), v.index(1))

        most_lost = ir.Constant(ir.DoubleType(), MOST_LOST[v.double])

        def component(done, n_lost):
            # From the last on: the end of the order is free by then.
            m = builder.sub(v.plus(count, -1), done)
            c = v.whole_number(order, m)
            means_c, block = mu.part(builder, c), out.part(builder, c)

            def moment(p):
                return v.number(given, v.at(p, columns, m))

            def mean(j):
                inside = builder.icmp_signed("<", j, d)
                number = v.number(means_c, builder.select(inside, j, v.index(0)))
                return builder.select(inside, v.widen(number), ir.Constant(ir.DoubleType(), 0.0))

            weight = moment(builder.add(last_row, d))

            def row(i, carried):
                mean_i, first_i = mean(i), moment(builder.add(last_row, i))

                def column(j, carried):
                    (p,) = carried
                    about = double.fma(
                        builder.fneg(weight), mean(j), moment(builder.add(last_row, j))
                    )
                    about = double.fma(builder.fneg(mean_i), about, moment(p))
                    about = double.fma(builder.fneg(first_i), mean(j), about)
                    double.add_to(about, block, sums_place(v, i, j))
                    return [v.plus(p, 1)]

                return v.loop(0, v.plus(i, 1), 1, carried, column)

            def feature(j, so_far):
                first_j = moment(builder.add(last_row, j))
                square = moment(builder.lshr(builder.mul(j, v.plus(j, 3)), v.index(1)))
                keeps = emit_keeps_digits(double, square, first_j, weight, mean(j), most_lost)
                return [builder.select(keeps, so_far[0], v.index(0))]

            (kept,) = v.loop(0, d, 1, [v.index(1)], feature)
            rows = builder.select(builder.trunc(kept, ir.IntType(1)), v.plus(d, 1), v.index(0))
            v.loop(0, rows, 1, [v.index(0)], row)
            (lost,) = n_lost
            more = v.plus(builder.sub(lost, kept), 1)
            with builder.if_then(builder.icmp_signed(">", more, lost)):
                v.put(builder.sitofp(c, v.scalar), order, builder.sub(k, more))
            return [more]

        return v.loop(0, count, 1, [v.index(0)], component)[0]

    return signature, emit
