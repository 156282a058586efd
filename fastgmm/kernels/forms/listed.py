"""What forms have in common for a cell's components: their numbers side by side, and sums back."""

from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.simd import Vectors, unpack_arguments


def _take_listed_definition(numbers, listed, begin, end, taken):
    taken[begin:end] = numbers[listed[begin:end]]


@microkernel(_take_listed_definition)
def take_listed(typing, numbers, listed, begin, end, taken):
    """taken[i] = numbers[listed[i]] for begin <= i < end; both have two axes."""
    signature = types.void(numbers, listed, types.intp, types.intp, taken)

    def emit(context, builder, signature, args):
        v = Vectors(builder, taken.dtype)
        given, chosen, begin, end, out = unpack_arguments(context, builder, signature, args)

        def row(i, _):
            source, target = given.part(builder, v.element(chosen, i)), out.part(builder, i)
            copy = lambda j, _: v.put(v.number(source, j), target, j)  # noqa: E731
            v.loop(0, out.shape[1], 1, [], copy)

        v.loop(begin, end, 1, [], row)
        return context.get_dummy_value()

    return signature, emit


def _add_listed_definition(sums, listed, count, blocks):
    blocks[listed[:count]] += sums[:count, : blocks.shape[1]]


@microkernel(_add_listed_definition)
def add_listed(typing, sums, listed, count, blocks):
    """blocks[listed[i]] += sums[i] for i < count, all different; sums may have longer rows."""
    signature = types.void(sums, listed, types.intp, blocks)

    def emit(context, builder, signature, args):
        v = Vectors(builder, blocks.dtype)
        given, chosen, count, out = unpack_arguments(context, builder, signature, args)

        def row(i, _):
            source, target = given.part(builder, i), out.part(builder, v.element(chosen, i))
            v.loop(0, out.shape[1], 1, [], lambda j, _: v.add_to(v.number(source, j), target, j))

        v.loop(0, count, 1, [], row)
        return context.get_dummy_value()

    return signature, emit
