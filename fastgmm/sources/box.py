"""The smaller of two boxes around the rows of a source, by volume."""

import numpy as np

from fastgmm.sources.base import RowSource, scan

_FLAT = 1e-10
"""Width of a box, relative to the largest, below which rows are taken for linearly dependent."""


def box_around(source: RowSource) -> np.ndarray:
    """A corner and the edges of a box around all rows: the less voluminous of two.

    One is that of the features, the other that of the principal axes, as mclust's `hypvol` has it
    (Fraley and Raftery 2002, sec. 4). Rows count by their weights for the axes. All rows are read
    twice. Where values are missing, it is the box of the features around those that are there.

    Parameters
    ----------
    source : RowSource
        Without rows of weight 0.

    Returns
    -------
    box : ndarray of shape (d + 1, d)
        The corner, and below it an edge in every row: rows are at corner + u @ edges, u from 0 to
        1. Edges are zero along features that are constant.
    """
    d = source.n_features
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    total, first, second, origin = 0.0, np.zeros(d), np.zeros((d, d)), None
    for chunk in scan(source):
        rows = chunk.rows.astype(np.float64)
        # These pass over NaN.
        low = np.fmin(low, np.fmin.reduce(rows, axis=0))
        high = np.fmax(high, np.fmax.reduce(rows, axis=0))
        if source.missing:
            continue
        origin = rows[0] if origin is None else origin
        rows -= origin
        weighted = rows * chunk.weights[:, np.newaxis] if len(chunk.weights) else rows
        total += chunk.weights.sum() if len(chunk.weights) else len(rows)
        first += weighted.sum(axis=0)
        second += weighted.T @ rows
    box = np.vstack([low, np.diag(high - low)])
    if d == 1 or source.missing or not (high > low).all():
        return box
    # Of features in units of their own, so that none is lost beside the others.
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = second / total - np.outer(first / total, first / total)
    if not np.isfinite(covariance).all():
        return box
    _, axes = np.linalg.eigh(covariance)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    for chunk in scan(source):
        scores = (chunk.rows - origin) @ axes
        low, high = np.minimum(low, scores.min(axis=0)), np.maximum(high, scores.max(axis=0))
    widths = high - low
    if not widths.min() > _FLAT * widths.max() or _log_volume(box) <= np.log(widths).sum():
        return box
    return np.vstack([origin + axes @ low, widths[:, np.newaxis] * axes.T])


def _log_volume(box: np.ndarray) -> float:
    return float(np.log(np.diagonal(box[1:])).sum())
