"""Noise: a further component, of the same density everywhere."""

import math
from typing import Any, NamedTuple, Self

import numpy as np

from fastgmm.parameters import Background

USUAL_SHARE = 0.05
"""Weight that noise begins with, where the caller does not say which rows are noise."""


class Noise(NamedTuple):
    """What is settled about noise before a fit; its weight moves (Fraley and Raftery 2002, sec. 4).

    Parameters
    ----------
    volume : float
        One over the density, in units of the features.
    box : ndarray of shape (d + 1, d)
        Where its rows are drawn: a corner, and edges.
    share : float
        The weight to begin with.
    given : bool
        Whether the volume was given, and so is no box's around the rows.
    """

    volume: float
    box: np.ndarray
    share: float = USUAL_SHARE
    given: bool = False

    @classmethod
    def within(cls, box: np.ndarray, noise: str | float, share: float, names: Any) -> Self:
        """Noise of a box around the rows, or of a given volume.

        Parameters
        ----------
        box : ndarray of shape (d + 1, d)
        noise : float or 'box'
        share : float
        names : sequence
            Of the features, for errors.

        Raises
        ------
        ValueError
            If the box has no volume, or one beyond all numbers.
        """
        edges = box[1:]
        lengths = np.linalg.norm(edges, axis=1)
        flat = [name for name, length in zip(names, lengths, strict=True) if not length > 0]
        log_volume = float(np.log(lengths[lengths > 0]).sum())
        if not isinstance(noise, str):
            # The same box, so much larger or smaller.
            scale = math.exp((math.log(noise) - log_volume) / max(len(names) - len(flat), 1))
            middle = box[0] + 0.5 * edges.sum(axis=0)
            edges = edges * scale
            box = np.vstack([middle - 0.5 * edges.sum(axis=0), edges])
            return cls(float(noise), box, share, given=True)
        if flat:
            raise ValueError(
                f"noise='box' needs a box around the rows, but {', '.join(map(str, flat))} is "
                "constant, and the box has no volume. Give the volume as a number."
            )
        with np.errstate(over="ignore"):
            volume = float(np.exp(log_volume))
        if not 0.0 < volume < np.inf:
            raise ValueError(
                f"noise='box' needs a box around the rows, but the logarithm of its volume is "
                f"{log_volume:.6g}, beyond all numbers. Scale the features."
            )
        return cls(volume, box, share)

    @classmethod
    def of_fitted(cls, estimator: Any) -> Self | None:
        """The noise of a fitted estimator; None if it has none."""
        if not has_noise(estimator):
            return None
        given = not isinstance(estimator.noise, str)
        return cls(estimator.noise_volume_, estimator.noise_box_, given=given)

    @property
    def ends(self) -> np.ndarray:
        """(2, d): from where to where the box reaches along the features."""
        corner, edges = self.box[0], self.box[1:]
        return corner + np.stack([np.minimum(edges, 0.0), np.maximum(edges, 0.0)]).sum(axis=1)

    def of_some(self, chosen: np.ndarray) -> Self:
        """Noise of some features (p,), or of all in another order.

        Raises
        ------
        ValueError
            If the volume was given, and a feature is left out.
        """
        d = self.box.shape[1]
        if len(chosen) == d:
            return self._replace(box=self.box[:, chosen])
        self.background(1.0).of_some(chosen[np.newaxis])
        low, high = self.ends[:, chosen]
        return self._replace(
            volume=float(np.prod(high - low)), box=np.vstack([low, np.diag(high - low)])
        )

    def background(self, weight: Any) -> Background:
        """What an E-step reads of noise of a weight."""
        log_weight = math.log(weight) if weight > 0 else -math.inf
        widths = None
        if not self.given:
            widths = tuple(np.log(np.diff(self.ends, axis=0)[0]).tolist())
        return Background(log_weight - math.log(self.volume), log_weight, widths)


def has_noise(estimator: Any) -> bool:
    """Whether an estimator has been fitted with noise."""
    return hasattr(estimator, "noise_volume_")


def weight_left(weights: np.ndarray) -> float:
    """What the weights of the components leave to noise: nothing, if it is their sum's rounding."""
    left = 1.0 - float(np.sum(weights))
    return left if left > len(weights) * np.finfo(np.float64).eps else 0.0
