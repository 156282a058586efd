"""Products of large matrices by one thread.

BLAS hands them to threads of its own, which then spin for some 0.1 s and take the cores from the
E-step that follows: with 128 features and 16 components, an iteration of variational Bayes took 119
instead of 80 ms.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.layout import BLOCK
from fastgmm.kernels.simd import GROUP, GROUP_BYTES, Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_rows

DEPTH = 96
"""Rows of the matrix on the right that are gone through at a time.

So much of a group of columns stays in the L1 cache, while rows on the left meet it.
"""

_ROWS = 128
"""Rows of the matrix on the left whose `DEPTH` numbers stay in the L2 cache meanwhile."""

_GROUPS = 8
"""Groups of columns that they meet before the next rows are read."""


def _subtract_definition(left, right, upper, row, start, stop, column, end, out):
    product = left[row : row + BLOCK, start:stop] @ right[start:stop, column:end]
    out[row : row + BLOCK, column:end] -= product


@microkernel(_subtract_definition)
def subtract_product(typing, left, right, upper, row, start, stop, column, end, out):
    """Subtract a product from a block of rows.

    out[row : row + BLOCK, column:end] -= left[row : row + BLOCK, start:stop] @ right[start:stop,
    column:end]; `upper` says that right is zero below its diagonal.

    All (rows, stride). The last group of vectors may go on behind `end`.
    """
    i = types.intp
    signature = types.void(left, right, types.boolean, i, i, i, i, i, out)

    def emit(context, builder, signature, args):
        v = Vectors(builder, out.dtype)
        a, b, upper, row, start, stop, column, end, c = unpack_arguments(
            context, builder, signature, args
        )
        numbers = [v.plus(row, r) for r in range(BLOCK)]
        of_left, of_out = ([v.at(r, x.shape[1]) for r in numbers] for x in (a, c))

        def columns(j, _):
            starts = [builder.add(at, j) for at in of_out]
            places = [v.plus(at, n * v.lanes) for at in starts for n in range(GROUP)]

            def step(m, sums):
                at = v.at(m, b.shape[1], j)
                right = [v.load(b, v.plus(at, n * v.lanes)) for n in range(GROUP)]
                left = [builder.fneg(v.broadcast(a, builder.add(at, m))) for at in of_left]
                return [
                    v.fma(left[r], right[n], sums[r * GROUP + n])
                    for r in range(BLOCK)
                    for n in range(GROUP)
                ]

            sums = [v.load(c, place) for place in places]
            below = builder.select(upper, v.lesser(stop, v.plus(j, GROUP * v.lanes)), stop)
            sums = v.loop(start, below, 1, sums, step)
            for total, place in zip(sums, places, strict=True):
                v.store(total, c, place)

        v.loop(column, end, GROUP * v.lanes, [], columns)
        return context.get_dummy_value()

    return signature, emit


@entry_point
def stacked_product():
    """Kernel for the products of the matrices of two stacks.

    Returns
    -------
    callable (left, right, upper, mirrored, out)
        out (m, p, r) = left (m, p, q) @ right (m, q, r); `upper` says that the matrices on the
        right are zero below their diagonals. If `mirrored`, they are not read: each is the
        transpose of that on the left, and half of the product mirrors the other.
        What is zero in front of all rows of a block on the left is left out.
    """
    stack = types.Array(types.float64, 3, "C")
    given = types.Array(types.float64, 3, "C", readonly=True)
    signature = types.void(given, given, types.boolean, types.boolean, stack)

    @kernel(signature=signature)
    def multiply(left, right, upper, mirrored, out):
        _, p, q = left.shape
        r = out.shape[2]
        width = GROUP_BYTES // 8
        n_rows = (p + BLOCK - 1) // BLOCK * BLOCK
        n_groups = min((r + width - 1) // width, _GROUPS)
        sums = aligned_rows(n_groups * n_rows, width, out)
        columns = aligned_rows(n_groups * q, width, out)
        rows = aligned_rows(min(n_rows, _ROWS), DEPTH, out)
        begins = np.empty(n_rows // BLOCK, dtype=np.int64)
        for c in range(len(out)):
            begins[:] = q
            for i in range(p):
                first = 0
                while first < begins[i // BLOCK] and left[c, i, first] == 0.0:
                    first += 1
                begins[i // BLOCK] = first
            for begin in range(0, r, n_groups * width):
                end = min(begin + n_groups * width, r)
                first_row = begin // _ROWS * _ROWS if mirrored else 0
                sums[:] = columns[:] = 0.0
                for j in range(begin, end, width):
                    at = (j - begin) // width * q
                    for m in range(min(q, j + width) if upper else q):
                        for h in range(min(width, r - j)):
                            number = left[c, j + h, m] if mirrored else right[c, m, j + h]
                            columns[at + m, h] = number
                for m in range(0, q, DEPTH):
                    until = min(m + DEPTH, q)
                    for i in range(first_row, n_rows, _ROWS):
                        last = min(i + _ROWS, n_rows)
                        for row in range(i, last):
                            for h in range(m, until):
                                rows[row - i, h - m] = left[c, row, h] if row < p else 0.0
                        for j in range(begin, end, width):
                            group = (j - begin) // width
                            stop = (min(until, j + width) if upper else until) - m
                            right_part = columns[group * q + m : (group + 1) * q]
                            out_part = sums[group * n_rows + i : group * n_rows + last]
                            for row in range(i, last, BLOCK):
                                start = max(begins[row // BLOCK] - m, 0)
                                if start < stop:
                                    subtract_product(
                                        rows,
                                        right_part,
                                        False,
                                        row - i,
                                        start,
                                        stop,
                                        0,
                                        width,
                                        out_part,
                                    )
                for j in range(begin, end, width):
                    at = (j - begin) // width * n_rows
                    for i in range(first_row, p):
                        for h in range(min(width, r - j)):
                            if mirrored and j + h <= i:
                                out[c, j + h, i] = -sums[at + i, h]
                            if not mirrored or j + h <= i:
                                out[c, i, j + h] = -sums[at + i, h]

    return multiply
