"""Linear algebra of large matrices by BLAS, on as many threads as it has.

In a product of BLAS every sum goes in the same order for any number of threads, but for the last
rows and columns of a matrix; how LAPACK factors one depends on the threads. So matrices are filled
up to whole blocks, and factors are made of products and of triangular solves, by halves.
"""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgmm.covariance.routines import add_square, triangular

_BLOCK = 32
"""Rows and columns of which there are whole numbers in every product."""

_APART = 8
"""Numbers between the end of a column and the next: a line of the cache."""

_LEAF = 288
"""Rows of a block that a kernel factors. BLAS would be asked too often for too little: on a busy
machine its threads wait for each other."""

_EPS = np.finfo(np.float64).eps

_SIGNS = 32
"""Vectors of random signs that tell whether a covariance is singular."""

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


class Root:
    """The lower triangle L with ``L @ L.T = covariance``, and what follows from it.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Of float64.
    least : float
        Share of its variance that a feature keeps at least if the others are known.

    Attributes
    ----------
    defined : bool
        Whether the covariance is positive definite, and not singular to rounding.
    """

    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, covariance: np.ndarray, least: float):
        d = self._d = len(covariance)
        self._root, self._inverse, self._inverted = _by_columns(d), _by_columns(d), False
        # Lower triangles by columns are upper ones by rows.
        for rows in _bands(d):
            self._root.T[rows, rows.start : d] = covariance[rows, rows.start :]
        np.einsum("ii->i", self._root)[d:] = 1.0
        self.defined = _take_root(self._root, self._inverse) and self._keeps(
            np.sqrt(covariance.diagonal()), least
        )

    @property
    def diagonal(self) -> np.ndarray:
        """Of the precision factor."""
        return 1.0 / self._root.diagonal()[: self._d]

    def whiten(self, rows: np.ndarray) -> None:
        """Replace rows x by ``U.T @ x``: see `whiten`, without which it does."""
        n = len(self._root)
        triangular("trsm", 1.0, self._root, rows.T[:n], side="L")

    def write_factor(self, factor: np.ndarray) -> None:
        """Write the precision factor U to a matrix; a triangle of NaN if it is not defined."""
        if not self.defined:
            factor[...] = np.triu(np.full(factor.shape, np.nan))
            return
        self._invert()
        for rows in _bands(self._d):
            factor[rows, : rows.start] = 0.0
            factor[rows, rows.start :] = self._inverse.T[rows, rows.start : self._d]

    def _invert(self) -> None:
        if not self._inverted:
            _invert_root(self._root, self._inverse)
            self._inverted = True

    def _keeps(self, deviations: np.ndarray, least: float) -> bool:
        """Whether the others leave to every feature more than some share of its variance.

        That is one over the diagonal of the precisions, of features of variance 1, which needs the
        inverse. Of a vector of random signs, whitened, the squared length is at least any number of
        that diagonal, with a probability of a half: the one or the other sign of the feature makes
        it so. So if none of many such vectors is too long, the covariance is not singular, but for
        a chance of 2 to the minus `_SIGNS`.
        """
        n = len(self._root)
        scaled = np.zeros((_SIGNS, n))
        scaled[:, : self._d] = _signs(self._d) * deviations
        self.whiten(scaled)
        if np.einsum("ij,ij->", scaled, scaled) * least < 1.0:
            return True
        self._invert()
        for rows in _bands(self._d):
            within = self._inverse.T[rows, rows.start : self._d] * deviations[rows, np.newaxis]
            if not (np.einsum("ij,ij->i", within, within) * least < 1.0).all():
                return False
        return True


class PrecisionFactors:
    """Precision factors U of one mixture's large matrices, which are made when they are read.

    Without them it is known what is asked of them in an iteration on few rows: their diagonals, and
    ``U.T @ x``. They are read as any array is, by `numpy.asarray`.

    Parameters
    ----------
    roots : list of Root
        Of the covariances, which are not singular.
    shape : tuple of int
        (k, d, d), or (d, d) of a single one.
    """

    def __init__(self, roots: list[Root], shape: tuple[int, ...]):
        self.roots, self.shape = roots, shape
        self._made: np.ndarray | None = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        """The factors themselves."""
        if self._made is None:
            factors = np.empty(self.shape)
            for root, factor in zip(self.roots, factors.reshape(-1, *self.shape[-2:]), strict=True):
                root.write_factor(factor)
            self._made = factors
        return np.array(self._made, dtype=dtype, copy=copy)

    def whiten(self, component: int, rows: np.ndarray) -> None:
        """Replace rows x, as of `filled_rows`, by ``U.T @ x`` of a component."""
        self.roots[component].whiten(rows)

    def whitened(self, means: np.ndarray) -> np.ndarray:
        """``U.T @ mean`` of means (k, d): of each by its own factor, or of all by the only one."""
        k, d = means.shape
        groups = means[:, np.newaxis] if len(self.roots) == k else means[np.newaxis]
        made = []
        for root, group in zip(self.roots, groups, strict=True):
            rows = filled_rows(len(group), d)
            rows[: len(group), :d] = group
            root.whiten(rows)
            made.append(rows[: len(group), :d])
        return np.concatenate(made)

    def diagonal(self, offset: int = 0, axis1: int = -2, axis2: int = -1) -> np.ndarray:
        """The diagonals (k, d), or (d,)."""
        return np.stack([root.diagonal for root in self.roots]).reshape(self.shape[:-1])


