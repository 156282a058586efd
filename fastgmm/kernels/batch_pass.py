"""The pass for statistics over many small data sets in one call."""

import functools

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.em_pass import (
    array_type,
    row_types,
    statistics_pass,
    statistics_signature,
)


@entry_point
def batch_statistics_pass(density_form, dtype):
    """Kernel that adds the statistics of each of some data sets to its row of `sums`.

    Parameters
    ----------
    density_form, dtype
        See `fastgmm.kernels.em_pass.statistics_pass`, which works on one data set here.

    Returns
    -------
    callable (X, offsets, numbers, given, *operands, sums)
        Data set i has the rows offsets[i] to offsets[i + 1] of X, and of given, unless that is
        empty. Only the data sets in numbers (m,) are read; operands and sums have an axis of
        length m in front.
    """
    rows, _, real = row_types(dtype)
    numbers_type = array_type(types.int64, 1)
    vectors, matrices = array_type(real, 2), array_type(real, 3)
    signature = types.void(
        types.FunctionType(statistics_signature(dtype)),
        rows,
        numbers_type,
        numbers_type,
        types.Array(types.float64, 2, "A", readonly=True),
        array_type(types.float64, 2),
        matrices,
        array_type(real, 4),
        matrices,
        vectors,
        vectors,
        types.Array(types.float64, 2, "C"),
    )

    # The pass is an argument: in a closure, it would make every process miss the cache.
    @kernel(signature=signature, variant=f"{density_form}_{real}")
    def add_each(
        add_statistics,
        X,
        offsets,
        numbers,
        given,
        origin,
        means,
        factors,
        projected,
        scales,
        constants,
        sums,
    ):
        no_weights = np.empty(0)
        for m in range(len(numbers)):
            start, stop = offsets[numbers[m]], offsets[numbers[m] + 1]
            add_statistics(
                X[start:stop],
                no_weights,
                given[start:stop],
                origin[m],
                means[m],
                factors[m],
                projected[m],
                scales[m],
                constants[m],
                sums[m],
            )

    return functools.partial(add_each, statistics_pass(density_form, dtype))
