"""Lloyd's iterations with scikit-learn's stopping rule and its labels, from given centers.

Nothing is stored per row but a label and the limit up to which it holds. There are two ways to take
a step. `QuickSteps` looks only at rows that may change their label, and gives up where the last
digits decide. `SklearnSteps` has the bits of scikit-learn's centers, and its labels for every row
that lies between two of them.
"""

from typing import Protocol

import numpy as np
from scipy.linalg import blas

from fastgmm.sources.base import Chunk
from fastgmm.starts.chunks import Chunks, Undecided, rounding_of_sums

MAX_ITER = 300
TOL = 1e-4
"""Of the squared shift of the centers, relative to the mean variance of the features."""

_LEAST_SHARE = 1 / 64
"""Of the weight that a cluster had: with less left, its sums have too much old rounding."""

SKLEARN_CHUNK = 256
"""Rows that scikit-learn multiplies with the centers at a time."""


class Steps(Protocol):
    """A way to take Lloyd's steps.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
    slack : float
        Relative difference below which rounding may decide that the centers have settled.
    """

    labels: np.ndarray
    slack: float

    def assign(self, centers: np.ndarray) -> int:
        """Bring labels up to date with centers (k, d); how many changed."""
        ...

    def means(self, centers: np.ndarray) -> np.ndarray:
        """The next centers, of the clusters that `assign` found."""
        ...


def lloyd(steps: Steps, centers: np.ndarray, tolerance: float) -> np.ndarray:
    """Labels (n,) of the clusters that Lloyd's iterations end with.

    Parameters
    ----------
    steps : Steps
    centers : ndarray of shape (k, d)
        The first, relative to the rows' origin.
    tolerance : float
        Squared shift of the centers at which to stop.

    Raises
    ------
    Undecided
        If rounding may decide, and the steps are quick ones.
    """
    for _ in range(MAX_ITER):
        if not steps.assign(centers):
            return steps.labels
        moved = steps.means(centers)
        shifts = np.sqrt(((moved - centers) ** 2).sum(axis=1))
        shift, centers = (shifts**2).sum(), moved
        if abs(shift - tolerance) < steps.slack * tolerance:
            raise Undecided
        if shift <= tolerance:
            break
    steps.assign(centers)
    return steps.labels


class BoundedLabels:
    """Labels of all rows, and what spares most rows the work of the next step.

    A row whose nearest center leads by a margin keeps its label until the centers have moved that
    far, and is not even read (Hamerly 2010; here the moves are summed up, which takes no bound per
    row that every step rewrites). The margin counts what rounding does here and in scikit-learn.

    Parameters
    ----------
    chunks : Chunks
    centers : ndarray of shape (k, d)
        Those of the first step.
    leeway : float
        By how much distances to scikit-learn's centers may differ from those to ours, twice.

    Attributes
    ----------
    labels : ndarray of int32, shape (n,)
    limits : ndarray of float32, shape (n,)
        Of drifts; minus infinity for rows in doubt, which keep their label.
    """

    def __init__(self, chunks: Chunks, centers: np.ndarray, leeway: float):
        n, k = chunks.source.n_rows, len(centers)
        self.labels = np.full(n, k, dtype=np.int32)
        self.limits = np.empty(n, dtype=np.float32)
        self._chunks, self._centers, self._leeway = chunks, centers, leeway
        self._drifts = np.append(np.zeros(k, dtype=np.float32), np.float32(np.inf))

    def update(self, centers: np.ndarray, n_sums: int) -> tuple[int, int, np.ndarray]:
        """Bring labels up to date with centers.

        Parameters
        ----------
        centers : ndarray of float64, shape (k, d)
        n_sums : int
            k, or 0 if sums are not wanted.

        Returns
        -------
        changed, in_doubt : int
            Numbers of rows.
        sums : ndarray of shape (n_sums, d + 1)
            The weighted rows and the weights that clusters gained, less those that they lost.
        """
        from fastgmm.kernels.kmeans.lloyd import lloyd_pass

        self._move(centers)
        chunks, d = self._chunks, centers.shape[1]
        assign = lloyd_pass(chunks.source.dtype)
        offsets = -0.5 * (centers**2).sum(axis=1)
        operands = centers, offsets, _narrow(centers), _narrow(offsets), self._leeway, self._drifts

        def changes(chunk: Chunk) -> np.ndarray:
            rows = slice(chunk.start, chunk.stop)
            found = self.labels[rows], self.limits[rows]
            record = np.zeros((n_sums + 1, d + 1))
            record[-1, :2] = assign(
                chunk.rows, chunk.weights, chunks.origin, *operands, *found, record[:-1]
            )
            return record

        record = chunks.add_up(changes)  # whose last bits decide nothing
        return int(record[-1, 0]), int(record[-1, 1]), record[:-1]

    def _move(self, centers: np.ndarray) -> None:
        """Take over centers; drifts grow by how far a row's own and any other moved, at most."""
        moves = np.sqrt(((centers - self._centers) ** 2).sum(axis=1))
        self._centers = centers
        farthest = np.argmax(moves)
        others = np.full(len(moves), moves[farthest])
        others[farthest] = np.delete(moves, farthest).max(initial=0.0)
        # Rounded up to what float32 holds: no rounding of margin + drift then passes it.
        drifts = _narrow(self._drifts[:-1] + (moves + others))
        self._drifts[:-1] = np.nextafter(drifts, np.float32(np.inf))


