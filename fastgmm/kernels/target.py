"""The processor that Numba compiles for, which need not be the one that runs this.

``NUMBA_CPU_NAME``, ``NUMBA_CPU_FEATURES`` and ``NUMBA_ENABLE_AVX`` choose another. Vectors have to
fit that one.
"""

import functools
import re

import llvmlite.binding
from numba.core.registry import cpu_target

_BYTES = {"x": 16, "y": 32, "z": 64}
"""Of x86's registers, by the first letter of their names."""

_ADDITION = """
define <8 x i64> @add(<8 x i64> %a, <8 x i64> %b) {
  %sum = add <8 x i64> %a, %b
  ret <8 x i64> %sum
}
"""
"""In LLVM's language; as wide as the widest registers that there are."""


def describe():
    """Numba's target: triple, name of the processor and its features, as LLVM calls them."""
    return cpu_target.target_context.codegen().magic_tuple()


@functools.cache
def vector_bytes(triple, cpu, features):
    """Bytes of the widest register that LLVM adds integers in, for a target.

    LLVM is given an addition to translate, because a processor's name and its list of features may
    each bring wide registers or forbid them.
    """
    # Not optimised, it takes 3 ms.
    machine = llvmlite.binding.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=0
    )
    translated = machine.emit_assembly(llvmlite.binding.parse_assembly(_ADDITION))
    # Elsewhere than on x86 nothing is found: vectors of fixed width have 16 bytes there.
    found = re.search(r"\bv?paddq\b.*%([xyz])mm", translated)
    return _BYTES[found[1]] if found else 16


def has_many_registers(triple, cpu, features):
    """Whether there are 32 vector registers, as with AVX-512 and on AArch64, and not 16."""
    return vector_bytes(triple, cpu, features) == 64 or triple.startswith(("aarch64", "arm64"))
