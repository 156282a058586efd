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
from fastgmm.kernels.simd import GROUP_BYTES, Vectors, unpack_arguments
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
        for c in range(start, stop):
            factor = factors[c]
            for r in range(n):
                for j in range(d):
                    centred[r, j] = rows[r, j] - means[c, j]
                whitened[r, :] = 0.0
            below = bits[c, 0, 0] & 0
            for j in range(d):
                for value in bits[c, j, :j]:
                    below |= value
                if j % BLOCK == 0 and j < last:
                    add_products(centred, factor, j, whitened)
                elif j >= last:
                    for r in range(n):
                        for i in range(j, d):
                            whitened[r, i] += centred[r, j] * factor[j, i]
            # Without the highest bit, which is the sign of a zero.
            if np.int64(below) << (65 - 8 * bits.itemsize) != 0:
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
