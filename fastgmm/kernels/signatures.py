"""Numba's types of what Python hands to the kernels."""

import numpy as np
from numba import types


def array_type(dtype, ndim):
    """Type of a contiguous array that is only read."""
    return types.Array(dtype, ndim, "C", readonly=True)


def sums_type(ndim):
    """Type of contiguous float64 sums that are added to."""
    return types.Array(types.float64, ndim, "C")


def row_types(dtype):
    """Types of a chunk's rows and weights, of any layout, and of the rows' numbers.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.
    """
    real = getattr(types, np.dtype(dtype).name)
    rows = types.Array(real, 2, "A", readonly=True)
    return rows, types.Array(types.float64, 1, "A", readonly=True), real


def operand_types(real):
    """Types of the fields of `fastgmm.parameters.Operands`."""
    matrix, vector = array_type(real, 2), array_type(real, 1)
    return array_type(types.float64, 1), matrix, array_type(real, 3), matrix, vector, vector


def _with_axis(array):
    """Type of arrays of many data sets, with an axis in front."""
    return array.copy(ndim=array.ndim + 1)


def statistics_signature(dtype):
    """Of the kernels of `fastgmm.kernels.em_pass.statistics_pass`."""
    rows, weights, real = row_types(dtype)
    integers = array_type(types.int64, 1)
    labels, given = array_type(types.int32, 1), types.Array(types.float64, 2, "A", readonly=True)
    operands = (_with_axis(array) for array in operand_types(real))
    which = integers, integers, labels, given, types.boolean
    return types.void(rows, weights, *which, *operands, sums_type(2))


def near_signature(dtype):
    """Of the kernels of `fastgmm.kernels.near_pass.near_statistics_pass`."""
    rows, weights, real = row_types(dtype)
    ends, vector = array_type(types.int64, 1), array_type(types.float64, 1)
    cells = ends, array_type(types.float64, 2), vector, vector
    return types.void(rows, weights, *cells, types.boolean, *operand_types(real), sums_type(1))
