"""Passes over rows: of every call in which the gate counts instructions, the kernels that it ran.

They run again on the arguments that they had, on one thread, without the Python between them.
"""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.gate.recorder import Recorder
from benchmarks.suite.clock import quietly
from benchmarks.suite.timings import COUNTED

pytestmark = pytest.mark.benchmark(max_time=0.1, min_rounds=10, warmup=True)

Kernels = list[tuple[str, Callable[..., Any], tuple[Any, ...]]]


@functools.cache
def watched() -> Kernels:
    """The kernels that this process runs from now on, with their names and arguments."""
    calls: Kernels = []

    def remember(name: str, kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        calls.append((name, kernel, arguments))
        return kernel(*arguments)

    Recorder(remember).install()
    return calls


@pytest.mark.parametrize("name", COUNTED)
def test_passes(benchmark: Any, name: str) -> None:
    calls = watched()
    with quietly():
        call = COUNTED[name]()
        calls.clear()
        call()
    kernels = list(calls)
    benchmark.group = ", ".join(dict.fromkeys(kernel for kernel, _, _ in kernels))
    benchmark(lambda: [kernel(*arguments) for _, kernel, arguments in kernels])
