"""K-means of small data sets, many in one call: greedy k-means++ and Lloyd's steps.

As in `fastgmm.kmeans`, with scikit-learn's draws and stopping rule. Among few rows, a row halfway
between two centers is common (data rounded to a digit or two), and only the last digits of
scikit-learn's arithmetic say where it belongs. So every decision is taken with its margin: where
one hangs on rounding, the data set is given back undecided.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.em_pass import array_type, row_types

_TILE = 512
_SLACK = 1e-12
"""Relative margin below which rounding may decide; a thousand times what rounding does."""


@kernel
def _centred(X, points, norms):
    """Rows less their mean, feature-major, and their squared norms; returns the mean variance."""
    d, n = points.shape
    norms[:] = 0.0
    for j in range(d):
        total = 0.0
        for t in range(n):
            points[j, t] = X[t, j]
            total += points[j, t]
        mean = total / n
        for t in range(n):
            points[j, t] -= mean
            norms[t] += points[j, t] * points[j, t]
    return norms.mean() / d


@kernel
def _distances(points, row, distances):
    """Squared distances of all points to one of them."""
    d, n = points.shape
    distances[:] = 0.0
    for j in range(d):
        center = points[j, row]
        for t in range(n):
            u = points[j, t] - center
            distances[t] += u * u


@kernel
def _drawn_row(ends, share):
    """First row whose end of the running sum reaches a share of the whole; -1 if rounding decides.

    Rows that occupy nothing lie between no two ends, and are never drawn.
    """
    last = len(ends) - 1
    value = share * ends[last]
    row = min(np.searchsorted(ends, value), last)
    slack = _SLACK * ends[last]
    if ends[row] - value <= slack or (row > 0 and value - ends[row - 1] <= slack):
        return -1
    return row


@kernel
def _same_point(points, one, other):
    for j in range(len(points)):
        if points[j, one] != points[j, other]:
            return False
    return True


@kernel
def _seed(points, sample_weight, draws, seeds):
    """Rows chosen by greedy k-means++; False if rounding decides."""
    n, k = points.shape[1], len(seeds)
    n_trials = (len(draws) - 1) // max(k - 1, 1)
    closest, ends = np.empty(n), np.empty(n)
    trial, best = np.empty(n), np.empty(n)
    for c in range(k):
        total = 0.0
        for t in range(n):
            weight = sample_weight[t] if len(sample_weight) else 1.0
            total += weight * closest[t] if c else weight
            ends[t] = total
        least, chosen = np.inf, -1
        for m in range(n_trials if c else 1):
            row = _drawn_row(ends, draws[1 + (c - 1) * n_trials + m] if c else draws[0])
            if row < 0:
                return False
            _distances(points, row, trial)
            potential = 0.0
            for t in range(n):
                if c:
                    trial[t] = min(trial[t], closest[t])
                potential += sample_weight[t] * trial[t] if len(sample_weight) else trial[t]
            if (
                chosen >= 0
                and abs(potential - least) <= _SLACK * least
                and not _same_point(points, row, chosen)
            ):
                return False
            if chosen < 0 or potential < least:
                least, chosen = potential, row
                trial, best = best, trial
        seeds[c] = chosen
        closest, best = best, closest
    return True


@kernel
def _assign(points, norms, centers, labels):
    """Bring labels up to date; how many changed, -1 if rounding decides."""
    (d, n), k = points.shape, len(centers)
    scores, best, second, nearest = np.empty((4, _TILE))
    largest = 0.0
    for c in range(k):
        largest = max(largest, (centers[c] * centers[c]).sum())
    changed = 0
    for start in range(0, n, _TILE):
        count = min(_TILE, n - start)
        best[:] = np.inf
        second[:] = np.inf
        for c in range(k):
            scores[:] = (centers[c] * centers[c]).sum()
            for j in range(d):
                twice = -2.0 * centers[c, j]
                row = points[j, start : start + count]
                for t in range(count):
                    scores[t] += twice * row[t]
            for t in range(count):
                score, before = scores[t], best[t]
                closer = score < before
                second[t] = before if closer else min(score, second[t])
                best[t] = score if closer else before
                nearest[t] = c if closer else nearest[t]
        for t in range(count):
            if second[t] - best[t] <= _SLACK * (norms[start + t] + largest):
                return -1
            label = int(nearest[t])
            if labels[start + t] != label:
                labels[start + t] = label
                changed += 1
    return changed


@kernel
def _moved_centers(points, sample_weight, labels, centers, moved):
    """Means of the clusters; their squared shift, -1 if one is empty."""
    (d, n), k = points.shape, len(centers)
    weights = np.zeros(k)
    moved[:] = 0.0
    for t in range(n):
        weight = sample_weight[t] if len(sample_weight) else 1.0
        weights[labels[t]] += weight
        for j in range(d):
            moved[labels[t], j] += weight * points[j, t]
    shift = 0.0
    for c in range(k):
        if weights[c] == 0.0:
            return -1.0
        for j in range(d):
            moved[c, j] /= weights[c]
            shift += (moved[c, j] - centers[c, j]) ** 2
    return shift


@kernel
def _lloyd(points, sample_weight, norms, seeds, tolerance, max_iter, labels):
    """Labels that Lloyd's iterations end with; False if rounding decides, or a cluster empties."""
    d, k = len(points), len(seeds)
    centers, moved = np.empty((k, d)), np.empty((k, d))
    for c in range(k):
        for j in range(d):
            centers[c, j] = points[j, seeds[c]]
    labels[:] = -1
    for _ in range(max_iter):
        changed = _assign(points, norms, centers, labels)
        if changed <= 0:
            return changed == 0
        shift = _moved_centers(points, sample_weight, labels, centers, moved)
        if shift < 0.0 or abs(shift - tolerance) <= _SLACK * tolerance:
            return False
        centers, moved = moved, centers
        if shift <= tolerance:
            break
    return _assign(points, norms, centers, labels) >= 0


@entry_point
def small_kmeans():
    """Kernel that clusters data sets, each as ``KMeans(n_init=1)`` of scikit-learn would.

    Returns
    -------
    callable (X, sample_weight, offsets, draws, tol, max_iter, seeds, labels, decided)
        Data set i has the rows offsets[i] to offsets[i + 1] of X (n, d) and of sample_weight (n,),
        which is empty for 1 everywhere; draws (sets, 1 + (k - 1) trials) are uniform. Out: seeds
        (sets, k), counted within a data set; labels (n,), unless max_iter is 0; decided (sets,),
        false where all else means nothing.
    """
    rows, weights, _ = row_types(np.float64)
    signature = types.void(
        rows,
        weights,
        array_type(types.int64, 1),
        array_type(types.float64, 2),
        types.float64,
        types.int64,
        types.Array(types.int64, 2, "C"),
        types.Array(types.int32, 1, "C"),
        types.Array(types.boolean, 1, "C"),
    )

    @kernel(signature=signature)
    def cluster(X, sample_weight, offsets, draws, tol, max_iter, seeds, labels, decided):
        for i in range(len(offsets) - 1):
            start, stop = offsets[i], offsets[i + 1]
            points = np.empty((X.shape[1], stop - start))
            norms = np.empty(stop - start)
            variance = _centred(X[start:stop], points, norms)
            weights = sample_weight[start:stop]
            decided[i] = _seed(points, weights, draws[i], seeds[i])
            if decided[i] and max_iter > 0:
                decided[i] = _lloyd(
                    points, weights, norms, seeds[i], tol * variance, max_iter, labels[start:stop]
                )

    return cluster
