"""The noise of a fit: its volume, and the weight that it begins with."""

import math
from typing import Any

import numpy as np

from fastgmm.estimator.missing import allows_missing
from fastgmm.estimator.rows import FitRows
from fastgmm.families.noise import USUAL_SHARE, Noise
from fastgmm.sources.box import box_around
from fastgmm.sources.sampling import all_weights

_LEAST_SHARE = 1e-6
"""Of all rows, that the components have to keep."""

NOISE_ATTRIBUTES = ("noise_weight_", "noise_volume_", "noise_box_")


def noise_to_fit(estimator: Any, data: FitRows) -> Noise | None:
    """What an estimator's arguments ask for; None for no noise.

    Raises
    ------
    ValueError
        If they are out of range, or there is no box around the rows.
    """
    noise = getattr(estimator, "noise", None)
    if noise is None:
        return None
    if isinstance(noise, (bool, np.bool_)) or not (isinstance(noise, str) or _is_finite(noise)):
        raise ValueError(f"noise should be None, 'box' or a volume, but got {noise!r}.")
    if allows_missing(estimator) and not isinstance(noise, str):
        raise ValueError(
            f"noise={noise!r} and missing_values='em' do not go together: where values are "
            "missing, the volume of noise is made of the ranges of the features that are there. "
            "noise='box' takes these."
        )
    share = USUAL_SHARE
    if data.noise is not None:
        weights = all_weights(data.source)
        share = float(np.average(data.noise, weights=weights))
    names = getattr(estimator, "feature_names_in_", range(data.source.n_features))
    words = [f"feature {name!r}" for name in list(names)]
    return Noise.within(box_around(data.source), noise, share, words)


def _is_finite(number: Any) -> bool:
    """Whether a number is one that float64 has."""
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def check_noise_left_rows(noise: Noise | None, weights: np.ndarray) -> None:
    """Raise an error if noise has taken all rows, so that nothing is known of the components.

    Raises
    ------
    ValueError
    """
    if noise is not None and not weights.sum() > _LEAST_SHARE:
        raise ValueError(
            f"Noise has taken all rows: its volume, {noise.volume:.6g}, is too small for them, or "
            "the rows that noise_init leaves to components weigh nothing."
        )
