"""The smaller of two boxes around the rows of a source, by volume."""

from functools import partial

import numpy as np

from fastgmm.sources.base import Chunk, RowSource, survey

_FLAT = 1e-10
"""Width of a box along an axis, relative to those of the features that the axis is made of, below
which rows are taken for linearly dependent."""

_UNEVEN = 1e4
"""Ratio of variances of features, beyond which LAPACK is given the largest first.

It keeps the digits of the small ones then.
"""


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
    source, d = source.scaled(), source.n_features
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    total, mean, second = 0.0, np.zeros(d), np.zeros((d, d))
    with np.errstate(over="ignore", invalid="ignore"):
        for lowest, highest, weight, its_mean, its_second in survey(_extent, source):
            low, high = np.fmin(low, lowest), np.fmax(high, highest)
            # Moments of both (Chan, Golub and LeVeque 1979).
            total, shift = total + weight, its_mean - mean
            second += its_second + (total - weight) * (weight / total) * np.outer(shift, shift)
            mean = mean + weight / total * shift
    ranges = high - low
    box = np.vstack([low, np.diag(ranges)])
    if d == 1 or source.missing or not (high > low).all():
        return box
    covariance = second / total
    if not np.isfinite(covariance).all():
        return box
    axes = _principal_axes(covariance)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    for lowest, highest in survey(partial(_reach, origin=mean, axes=axes), source):
        low, high = np.minimum(low, lowest), np.maximum(high, highest)
    widths = high - low
    along_features = np.abs(axes * ranges[:, np.newaxis]).max(axis=0)
    if not (widths > _FLAT * along_features).all() or _log_volume(box) <= np.log(widths).sum():
        return box
    return np.vstack([mean + axes @ low, widths[:, np.newaxis] * axes.T])


def _principal_axes(covariance: np.ndarray) -> np.ndarray:
    """Axes of a covariance, in columns."""
    variances = covariance.diagonal()
    if not variances.max() > _UNEVEN * variances.min():
        return np.linalg.eigh(covariance)[1]
    order = np.argsort(-variances)
    axes = np.empty_like(covariance)
    axes[order] = np.linalg.eigh(covariance[np.ix_(order, order)])[1]
    return axes


def _extent(chunk: Chunk) -> tuple[np.ndarray, np.ndarray, float, np.ndarray, np.ndarray]:
    """Ends of the rows of a chunk, their weight, mean, and outer moments about it.

    Ends pass over NaN; moments do not.
    """
    rows = chunk.rows.astype(np.float64)
    low, high = _ends(rows, np.fmin, np.fmax)
    weights = chunk.weights if len(chunk.weights) else np.ones(len(rows))
    shares = weights[:, np.newaxis]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = (rows * shares).sum(axis=0) / weights.sum()
        rows -= mean
        return low, high, float(weights.sum()), mean, (rows * shares).T @ rows


def _reach(chunk: Chunk, origin: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the rows of a chunk along other axes."""
    return _ends((chunk.rows - origin) @ axes, np.minimum, np.maximum)


def _ends(rows: np.ndarray, lesser: np.ufunc, greater: np.ufunc) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest of each feature: much faster of columns that lie in one piece."""
    columns = np.ascontiguousarray(rows.T)
    return lesser.reduce(columns, axis=1), greater.reduce(columns, axis=1)


def _log_volume(box: np.ndarray) -> float:
    return float(np.log(np.diagonal(box[1:])).sum())
