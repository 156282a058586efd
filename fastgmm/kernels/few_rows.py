"""Distances of few rows from many means, by one reading of arrays that nobody has prepared.

A prediction of a row or two takes as long as the mixture's numbers take to come from memory. So the
factors are read where they are, once, and are checked in the same reading.
"""

import functools

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.layout import BLOCK
from fastgmm.kernels.signatures import array_type
from fastgmm.kernels.simd import GROUP_BYTES, LANE_BYTES, Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_rows


def _add_products_definition(left, right, row, out):
    d = right.shape[1]
    block = right[row : row + BLOCK, row:]
    out[:, row:d] += left[:, row : row + BLOCK] @ block


@microkernel(_add_products_definition)
def add_products(typing, left, right, row, out):
    """Add what a block of rows of an upper triangular matrix contributes to a product.

    out[:, row:d] += left[:, row : row + BLOCK] @ right[row : row + BLOCK, row:d]

    left and out (n, stride), right (d, d) with more rows behind the block. Of these, and of the
    columns of out from d on, so much is read or written as fills the last vector.
    """
    signature = types.void(left, right, types.intp, out)

    def emit(context, builder, signature, args):
        v = Vectors(builder, out.dtype)
        left, right, row, sums = unpack_arguments(context, builder, signature, args)
        (n, stride), d = sums.shape, right.shape[1]
        factors = [v.at(v.plus(row, m), d) for m in range(BLOCK)]

        def points(first, height, _):
            rows = [v.at(v.plus(first, r), stride) for r in range(height)]
            numbers = [
                [v.broadcast(left, v.plus(builder.add(at, row), m)) for m in range(BLOCK)]
                for at in rows
            ]

            def columns(j, _):
                block = [v.load(right, builder.add(at, j)) for at in factors]
                for r, at in enumerate(rows):
                    total = v.load(sums, builder.add(at, j))
                    for m in range(BLOCK):
                        total = v.fma(numbers[r][m], block[m], total)
                    v.store(total, sums, builder.add(at, j))

            v.loop(row, d, v.lanes, [], columns)

        v.blocks(n, [], points)
        return context.get_dummy_value()

    return signature, emit


def _collect_bits_definition(bits, row, seen):
    lanes = seen.shape[1]
    for column in range(0, row, lanes):
        first = min(column, row - lanes)
        block = bits[row : row + BLOCK, first : first + lanes]
        seen[0] |= np.bitwise_or.reduce(block, axis=0)


@microkernel(_collect_bits_definition)
def collect_bits(typing, bits, row, seen):
    """Note which bits are set left of a block of rows on the diagonal, in whichever lane.

    bits (d, d) of integers, row at least as large as a vector has lanes; seen (1, lanes), to which
    all of ``bits[row : row + BLOCK, :row]`` is added by "or".
    """
    signature = types.void(bits, types.intp, seen)

    def emit(context, builder, signature, args):
        v = Vectors(builder, types.float64 if bits.dtype == types.int64 else types.float32)
        numbers, row, seen = unpack_arguments(context, builder, signature, args)
        rows = [v.at(v.plus(row, m), numbers.shape[1]) for m in range(BLOCK)]
        last = builder.sub(row, v.index(v.lanes))

        def columns(j, found):
            j = v.lesser(j, last)
            loaded = [v.load_bits(numbers, builder.add(at, j)) for at in rows]
            return [builder.or_(a, b) for a, b in zip(found, loaded, strict=True)]

        found = v.loop(0, row, v.lanes, [v.int_constant(0)] * BLOCK, columns)
        for part in found:
            old = v.load_bits(seen, v.index(0))
            v.store(builder.or_(part, old), seen, v.index(0))
        return context.get_dummy_value()

    return signature, emit


