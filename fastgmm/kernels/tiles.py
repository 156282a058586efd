"""Tiles: some hundred rows as a structure of arrays. How large they are, and memory for them.

How large they are is no inner loop, and yet a micro-kernel, with its twin beside it. Numba takes
0.17 s or more to compile `tile_points` in plain Python into an entry point, and 0.09 s for
`longest`: a tenth of what the entry point takes as it is, which the first fit ever would wait for.
"""

import numpy as np
from numba.core import cgutils, types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.simd import GROUP, GROUP_BYTES, Vectors, strides_of, unpack_arguments

_NEAREST_BYTES = 32 << 10
"""Outer moments read the rows of a tile, and a copy of them, again and again.

Rows and copy should not take more than this, which fits into any L1 cache.
"""

_NEAR_BYTES = 48 << 10
"""A tile and all that a pass keeps for it should not take more than this.

A tile of fewer than `_ENOUGH_GROUPS` groups takes more all the same.
"""

_FAR_BYTES = 3 << 18
"""A tile and all that a pass keeps for it never takes more than this: three quarters of a usual L2
cache.

Where outer moments are taken, a tile of `_LEAST_FAR_GROUPS` groups may take more. With fewer points
they would spend their time on the sums, which they read and write for every tile.
"""

_FEWEST_GROUPS = 2
"""Groups of points in a tile at least, where outer moments fit into the L1 cache."""

_ENOUGH_GROUPS = 3
"""Groups of points from which on a tile is large enough for `_NEAR_BYTES` to bound it."""

_LEAST_FAR_GROUPS = 4
"""Groups of points in a tile at least, where outer moments do not fit into the L1 cache."""

_MOST_GROUPS = 8
"""Groups of points in a tile at most."""

MOST_VECTORS = _MOST_GROUPS * GROUP
"""Vectors of points in a tile at most."""


