"""The processor that Numba compiles for, which need not be the one that runs this.

``NUMBA_CPU_NAME``, ``NUMBA_CPU_FEATURES`` and ``NUMBA_ENABLE_AVX`` choose another. Vectors have to
fit that one.
"""

import functools
import re

import llvmlite.binding
from llvmlite import ir
from numba.core.registry import cpu_target

_BYTES = {"x": 16, "y": 32, "z": 64}
"""Of x86's registers, by the first letter of their names."""

_PROBED_BYTES = 64


def describe():
    """Numba's target: triple, name of the processor and its features, as LLVM calls them."""
    return cpu_target.target_context.codegen().magic_tuple()


@functools.cache
def vector_bytes(triple, cpu, features):
    """Bytes of the widest register that LLVM adds integers in, for a target.

    LLVM is given such an addition to translate, because a processor's name and its list of features
    may each bring wide registers or forbid them.
    """
    vector = ir.VectorType(ir.IntType(64), _PROBED_BYTES // 8)
    function = ir.Function(ir.Module(), ir.FunctionType(vector, [vector, vector]), "add")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(builder.add(*function.args))
    machine = llvmlite.binding.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features
    )
    module = llvmlite.binding.parse_assembly(str(function.module))
    # Elsewhere than on x86 nothing is found: vectors of fixed width have 16 bytes there.
    found = re.search(r"\bv?paddq\b.*%([xyz])mm", machine.emit_assembly(module))
    return _BYTES[found[1]] if found else 16


def has_many_registers(triple, cpu, features):
    """Whether there are 32 vector registers, as with AVX-512 and on AArch64, and not 16."""
    return vector_bytes(triple, cpu, features) == 64 or triple.startswith(("aarch64", "arm64"))