@entry_point
def matrix_distances(dtype):
    """Kernel for squared distances under a matrix of each component.

    Parameters
    ----------
    dtype : dtype
        Of means and factors.

    Returns
    -------
    callable (rows, means, factors, bits, start, stop, out) -> bool
        Writes squared norms of ``factor.T @ (row - mean)``, of the components start to stop, to
        rows of out (k, n); rows (n, d) and out are float64, factors (k, d, d), bits the same as
        integers. A vector must not be longer than d. False, with nothing of worth written, if a
        factor is not zero below its diagonal.
    """
    real = getattr(types, np.dtype(dtype).name)
    integer = types.int64 if real == types.float64 else types.int32
    rows, out = array_type(types.float64, 2), types.Array(types.float64, 2, "C")
    arrays = rows, array_type(real, 2), array_type(real, 3), array_type(integer, 3)
    signature = types.boolean(*arrays, types.intp, types.intp, out)

    @kernel(signature=signature, variant=np.dtype(dtype).name)
    def measure_by_matrices(rows, means, factors, bits, start, stop, out):
        n, d = rows.shape
        width = d + GROUP_BYTES // 4  # room for a vector that begins in the last column
        centred, whitened = aligned_rows(n, width, means), aligned_rows(n, width, means)
        last = (d - 1) // BLOCK * BLOCK
        seen = np.zeros((1, LANE_BYTES // bits.itemsize), bits.dtype)
        lanes = seen.shape[1]
        for c in range(start, stop):
            factor = factors[c]
            for r in range(n):
                for j in range(d):
                    centred[r, j] = rows[r, j] - means[c, j]
                whitened[r, :] = 0.0
            seen[:] = 0
            for j in range(0, last, BLOCK):
                add_products(centred, factor, j, whitened)
                left = j if j >= lanes else 0
                if left:
                    collect_bits(bits[c], j, seen)
                for m in range(j, j + BLOCK):
                    for i in range(left, m):
                        seen[0, i % lanes] |= bits[c, m, i]
            for j in range(last, d):
                for i in range(j):
                    seen[0, i % lanes] |= bits[c, j, i]
                for r in range(n):
                    for i in range(j, d):
                        whitened[r, i] += centred[r, j] * factor[j, i]
            for lane in range(lanes):
                # Without the highest bit, which is the sign of a zero.
                if np.int64(seen[0, lane]) << (65 - 8 * bits.itemsize) != 0:
                    return False
            for r in range(n):
                total = 0.0
                for j in range(d):
                    total += whitened[r, j] ** 2
                out[c, r] = total
        return True

    return measure_by_matrices


def _squared_distances_definition(rows, mean, out):
    out[:] = ((rows[:, : len(mean)] - mean) ** 2).sum(axis=1)


@microkernel(_squared_distances_definition)
def squared_distances(typing, rows, mean, out):
    """Squared distances (n,) of rows (n, stride) from a point (d,)."""
    signature = types.void(rows, mean, out)

    def emit(context, builder, signature, args):
        v = Vectors(builder, rows.dtype)
        points, mean, out = unpack_arguments(context, builder, signature, args)
        (n, stride), (d,) = points.shape, mean.shape
        whole = builder.and_(d, v.index(-v.lanes))

        def block(first, height, _):
            at = [v.at(v.plus(first, r), stride) for r in range(height)]

            def columns(load, j, sums):
                offsets = [v.sub(load(points, builder.add(row, j)), load(mean, j)) for row in at]
                return [v.fma(x, x, total) for x, total in zip(offsets, sums, strict=True)]

            vectors = [v.constant(0.0)] * height
            vectors = v.loop(0, whole, v.lanes, vectors, functools.partial(columns, v.load))
            sums = v.horizontal_sums(vectors)
            sums = v.loop(whole, d, 1, sums, functools.partial(columns, v.number))
            for r, total in enumerate(sums):
                v.put(total, out, v.plus(first, r))

        v.blocks(n, [], block)
        return context.get_dummy_value()

    return signature, emit


@entry_point
def point_distances(dtype):
    """Kernel for squared distances in space.

    Parameters
    ----------
    dtype : dtype
        Of rows and means.

    Returns
    -------
    callable (rows, means, start, stop, out)
        Writes squared norms of ``row - mean``, of the components start to stop, to rows of out
        (k, n); rows (n, d).
    """
    real = getattr(types, np.dtype(dtype).name)
    matrix = array_type(real, 2)
    out = types.Array(real, 2, "C")
    signature = types.void(matrix, matrix, types.intp, types.intp, out)

    @kernel(signature=signature, variant=np.dtype(dtype).name)
    def measure_in_space(rows, means, start, stop, out):
        for c in range(start, stop):
            squared_distances(rows, means[c], out[c])

    return measure_in_space
