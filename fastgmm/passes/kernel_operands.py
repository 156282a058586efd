"""Operands as kernels read them: in the type of the rows, and near zero."""

from typing import NamedTuple

import numpy as np

from fastgmm.covariance.linalg import product
from fastgmm.kernels.layout import FORMS, Forms, to_panels
from fastgmm.parameters import Operands

_FARTHEST = {np.dtype(np.float64): 1e5, np.dtype(np.float32): 256.0}
"""Distance of a mean from the origin, in the component's standard deviations, that costs digits."""

_CHOLESKY, _SHARED, _DIAGONAL, _ISOTROPIC = (forms.density for forms in FORMS)


class KernelOperands(NamedTuple):
    """What a kernel reads of a mixture, and all that it reads; of many, with an axis in front.

    Parameters
    ----------
    origin : ndarray of shape (d,), float64
        Taken off every row before anything else, so that coordinates are small.
    means : ndarray of shape (k, d)
        Means, less the origin.
    factors : ndarray of shape (k or 1, panels * d, block) or (1, k, d)
        Precision factors, in the density form's shape: matrices in panels, see
        `fastgmm.kernels.layout`.
    projected : ndarray of shape (k, d)
        The means as the density form meets them: whitened, or scaled.
    scales : ndarray of shape (k,)
    constants : ndarray of shape (k,)
    """

    origin: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    projected: np.ndarray
    scales: np.ndarray
    constants: np.ndarray

    @property
    def reference(self) -> np.ndarray:
        """(k, d): the means that the kernels really used, in the data's coordinates."""
        return self.origin[..., np.newaxis, :] + self.means.astype(np.float64)


class KernelChoice(NamedTuple):
    """Kernels, and what they read.

    Parameters
    ----------
    forms : Forms
    dtype : dtype
        That rows have to be in.
    operands : KernelOperands
    careful : bool
        Whether every component is worked on about its own mean.
    """

    forms: Forms
    dtype: np.dtype
    operands: KernelOperands
    careful: bool = False


def kernels_for(
    operands: Operands, forms: Forms, dtype: np.dtype, careful: bool = False
) -> KernelChoice:
    """Kernels for a mixture, and its operands as they read them.

    Parameters
    ----------
    operands : Operands
    forms : Forms
        Of the structure.
    dtype : dtype
        Of the rows.
    careful : bool, optional
        See `Pass.statistics`.
    """
    if not careful:
        return KernelChoice(forms, dtype, about_origin(operands, forms.density, dtype))
    double = np.dtype(np.float64)
    if forms.density == _SHARED:  # whose kernel whitens rows before it subtracts means
        forms = FORMS[0]
        k = operands.means.shape[-2]
        shared = np.repeat(operands.factors[..., np.newaxis, :, :], k, axis=-3)
        operands = operands._replace(factors=shared)
    if forms.density == _CHOLESKY:
        return KernelChoice(forms, double, about_means(operands, forms.density), True)
    return KernelChoice(forms, double, about_origin(operands, forms.density, double), True)


def needs_care(operands: Operands, forms: Forms, dtype: np.dtype) -> np.ndarray:
    """Whether a component is too far from the origin, for the digits of a type.

    Coordinates are counted from the origin, and rounded there: by eps times the distance of the
    mean, which is told in standard deviations of the component.

    Parameters
    ----------
    operands : Operands
    forms : Forms
    dtype : dtype

    Returns
    -------
    ndarray of bool
        Of the axes in front.
    """
    roots = operands.factors
    if forms.density in (_CHOLESKY, _SHARED):
        roots = roots.diagonal(axis1=-2, axis2=-1)
        roots = roots[..., np.newaxis, :] if forms.density == _SHARED else roots
    elif forms.density == _ISOTROPIC:
        roots = roots[..., np.newaxis]
    distances = (operands.means - operands.origin[..., np.newaxis, :]) * roots
    farthest = _FARTHEST[dtype]
    if np.vdot(distances, distances) < farthest**2:  # as nearly always, and soon told
        return np.zeros(distances.shape[:-2], dtype=bool)
    return (np.abs(distances) > farthest).any(axis=(-2, -1))


def moment_operands(means: np.ndarray) -> KernelOperands:
    """Operands in float64 for a pass that is given its responsibilities: only the means matter."""
    *leading, k, d = means.shape
    means = np.ascontiguousarray(means, dtype=np.float64)
    unread, zeros = np.zeros((*leading, 1, 1, 1)), np.zeros((*leading, k))
    return KernelOperands(np.zeros((*leading, d)), means, unread, means, zeros, zeros)


def about_origin(operands: Operands, density: str, dtype: np.dtype) -> KernelOperands:
    """Operands in a type, for rows that are moved by the origin."""
    centred = operands.means - operands.origin[..., np.newaxis, :]
    return KernelOperands(
        operands.origin,
        *(
            np.ascontiguousarray(array, dtype=dtype)
            for array in (
                centred,
                _laid_out(operands.factors, density),
                _projected(centred, operands.factors, density),
                operands.scales,
                operands.constants,
            )
        ),
    )


def about_means(operands: Operands, density: str) -> KernelOperands:
    """Operands in float64 for rows that are not moved: what is near its mean is exactly so far."""
    return KernelOperands(
        np.zeros_like(operands.origin),
        np.ascontiguousarray(operands.means),
        np.ascontiguousarray(_laid_out(operands.factors, density)),
        _projected(operands.means, operands.factors, density),
        operands.scales,
        operands.constants,
    )


def _laid_out(factors: np.ndarray, density: str) -> np.ndarray:
    """Factors as the kernels of a density form take them."""
    if density == _CHOLESKY:
        return to_panels(factors)
    if density == _SHARED:
        return to_panels(factors)[..., np.newaxis, :, :]
    if density == _DIAGONAL:
        return factors[..., np.newaxis, :, :]
    return np.zeros((*factors.shape[:-1], 1, 1, 1))  # unread


def _projected(means: np.ndarray, factors: np.ndarray, density: str) -> np.ndarray:
    """Means as a density form meets them."""
    if density == _CHOLESKY:
        # Not by BLAS, whose threads would spin beside the pass that follows.
        return np.einsum("...j,...ji->...i", means, factors)
    if density == _SHARED:
        return product(means, factors, upper=True)
    return means * factors if density == _DIAGONAL else means
