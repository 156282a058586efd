"""Tiles: some hundred rows as a structure of arrays, and how large they are."""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import kernel, microkernel
from fastgmm.kernels.simd import GROUP_BYTES, Vectors, unpack_arguments

_NEAREST_BYTES = 32 << 10
"""What outer moments read again and again should take, so as to stay in any L1 cache: the rows of
a tile, and a copy that is centred and weighted."""

_NEAR_BYTES = 48 << 10
"""What a tile and all that a pass keeps for it should take, while that leaves enough points..."""

_FAR_BYTES = 3 << 18
"""...and may take at most: three quarters of a usual L2 cache."""

_FEWEST_GROUPS, _ENOUGH_GROUPS, _MOST_GROUPS = 2, 3, 16


@kernel
def tile_points(n_rows, n_features, n_components, itemsize, outer=False):
    """Points of a tile: whole groups, by bytes, no more than there are rows.

    `outer` says that outer moments are taken of them.
    """
    copies = GROUP_BYTES * 2 * (n_features + 1)
    everything = copies + GROUP_BYTES * n_components
    groups = _MOST_GROUPS
    if outer and copies <= _NEAREST_BYTES:
        groups = min(_NEAREST_BYTES // copies, max(_NEAR_BYTES // everything, _ENOUGH_GROUPS))
        groups = max(groups, _FEWEST_GROUPS)
    groups = min(groups, max(_FAR_BYTES // everything, 1), _MOST_GROUPS)
    return min(groups * (GROUP_BYTES // itemsize), whole_groups(max(n_rows, 1), itemsize))


@kernel
def whole_groups(n_rows, itemsize):
    """So many points, filled up to whole groups."""
    group = GROUP_BYTES // itemsize
    return (n_rows + group - 1) // group * group


@kernel
def aligned_rows(n_rows, points, like):
    """Uninitialised (n_rows, stride), stride >= points, of the dtype of `like`.

    Rows start on cache lines, an odd number of lines apart: a power of two would send every row of
    a column to the same few sets of the cache.
    """
    per_line = 64 // like.itemsize
    stride = points + per_line * (1 - (points // per_line) % 2)
    buffer = np.empty((n_rows * stride + per_line), dtype=like.dtype)
    start = (-(buffer.ctypes.data // like.itemsize)) % per_line
    return buffer[start : start + n_rows * stride].reshape(n_rows, stride)


_WIDEST = 8
"""Features that are transposed at once, at most; fewer at the end of a row."""


def _rows_definition(X, start, stop, origin, tile):
    tile[: len(origin), : stop - start] = (X[start:stop] - origin).T


@microkernel(_rows_definition)
def load_rows(typing, X, start, stop, origin, tile):
    """tile[:, t] = X[start + t] - origin for the rows start to stop.

    X (rows, d) of any layout and either type; origin (d,), float64; tile (>= d, stride).
    """
    signature = types.void(X, types.intp, types.intp, origin, tile)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, first, end, centre, out = unpack_arguments(context, builder, signature, args)
        (_, d), (row_stride, feature_stride) = x.shape, x.strides
        n, itemsize = builder.sub(end, first), X.dtype.bitwidth // 8

        def address(t, j, kind):
            """Place of the number in row t and feature j, or of a vector that starts there."""
            row = builder.mul(builder.add(first, t), row_stride)
            offset = builder.add(row, builder.mul(j, feature_stride))
            as_bytes = builder.bitcast(x.pointer, ir.IntType(8).as_pointer())
            return builder.bitcast(builder.gep(as_bytes, [offset]), kind.as_pointer())

        def load(t, j, width):
            """`width` numbers that lie side by side."""
            value = builder.load(address(t, j, ir.VectorType(x.pointer.type.pointee, width)))
            value.align = itemsize
            return value

        def centred(value, j, kind, wide, splat):
            """Less the origin, in float64: far from zero float32 has few digits to lose."""
            value = value if value.type == wide else builder.fpext(value, wide)
            centre_j = splat(builder.load(builder.gep(centre.pointer, [j])))
            value = builder.fsub(value, centre_j)
            return value if kind == wide else builder.fptrunc(value, kind)

        def keep(vector, j, t):
            wide = ir.VectorType(ir.DoubleType(), v.lanes)
            v.store(centred(vector, j, v.type, wide, v.splat), out, v.at(j, out.shape[1], t))

        def transposed(t, _):
            begin = v.index(0)
            for width in (w for w in (8, 4, 2, 1) if w <= min(v.lanes, _WIDEST)):
                stop = builder.and_(d, v.index(-width))

                def features(j, _, width=width):
                    rows = [load(v.plus(t, n), j, width) for n in range(v.lanes)]
                    for n, column in enumerate(v.transpose(rows)):
                        keep(column, v.plus(j, n), t)

                v.loop(begin, stop, width, [], features)
                begin = stop

        def one_by_one(t, _):
            def feature(j, _):
                value = builder.load(address(t, j, x.pointer.type.pointee))
                value = centred(value, j, v.scalar, ir.DoubleType(), lambda scalar: scalar)
                builder.store(value, builder.gep(out.pointer, [v.at(j, out.shape[1], t)]))

            v.loop(0, d, 1, [], feature)

        # Vectors take rows or features that lie side by side; what is left goes one by one.
        by_features = builder.icmp_signed("==", row_stride, v.index(itemsize))
        by_rows = builder.icmp_signed("==", feature_stride, v.index(itemsize))
        whole = builder.and_(n, v.index(-v.lanes))
        whole = builder.select(builder.or_(by_features, by_rows), whole, v.index(0))
        with builder.if_else(by_features) as (contiguous, other):
            with contiguous:
                v.loop(
                    0,
                    d,
                    1,
                    [],
                    lambda j, _: v.loop(
                        0, whole, v.lanes, [], lambda t, _: keep(load(t, j, v.lanes), j, t)
                    ),
                )
            with other:
                v.loop(0, whole, v.lanes, [], transposed)
        v.loop(whole, n, 1, [], one_by_one)
        return context.get_dummy_value()

    return signature, emit


@kernel
def load_tile(X, start, stop, origin, tile):
    """Rows start to stop of X, less the origin, as columns; a last row of ones.

    Returns the number of columns to work on: whole groups, filled up with zeros.
    """
    d = X.shape[1]
    count = stop - start
    points = whole_groups(count, tile.itemsize)
    load_rows(X, start, stop, origin, tile)
    for t in range(count):
        tile[d, t] = 1.0
    for j in range(d + 1):
        for t in range(count, points):
            tile[j, t] = 0.0
    return points


@kernel
def load_weights(sample_weight, start, stop, points, weights):
    """Weights of the rows start to stop, 1 where none are given; zero beyond."""
    count = stop - start
    for t in range(count):
        weights[t] = sample_weight[start + t] if len(sample_weight) else 1.0
    for t in range(count, points):
        weights[t] = 0.0


@kernel
def load_labels(labels, start, stop, points, weights, responsibilities):
    """Responsibilities of rows that belong to one component each, weighted, as rows of a tile."""
    count = stop - start
    chosen = labels[start:stop]
    for c in range(len(responsibilities)):
        for t in range(count):
            # No branch: what comes next cannot be guessed.
            responsibilities[c, t] = weights[t] * (chosen[t] == c)
        for t in range(count, points):
            responsibilities[c, t] = 0.0


@kernel
def load_responsibilities(given, start, stop, points, weights, responsibilities):
    """Given responsibilities (rows, k), weighted, as rows of a tile."""
    count = stop - start
    rows = given[start:stop]
    for c in range(given.shape[1]):
        for t in range(count):
            responsibilities[c, t] = rows[t, c] * weights[t]
        for t in range(count, points):
            responsibilities[c, t] = 0.0


@kernel
def take_roots(rows, points):
    """Replace the first numbers of every row, none of them negative, by their square roots."""
    for c in range(rows.shape[0]):
        for t in range(points):
            rows[c, t] = np.sqrt(rows[c, t])
