"""Micro-kernels on one tile: those, and the inputs, that the tests find and make."""

from typing import Any

import numpy as np
import pytest

from tests.kernels import compile_when_called
from tests.kernels import test_elementary as elementary
from tests.kernels.test_microkernels import INPUTS, MICROKERNELS, Problem

pytestmark = pytest.mark.benchmark(max_time=0.1, min_rounds=10, warmup=True)

SIZES = {"2x8": (2, 8), "8x8": (8, 8), "32x16": (32, 16)}  # features and components
GROUPS = 8  # of points in a tile; kernels take from 4 to 16
REPEATS = 50  # in compiled code, so that the call from Python is little beside them


def repeated(microkernel: Any) -> Any:
    """The micro-kernel `REPEATS` times, as a compiled function."""

    def call(arguments: Any) -> None:
        for _ in range(REPEATS):
            microkernel(*arguments)

    return compile_when_called(call)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", INPUTS)
def test_microkernel(benchmark: Any, name: str, size: str, dtype: str) -> None:
    benchmark.group = f"{name}, tile of {GROUPS} groups, {REPEATS} times"
    problem = Problem(*SIZES[size], GROUPS, np.dtype(dtype))
    arguments = [
        argument.view(np.ndarray) if isinstance(argument, np.ndarray) else argument
        for argument in INPUTS[name](problem)
    ]
    call = repeated(MICROKERNELS[name])
    call(tuple(arguments))
    benchmark(call, tuple(arguments))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", ["exp2", "log"])
def test_elementary_function(benchmark: Any, function: str, dtype: str) -> None:
    benchmark.group = "elementary functions of 100 000 numbers"
    call = getattr(elementary, function)
    x = np.linspace(0.5, 60.0, 100_000).astype(dtype)
    x = -x if function == "exp2" else x
    call(x)
    benchmark(call, x)
