"""The noise of a fit: its volume, and the weight that it begins with."""

from typing import Any

import numpy as np

from fastgmm.estimator.missing import allows_missing
from fastgmm.estimator.rows import FitRows
from fastgmm.families.noise import USUAL_SHARE, Noise
from fastgmm.sources.box import box_around
from fastgmm.sources.sampling import all_weights

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
    if isinstance(noise, (bool, np.bool_)) or not (isinstance(noise, str) or np.isfinite(noise)):
        raise ValueError(f"noise should be None, 'box' or a volume, but got {noise!r}.")
    if allows_missing(estimator):
        raise ValueError("noise and missing_values='em' do not go together. Leave one of them out.")
    share = USUAL_SHARE
    if data.noise is not None:
        weights = all_weights(data.source)
        share = float(np.average(data.noise, weights=weights))
    names = data.source.feature_names or [f"feature {j}" for j in range(data.source.n_features)]
    return Noise.within(box_around(data.source), noise, share, names)
