"""Routines of BLAS on blocks of matrices, in place."""

import ctypes
import functools
from collections.abc import Callable

import numpy as np
from scipy.linalg import cython_blas


def triangular(
    name: str,
    factor: float,
    triangle: np.ndarray,
    matrix: np.ndarray,
    side: str,
    *,
    transposed: bool = False,
) -> None:
    """A matrix times ("trmm") or over ("trsm") a lower triangle on some side of it, in place.

    Parameters
    ----------
    name : str
    factor : float
        Of the result.
    triangle, matrix : ndarray
        By columns, or blocks of such.
    side : str
        "L" for left, "R" for right.
    transposed : bool, optional
        Whether the triangle is.
    """
    form = side.encode(), b"L", b"T" if transposed else b"N", b"N"
    _call("d" + name, *form, *matrix.shape, factor, *_within(triangle), *_within(matrix))


def add_square(
    factor: float,
    matrix: np.ndarray,
    total: np.ndarray,
    *,
    transposed: bool = False,
    keep: float = 1.0,
    triangle: bytes = b"L",
) -> None:
    """Add a multiple of ``matrix @ matrix.T``, or of ``matrix.T @ matrix``, to a triangle.

    Parameters
    ----------
    factor : float
    matrix, total : ndarray
        By columns, or blocks of such.
    transposed : bool, optional
        Whether it is the latter.
    keep : float, optional
        What the triangle is multiplied by before.
    triangle : bytes, optional
        Whether it is the lower one, "L", or the upper one, "U".
    """
    form = triangle, b"T" if transposed else b"N"
    sizes = matrix.shape[::-1] if transposed else matrix.shape
    _call("dsyrk", *form, *sizes, factor, *_within(matrix), keep, *_within(total))


def _within(matrix: np.ndarray) -> tuple[np.ndarray, int]:
    """A block of a matrix by columns, and how far apart its columns are."""
    return matrix, matrix.strides[1] // matrix.itemsize


def _call(name: str, *arguments: bytes | int | float | np.ndarray) -> None:
    """Call a routine of BLAS. SciPy's own wrappers would copy blocks of matrices in and out."""
    _routine(name)(*map(_address, arguments))


def _address(argument: bytes | int | float | np.ndarray) -> object:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, bytes):
        return argument
    number = ctypes.c_int(argument) if isinstance(argument, int) else ctypes.c_double(argument)
    return ctypes.byref(number)


@functools.lru_cache
def _routine(name: str) -> Callable[..., None]:
    """A routine of BLAS that takes the addresses of its arguments."""
    capsule = cython_blas.__pyx_capi__[name]
    of_python = ctypes.pythonapi
    signature = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)
    signature = signature(("PyCapsule_GetName", of_python))(capsule)
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = pointer(("PyCapsule_GetPointer", of_python))(capsule, signature)
    n_arguments = signature.count(b",") + 1
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)(pointer)
