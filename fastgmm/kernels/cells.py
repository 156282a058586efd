"""Cells: rows brought into an order in which runs of neighbours lie close together.

A bound for a whole cell then tells which components are too far from all of its rows to matter
(`fastgmm.kernels.near_pass`). The order follows from the rows alone, whatever the mixture.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import as_written, entry_point, kernel
from fastgmm.kernels.signatures import array_type, row_types

_SAMPLE = 256
"""Rows among which a pair is sought that lies far apart."""

_LEAST_SHARE = 16
"""A cut leaves at least one in so many rows on each side, so that trees are never deep."""

_CLEAR = 0.22
"""A small cell is cut if no more than this share of its variance is left within the two sides.

Cutting rows that fill an interval evenly leaves 0.25.
"""

_MOST_DEPTH = 1024


@kernel
def _farthest(rows, start, stop, origin):
    """Of a sample of the rows start to stop, the number of the one farthest from row `origin`."""
    step = max((stop - start) // _SAMPLE, 1)
    farthest, largest = start, -1.0
    for t in range(start, stop, step):
        distance = 0.0
        for j in range(rows.shape[1]):
            difference = rows[t, j] - rows[origin, j]
            distance += difference * difference
        if distance > largest:
            farthest, largest = t, distance
    return farthest


@kernel
def _middle_height(heights):
    """About the median: that of a sample, by insertion."""
    n = len(heights)
    step = max(n // 64, 1)
    ordered = np.empty((n + step - 1) // step)
    for i in range(len(ordered)):
        height, place = heights[i * step], i
        while place > 0 and ordered[place - 1] > height:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = height
    return ordered[len(ordered) // 2]


@kernel
def _count_below(heights, threshold):
    count = 0
    for height in heights:
        count += height < threshold
    return count


@kernel
def _measure(rows, start, stop, heights):
    """Heights of the rows start to stop above a plane, halfway between two rows far apart.

    Where there are gaps among the rows, it likely runs through one.
    """
    d = rows.shape[1]
    one = _farthest(rows, start, stop, start)
    other = _farthest(rows, start, stop, one)
    middle = 0.0
    for j in range(d):
        middle += 0.5 * (rows[other, j] + rows[one, j]) * (rows[other, j] - rows[one, j])
    for t in range(start, stop):
        height = -middle
        for j in range(d):
            height += rows[t, j] * (rows[other, j] - rows[one, j])
        heights[t] = height


@kernel
def _is_clear(heights):
    """Whether most of the variance of the heights is between the two sides of zero."""
    n, low, high, below, total, square = len(heights), 0, 0.0, 0.0, 0.0, 0.0
    for height in heights:
        if height < 0.0:
            low += 1
            below += height
        total += height
        square += height * height
    if low == 0 or low == n:
        return False
    high = total - below
    within = square - below * below / low - high * high / (n - low)
    return within < _CLEAR * (square - total * total / n)


@kernel
def _partition(rows, order, start, stop, heights, threshold):
    """Move rows below the threshold before the others; returns where those begin."""
    middle = start + _count_below(heights[start:stop], threshold)
    left, right = start, stop - 1
    while True:
        while left < middle and heights[left] < threshold:
            left += 1
        while right >= middle and not heights[right] < threshold:
            right -= 1
        if left == middle:
            return middle
        heights[left], heights[right] = heights[right], heights[left]
        order[left], order[right] = order[right], order[left]
        for j in range(rows.shape[1]):
            rows[left, j], rows[right, j] = rows[right, j], rows[left, j]


@kernel
def _balanced(start, middle, stop):
    return min(middle - start, stop - middle) >= (stop - start) // _LEAST_SHARE


@kernel
def _cut(rows, order, start, stop, most, heights):
    """Move the rows start to stop to two sides of a plane; returns where the second side begins.

    That is `stop` if they are best left together.
    """
    as_written()
    _measure(rows, start, stop, heights)
    if stop - start <= most:
        if not _is_clear(heights[start:stop]):
            return stop
        return _partition(rows, order, start, stop, heights, 0.0)
    for threshold in (0.0, _middle_height(heights[start:stop])):
        middle = start + _count_below(heights[start:stop], threshold)
        if _balanced(start, middle, stop):
            return _partition(rows, order, start, stop, heights, threshold)
    return (start + stop) // 2  # most of them are the same point


@entry_point
def cell_order():
    """Kernel that cuts rows into cells.

    Returns
    -------
    callable (rows, most, order, ends) -> number of cells
        rows (n, d), float32, in comparable units; they are put in order. most: rows of a cell.
        Out: order (n,), where each row was; ends (n,), whose first numbers are the cells' ends.
    """
    numbers = types.Array(types.int64, 1, "C")
    signature = types.intp(types.Array(types.float32, 2, "C"), types.intp, numbers, numbers)

    @kernel(signature=signature)
    def order_by_cells(rows, most, order, ends):
        as_written()
        n = rows.shape[0]
        for t in range(n):
            order[t] = t
        heights = np.empty(n)
        waiting = np.empty((_MOST_DEPTH, 2), dtype=np.int64)
        waiting[0, 0], waiting[0, 1] = 0, n
        depth, n_cells = 1, 0
        while depth:
            depth -= 1
            start, stop = waiting[depth]
            middle = _cut(rows, order, start, stop, most, heights)
            if middle == stop:
                ends[n_cells] = stop
                n_cells += 1
                continue
            waiting[depth, 0], waiting[depth, 1] = middle, stop
            waiting[depth + 1, 0], waiting[depth + 1, 1] = start, middle
            depth += 2
        return n_cells

    return order_by_cells


@entry_point
def cell_bounds(dtype):
    """Kernel that encloses cells in balls.

    Parameters
    ----------
    dtype : dtype
        Of the rows.

    Returns
    -------
    callable (X, order, ends, units, centers, radii)
        X (n, d); order (n,), ends (m,) as of `cell_order`; units (d,), which distances divide by;
        out: centers (m, d), their rows' means; radii (m,), the largest distance from them.
    """
    rows, _, _ = row_types(dtype)
    numbers, vector = array_type(types.int64, 1), array_type(types.float64, 1)
    written = types.Array(types.float64, 2, "C"), types.Array(types.float64, 1, "C")
    signature = types.void(rows, numbers, numbers, vector, *written)

    @kernel(signature=signature, variant=str(rows.dtype))
    def enclose(X, order, ends, units, centers, radii):
        start = 0
        for cell in range(len(ends)):
            members = order[start : ends[cell]]
            for j in range(X.shape[1]):
                total = 0.0
                for t in members:
                    total += X[t, j]
                centers[cell, j] = total / len(members)
            largest = 0.0
            for t in members:
                distance = 0.0
                for j in range(X.shape[1]):
                    difference = (X[t, j] - centers[cell, j]) / units[j]
                    distance += difference * difference
                largest = max(largest, distance)
            radii[cell] = np.sqrt(largest)
            start = ends[cell]

    return enclose
