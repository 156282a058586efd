r"""Gaussians of which some features are known: their marginals, and what that leaves of the others.

With o the features that are known and u the others, the marginal of a component has the mean
:math:`\mu_o` and the covariance :math:`\Sigma_{oo}`, and given :math:`x_o` the others have the mean
:math:`\mu_u + B (x_o - \mu_o)` and the covariance C. With the precision :math:`\Lambda`,
:math:`C = \Lambda_{uu}^{-1}` and :math:`B = -C \Lambda_{uo}` (Bishop 2006, eq. 2.73, 2.75, 2.98).
"""

from typing import NamedTuple

import numpy as np

from fastgmm.covariance.linalg import (
    covariances_of,
    log_diagonals,
    product,
    squared,
    upper_precision_factors,
    whitened,
)
from fastgmm.kernels.layout import FORMS, MOST_SIDE_BY_SIDE, Forms
from fastgmm.parameters import LOG_TWO_PI, Background, Operands

_MATRICES = _OWN, _SHARED = FORMS[:2]
"""Forms in which features of a component may correlate: with a factor of its own, or of all."""
_VARIANCES = FORMS[2]


class Gaussians(NamedTuple):
    """The components of a mixture, in float64: what marginals and conditionals are made of.

    Parameters
    ----------
    forms : Forms
        Those of the marginals: with a factor for each component, with one that they share, or with
        variances, where features of a component never correlate.
    log_weights : ndarray of shape (k,)
    origin : ndarray of shape (d,)
        A point amid the means.
    means : ndarray of shape (k, d)
    factors, covariances, precisions : ndarray of shape (k, d, d)
        Or (k, d) if features never correlate: square roots of precisions, and variances. Where
        components share them, (1, d, d).
    background : Background, optional
        Noise; None where there is none.
    """

    forms: Forms
    log_weights: np.ndarray
    origin: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    covariances: np.ndarray
    precisions: np.ndarray
    background: Background | None = None

    @classmethod
    def of(cls, operands: Operands, density: str) -> "Gaussians":
        """The components of a single mixture.

        Parameters
        ----------
        operands : Operands
        density : str
            Density form that they are of.
        """
        d = operands.means.shape[1]
        roots = np.sqrt(-2.0 * operands.scales)
        forms = next((forms for forms in _MATRICES if forms.density == density), _VARIANCES)
        if forms != _VARIANCES:
            # Where there is one factor for all, there is one scale.
            given = np.asarray(operands.factors)
            given = given if forms == _OWN else given[np.newaxis]
            factors = roots[: len(given), np.newaxis, np.newaxis] * given
            covariances = covariances_of(factors)
            precisions = squared(factors)
            log_determinants = log_diagonals(factors)
        else:
            own = 1.0 if density == "isotropic" else operands.factors
            factors = np.broadcast_to(roots[:, np.newaxis] * own, operands.means.shape)
            precisions = factors**2
            covariances = 1.0 / precisions
            log_determinants = np.log(factors).sum(axis=1)
        log_weights = operands.constants - log_determinants + 0.5 * d * LOG_TWO_PI
        fields = (operands.origin, operands.means, factors, covariances, precisions)
        return cls(forms, log_weights, *fields, operands.background)

    @property
    def correlated(self) -> bool:
        """Whether features of a component may correlate."""
        return self.forms != _VARIANCES

    @property
    def shared(self) -> bool:
        """Whether components share their covariance."""
        return self.forms == _SHARED


class Conditionals(NamedTuple):
    """What is left of Gaussians when some features are known, for m choices of p such features.

    Parameters
    ----------
    gains : ndarray of shape (m, k, q, p), or None if features never correlate
        B of the formulas above.
    covariances : ndarray of shape (m, k, q, q), or (m, k, q) if features never correlate
        Of the others, when the known ones are known.
    """

    gains: np.ndarray | None
    covariances: np.ndarray


def marginals(gaussians: Gaussians, known: np.ndarray) -> Operands:
    """Operands of the mixtures of the known features, with an axis in front.

    They are of the density form that `Gaussians.forms` names.

    Parameters
    ----------
    gaussians : Gaussians
    known : ndarray of int, shape (m, p)
        Numbers of features, in their order; at least one.
    """
    m, p = known.shape
    k, d = gaussians.means.shape
    means, origin = _entries(gaussians.means, known), gaussians.origin[known]
    centred = means - origin[:, np.newaxis]
    if not gaussians.correlated:
        factors = _entries(gaussians.factors, known)
        log_determinants = np.log(factors).sum(axis=-1)
        projected = factors * centred
    else:
        factors, log_determinants, projected = _of_correlated(gaussians, known, centred)
    constants = gaussians.log_weights + log_determinants - 0.5 * p * LOG_TWO_PI
    background = gaussians.background
    if background is not None and p == d:
        background = background._replace(log_density=np.full(m, background.log_density))
    elif background is not None:
        background = background.of_some(known)
    return Operands(origin, means, factors, projected, np.full((m, k), -0.5), constants, background)


def _of_correlated(
    gaussians: Gaussians, known: np.ndarray, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors of known features, logarithms of their determinants, and means as they meet them.

    Factors are (m, k, p, p), or (m, p, p) where components share them.
    """
    (m, p), (own, d, _) = known.shape, gaussians.factors.shape
    if p == d or p > MOST_SIDE_BY_SIDE:
        if p == d:
            factors = np.broadcast_to(gaussians.factors, (m, *gaussians.factors.shape))
        else:
            factors = upper_precision_factors(_blocks(gaussians.covariances, known, known))
        log_determinants = log_diagonals(factors)
        if gaussians.shared:
            return factors[:, 0], log_determinants, product(means, factors[:, 0], upper=True)
        return factors, log_determinants, whitened(means, factors)
    from fastgmm.kernels.linalg.marginals import marginal_factors

    factors, log_determinants = np.empty((m, own, p, p)), np.empty((m, own))
    projected = np.empty_like(means)
    given = np.ascontiguousarray(gaussians.covariances), known, means
    marginal_factors()(*given, factors, log_determinants, projected)
    return factors[:, 0] if gaussians.shared else factors, log_determinants, projected


def conditionals(gaussians: Gaussians, known: np.ndarray, others: np.ndarray) -> Conditionals:
    """How the other features follow from the known ones.

    Parameters
    ----------
    gaussians : Gaussians
    known : ndarray of int, shape (m, p)
        Numbers of features.
    others : ndarray of int, shape (m, q)
        All that are left.
    """
    if not gaussians.correlated:
        return Conditionals(None, _entries(gaussians.covariances, others))
    from fastgmm.kernels.regression import conditional_matrices

    k, (m, q) = len(gaussians.precisions), others.shape
    gains, covariances = np.empty((m, k, q, known.shape[1])), np.empty((m, k, q, q))
    conditional_matrices()(gaussians.precisions, known, others, gains, covariances)
    if gaussians.shared:
        gains, covariances = (
            np.broadcast_to(one, (m, len(gaussians.means), *one.shape[2:]))
            for one in (gains, covariances)
        )
    return Conditionals(gains, covariances)


def _entries(array: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Of an array (k, d), the features (m, p) that are chosen: (m, k, p)."""
    return np.ascontiguousarray(array[:, chosen].swapaxes(0, 1))


def _blocks(matrices: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Of matrices (k, d, d), chosen rows (m, q) and columns (m, p): (m, k, q, p)."""
    chosen = matrices[:, rows[:, :, np.newaxis], columns[:, np.newaxis, :]]
    return np.ascontiguousarray(chosen.swapaxes(0, 1))
