"""Rows of points into tiles, a structure of arrays, and out of them: transposed by vectors."""

from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.simd import Vectors, unpack_arguments

_WIDTHS = (8, 4, 2, 1)
"""Features that are transposed at once; the narrower ones at the end of a row."""

_DOUBLE = ir.DoubleType()


class _Rows:
    """Reads numbers of rows of any layout, centred.

    Parameters
    ----------
    v : Vectors
        For the type that numbers are wanted in.
    array : ArrayArgument
        (rows, d).
    first : LLVM integer
        The row that counts as row 0.
    origin : ArrayArgument
        (d,), float64.
    """

    def __init__(self, v, array, first, origin):
        self._v, self._array, self._first, self._origin = v, array, first, origin
        self._kind = array.element
        self.itemsize = 8 if self._kind == _DOUBLE else 4

    def vector(self, t, j, width):
        """`width` numbers that lie side by side, from row t and feature j on; not yet centred."""
        return self._load(t, j, ir.VectorType(self._kind, width))

    def number(self, t, j):
        """A single number, centred."""
        value = self._load(t, j, self._kind)
        return self._centred(value, j, self._v.scalar, _DOUBLE, lambda scalar: scalar)

    def centred(self, vector, j):
        """A whole vector of feature j, centred."""
        wide = ir.VectorType(_DOUBLE, self._v.lanes)
        return self._centred(vector, j, self._v.type, wide, self._v.splat)

    def _load(self, t, j, kind):
        builder = self._v.builder
        address = self._array.address_at(builder, [builder.add(self._first, t), j])
        return builder.load(address, align=self.itemsize, typ=kind)

    def _centred(self, value, j, kind, wide, splat):
        """Less the origin, in float64: far from zero float32 has few digits to lose."""
        builder = self._v.builder
        value = value if value.type == wide else builder.fpext(value, wide)
        value = builder.fsub(value, splat(self._v.number(self._origin, j)))
        return value if kind == wide else builder.fptrunc(value, kind)


def emit_load(v, array, first, n, origin, out):
    """out[:, t] = array[first + t] - origin for `n` rows of any layout and either type."""
    builder, (_, d), stride = v.builder, array.shape, out.shape[1]
    rows = _Rows(v, array, first, origin)
    # Vectors take rows or features that lie side by side; what is left goes one by one.
    row_stride, feature_stride = array.strides
    of_features = builder.icmp_signed("==", feature_stride, v.index(rows.itemsize))
    of_rows = builder.icmp_signed("==", row_stride, v.index(rows.itemsize))
    by_vectors = builder.or_(of_features, of_rows)
    whole = builder.select(by_vectors, builder.and_(n, v.index(-v.lanes)), v.index(0))

    def keep(vector, j, t):
        v.store(rows.centred(vector, j), out, v.at(j, stride, t))

    def transposed(t, _):
        begin = v.index(0)
        for width in (w for w in _WIDTHS if w <= v.lanes):
            stop = builder.and_(d, v.index(-width))

            def features(j, _, width=width):
                block = [rows.vector(v.plus(t, n), j, width) for n in range(v.lanes)]
                for n, column in enumerate(v.transpose(block)):
                    keep(column, v.plus(j, n), t)

            v.loop(begin, stop, width, [], features)
            begin = stop

    def feature_as_it_lies(j, _):
        v.loop(0, whole, v.lanes, [], lambda t, _: keep(rows.vector(t, j, v.lanes), j, t))

    def one_by_one(t, _):
        v.loop(0, d, 1, [], lambda j, _: v.put(rows.number(t, j), out, v.at(j, stride, t)))

    with builder.if_else(of_rows) as (contiguous, other):
        with contiguous:
            v.loop(0, d, 1, [], feature_as_it_lies)
        with other:
            v.loop(0, whole, v.lanes, [], transposed)
    v.loop(whole, n, 1, [], one_by_one)


def emit_gather(v, array, numbers, first, n, origin, out):
    """out[:, t] = array[numbers[first + t]] - origin for `n` rows.

    Feature by feature: the processor then waits for many of the scattered rows at a time.
    """
    (_, d), stride = array.shape, out.shape[1]
    rows = _Rows(v, array, v.index(0), origin)

    def feature(j, _):
        def point(t, _):
            row = v.element(numbers, v.builder.add(first, t))
            v.put(rows.number(row, j), out, v.at(j, stride, t))

        v.loop(0, n, 1, [], point)

    v.loop(0, d, 1, [], feature)


def _store_definition(tile, count, out, start):
    out[start : start + count] = tile[: out.shape[1], :count].T


@microkernel(_store_definition)
def store_rows(typing, tile, count, out, start):
    """out[start + t] = tile[:, t] for the first `count` points.

    tile (>= k, stride), out (rows, k).
    """
    signature = types.void(tile, types.intp, out, types.intp)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, array, start = unpack_arguments(context, builder, signature, args)
        stride, k = x.shape[1], array.shape[1]
        whole, wide = (builder.and_(size, v.index(-v.lanes)) for size in (count, k))

        def square(t, _):
            def columns(c, _):
                block = [v.load(x, v.at(v.plus(c, n), stride, t)) for n in range(v.lanes)]
                for n, row in enumerate(v.transpose(block)):
                    v.store(row, array, v.at(v.plus(builder.add(start, t), n), k, c))

            v.loop(0, wide, v.lanes, [], columns)

        def one_by_one(t, first):
            def number(c, _):
                value = v.number(x, v.at(c, stride, t))
                v.put(value, array, v.at(builder.add(start, t), k, c))

            v.loop(first, k, 1, [], number)

        v.loop(0, whole, v.lanes, [], square)
        v.loop(0, whole, 1, [], lambda t, _: one_by_one(t, wide))
        v.loop(whole, count, 1, [], lambda t, _: one_by_one(t, 0))
        return context.get_dummy_value()

    return signature, emit


def _store_numbers_definition(row, count, out, start):
    out[start : start + count] = row[:count]


@microkernel(_store_numbers_definition)
def store_numbers(typing, row, count, out, start):
    """out[start + t] = row[t] for the first `count` points; out may hold integers."""
    signature = types.void(row, types.intp, out, types.intp)
    whole = isinstance(out.dtype, types.Integer)

    def emit(context, builder, signature, args):
        v = Vectors(builder, row.dtype)
        x, count, array, start = unpack_arguments(context, builder, signature, args)

        def point(t, _):
            v.put(v.whole_number(x, t) if whole else v.number(x, t), array, builder.add(start, t))

        v.loop(0, count, 1, [], point)
        return context.get_dummy_value()

    return signature, emit
