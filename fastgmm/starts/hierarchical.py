"""Ward's hierarchical clustering, as a start: what comes out does not hang on luck."""

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from fastgmm.engines.base import Engine
from fastgmm.starts.records import LabelledRows

MOST_ROWS = 2000
"""Rows that are merged; all others join the nearest cluster. mclust takes as many."""

_ROWS_AT_A_TIME = 1 << 16


def hierarchical(
    X: np.ndarray,
    n_clusters: int,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
    engine: Engine,
) -> LabelledRows:
    """Clusters that Ward's criterion merges, of features scaled as mclust scales them.

    Features are standardised, turned to their principal axes, and divided by the square roots of
    the singular values (Scrucca & Raftery 2015, "Improved initialisation of model-based clustering
    using Gaussian hierarchical partitions", Adv. Data Anal. Classif. 9, sec. 3.1). The tree is
    Ward's (1963), on at most 2000 rows, which are drawn by weight and without replacement; of fewer
    rows, on all of them, whatever they weigh, and nothing is drawn.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    n_clusters : int
    random_state : RandomState
    sample_weight : ndarray of shape (n,) or None
    engine : Engine
        Not used: the rows are few.
    """
    from scipy.cluster import hierarchy

    if n_clusters == 1:
        return LabelledRows(np.zeros(len(X), dtype=np.int64), 1)
    chosen = np.arange(len(X))
    if len(X) > MOST_ROWS:
        shares = None if sample_weight is None else sample_weight / sample_weight.sum()
        chosen = random_state.choice(len(X), MOST_ROWS, replace=False, p=shares)
    sample = X[chosen].astype(np.float64)
    centre, turn = _scaling(sample)
    scaled = (sample - centre) @ turn
    tree = hierarchy.linkage(scaled, "ward")
    of_sample = hierarchy.cut_tree(tree, n_clusters)[:, 0]
    if len(chosen) == len(X):
        return LabelledRows(of_sample.astype(np.int64), n_clusters)
    centres = np.stack([scaled[of_sample == c].mean(axis=0) for c in range(n_clusters)])
    labels = np.empty(len(X), dtype=np.int64)
    for start in range(0, len(X), _ROWS_AT_A_TIME):
        part = (X[start : start + _ROWS_AT_A_TIME] - centre) @ turn
        labels[start : start + _ROWS_AT_A_TIME] = pairwise_distances_argmin(part, centres)
    labels[chosen] = of_sample
    return LabelledRows(labels, n_clusters)


def _scaling(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of some rows, and the matrix that scales their distances from it."""
    centre = sample.mean(axis=0)
    deviations = sample.std(axis=0)
    # A constant feature differs by rounding, which should not be blown up.
    rounding = np.finfo(np.float64).eps * np.abs(sample).max(axis=0) * np.sqrt(len(sample))
    deviations = np.where(deviations > rounding, deviations, np.inf)
    _, values, axes = np.linalg.svd((sample - centre) / deviations, full_matrices=False)
    is_axis = values > values.max() * np.finfo(np.float64).eps * max(sample.shape)
    roots = np.sqrt(np.where(is_axis, values, np.inf))
    return centre, axes.T / roots / deviations[:, np.newaxis]
