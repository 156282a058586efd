"""Operands as kernels read them: in the type of the rows, and near zero."""

from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance.linalg import sum_of_squares, whitened
from fastgmm.kernels.layout import FORMS, Forms, to_panels
from fastgmm.parameters import Operands

_FARTHEST = {np.dtype(np.float64): 1e5, np.dtype(np.float32): 256.0}
"""Distance of a mean from the origin, in the component's standard deviations, that costs digits."""

_FARTHEST_SHARED = 1e4
"""The same where the scatter within components is that of all rows less that of the means.

It loses the square of this, times eps.
"""

_CHOLESKY, _SHARED, _DIAGONAL, _ISOTROPIC, _CENTRED = (forms.density for forms in FORMS[:5])
_NO_MOMENTS, _POOLED = FORMS[1], FORMS[5]
_CAREFUL = {density: FORMS[0] for density in (_CHOLESKY, _SHARED)}
_CAREFUL |= {density: FORMS[4] for density in (_DIAGONAL, _ISOTROPIC, _CENTRED)}
"""Kernels that work about each component's own mean, for every density form."""


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
    constants : ndarray of shape (k,), or (k + 1,)
        With the weighted log-density of noise last, if there is any.
    """

    origin: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    projected: np.ndarray
    scales: np.ndarray
    constants: np.ndarray

    @property
    def noisy(self) -> bool:
        """Whether there is noise, of which the last constant is."""
        return self.constants.shape[-1] > self.means.shape[-2]

    @property
    def background(self) -> float | None:
        """Weighted log-density of noise; None where there is none."""
        return float(self.constants[-1]) if self.noisy else None

    @property
    def reference(self) -> np.ndarray:
        """(k, d): the means that the kernels really used, in the data's coordinates."""
        return self.origin[..., np.newaxis, :] + self.means.astype(np.float64, copy=False)


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
    if careful:
        made = about_means(operands, forms.density)
        return KernelChoice(_CAREFUL[forms.density], np.dtype(np.float64), made, careful=True)
    # With noise, the scatter of all rows is not that of the components.
    if operands.background is not None and forms == _NO_MOMENTS:
        forms = _POOLED
    return KernelChoice(forms, dtype, about_origin(operands, forms.density, dtype))


def of_each(operands: Operands, density: str) -> Operands:
    """Operands with factors of every component for itself, and of every feature."""
    k, d = operands.means.shape[-2:]
    factors = np.asarray(operands.factors)
    if density == _SHARED:
        return operands._replace(factors=np.repeat(factors[..., np.newaxis, :, :], k, axis=-3))
    if density == _ISOTROPIC:
        factors = np.repeat(factors[..., np.newaxis], d, axis=-1)
        return operands._replace(factors=factors, scales=np.full_like(operands.scales, -0.5))
    return operands


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
    distances = operands.projected
    if forms.density == _ISOTROPIC:
        distances = distances * operands.factors[..., np.newaxis]
    farthest = min(_FARTHEST[dtype], _FARTHEST_SHARED if forms.density == _SHARED else np.inf)
    return _are_beyond(distances, farthest)


def are_far(distances: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Whether a component is too far from the origin, for the digits of a type.

    Parameters
    ----------
    distances : ndarray of shape (k, d)
        Of the means, in standard deviations of the component's own rows.
    dtype : dtype

    Returns
    -------
    ndarray of bool
        Of the axes in front.
    """
    return _are_beyond(distances, _FARTHEST[dtype])


def _are_beyond(distances: np.ndarray, farthest: float) -> np.ndarray:
    if sum_of_squares(distances) < farthest**2:  # as nearly always, and soon told
        return np.zeros(distances.shape[:-2], dtype=bool)
    return ((distances**2).sum(axis=-1) > farthest**2).any(axis=-1)


def kernels_for_given(
    forms: Forms, centre: np.ndarray, about: np.ndarray, careful: bool
) -> KernelChoice:
    """Kernels in float64 for a pass that is given its responsibilities.

    Parameters
    ----------
    forms : Forms
    centre : ndarray of shape (d,)
        A point amid the rows.
    about : ndarray of shape (k, d)
        Points to take moments about.
    careful : bool
        See `Pass.statistics`.
    """
    if careful:
        forms = _CAREFUL[forms.density]
    made = moment_operands(about)
    if forms.density in (_SHARED, _ISOTROPIC):  # whose kernels sum first moments about the origin
        made = moment_operands(about - centre[..., np.newaxis, :])._replace(origin=centre)
    return KernelChoice(forms, np.dtype(np.float64), made)


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
                _laid_out(operands.factors, density, dtype),
                operands.projected,
                operands.scales,
                _constants(operands),
            )
        ),
    )


def _constants(operands: Operands) -> np.ndarray:
    """The constants of the components, and behind them that of noise."""
    if operands.background is None:
        return operands.constants
    of_noise = np.asarray(operands.background.log_density)[..., np.newaxis]
    return np.concatenate([operands.constants, of_noise], axis=-1)


def about_means(operands: Operands, density: str) -> KernelOperands:
    """Operands in float64 for rows that are not moved: what is near its mean is exactly so far.

    Of the Cholesky form, with a factor of each component or one of all, or of the centred diagonal
    one.
    """
    means, careful = np.ascontiguousarray(operands.means), _CAREFUL[density].density
    if density == _SHARED:  # which kernels take as that of all components
        factors = np.asarray(operands.factors)[..., np.newaxis, :, :]
        each = operands._replace(factors=np.broadcast_to(factors, (*means.shape, means.shape[-1])))
    else:
        each = of_each(operands, density)
        factors = each.factors
    return KernelOperands(
        np.zeros_like(operands.origin),
        means,
        np.ascontiguousarray(_laid_out(factors, careful)),
        whitened(means, each.factors) if careful == _CHOLESKY else means,
        each.scales,
        _constants(operands),
    )


def _laid_out(factors: np.ndarray, density: str, dtype: Any = None) -> np.ndarray:
    """Factors as the kernels of a density form take them."""
    factors = np.asarray(factors)
    if density == _CHOLESKY:
        return to_panels(factors, dtype)
    if density == _SHARED:
        return to_panels(factors, dtype)[..., np.newaxis, :, :]
    if density in (_DIAGONAL, _CENTRED):
        return factors[..., np.newaxis, :, :]
    return np.zeros((*factors.shape[:-1], 1, 1, 1))  # unread
