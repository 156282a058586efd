"""Linear algebra of large matrices by BLAS, on as many threads as it has.

In a product of BLAS every sum goes in the same order for any number of threads, but for the last
rows and columns of a matrix; how LAPACK factors one depends on the threads. So matrices are filled
up to whole blocks, and factors are made of products and of triangular solves, by halves.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator

import numpy as np
from scipy.linalg import cython_blas

_BLOCK = 32
"""Rows and columns of which there are whole numbers in every product."""

_LEAF = 288
"""Rows of a block that a kernel factors. BLAS would be asked too often for too little: on a busy
machine its threads wait for each other."""

_BAND = 64
"""Rows of a matrix that stay in the cache while they are copied and looked at."""


def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``left @ right`` of two matrices of float64."""
    (p, _), (_, r) = left.shape, right.shape
    return (_filled(left, axis=0) @ _filled(right, axis=1))[:p, :r]


def squared(matrix: np.ndarray) -> np.ndarray:
    """``matrix @ matrix.T`` of a matrix (p, q) of float64, symmetric to the last bit."""
    p, filled = len(matrix), _filled(matrix, axis=0)
    return (filled @ filled.T)[:p, :p]


def squared_upper(matrix: np.ndarray) -> np.ndarray:
    """``matrix @ matrix.T`` of an upper triangular matrix (d, d), symmetric to the last bit."""
    d = len(matrix)
    squares = _by_columns(d)
    for rows in _bands(d):
        squares.T[rows, rows.start : d] = matrix[rows, rows.start :]
    _square_lower(squares)
    # By columns it is a lower triangle, by rows an upper one, which is what is below its diagonal.
    result = np.empty((d, d))
    for rows in _bands(d):
        result[rows, : rows.stop] = squares[rows, : rows.stop]
        result[: rows.start, rows] = squares[rows, : rows.start].T
        corner = result[rows, rows]
        corner[...] = np.tril(corner) + np.tril(corner, -1).T
    return result


@np.errstate(over="ignore", invalid="ignore")
def precision_factors(covariances: np.ndarray, factors: np.ndarray, least: float) -> None:
    """Upper triangular U with ``U @ U.T = inv(covariance)``, of a stack of matrices.

    Parameters
    ----------
    covariances : ndarray of shape (m, d, d)
    factors : ndarray of shape (m, d, d)
        Written to; a triangle of NaN where a covariance is singular to rounding, or not finite.
    least : float
        Share of its variance that a feature keeps at least if the others are known.
    """
    from fastgmm.kernels.linalg.factors import root_and_inverse

    invert = root_and_inverse()
    d = covariances.shape[-1]
    root, inverse = _by_columns(d), _by_columns(d)
    for covariance, factor in zip(covariances, factors, strict=True):
        # Lower triangles by columns are upper ones by rows.
        for rows in _bands(d):
            root.T[rows, rows.start : d] = covariance[rows, rows.start :]
        root[d:] = 0.0
        np.einsum("ii->i", root)[d:] = 1.0
        definite = _invert_root(root, inverse, invert)
        deviations = np.sqrt(covariance.diagonal())
        for rows in _bands(d):
            factor[rows, : rows.start] = 0.0
            within = factor[rows, rows.start :]
            within[...] = inverse.T[rows, rows.start : d]
            # The diagonal of the precisions, of features of variance 1.
            scaled = within * deviations[rows, np.newaxis]
            definite = definite and bool(
                (np.einsum("ij,ij->i", scaled, scaled) * least < 1.0).all()
            )
        if not definite:
            factor[...] = np.triu(np.full((d, d), np.nan))


def _invert_root(matrix: np.ndarray, inverse: np.ndarray, invert: Callable[..., bool]) -> bool:
    """The lower Cholesky factor in the place of a matrix, and its inverse.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Of which the lower triangle is read; n is a multiple of `_BLOCK`.
    inverse : ndarray of shape (n, n)
        Of which the lower triangle is written to.
    invert : callable
        The same of a small matrix, see `fastgmm.kernels.linalg.factors.root_and_inverse`.

    Returns
    -------
    bool
        Whether it is positive definite.
    """
    n = len(matrix)
    if n <= _LEAF:
        root, inverted = matrix.T.copy(), np.zeros((n, n))
        definite = bool(invert(root, inverted))
        matrix[...], inverse[...] = root.T, inverted.T
        return definite
    first, rest, across = _halves(n)
    if not _invert_root(matrix[first], inverse[first], invert):
        return False
    below, solved = matrix[across], inverse[across]
    _triangular("trsm", 1.0, matrix[first], below, side="R", transposed=True)
    _add_square(-1.0, below, matrix[rest])
    if not _invert_root(matrix[rest], inverse[rest], invert):
        return False
    solved[...] = below
    _triangular("trmm", 1.0, inverse[first], solved, side="R")
    _triangular("trsm", -1.0, matrix[rest], solved, side="L")
    return True


def _square_lower(matrix: np.ndarray) -> None:
    """Replace a lower triangle L, of which it reads no more, by that of ``L.T @ L``."""
    n = len(matrix)
    if n <= _LEAF:
        root = np.asfortranarray(np.tril(matrix))
        _add_square(1.0, root, matrix, transposed=True, keep=0.0)
        return
    first, rest, across = (matrix[part] for part in _halves(n))
    _square_lower(first)
    _add_square(1.0, across, first, transposed=True)
    _triangular("trmm", 1.0, rest, across, side="L", transposed=True)
    _square_lower(rest)


def _by_columns(d: int) -> np.ndarray:
    """Zeros (n, n), by columns as LAPACK has them; n is d, filled up to whole blocks."""
    n = d + -d % _BLOCK
    return np.zeros((n, n), order="F")


def _bands(d: int) -> Iterator[slice]:
    """Some of d rows at a time."""
    return (slice(i, min(i + _BAND, d)) for i in range(0, d, _BAND))


def _halves(n: int) -> tuple[tuple[slice, slice], ...]:
    """Where in a matrix the upper left, the lower right and the lower left block are."""
    half = n // 2 // _BLOCK * _BLOCK
    first, rest = slice(half), slice(half, n)
    return (first, first), (rest, rest), (rest, first)


def _filled(matrix: np.ndarray, axis: int) -> np.ndarray:
    """A matrix with zeros below or on the right, up to whole blocks."""
    missing = [(0, 0), (0, 0)]
    missing[axis] = 0, -matrix.shape[axis] % (2 * _BLOCK)
    return np.pad(matrix, missing) if missing[axis][1] else matrix


def _triangular(
    name: str,
    factor: float,
    triangle: np.ndarray,
    matrix: np.ndarray,
    side: str,
    *,
    transposed: bool = False,
) -> None:
    """A matrix times ("trmm") or over ("trsm") a lower triangle on some side of it, in place."""
    form = side.encode(), b"L", b"T" if transposed else b"N", b"N"
    _call("d" + name, *form, *matrix.shape, factor, *_within(triangle), *_within(matrix))


def _add_square(
    factor: float,
    matrix: np.ndarray,
    total: np.ndarray,
    *,
    transposed: bool = False,
    keep: float = 1.0,
) -> None:
    """Add a multiple of ``matrix @ matrix.T``, or of ``matrix.T @ matrix``, to a lower triangle."""
    form = b"L", b"T" if transposed else b"N"
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