def _tile_points_definition(n_rows, n_features, n_components, itemsize, outer):
    copies = GROUP_BYTES * 2 * (n_features + 1)
    everything = copies + GROUP_BYTES * n_components
    groups = _MOST_GROUPS
    if outer and copies <= _NEAREST_BYTES:
        groups = min(_NEAREST_BYTES // copies, max(_NEAR_BYTES // everything, _ENOUGH_GROUPS))
        groups = max(groups, _FEWEST_GROUPS)
    least = _LEAST_FAR_GROUPS if outer else 1
    groups = min(groups, max(_FAR_BYTES // everything, least), _MOST_GROUPS)
    return min(
        groups * (GROUP_BYTES // itemsize), whole_groups_definition(max(n_rows, 1), itemsize)
    )


@microkernel(_tile_points_definition)
def tile_points(typing, n_rows, n_features, n_components, itemsize, outer):
    """Points of a tile: whole groups, by bytes, no more than there are rows.

    `outer` says that outer moments are taken of them.
    """
    size = types.intp
    signature = size(size, size, size, size, types.boolean)

    def emit(context, builder, signature, args):
        n_rows, d, k, itemsize, outer = args
        v = Vectors(builder, types.float64)

        def fit(n_bytes, bytes_per_group, least):
            """Groups that go into so many bytes, but no fewer than `least`."""
            return v.greater(builder.sdiv(v.index(n_bytes), bytes_per_group), least)

        copies = builder.mul(v.plus(d, 1), v.index(2 * GROUP_BYTES))
        everything = builder.add(copies, builder.mul(k, v.index(GROUP_BYTES)))
        near = builder.icmp_signed("<=", copies, v.index(_NEAREST_BYTES))
        nearest = v.lesser(
            fit(_NEAREST_BYTES, copies, v.index(_FEWEST_GROUPS)),
            fit(_NEAR_BYTES, everything, v.index(_ENOUGH_GROUPS)),
        )
        most = v.index(_MOST_GROUPS)
        groups = builder.select(builder.and_(outer, near), nearest, most)
        least = builder.select(outer, v.index(_LEAST_FAR_GROUPS), v.index(1))
        groups = v.lesser(v.lesser(groups, fit(_FAR_BYTES, everything, least)), most)
        points = builder.mul(groups, builder.sdiv(v.index(GROUP_BYTES), itemsize))
        return v.lesser(points, emit_whole_groups(v, v.greater(n_rows, v.index(1)), itemsize))

    return signature, emit


def emit_whole_groups(v, n_points, itemsize):
    """Some points of so many bytes each, filled up to whole groups."""
    group = v.builder.sdiv(v.index(GROUP_BYTES), itemsize)
    return v.builder.and_(
        v.plus(v.builder.add(n_points, group), -1), v.builder.sub(v.index(0), group)
    )


def whole_groups_definition(n_points, itemsize):
    group = GROUP_BYTES // itemsize
    return (n_points + group - 1) // group * group


@microkernel(whole_groups_definition)
def whole_groups(typing, n_points, itemsize):
    """So many points, filled up to whole groups."""

    def emit(context, builder, signature, args):
        return emit_whole_groups(Vectors(builder, types.float64), *args)

    return types.intp(types.intp, types.intp), emit


def _longest_definition(offsets, numbers):
    return max((int(offsets[i + 1] - offsets[i]) for i in numbers), default=0)


@microkernel(_longest_definition)
def longest(typing, offsets, numbers):
    """Rows of the longest of some data sets."""
    signature = types.intp(offsets, numbers)

    def emit(context, builder, signature, args):
        v = Vectors(builder, types.float64)
        ends, chosen = unpack_arguments(context, builder, signature, args)
        return _most_rows(v, ends, chosen.shape[0], lambda m: v.element(chosen, m))

    return signature, emit


def _longest_of_all_definition(offsets):
    return _longest_definition(offsets, range(len(offsets) - 1))


@microkernel(_longest_of_all_definition)
def longest_of_all(typing, offsets):
    """`longest` of all data sets; a list of all their numbers takes long to compile."""
    signature = types.intp(offsets)

    def emit(context, builder, signature, args):
        v = Vectors(builder, types.float64)
        (ends,) = unpack_arguments(context, builder, signature, args)
        return _most_rows(v, ends, v.plus(ends.shape[0], -1), lambda m: m)

    return signature, emit


def _most_rows(v, offsets, n_sets, number):
    """Rows of the longest of so many data sets, the m-th of which has the number `number(m)`."""

    def one(m, most):
        i = number(m)
        length = v.builder.sub(v.element(offsets, v.plus(i, 1)), v.element(offsets, i))
        return [v.greater(most[0], length)]

    (most,) = v.loop(0, n_sets, 1, [v.index(0)], one)
    return most


def _aligned_definition(n_rows, points, like):
    per_line = 64 // like.itemsize
    return np.empty((n_rows, points + per_line - (points & per_line)), like.dtype)


@microkernel(_aligned_definition)
def aligned_rows(typing, n_rows, points, like):
    """Uninitialised (n_rows, stride), stride >= points, of the dtype of `like`.

    Rows start on cache lines, an odd number of lines apart: a power of two would send every row of
    a column to the same few sets of the cache.
    """
    array_type = types.Array(like.dtype, 2, "C")
    signature = array_type(types.intp, types.intp, like)

    def emit(context, builder, signature, args):
        v = Vectors(builder, like.dtype)
        n_rows, points, _ = args
        per_line = v.index(64 // v.itemsize)
        stride = builder.sub(builder.add(points, per_line), builder.and_(points, per_line))
        return _allocated(context, v, array_type, [n_rows, stride])

    return signature, emit


def _aligned_row_definition(points, like):
    return np.empty(points, like.dtype)


@microkernel(_aligned_row_definition)
def aligned_row(typing, points, like):
    """Uninitialised (points,) of the dtype of `like`, that starts on a cache line."""
    array_type = types.Array(like.dtype, 1, "C")
    signature = array_type(types.intp, like)

    def emit(context, builder, signature, args):
        return _allocated(context, Vectors(builder, like.dtype), array_type, [args[0]])

    return signature, emit


def _allocated(context, v, array_type, shape):
    """Emit a new array of one or two axes."""
    builder, itemsize = v.builder, v.index(v.itemsize)
    strides = strides_of(builder, shape, itemsize)
    size = builder.mul(shape[0], strides[0])
    meminfo = context.nrt.meminfo_alloc_aligned(builder, size, 64)
    array = context.make_array(array_type)(context, builder)
    data = context.nrt.meminfo_data(builder, meminfo)
    # As Numba wants it: a pointer to numbers, as long as it has typed pointers.
    data = cgutils.pointer_add(builder, data, v.index(0), array.data.type)
    context.populate_array(
        array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=meminfo
    )
    return array._getvalue()
