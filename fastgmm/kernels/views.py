"""Parts of arrays, numbers put into them, the lesser of two: what Python says in a few signs.

They are micro-kernels for the sake of the first fit ever, which waits for the compiler. Numba
writes a hundred instructions for ``array[m]``, whose index might be negative, and compiles a
function of its own for a reshape, and for ``min``.
"""

import numpy as np
from numba.core import types
from numba.core.imputils import impl_ret_borrowed

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.layout import HEADER
from fastgmm.kernels.simd import Vectors, strides_of, unpack_arguments


def _part_definition(array, index):
    return array[index]


@microkernel(_part_definition)
def part(typing, array, index):
    """array[index], of a C-contiguous array of two axes or more, and an index not negative."""
    view = array.copy(ndim=array.ndim - 1)
    signature = view(array, types.intp)

    def emit(context, builder, signature, args):
        whole, given = _opened(context, builder, array, args[0])
        first = given.part(builder, args[1])
        return _view(context, builder, view, whole, first.pointer, given.shape[1:])

    return signature, emit


def _stretch_definition(array, first, length):
    return array[first : first + length]


@microkernel(_stretch_definition)
def stretch(typing, array, first, length):
    """array[first : first + length], of a C-contiguous array and numbers not negative."""
    signature = array(array, types.intp, types.intp)

    def emit(context, builder, signature, args):
        whole, given = _opened(context, builder, array, args[0])
        start = given.part(builder, args[1])
        return _view(context, builder, array, whole, start.pointer, [args[2], *start.shape])

    return signature, emit


def _with_axis_definition(array):
    return array[np.newaxis]


@microkernel(_with_axis_definition)
def with_axis(typing, array):
    """array[np.newaxis], of a C-contiguous array."""
    view = array.copy(ndim=array.ndim + 1)

    def emit(context, builder, signature, args):
        whole, given = _opened(context, builder, array, args[0])
        one = Vectors(builder, types.float64).index(1)
        return _view(context, builder, view, whole, given.pointer, [one, *given.shape])

    return view(array), emit


def _sums_of_components_definition(sums, m, k):
    return sums[m, HEADER:].reshape(k, -1)


@microkernel(_sums_of_components_definition)
def sums_of_components(typing, sums, m, k):
    """The sums (k, size) of each of k components, behind the header of row m of `sums`."""
    signature = sums(sums, types.intp, types.intp)

    def emit(context, builder, signature, args):
        whole, given = _opened(context, builder, sums, args[0])
        v = Vectors(builder, types.float64)
        first = given.part(builder, args[1]).behind(builder, v.index(HEADER))
        size = builder.sdiv(v.plus(given.shape[1], -HEADER), args[2])
        return _view(context, builder, sums, whole, first.pointer, [args[2], size])

    return signature, emit


def _opened(context, builder, kind, value):
    """An array as Numba sees it, and as micro-kernels do."""
    (given,) = unpack_arguments(context, builder, types.void(kind), [value])
    return context.make_array(kind)(context, builder, value), given


def _view(context, builder, kind, whole, pointer, shape):
    """A contiguous array of this type, in the memory of a whole."""
    view, itemsize = context.make_array(kind)(context, builder), whole.itemsize
    strides = strides_of(builder, shape, itemsize)
    data = builder.bitcast(pointer, view.data.type)
    context.populate_array(
        view, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=whole.meminfo
    )
    return impl_ret_borrowed(context, builder, kind, view._getvalue())


def _fill_definition(array, number):
    array[...] = number


@microkernel(_fill_definition)
def fill(typing, array, number):
    """array[...] = number, of a C-contiguous array."""
    signature = types.void(array, array.dtype)

    def emit(context, builder, signature, args):
        v = Vectors(builder, array.dtype)
        out, number = unpack_arguments(context, builder, signature, args)
        size = v.index(1)
        for length in out.shape:
            size = builder.mul(size, length)
        v.loop(0, size, 1, [], lambda i, _: v.put(number, out, i))
        return context.get_dummy_value()

    return signature, emit


def _count_up_definition(array):
    array[:] = np.arange(len(array))


@microkernel(_count_up_definition)
def count_up(typing, array):
    """array[i] = i."""
    signature = types.void(array)

    def emit(context, builder, signature, args):
        v = Vectors(builder, array.dtype)
        (out,) = unpack_arguments(context, builder, signature, args)

        def put(i, _):
            v.put(builder.sitofp(i, v.scalar), out, i)

        v.loop(0, out.shape[0], 1, [], put)
        return context.get_dummy_value()

    return signature, emit


def _add_to_definition(array, index, number):
    array[index] += number


@microkernel(_add_to_definition)
def add_to(typing, array, index, number):
    """array[index] += number, of an array of one axis and an index not negative."""
    signature = types.void(array, types.intp, array.dtype)

    def emit(context, builder, signature, args):
        v = Vectors(builder, array.dtype)
        out, index, number = unpack_arguments(context, builder, signature, args)
        v.put(builder.fadd(v.number(out, index), number), out, index)
        return context.get_dummy_value()

    return signature, emit


def _lesser_definition(a, b):
    return min(a, b)


@microkernel(_lesser_definition)
def lesser(typing, a, b):
    """The lesser of two integers."""
    return _chosen(Vectors.lesser)


def _greater_definition(a, b):
    return max(a, b)


@microkernel(_greater_definition)
def greater(typing, a, b):
    """The greater of two integers."""
    return _chosen(Vectors.greater)


def _chosen(choose):
    """Signature and emitter of one of two integers."""

    def emit(context, builder, signature, args):
        return choose(Vectors(builder, types.float64), *args)

    return types.intp(types.intp, types.intp), emit
