"""Starts from a mixture of fewer components: the worst of them is split in two."""

from typing import Any

import numpy as np

REACHES = (1.0, 0.5, 0.25, 0.0)
"""Distances of the halves from the mean, in deviations, one tried after another. Two halves at the
mean have the likelihood of the whole, from which EM does not fall."""


def split(model: Any, n_components: int, reach: float) -> dict[str, Any]:
    """Arguments of a start with more components than a fitted model has.

    The worst component is the one of largest weight times largest variance in any direction. Its
    halves have half its weight each, and stand on both sides of its mean in that direction.

    Parameters
    ----------
    model : GaussianMixture
    n_components : int
    reach : float
        Of the halves from the mean, in standard deviations.

    Returns
    -------
    arguments : dict
        `weights_init`, `means_init` and `precisions_init`.
    """
    structure = model._structure
    weights, means = np.array(model.weights_, dtype=float), np.array(model.means_, dtype=float)
    k, d = means.shape
    origin = list(range(k))
    matrices = structure.as_matrices(np.asarray(model.covariances_, dtype=float), k, d)
    values, axes = np.linalg.eigh(matrices)
    longest, directions = values[:, -1], axes[:, :, -1]
    while len(weights) < n_components:
        worst = int(np.argmax(weights * longest[origin]))
        step = reach * np.sqrt(longest[origin[worst]]) * directions[origin[worst]]
        weights[worst] /= 2
        weights = np.append(weights, weights[worst])
        means = np.vstack([means, means[worst] + step])
        means[worst] -= step
        origin.append(origin[worst])
    precisions = np.asarray(model.precisions_, dtype=float)
    if structure.component_axis is not None:
        precisions = precisions.take(origin, axis=structure.component_axis)
    return {
        "weights_init": weights / weights.sum(),
        "means_init": means,
        "precisions_init": precisions,
    }
