r"""Coordinates of mixtures about a reference, in which a unit gradient step is a step of EM.

With :math:`s_c` the square roots of the shares of the rows that components have at the reference,
coordinates :math:`a, u, T` stand for

    log-weights :math:`\log w_c + a_c / s_c`, but for a constant,
    means :math:`m_c + L_c u_c / s_c`, and
    Cholesky factors :math:`L_c M_c` of the covariances, with :math:`M_c` lower triangular: it has
    :math:`T_{ij} / s_c` below its diagonal and :math:`\exp(T_{ii} / \sqrt 2 s_c)` on it.

All of them are mixtures, and they do not depend on the units of the features. Noise has a
log-weight, too, and what is frozen coordinates that stay zero. That a step of EM is
a gradient step in a metric of its own is of Xu & Jordan, On convergence properties of the EM
algorithm for Gaussian mixtures (1996), Neural Computation 8(1).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.estimates import CentredStatistics
from fastgmm.covariance.linalg import diagonals, product
from fastgmm.families.frozen import Frozen
from fastgmm.families.noise import weight_left
from fastgmm.parameters import MixtureParameters, Parameters
from fastgmm.statistics import MomentForm

_LEAST_SHARE = np.finfo(np.float64).tiny


def is_unconstrained(structure: CovarianceStructure) -> bool:
    """Whether any covariances of its shape are of a structure: its gradient is then that of EM."""
    k, d = 3, 5
    axis = structure.component_axis
    if structure.holds_matrices:
        n_arrays, n_each = (1 if axis is None else k), d * (d + 1) // 2
    elif axis is None:
        return False
    else:
        n_arrays, n_each = k, (d if axis == -2 else 1)
    return structure.n_free_parameters(k, d) == n_arrays * n_each


@dataclass(frozen=True, eq=False)
class Chart:
    """Coordinates about a reference.

    Parameters
    ----------
    structure : CovarianceStructure
    reference : Parameters
    reg_covar : float or ndarray of shape (d,)
    shares : ndarray of shape (k,), optional
        Of the rows, that components have at the reference; by default its weights.
    frozen : Frozen, optional
        What stays as it is.
    with_noise : bool, optional
        Whether noise has the weight that components leave.
    """

    structure: CovarianceStructure
    reference: Parameters
    reg_covar: Any
    shares: np.ndarray | None = None
    frozen: Frozen | None = None
    with_noise: bool = False

    @property
    def n_coordinates(self) -> int:
        """Of a position."""
        k, d = self.reference.means.shape
        return k + self.with_noise + k * d + (1 if self._is_shared else k) * self._size

    # -- mixtures and coordinates ------------------------------------------------------------------
    def point(self, position: np.ndarray) -> Parameters:
        """The mixture at a position."""
        a, u, t = self._parts(position)
        logits = self._log_weights(self.reference) + a / self._weight_roots
        weights = np.exp(logits - logits.max())
        weights = (weights / weights.sum())[: len(self._roots)]
        moves = u / self._roots[:, np.newaxis]
        if self._is_matrix:
            means = self.reference.means + np.einsum("...ij,...j->...i", self._lower, moves)
            lower = product(self._lower, self._triangles(t))
            covariances = product(lower, lower.swapaxes(-1, -2))
        else:
            means = self.reference.means + self._deviations * moves
            covariances = (self._deviations * np.exp(t * self._units[1])) ** 2
        return self._mixture(weights, means, covariances)

    def position(self, parameters: Parameters) -> np.ndarray:
        """The coordinates of a mixture."""
        logits = self._log_weights(parameters) - self._log_weights(self.reference)
        moves = parameters.means - self.reference.means
        factors = self._factors(parameters)
        if self._is_matrix:
            u = np.einsum("...ji,...j->...i", self._factors(self.reference), moves)
            lower = np.linalg.inv(factors).swapaxes(-1, -2)
            m = product(np.ascontiguousarray(self._factors(self.reference).swapaxes(-1, -2)), lower)
            t = m[(..., *self._below)] / self._units[0]
            on = np.log(diagonals(m)) / self._units[1]
            t = np.concatenate([t, on], axis=-1)
        else:
            u = moves / self._deviations
            t = -np.log(factors * self._deviations) / self._units[1]
        u = u * self._roots[:, np.newaxis]
        return self._joined(logits * self._weight_roots, u, t)

    def largest_change(self, direction: np.ndarray) -> float:
        """The largest relative change along a direction: of log-weights, deviations and means."""
        a, u, t = self._parts(direction)
        on = t[..., self._below[0].size :] if self._is_matrix else t
        parts = (a / self._weight_roots, u / self._roots[:, np.newaxis], on * self._units[1])
        return float(max(np.abs(part).max() for part in parts))

    # -- what is climbed ---------------------------------------------------------------------------
    def penalty(self, parameters: Parameters) -> float:
        r"""What regularisation takes from the bound: :math:`\frac12 \sum_c w_c tr(R S_c^{-1})`.

        With :math:`w` the shares at the reference and :math:`R` the regularisation. Where
        :math:`w` are those of the M-step, its covariances maximise what is left.
        """
        if not np.any(self.reg_covar):
            return 0.0
        factors = self._factors(parameters)
        precisions = (factors**2).sum(axis=-1) if self._is_matrix else factors**2
        precisions = np.broadcast_to(precisions, self.reference.means.shape)
        return 0.5 * float(self._shares @ (precisions * self.reg_covar).sum(axis=-1))

    @cached_property
    def regularized_share(self) -> float:
        """Largest share of regularisation in what a feature varies by if those before are known."""
        factors = self._factors(self.reference)
        roots = diagonals(factors) if self._is_matrix else factors
        shares = roots**2 * self.reg_covar
        moving = self._moving[2]
        if len(moving) == len(shares):
            shares = shares[moving]
        return float(np.max(shares, initial=0.0))

    def gradient(
        self, parameters: Parameters, after: Parameters, shares: np.ndarray | None = None
    ) -> np.ndarray:
        """Gradient of the bound less `penalty`, by Fisher's identity from the next step of EM.

        Parameters
        ----------
        parameters : Parameters
        after : Parameters
            What a step of EM makes of them.
        shares : ndarray of shape (k,), optional
            Of the rows, in that step; by default the weights after it.
        """
        weight = after.weights if shares is None else shares
        moves = after.means - parameters.means
        slopes = self._slopes_of_weights(weight, parameters) / self._weight_roots
        factors = self._factors(parameters)
        if self._is_matrix:
            relative = product(self._lower_transposed, factors)  # M inverted and transposed
            u = np.einsum("...ji,...j->...i", factors, weight[:, np.newaxis] * moves)
            u = np.einsum("...ij,...j->...i", relative, u)
            scatter = self._scatter_of_matrices(weight, moves, after)
            white = product(product(factors.swapaxes(-1, -2).copy(), scatter), factors)
            count = weight.sum(keepdims=True) if self._is_shared else weight
            diagonals(white)[...] -= count[:, np.newaxis]
            of_m = product(relative, white)
            below = of_m[(..., *self._below)] * self._units[0]
            on = diagonals(of_m) / diagonals(relative) * self._units[1]
            t = np.concatenate([below, on], axis=-1)
        else:
            u = weight[:, np.newaxis] * moves * factors**2 * self._deviations
            t = self._slopes_of_variances(weight, moves, after, factors)
        return self._joined(slopes, u / self._roots[:, np.newaxis], t)

    def _slopes_of_weights(self, shares: np.ndarray, parameters: Parameters) -> np.ndarray:
        """Slopes of log-weights, of which those that move share what others leave."""
        weights, shares = self._with_noise(parameters.weights), self._with_noise(shares)
        moving = self._moving[0]
        left = weights[moving].sum()
        of_left = shares[moving].sum() / left if left > 0.0 else 1.0
        return shares - weights * of_left

    def _scatter_of_matrices(self, weight, moves, after):
        """Second moments (k or 1, d, d) about the means before, as if regularisation were rows."""
        covariances = after.covariances.reshape(-1, *after.covariances.shape[-2:])
        if self._is_shared:
            total = weight.sum()
            scatter = total * covariances
            scatter += product((weight[:, np.newaxis] * moves).T.copy(), moves)
            diagonals(scatter)[...] += (self._shares.sum() - total) * self.reg_covar
            return scatter
        scatter = covariances + moves[:, :, np.newaxis] * moves[:, np.newaxis, :]
        scatter *= weight[:, np.newaxis, np.newaxis]
        gained = (self._shares - weight)[:, np.newaxis] * self.reg_covar
        diagonals(scatter)[...] += gained
        return scatter

    def _slopes_of_variances(self, weight, moves, after, factors):
        """Slopes (k, d or 1) of the coordinates of variances."""
        k, d = moves.shape
        variances, squares, added = after.covariances.reshape(k, -1), moves**2, self.reg_covar
        if self.structure.component_axis == -1:
            squares = squares.mean(axis=1, keepdims=True)
            added = np.mean(added)
        weight = weight[:, np.newaxis]
        scatter = weight * (variances + squares)
        scatter += (self._shares[:, np.newaxis] - weight) * added
        n_shared = d // squares.shape[1]
        return (scatter * factors**2 - weight) * n_shared * self._units[1]

    # -- the reference -----------------------------------------------------------------------------
    @cached_property
    def _is_native(self) -> bool:
        return is_unconstrained(self.structure)

    @cached_property
    def _is_matrix(self) -> bool:
        return not self._is_native or self.structure.holds_matrices

    @cached_property
    def _is_shared(self) -> bool:
        return self._is_native and self.structure.component_axis is None

    @cached_property
    def _shares(self) -> np.ndarray:
        return self.reference.weights if self.shares is None else self.shares

    @cached_property
    def _roots(self) -> np.ndarray:
        return np.sqrt(np.maximum(self._shares, _LEAST_SHARE))

    @cached_property
    def _weight_roots(self) -> np.ndarray:
        return np.sqrt(np.maximum(self._with_noise(self._shares), _LEAST_SHARE))

    @cached_property
    def _moving(self) -> tuple[np.ndarray, ...]:
        """What is not frozen: weights, that of noise among them; means; covariances."""
        k = len(self.reference.means)
        if self.frozen is None:
            masks = [np.ones(k, dtype=bool)] * 3
        else:
            masks = [~mask for mask in self.frozen.masks]
        weights, means, covariances = masks
        if self.with_noise:
            weights = np.append(weights, True)
        return weights, means, covariances[:1] if self._is_shared else covariances

    def _joined(self, a: np.ndarray, u: np.ndarray, t: np.ndarray) -> np.ndarray:
        """A position, or a direction, of its parts; nothing where they are frozen."""
        weights, means, covariances = self._moving
        parts = (a, weights), (u, means[:, np.newaxis]), (t, covariances[:, np.newaxis])
        return np.concatenate([np.where(moves, part, 0.0).ravel() for part, moves in parts])

    def _with_noise(self, weights: np.ndarray) -> np.ndarray:
        """Weights with that of noise, if there is any, as the last."""
        return np.append(weights, weight_left(weights)) if self.with_noise else weights

    def _log_weights(self, parameters: Parameters) -> np.ndarray:
        return np.log(np.maximum(self._with_noise(parameters.weights), _LEAST_SHARE))

    @cached_property
    def _units(self) -> tuple[np.ndarray, np.ndarray]:
        """What the coordinates of covariances are multiplied by: off the diagonal, and on it."""
        roots = self._roots[:, np.newaxis]
        if self._is_shared:
            roots = np.sqrt(self._shares.sum(keepdims=True))[:, np.newaxis]
        n_shared = self.reference.means.shape[1] if self._size == 1 and not self._is_matrix else 1
        return 1.0 / roots, 1.0 / (roots * np.sqrt(2.0 * n_shared))

    @cached_property
    def _size(self) -> int:
        """Coordinates of one covariance."""
        d = self.reference.means.shape[1]
        if self._is_matrix:
            return d * (d + 1) // 2
        return 1 if self.structure.component_axis == -1 else d

    @cached_property
    def _below(self) -> tuple[np.ndarray, np.ndarray]:
        return _places_below(self.reference.means.shape[1])

    @cached_property
    def _lower(self) -> np.ndarray:
        """Cholesky factors of the reference's covariances."""
        return np.linalg.inv(self._factors(self.reference)).swapaxes(-1, -2).copy()

    @cached_property
    def _lower_transposed(self) -> np.ndarray:
        return self._lower.swapaxes(-1, -2).copy()

    @cached_property
    def _deviations(self) -> np.ndarray:
        return 1.0 / self._factors(self.reference)

    def _factors(self, parameters: Parameters) -> np.ndarray:
        """Precision factors as matrices (k or 1, d, d), or one per variance, (k, d or 1)."""
        k, d = parameters.means.shape
        factors = np.asarray(parameters.precisions_cholesky)
        if not self._is_native:
            return self.structure.as_matrices(factors, k, d)
        return factors.reshape(-1, d, d) if self._is_matrix else factors.reshape(k, -1)

    def _parts(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k, d = self.reference.means.shape
        n_weights = k + self.with_noise
        a, u, t = np.split(position, [n_weights, n_weights + k * d])
        return a, u.reshape(k, d), t.reshape(-1, self._size)

    def _triangles(self, t: np.ndarray) -> np.ndarray:
        d = self.reference.means.shape[1]
        n_below = self._below[0].size
        m = np.zeros((len(t), d, d))
        m[(..., *self._below)] = t[:, :n_below] * self._units[0]
        diagonals(m)[...] = np.exp(t[:, n_below:] * self._units[1])
        return m

    def _mixture(self, weights, means, covariances) -> Parameters:
        """The mixture with these parts; the covariances nearest to them that the structure has."""
        structure = self.structure
        if self._is_native:
            covariances = covariances.reshape(self.reference.covariances.shape)
        else:
            covariances = _projected(structure, weights, means, covariances, self.reference)
        mixture = replace(
            self.reference,
            weights=weights,
            means=means,
            covariances=covariances,
            precisions_cholesky=structure.factor(covariances),
        )
        if self.frozen is None:
            return mixture
        assert isinstance(mixture, MixtureParameters)
        return self.frozen.holding(mixture)


def _projected(
    structure: CovarianceStructure,
    weights: np.ndarray,
    means: np.ndarray,
    matrices: np.ndarray,
    previous: Parameters,
) -> np.ndarray:
    """What the structure's M-step makes of rows with these covariances (k, d, d)."""
    form = MomentForm(structure.forms.moments)
    scatter = weights[:, np.newaxis, np.newaxis] * matrices
    if form is MomentForm.DIAGONAL:
        scatter = diagonals(scatter)
    elif form is MomentForm.TRACE:
        scatter = diagonals(scatter).sum(axis=-1)
    elif form is MomentForm.NONE:
        scatter = scatter.sum(axis=0)
    return structure.fit(CentredStatistics(form, weights, means, scatter), 0.0, previous)


@lru_cache(maxsize=8)
def _places_below(d: int) -> tuple[np.ndarray, np.ndarray]:
    return np.tril_indices(d, -1)
