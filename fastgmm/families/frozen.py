"""Parameters that a fit leaves as the caller gave them: ``freeze``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import covariances_of_factors, factors_of_precisions
from fastgmm.parameters import MixtureParameters

INITS = {"weights": "weights_init", "means": "means_init", "covariances": "precisions_init"}
"""What can be frozen, and the argument that gives its values."""


class Masks(NamedTuple):
    """Which components (k,) have a part that is fixed."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def masks_of(freeze: Any, structure: CovarianceStructure, n_components: int) -> Masks:
    """What an argument `freeze` says.

    Parameters
    ----------
    freeze : mapping of str to bool or array-like of shape (k,), or None
    structure : CovarianceStructure
    n_components : int

    Raises
    ------
    ValueError
        If it names what does not exist, or has another shape, or fixes some of the covariances
        where components share a factor.
    """
    freeze = {} if freeze is None else freeze
    if not isinstance(freeze, Mapping):
        raise ValueError(f"freeze should be a dict or None, but got a {type(freeze).__name__}.")
    unknown = [name for name in freeze if name not in INITS]
    if unknown:
        raise ValueError(
            f"freeze names {', '.join(map(repr, unknown))}; what can be frozen is "
            f"{', '.join(map(repr, INITS))}."
        )
    masks = Masks(*(_mask(name, freeze.get(name, False), n_components) for name in INITS))
    if masks.covariances.any() and not masks.covariances.all() and _shares_a_factor(structure):
        raise ValueError(
            f"freeze['covariances'] fixes some of the components, but those of covariance_type="
            f"{structure.name!r} share a part of their covariances: freeze all of them, or none."
        )
    return masks


def _mask(name: str, value: Any, n_components: int) -> np.ndarray:
    """One entry of `freeze` as an array (k,)."""
    mask = np.asarray(value, dtype=object)  # of lists whose lengths differ, too
    truths = all(isinstance(entry, (bool, np.bool_)) for entry in mask.flat)
    if not truths or mask.shape not in ((), (n_components,)):
        raise ValueError(
            f"freeze[{name!r}] should be True, False or a boolean array of shape "
            f"{(n_components,)}, but got {value!r}."
        )
    return np.broadcast_to(mask.astype(bool), n_components)


def _shares_a_factor(structure: CovarianceStructure) -> bool:
    """Whether the covariances of two components have fewer parameters than two of one."""
    return structure.n_free_parameters(2, 5) < 2 * structure.n_free_parameters(1, 5)


def n_parameters(
    structure: CovarianceStructure, masks: Masks, n_features: int, with_noise: bool = False
) -> int:
    """Number of free parameters of a mixture, some parts of which are fixed.

    Of noise, its weight counts.
    """
    k = len(masks.means)
    weights, means, covariances = (k - int(mask.sum()) for mask in masks)
    of_covariances = structure.n_free_parameters(covariances, n_features) if covariances else 0
    return of_covariances + means * n_features + max(weights - 1 + with_noise, 0)


@dataclass(frozen=True, slots=True)
class Frozen:
    """Parts of a mixture that stay what they are.

    Parameters
    ----------
    structure : CovarianceStructure
    masks : Masks
    weights, means, covariances, precisions_cholesky : ndarray or None
        The values of all components; None where nothing is fixed.
    """

    structure: CovarianceStructure
    masks: Masks
    weights: np.ndarray | None
    means: np.ndarray | None
    covariances: np.ndarray | None
    precisions_cholesky: np.ndarray | None

    @classmethod
    def of(
        cls,
        estimator: Any,
        structure: CovarianceStructure,
        n_components: int,
        n_features: int,
    ) -> Self | None:
        """What an estimator asks for; None if it fixes nothing.

        Raises
        ------
        ValueError
            See `masks_of`; also if a value is missing or of another shape, or the weights that are
            fixed leave nothing to the others.
        """
        if estimator.freeze is None:
            return None
        k, d = n_components, n_features
        masks = masks_of(estimator.freeze, structure, k)
        if not any(mask.any() for mask in masks):
            return None
        shapes = {"weights": (k,), "means": (k, d), "covariances": structure.shape(k, d)}
        weights, means, precisions = (
            _value(estimator, name, shapes[name]) if mask.any() else None
            for name, mask in zip(INITS, masks, strict=True)
        )
        if weights is not None and not masks.weights.all() and not weights[~masks.weights].sum():
            raise ValueError("The frozen weights sum to one, and leave nothing to the others.")
        covariances = factors = None
        if precisions is not None:
            try:
                factors = factors_of_precisions(structure, precisions)
            except np.linalg.LinAlgError:
                raise ValueError("precisions_init should be positive definite.") from None
            covariances = covariances_of_factors(structure, factors)
        return cls(structure, masks, weights, means, covariances, factors)

    @property
    def components(self) -> np.ndarray:
        """(k,): those that have any part that is fixed."""
        return np.logical_or.reduce(self.masks)

    def holding(self, parameters: MixtureParameters) -> MixtureParameters:
        """Parameters with what is fixed in its place; the other weights share what is left."""
        changed = {}
        if self.weights is not None:
            changed["weights"] = self._shared_out(parameters.weights, self.weights)
        if self.means is not None:
            mask = self.masks.means[:, np.newaxis]
            changed["means"] = np.where(mask, self.means, parameters.means)
        for name in ("covariances", "precisions_cholesky"):
            fixed = getattr(self, name)
            if fixed is not None:
                changed[name] = self._of_structure(fixed, getattr(parameters, name))
        return replace(parameters, **changed)

    def _shared_out(self, estimated: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        mask = self.masks.weights
        left = max(1.0 - fixed[mask].sum(), 0.0)
        others = 1.0 - estimated[mask].sum()
        if not others > 0:
            return np.where(mask, fixed, 0.0)
        return np.where(mask, fixed, estimated * (left / others))

    def _of_structure(self, fixed: np.ndarray, estimated: np.ndarray) -> np.ndarray:
        axis, mask = self.structure.component_axis, self.masks.covariances
        if axis is None or mask.all():
            return fixed
        return np.where(mask.reshape((-1,) + (1,) * (-axis - 1)), fixed, estimated)


def _value(estimator: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of a part, which has to be given."""
    argument = INITS[name]
    value = getattr(estimator, argument)
    if value is None:
        raise ValueError(f"freeze fixes {name}, but {argument} does not give them.")
    value = np.array(value, dtype=np.float64)
    if value.shape != shape:
        raise ValueError(f"{argument} should have the shape of {shape}, but got {value.shape}.")
    return value
