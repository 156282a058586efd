"""Counts the instructions of one pass of each kernel, in a process under callgrind.

Code is compiled for x86-64-v3 (AVX2 and FMA) whatever the processor: valgrind knows no AVX-512,
and counts become the same on all machines.

Valgrind collects only while a kernel runs, and writes one file per call, named after what runs.
"""

import ctypes
import re
from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite.binding.targets import FeatureMap

from benchmarks.gate.plants import plant_what_is_asked_for
from benchmarks.gate.recorder import Recorder
from benchmarks.suite.clock import Call, quietly
from benchmarks.suite.timings import COUNTED

CPU = "x86-64-v3"
FEATURES = (
    "avx avx2 bmi bmi2 cmov crc32 cx16 cx8 f16c fma fxsr lzcnt mmx movbe popcnt sahf sse sse2 "
    "sse3 sse4.1 sse4.2 ssse3 xsave"
)

# Client requests of callgrind.h: ('C' << 24) + ('T' << 16) + number.
_CALLGRIND = 0x43540000
TOGGLE_COLLECT, DUMP_AT, START_INSTRUMENTATION = _CALLGRIND + 2, _CALLGRIND + 3, _CALLGRIND + 4


def compile_for_one_processor() -> None:
    """Let llvmlite report one processor everywhere; before Numba or fastgmm is imported."""
    llvmlite.binding.get_host_cpu_name = lambda: CPU
    llvmlite.binding.get_host_cpu_features = lambda: FeatureMap(
        dict.fromkeys(FEATURES.split(), True)
    )


def make_client_request() -> Callable[[int, int], int]:
    """The function that talks to valgrind: instructions that do nothing elsewhere (valgrind.h)."""
    from llvmlite import ir
    from numba import njit, types
    from numba.extending import intrinsic

    llvmlite.binding.initialize_native_asmparser()

    @intrinsic
    def request(typing: Any, code: Any, argument: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word, index = ir.IntType(64), ir.IntType(32)
            zero = ir.Constant(word, 0)
            words = [*args, zero, zero, zero, zero]
            block = builder.alloca(word, ir.Constant(index, len(words)))
            for i, value in enumerate(words):
                place = builder.gep(block, [ir.Constant(index, i)], source_etype=word)
                builder.store(value, place)
            assembly = ir.InlineAsm(
                ir.FunctionType(word, [word, word]),
                "rolq $$3, %rdi; rolq $$13, %rdi; rolq $$61, %rdi; rolq $$51, %rdi;"
                "xchgq %rbx, %rbx",
                "={rdx},{rax},0,~{cc},~{memory}",
                side_effect=True,
            )
            return builder.call(assembly, [builder.ptrtoint(block, word), zero])

        return types.int64(types.int64, types.int64), emit

    @njit(types.int64(types.int64, types.int64))
    def call(code: int, argument: int) -> int:
        return request(code, argument)  # type: ignore[call-arg]

    return call


def run_problems(select: str) -> dict[str, Call]:
    """Run every problem once, which compiles, and return their calls by name."""
    compile_for_one_processor()
    plant_what_is_asked_for()
    # What selects no problem selects kernels; the caller then picks from all.
    names = [name for name in COUNTED if re.search(select, name)] or list(COUNTED)
    calls = {name: COUNTED[name]() for name in names}
    with quietly():
        for call in calls.values():
            call()
    return calls


def compile_problems(select: str) -> None:
    """Leave kernels in the cache: under valgrind, compiling would take minutes."""
    run_problems(select)


def count_problems(select: str) -> dict[str, int]:
    """Run every problem, and then once more, collecting; the rows that kernels took, by name."""
    calls = run_problems(select)
    request = make_client_request()

    def collect(name: str, kernel: Callable[..., Any], arguments: tuple) -> Any:
        """Call a kernel, and have its instructions written under its name."""
        text = ctypes.create_string_buffer(f"{problem}: {name}".encode())
        request(TOGGLE_COLLECT, 0)
        try:
            return kernel(*arguments)
        finally:
            request(TOGGLE_COLLECT, 0)
            request(DUMP_AT, ctypes.addressof(text))

    recorder = Recorder(collect)
    recorder.install()
    request(START_INSTRUMENTATION, 0)  # all before ran some ten times faster
    rows: dict[str, int] = {}
    for problem, call in calls.items():
        recorder.clear()
        call()
        rows |= {f"{problem}: {kernel}": n for kernel, n in recorder.kernel_rows.items()}
    return rows