def whiten(rows: np.ndarray, factor: np.ndarray) -> None:
    """Replace rows x by ``factor.T @ x``, in place.

    Parameters
    ----------
    rows : ndarray of shape (m, n)
        As of `filled_rows`.
    factor : ndarray of shape (d, d)
        Upper triangular, by rows.
    """
    triangular("trmm", 1.0, factor.T, rows.T[: len(factor)], side="L")


def filled_rows(n_rows: int, n_features: int) -> np.ndarray:
    """Zeros (m, n), m and n filled up to whole blocks, for rows (n_rows, n_features)."""
    return np.zeros((n_rows + -n_rows % (2 * _BLOCK), n_features + -n_features % _BLOCK))


def filled_square(d: int) -> np.ndarray:
    """Zeros (n, n); n is d, filled up to whole blocks."""
    return _by_columns(d).T


def scatter(rows: np.ndarray, out: np.ndarray) -> None:
    """Write the lower triangle of ``rows.T @ rows``.

    Parameters
    ----------
    rows : ndarray of shape (m, n)
        n is a multiple of `_BLOCK`.
    out : ndarray of shape (n, n)
        Of which only the lower triangle is written to.
    """
    # What is a lower triangle by rows is an upper one by columns.
    add_square(1.0, rows.T, out.T, keep=0.0, triangle=b"U")


def coordinates(rows: np.ndarray) -> np.ndarray:
    """Coordinates (n, n) of rows in n dimensions, in which they are as long and as far apart.

    They are a lower triangle L with ``L @ L.T = rows @ rows.T``. The Cholesky factor of these
    products has half of the digits. It is divided out of the rows, which are nearly orthonormal
    then, and the factor of their products has the other half (Fukaya et al. 2020, Shifted Cholesky
    QR, SIAM J. Sci. Comput. 42). A little is added to both diagonals, since rows may depend on each
    other; what stays of it is its square.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Of float64, and not all zero.
    """
    n, d = rows.shape
    within = filled_rows(n, d)
    within[:n, :d] = rows
    triangles = []
    for _ in range(2):
        triangle = _by_columns(len(within))
        add_square(1.0, within.T, triangle, transposed=True, keep=0.0)
        diagonal = np.einsum("ii->i", triangle)
        added = (n + d) * _EPS * diagonal.sum()
        diagonal += added
        _take_root(triangle, _by_columns(len(within)))
        triangles.append(triangle)
        if len(triangles) == 1:
            triangular("trsm", 1.0, triangle, within.T, side="R", transposed=True)
    made = np.asfortranarray(np.tril(triangles[1]))
    triangular("trmm", 1.0, triangles[0], made, side="L")
    return np.ascontiguousarray(made[:n, :n]) / np.sqrt(1.0 + added)


@functools.lru_cache(maxsize=2)
def _signs(d: int) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], (_SIGNS, d))


def _take_root(matrix: np.ndarray, inverse: np.ndarray) -> bool:
    """Put the lower Cholesky factor in the place of a matrix, by halves.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Of which the lower triangle is read; n is a multiple of `_BLOCK`.
    inverse : ndarray of shape (n, n)
        Of which blocks on the diagonal are written to: the inverses of these blocks, which a kernel
        has at little cost, for `_invert_root`.

    Returns
    -------
    bool
        Whether it is positive definite.
    """
    from fastgmm.kernels.linalg.factors import root_and_inverse

    n = len(matrix)
    if n <= _LEAF:
        root, inverted = matrix.T.copy(), np.zeros((n, n))
        definite = bool(root_and_inverse()(root, inverted))
        matrix[...], inverse[...] = root.T, inverted.T
        return definite
    first, rest, across = _halves(n)
    if not _take_root(matrix[first], inverse[first]):
        return False
    below = matrix[across]
    triangular("trsm", 1.0, matrix[first], below, side="R", transposed=True)
    add_square(-1.0, below, matrix[rest])
    return _take_root(matrix[rest], inverse[rest])


def _invert_root(root: np.ndarray, inverse: np.ndarray) -> None:
    """Complete the inverse of a lower triangle, of which `_take_root` left the blocks."""
    n = len(root)
    if n <= _LEAF:
        return
    first, rest, across = _halves(n)
    _invert_root(root[first], inverse[first])
    _invert_root(root[rest], inverse[rest])
    solved = inverse[across]
    solved[...] = root[across]
    triangular("trmm", 1.0, inverse[first], solved, side="R")
    triangular("trsm", -1.0, root[rest], solved, side="L")


def _square_lower(matrix: np.ndarray) -> None:
    """Replace a lower triangle L, of which it reads no more, by that of ``L.T @ L``."""
    n = len(matrix)
    if n <= _LEAF:
        root = np.asfortranarray(np.tril(matrix))
        add_square(1.0, root, matrix, transposed=True, keep=0.0)
        return
    first, rest, across = (matrix[part] for part in _halves(n))
    _square_lower(first)
    add_square(1.0, across, first, transposed=True)
    triangular("trmm", 1.0, rest, across, side="L", transposed=True)
    _square_lower(rest)


def _by_columns(d: int) -> np.ndarray:
    """Zeros (n, n), by columns as LAPACK has them; n is d, filled up to whole blocks.

    Columns a power of two apart would meet in a few sets of the cache.
    """
    n = d + -d % _BLOCK
    return np.zeros((n + _APART, n), order="F")[:n]


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