class QuickSteps:
    """Steps on rows of float64 whose sums change by the rows that change their label.

    Parameters
    ----------
    chunks : Chunks
    centers : ndarray of shape (k, d)
    spread : float
        Root of the mean of |row|^2.
    """

    slack = 1e-9

    def __init__(self, chunks: Chunks, centers: np.ndarray, spread: float):
        leeway = 4 * spread * rounding_of_sums(chunks.source.n_rows)
        self._bounded = BoundedLabels(chunks, centers, leeway)
        self.labels = self._bounded.labels
        self._sums = np.zeros((len(centers), centers.shape[1] + 1))
        self._largest = np.zeros(len(centers))

    def assign(self, centers: np.ndarray) -> int:
        """See `Steps`."""
        changed, in_doubt, sums = self._bounded.update(centers, len(centers))
        if in_doubt:
            raise Undecided
        self._sums += sums
        return changed

    def means(self, centers: np.ndarray) -> np.ndarray:
        """See `Steps`; what to do about empty clusters is left to scikit-learn's way."""
        weights = self._sums[:, -1]
        np.maximum(self._largest, weights, out=self._largest)
        if (weights <= _LEAST_SHARE * self._largest).any():
            raise Undecided
        return self._sums[:, :-1] / weights[:, np.newaxis]


class SklearnSteps:
    """Steps that have the bits of scikit-learn's, on one thread, at every row and center.

    Its sums run over the rows in order, in their own type. Where rounding of distances matters,
    they are its own.

    Parameters
    ----------
    chunks : Chunks
        Of rows that are less their mean already, in C order.
    centers : ndarray of shape (k, d)
    """

    slack = 0.0

    def __init__(self, chunks: Chunks, centers: np.ndarray):
        self._bounded = BoundedLabels(chunks, centers.astype(np.float64), 0.0)
        self.labels = self._bounded.labels
        chunk = chunks.source.read(0, chunks.source.n_rows)
        self._rows, self._weights = chunk.rows, chunk.weights.astype(chunk.rows.dtype)

    def assign(self, centers: np.ndarray) -> int:
        """See `Steps`."""
        changed, in_doubt, _ = self._bounded.update(centers.astype(np.float64), 0)
        return changed + (self._settle(centers) if in_doubt else 0)

    def means(self, centers: np.ndarray) -> np.ndarray:
        """See `Steps`."""
        from fastgmm.kernels.kmeans.lloyd import sums_in_order

        sums, weights = np.zeros_like(centers), np.zeros(len(centers), centers.dtype)
        sums_in_order(centers.dtype)(self._rows, self._weights, self.labels, sums, weights)
        if not weights.all():
            self._relocate(sums, weights, centers)
        sums[weights > 0] *= (1 / weights[weights > 0])[:, np.newaxis]
        sums[weights <= 0] = sums[np.argmax(weights)]
        return sums

    def _settle(self, centers: np.ndarray) -> int:
        """Label the rows in doubt; returns how many changed."""
        return settle(self._rows, np.isneginf(self._bounded.limits), centers, self.labels)

    def _relocate(self, sums, weights, centers) -> None:
        """Move empty clusters to the rows farthest from their centers, as scikit-learn does."""
        distances = ((self._rows - centers[self.labels]) ** 2).sum(axis=1)
        empty = np.flatnonzero(weights == 0)
        if distances.max() == 0:
            return
        farthest = np.argpartition(distances, -len(empty))[: -len(empty) - 1 : -1]
        for cluster, row in zip(empty, farthest, strict=True):
            weight = self._weights[row] if len(self._weights) else weights.dtype.type(1)
            moved = self._rows[row] * weight
            sums[self.labels[row]] -= moved
            weights[self.labels[row]] -= weight
            sums[cluster], weights[cluster] = moved, weight


def settle(rows: np.ndarray, in_doubt: np.ndarray, centers: np.ndarray, labels: np.ndarray) -> int:
    """Label rows by the bits of scikit-learn's distances.

    They come out of products of 256 rows with all centers, whose order of additions BLAS alone
    knows: the same products are formed.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Less their mean, in C order.
    in_doubt : ndarray of bool, shape (n,)
        The rows to label.
    centers : ndarray of shape (k, d)
    labels : ndarray of int32, shape (n,)
        Brought up to date.

    Returns
    -------
    changed : int
        Number of labels.
    """
    chosen = np.flatnonzero(in_doubt)
    norms = np.einsum("ij,ij->i", centers, centers)[:, np.newaxis]
    multiply = blas.dgemm if rows.dtype == np.float64 else blas.sgemm
    found, begin = np.empty_like(labels[chosen]), 0
    while begin < len(chosen):
        first = int(chosen[begin]) // SKLEARN_CHUNK * SKLEARN_CHUNK
        end = int(chosen.searchsorted(first + SKLEARN_CHUNK))
        chunk = rows[first : first + SKLEARN_CHUNK]
        scores = np.empty((len(centers), len(chunk)), centers.dtype, order="F")
        scores[:] = norms
        multiply(-2.0, centers.T, chunk.T, 1.0, scores, trans_a=True, overwrite_c=True)
        found[begin:end] = scores[:, chosen[begin:end] - first].argmin(axis=0)
        begin = end
    changed = int(np.count_nonzero(labels[chosen] != found))
    labels[chosen] = found
    return changed


def _narrow(values: np.ndarray) -> np.ndarray:
    """In float32; infinite what is too large for it."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
