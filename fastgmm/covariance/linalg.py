"""Linear algebra of stacks of matrices (..., d, d): by the calling thread alone, or by BLAS."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

from fastgmm.covariance import blas
from fastgmm.kernels.layout import BLOCK, EPS, SINGULAR

_PARTS = 4
"""Of a matrix that is multiplied exactly: of some twenty bits each, they have all of its digits."""

BY_ONE_THREAD = 1 << 18
"""Multiplications up to which OpenBLAS makes a product without threads (its interface/gemm.c)."""

IN_ORDER = 1 << 12
"""Multiplications up to which products are summed term after term, as in compiled M-steps."""

_LONG = 10_000
"""Numbers up to which OpenBLAS sums products of two vectors without threads (its ddot)."""

LARGE = 800
"""Rows and columns from which on a matrix is left to BLAS.

Its threads spin for a while after their work, and take the cores from the E-step that follows; by
then they have saved more than that.
"""

_PIECE = 1 << 15
"""Numbers that fit into a usual L2 cache, and others beside them."""


def product(left: np.ndarray, right: np.ndarray, *, upper: bool = False) -> np.ndarray:
    """``left @ right`` of stacks of matrices (..., p, q) and (..., q, r).

    See `fastgmm.covariance.blas` for large ones and `fastgmm.kernels.linalg.products` for others;
    what is small BLAS does sooner than a kernel is compiled, and what is smaller yet NumPy, whose
    order of sums is the same everywhere.

    Parameters
    ----------
    left, right : ndarray
        With the same axes in front.
    upper : bool, optional
        Whether `right` is zero below its diagonals.
    """
    size = left.shape[-2] * right.shape[-2] * right.shape[-1]
    if size <= IN_ORDER:
        return np.add.reduce(left[..., np.newaxis] * right[..., np.newaxis, :, :], axis=-2)
    if size <= BY_ONE_THREAD:
        return left @ right
    if min(*left.shape[-2:], right.shape[-1]) >= LARGE:
        return _by_blas(blas.product, left, right)
    return _by_kernel(left, right, right.shape[-1], upper=upper)


def squared(matrices: np.ndarray, *, upper: bool = False) -> np.ndarray:
    """``matrix @ matrix.T`` of a stack of matrices (..., p, q).

    Parameters
    ----------
    matrices : ndarray
    upper : bool, optional
        Whether they are square, and zero below their diagonals.
    """
    p, q = matrices.shape[-2:]
    if p * q * p <= BY_ONE_THREAD:
        return matrices @ matrices.swapaxes(-1, -2)
    if min(p, q) >= LARGE:
        return _by_blas(blas.squared_upper if upper else blas.squared, matrices)
    given = np.ascontiguousarray(matrices, dtype=np.float64)
    return _by_kernel(given, given, p, mirrored=True).astype(matrices.dtype, copy=False)


def _by_blas(function: Callable[..., np.ndarray], *stacks: np.ndarray) -> np.ndarray:
    """A function of matrices, of each of some stacks of them."""
    *leading, _, _ = stacks[0].shape
    flat = [np.asarray(x, dtype=np.float64).reshape(-1, *x.shape[-2:]) for x in stacks]
    made = np.stack([function(*matrices) for matrices in zip(*flat, strict=True)])
    return made.reshape(*leading, *made.shape[-2:]).astype(np.result_type(*stacks), copy=False)


def _by_kernel(
    left: np.ndarray, right: np.ndarray, r: int, *, upper: bool = False, mirrored: bool = False
) -> np.ndarray:
    """Products (..., p, r), see `fastgmm.kernels.linalg.products`."""
    from fastgmm.kernels.linalg.products import stacked_product

    p = left.shape[-2]
    out = np.empty((*left.shape[:-2], p, r))
    stacks = (
        np.ascontiguousarray(x, dtype=np.float64).reshape(-1, *x.shape[-2:]) for x in (left, right)
    )
    stacked_product()(*stacks, upper, mirrored, out.reshape(-1, p, r))
    return out.astype(np.result_type(left, right), copy=False)


def subtract_crossed(matrices: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Subtract ``outer(left, right) + outer(right, left)`` of vectors (..., d), in place."""
    d = left.shape[-1]
    if left.size * d <= _PIECE:
        cross = left[..., :, np.newaxis] * right[..., np.newaxis, :]
        matrices -= cross + cross.swapaxes(-1, -2)
        return
    # The same in pieces, without a transpose of what no cache holds.
    step = max(_PIECE // left.size, 1)
    for i in range(0, d, step):
        rows = np.s_[..., i : i + step, np.newaxis]
        cross = left[rows] * right[..., np.newaxis, :]
        cross += right[rows] * left[..., np.newaxis, :]
        matrices[..., i : i + step, :] -= cross


def sum_of_squares(values: np.ndarray) -> float:
    """The sum of the squares of all numbers, by the calling thread alone."""
    if values.size <= _LONG:
        return np.vdot(values, values)
    flat = values.ravel()
    return np.einsum("i,i->", flat, flat)


def upper_precision_factors(covariances: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = inv(covariance)``, for every matrix.

    NaN for a covariance that is not finite, or is singular to rounding: given the other features,
    some feature keeps no more of its variance than ``SINGULAR * d * eps``, see
    `fastgmm.kernels.layout`.
    """
    d = covariances.shape[-1]
    stack = np.ascontiguousarray(covariances, dtype=np.float64).reshape(-1, d, d)
    factors = np.empty_like(stack)
    if d >= LARGE:
        for covariance, factor in zip(stack, factors, strict=True):
            blas.Root(covariance, SINGULAR * d * EPS).write_factor(factor)
    elif d <= BLOCK:
        from fastgmm.kernels.linalg.few_features import few_precision_factors

        few_precision_factors()(stack, factors)
    else:
        from fastgmm.kernels.linalg import factors as kernels

        kernels.precision_factors()(stack, factors)
    return factors.reshape(covariances.shape)


def precision_factors(covariances: np.ndarray, *, alone: bool) -> Any:
    """The same as `upper_precision_factors`; those of large matrices made when they are read.

    Parameters
    ----------
    covariances : ndarray of shape (..., d, d)
    alone : bool
        Whether they are those of a single mixture; those of many are made at once.
    """
    d = covariances.shape[-1]
    if d < LARGE or not alone:
        return upper_precision_factors(covariances)
    roots = [
        blas.Root(covariance, SINGULAR * d * EPS) for covariance in covariances.reshape(-1, d, d)
    ]
    factors = blas.PrecisionFactors(roots, covariances.shape)
    return factors if all(root.defined for root in roots) else np.asarray(factors)


def upper_factors(precisions: np.ndarray) -> np.ndarray:
    """Upper triangular U with ``U @ U.T = precision``: Cholesky from the last row upwards."""
    flipped = np.linalg.cholesky(precisions[..., ::-1, ::-1])
    return np.ascontiguousarray(flipped[..., ::-1, ::-1])


def cholesky_in_two(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Lower triangular L and C, whose product is the Cholesky factor of a matrix (d, d).

    L alone is off by rounding times the condition of the matrix. With the residual
    :math:`E = A - L L^T`, summed exactly, C is the factor of :math:`I + L^{-1} E L^{-T}`; what is
    computed from both is off by rounding times the root of the condition.

    Parameters
    ----------
    matrix : ndarray of shape (d, d)
        Symmetric.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is not positive definite, or singular to rounding.
    """
    lower = np.linalg.cholesky(matrix)
    residual = _exact_residual(matrix, lower)
    half = linalg.solve_triangular(lower, residual, lower=True)
    rest = linalg.solve_triangular(lower, half.T, lower=True)
    if not np.abs(rest).sum(axis=1).max() < 0.5:
        raise np.linalg.LinAlgError("The matrix is singular to rounding.")
    return lower, np.linalg.cholesky(np.eye(len(matrix)) + 0.5 * (rest + rest.T))


def _exact_residual(matrix: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """``matrix - lower @ lower.T``, as if computed with twice the digits.

    The factor is cut into parts of so few bits that their products are exact (Ozaki et al. 2012,
    Error-free transformations of matrix multiplication, Numerical Algorithms 59), and what rounding
    takes of the sum is summed, too (Neumaier 1974).
    """
    largest = np.abs(lower).max(axis=1, keepdims=True)
    spare = 2.0 ** np.ceil((53 + np.log2(len(lower))) / 2)
    parts, rest = [], lower
    for _ in range(_PARTS):
        cut = 2.0 ** np.ceil(np.log2(largest)) * spare
        parts.append((rest + cut) - cut)
        rest = rest - parts[-1]
        largest = largest * (spare / 2.0**52)
    total, taken = matrix, np.zeros_like(matrix)
    for one in parts:
        for other in parts:
            term = -(one @ other.T)
            new = total + term
            is_larger = np.abs(total) >= np.abs(term)
            taken += np.where(is_larger, (total - new) + term, (term - new) + total)
            total = new
    return total + taken


@functools.lru_cache(maxsize=8)
def _below_diagonal(n_features: int) -> np.ndarray:
    return np.tri(n_features, k=-1, dtype=bool)


def triangular(factors: Any) -> Any:
    """Upper triangular U with ``U @ U.T = factor @ factor.T``.

    Attributes that people set by hand may hold any square roots of the precisions.
    """
    d = factors.shape[-1]
    if isinstance(factors, blas.PrecisionFactors):
        return factors
    if not np.logical_and(factors, _below_diagonal(d)).any():
        return factors
    stack = [linalg.rq(factor, mode="r") for factor in factors.reshape(-1, d, d)]
    return np.stack(stack).reshape(factors.shape)


def covariances_of(factors: np.ndarray) -> np.ndarray:
    """Inverses of ``factor @ factor.T``."""
    inverses = np.linalg.inv(np.asarray(factors))
    return squared(inverses.swapaxes(-1, -2))


def whitened_traces(moments: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Traces of ``U.T @ moments @ U``: sums of squared distances, from second moments."""
    factors = np.asarray(factors)
    return (product(moments, factors, upper=True) * factors).sum(axis=(-1, -2))


def whitened(means: np.ndarray, factors: Any) -> np.ndarray:
    """``U.T @ mean`` of means (..., k, d), each with a factor of its own (..., k, d, d)."""
    k, d = means.shape[-2:]
    if isinstance(factors, blas.PrecisionFactors):
        return factors.whitened(means)
    if k * d * d <= IN_ORDER:
        return np.add.reduce(means[..., np.newaxis] * factors, axis=-2)
    # Not by BLAS, whose threads would spin beside the pass that follows.
    return np.einsum("...j,...ji->...i", means, factors)


def whitened_by_one(means: np.ndarray, factor: Any) -> np.ndarray:
    """``U.T @ mean`` of means (..., k, d), with the same factor (..., d, d)."""
    if isinstance(factor, blas.PrecisionFactors):
        return factor.whitened(means)
    return product(means, factor, upper=True)


def log_diagonals(factors: np.ndarray) -> np.ndarray:
    """Logarithms of the determinants of triangular factors."""
    with np.errstate(divide="ignore", invalid="ignore"):
        # In one piece, as a logarithm may have other bits where numbers lie apart.
        return np.log(np.ascontiguousarray(factors.diagonal(axis1=-2, axis2=-1))).sum(axis=-1)


def kept_variances(variances: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Variance (..., d) that is left to every feature when the others are known.

    Parameters
    ----------
    variances : ndarray of shape (..., d)
    factors : ndarray of shape (..., d, d)
        Precision factors; where they are NaN, so is what is left.
    """
    # The diagonal of the precisions, of features of variance 1, so that nothing overflows.
    with np.errstate(invalid="ignore"):
        known = ((factors * np.sqrt(variances)[..., np.newaxis]) ** 2).sum(axis=-1)
    return variances / known


def diagonals(matrices: np.ndarray) -> np.ndarray:
    """The diagonals (..., d), to be read and written."""
    return np.einsum("...ii->...i", matrices)


def norm_bounds(matrices: np.ndarray) -> np.ndarray:
    r"""Upper bounds of the spectral norms.

    With :math:`G = M M^T` it is :math:`\|M\|^{16} \le \|G^8\|_F`, at most :math:`d^{1/32}` times
    too much.
    """
    power = np.asarray(matrices, dtype=np.float64)
    power = squared(power)
    bound = np.ones(power.shape[:-2])
    for exponent in (1.0, 0.5, 0.25, 0.125):
        if exponent < 1.0:
            power = squared(power)  # which is symmetric
        norm = np.sqrt((power**2).sum(axis=(-2, -1)))
        norm = np.where(norm > 0.0, norm, np.finfo(np.float64).tiny)
        power = power / norm[..., np.newaxis, np.newaxis]
        bound *= norm**exponent
    return np.sqrt(bound) * (1.0 + 1e-6)


def principal_axes(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances (..., d) of symmetric matrices along their axes, ascending, and the axes.

    Returns
    -------
    variances : ndarray of shape (..., d)
        Not negative; NaN for a matrix that is not finite.
    axes : ndarray of shape (..., d, d)
        In its columns.
    """
    from fastgmm.kernels.linalg.principal_axes import principal_axes as kernel

    d = matrices.shape[-1]
    size = np.abs(matrices).max(axis=(-1, -2), keepdims=True)
    finite = (size > 0) & (size < np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        stack = np.where(finite, matrices / size, 0.0).reshape(-1, d, d)
    variances, rows = np.empty(stack.shape[:-1]), np.empty(stack.shape)
    kernel()(stack, variances, rows)
    order = np.argsort(variances, axis=-1)
    variances = np.take_along_axis(variances, order, axis=-1)
    rows = np.take_along_axis(rows, order[..., np.newaxis], axis=-2)
    variances = np.maximum(variances.reshape(matrices.shape[:-1]), 0.0)
    variances = variances * np.where(size < np.inf, size, np.nan)[..., 0]
    return variances, rows.reshape(matrices.shape).swapaxes(-1, -2)


def from_axes(axes: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Symmetric matrices with variances (..., d) along axes, the columns of (..., d, d)."""
    halves = axes * np.sqrt(variances)[..., np.newaxis, :]
    return squared(halves)


def shared_axes(
    scatters: np.ndarray, weights: np.ndarray, power: float, axes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The axes that scatters come nearest to sharing, and the spreads along them.

    Parameters
    ----------
    scatters : ndarray of shape (..., k, d, d)
    weights : ndarray of shape (..., k)
    power : float
        See `fastgmm.kernels.linalg.common_axes`.
    axes : ndarray of shape (..., d, d)
        In columns, to start from.

    Returns
    -------
    spreads : ndarray of shape (..., k, d)
        Not negative; NaN of a scatter that is not finite.
    axes : ndarray of shape (..., d, d)
        In columns.
    """
    from fastgmm.kernels.linalg.common_axes import common_axes

    k, d = scatters.shape[-3:-1]
    finite = np.isfinite(scatters).all(axis=(-1, -2), keepdims=True)
    scatters = np.where(finite, scatters, 0.0)
    size = np.abs(scatters).max(axis=(-1, -2, -3), keepdims=True)  # so that squares are in range
    size = np.where(size > 0, size, 1.0)
    scatters = scatters / size
    each = np.broadcast_to(axes[..., np.newaxis, :, :], scatters.shape)
    turned = product(product(each.swapaxes(-1, -2), scatters), each)
    stack = np.moveaxis(turned, -3, -1).reshape(-1, d, d, k).copy()
    rows = axes.swapaxes(-1, -2).reshape(-1, d, d).copy()
    of_features = np.ascontiguousarray(scatters.diagonal(axis1=-2, axis2=-1).reshape(-1, k, d))
    common_axes()(stack, of_features, np.ascontiguousarray(weights).reshape(-1, k), power, rows)
    spreads = np.einsum("mjjk->mkj", stack).reshape(scatters.shape[:-1])
    spreads = np.where(finite[..., 0], np.maximum(spreads, 0.0) * size[..., 0], np.nan)
    return spreads, rows.reshape(axes.shape).swapaxes(-1, -2)
