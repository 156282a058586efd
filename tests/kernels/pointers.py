"""Whether kernels keep to opaque pointers, which are all that a coming llvmlite will have.

Numba itself still emits typed ones, so llvmlite cannot be told to have none; but the code that
makes or asks a typed pointer can be found out.
"""

import functools
import sys
from pathlib import Path

import llvmlite
from llvmlite import ir

import fastgmm

_KERNELS = Path(fastgmm.__file__).parent / "kernels"
_LLVMLITE = Path(llvmlite.__file__).parent


@functools.cache
def _calls(file, kernels):
    """Whether the file is a kernel's; None where it is one of those in between."""
    file = Path(file)
    if file == Path(__file__) or file.is_relative_to(_LLVMLITE):
        return None
    return file.is_relative_to(kernels)


def _by_kernels():
    """Whether the code that called llvmlite is a kernel's."""
    frame = sys._getframe(1)
    while frame is not None:
        found = _calls(frame.f_code.co_filename, _KERNELS)
        if found is not None:
            return found
        frame = frame.f_back
    return False


def forbid_typed_pointers(monkeypatch):
    """An error where a kernel makes a typed pointer, or what it does depends on a pointer's type.

    Pointers to functions are llvmlite's own affair.
    """
    typed = getattr(ir.types, "_TypedPointerType", None)
    if typed is None:
        return

    def get(pointer):
        pointee = vars(pointer)["pointee"]
        if not isinstance(pointee, ir.FunctionType) and _by_kernels():
            raise AssertionError(f"a kernel leans on a pointer of type {pointee}*")
        return pointee

    def put(pointer, pointee):
        vars(pointer)["pointee"] = pointee
        get(pointer)

    monkeypatch.setattr(typed, "pointee", property(get, put), raising=False)
