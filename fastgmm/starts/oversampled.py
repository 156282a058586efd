"""K-means||: a start from rows that are drawn many at a time, so that few passes over them do."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm.engines.base import Engine
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks
from fastgmm.starts.kmeans import kmeans
from fastgmm.starts.records import LabelledRows

_ROUNDS = 5
_PER_CLUSTER = 2
"""Candidates for every cluster and round."""


def kmeans_parallel(
    source: RowSource,
    n_clusters: int,
    random_state: np.random.RandomState,
    engine: Engine,
) -> LabelledRows:
    """The rows nearest to each of the centers that k-means|| finds.

    Bahmani et al. 2012, "Scalable k-means++", with l = 2 k candidates in each of 5 rounds. Every
    round draws exactly l rows without replacement, in proportion to weights and squared distances
    from the candidates so far (Efraimidis & Spirakis 2006); the paper draws l on average, which
    takes a further pass. The candidates, each with the weight of the rows nearest to it, are
    clustered by k-means in this process.

    Parameters
    ----------
    source : RowSource
    n_clusters : int
    random_state : RandomState
    engine : Engine
        Of this process.
    """
    grid = RowGrid.of(source.n_rows, source.n_features, n_clusters)
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    candidates = np.empty((0, source.n_features))
    for number in range(_ROUNDS + 1):
        most = _PER_CLUSTER * n_clusters if number else 1
        drawn = merge_chunks(_Draw(candidates, (seed, number), most), source, grid, engine)
        candidates = np.concatenate([candidates, drawn.rows])
    centers = candidates
    if len(candidates) > n_clusters:
        weights = merge_chunks(_WeightsOf(candidates), source, grid, engine)
        of_candidates = kmeans(candidates, n_clusters, random_state, weights, engine).labels
        groups = (of_candidates == c for c in range(n_clusters))
        centers = np.stack(
            [np.average(candidates[g], axis=0, weights=weights[g]) for g in groups if g.any()]
        )
    elif len(candidates) < n_clusters:
        warnings.warn(
            f"Number of distinct clusters ({len(candidates)}) found smaller than "
            f"n_clusters ({n_clusters}). Possibly due to duplicate points in X.",
            ConvergenceWarning,
            stacklevel=2,
        )
    found = merge_chunks(_LabelsBy(centers), source, grid, engine)
    return LabelledRows(found.labels, n_clusters)


@dataclass(frozen=True, eq=False, slots=True)
class _Drawn:
    """Rows with the largest keys; those of neighbouring chunks compete.

    Parameters
    ----------
    keys : ndarray of shape (m,)
        Falling.
    rows : ndarray of shape (m, d)
    most : int
        How many there may be.
    """

    keys: np.ndarray
    rows: np.ndarray
    most: int

    def __add__(self, other: "_Drawn") -> "_Drawn":
        keys = np.concatenate([self.keys, other.keys])
        chosen = np.argsort(-keys, kind="stable")[: self.most]
        return _Drawn(keys[chosen], np.concatenate([self.rows, other.rows])[chosen], self.most)


@dataclass(frozen=True, eq=False, slots=True)
class _Draw:
    """Draws of a chunk, by weight and squared distance from the candidates so far.

    Parameters
    ----------
    candidates : ndarray of shape (m, d)
        If there are none, distances are equal.
    seed : tuple of int
        With the first row of a chunk, it makes the chunk's own random numbers.
    most : int
    """

    candidates: np.ndarray
    seed: tuple[int, int]
    most: int

    def __call__(self, chunk: Chunk) -> _Drawn:
        shares = np.ones(len(chunk.rows))
        if len(self.candidates):
            _, shares = nearest(chunk, self.candidates)
        random = np.random.default_rng([*self.seed, chunk.start])
        with np.errstate(divide="ignore"):  # a candidate has no share
            keys = np.log(shares) - np.log(random.standard_exponential(len(shares)))
            if len(chunk.weights):
                keys += np.log(chunk.weights)
        chosen = np.argsort(-keys, kind="stable")[: self.most]
        chosen = chosen[shares[chosen] > 0]
        rows = chunk.rows[chosen].astype(np.float64)
        return _Drawn(keys[chosen], rows, self.most)


@dataclass(frozen=True, eq=False, slots=True)
class _WeightsOf:
    """Weights (m,) of the rows of a chunk that are nearest to each center."""

    centers: np.ndarray

    def __call__(self, chunk: Chunk) -> np.ndarray:
        labels, _ = nearest(chunk, self.centers)
        weights = chunk.weights if len(chunk.weights) else None
        return np.bincount(labels, weights, minlength=len(self.centers)).astype(np.float64)


@dataclass(frozen=True, eq=False, slots=True)
class _Labels:
    """Labels of neighbouring chunks; they add by following one another."""

    labels: np.ndarray

    def __add__(self, other: "_Labels") -> "_Labels":
        return _Labels(np.concatenate([self.labels, other.labels]))


@dataclass(frozen=True, eq=False, slots=True)
class _LabelsBy:
    """Labels of a chunk by its nearest centers."""

    centers: np.ndarray

    def __call__(self, chunk: Chunk) -> _Labels:
        return _Labels(nearest(chunk, self.centers)[0])


def nearest(chunk: Chunk, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of the nearest center, the first of several, and its squared distance.

    Parameters
    ----------
    chunk : Chunk
    centers : ndarray of float64, shape (m, d)

    Returns
    -------
    labels : ndarray of int32, shape (rows,)
    distances : ndarray of shape (rows,)
    """
    from fastgmm.kernels.kmeans.lloyd import lloyd_pass

    rows, m = chunk.rows, len(centers)
    origin = centers[0]
    moved = centers - origin
    offsets = -0.5 * (moved**2).sum(axis=1)
    labels = np.full(len(rows), m, dtype=np.int32)
    limits = np.empty(len(rows), dtype=np.float32)
    drifts = np.append(np.zeros(m, dtype=np.float32), np.float32(np.inf))
    no_sums = np.zeros((0, rows.shape[1] + 1))
    with np.errstate(over="ignore"):
        narrow = moved.astype(np.float32), offsets.astype(np.float32)
    operands = origin, moved, offsets, *narrow, 0.0, drifts
    lloyd_pass(rows.dtype)(rows, chunk.weights, *operands, labels, limits, no_sums)
    doubtful = np.flatnonzero(np.isneginf(limits))
    labels[doubtful], least = 0, np.full(len(doubtful), np.inf)
    for number, center in enumerate(centers if len(doubtful) else ()):
        apart = _squared(rows[doubtful] - center)
        labels[doubtful[apart < least]] = number
        least = np.minimum(least, apart)
    return labels, _squared(rows - centers[labels])


def _squared(apart: np.ndarray) -> np.ndarray:
    return np.einsum("nd,nd->n", apart, apart)
