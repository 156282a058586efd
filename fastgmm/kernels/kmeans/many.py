"""K-means of small data sets, many in one call: greedy k-means++ and Lloyd's steps.

The draws and the stopping rule are scikit-learn's, as in `fastgmm.starts`. Among few rows, a row
halfway between two centers is common (data rounded to a digit or two), and only the last digits of
scikit-learn's arithmetic say where it belongs. So every decision is taken with its margin: where
one hangs on rounding, the data set is given back undecided.
"""

from typing import NamedTuple

import numpy as np
from numba.core import types

from fastgmm.kernels.compile import entry_point, kernel
from fastgmm.kernels.kmeans.nearest import nearest_centers
from fastgmm.kernels.kmeans.seeding import add_potentials, take_center
from fastgmm.kernels.loading import load_labels, load_tile, load_weights
from fastgmm.kernels.log_density import isotropic_distances
from fastgmm.kernels.moments import first_moments
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.tiles import aligned_rows, longest_of_all, tile_points, whole_groups

_SLACK = 1e-12
"""Relative margin below which rounding may decide; a thousand times what rounding does."""


class _Rows(NamedTuple):
    """The rows of a data set in tiles, less their mean.

    tiles (tiles, d + 1, stride), with a last row of ones; for every row its weight, squared norm,
    and squared distance to the closest center so far: (tiles, points). Beyond the rows weights are
    zero. Found (3, points) has room for what `nearest_centers` finds.
    """

    tiles: np.ndarray
    weights: np.ndarray
    norms: np.ndarray
    closest: np.ndarray
    found: np.ndarray


@kernel
def _tile(b, n, size):
    """First row of a tile, how many it has, and these filled up to whole groups."""
    count = min(size, n - b * size)
    return b * size, count, whole_groups(count, 8)


@kernel
def _n_tiles(n, size):
    return (n + size - 1) // size


@kernel
def _load(X, sample_weight, rows, shares):
    """Put a data set into its tiles.

    Returns the mean variance of the features, and the weighted sums of |x|^2, less the mean and of
    the mean.
    """
    n, d = X.shape
    size = rows.weights.shape[1]
    origin, sums, squares = X[0].copy(), np.zeros((1, d + 1)), np.zeros((1, d + 1))
    ones, zero = shares[:1], np.zeros((1, d))
    ones[:] = 1.0
    near = total = 0.0
    for b in range(_n_tiles(n, size)):
        start, count, points = _tile(b, n, size)
        # Any point amid the rows, so that the mean keeps its digits.
        load_tile(X, start, start + count, origin, rows.tiles[b])
        load_weights(sample_weight, start, start + count, points, rows.weights[b])
        first_moments(rows.tiles[b], points, ones, sums)
    for b in range(_n_tiles(n, size)):
        _, count, points = _tile(b, n, size)
        for j in range(d):
            shift = sums[0, j] / n
            for t in range(count):
                rows.tiles[b, j, t] -= shift
        isotropic_distances(rows.tiles[b], points, zero, rows.norms[b : b + 1])
        first_moments(rows.tiles[b], points, rows.norms[b : b + 1], squares)
        for t in range(count):
            weight = rows.weights[b, t]
            near += weight * rows.norms[b, t]
            total += weight
    mean = origin + sums[0, :d] / n
    return squares[0, d] / n / d, near, total * (mean * mean).sum()


@kernel
def _running_sums(rows, n, ends):
    """Sums of the weighted distances up to every row.

    Within runs of rows and between them, because every addition waits for the one before. Four rows
    go into any group of points.
    """
    size, total = rows.weights.shape[1], 0.0
    for b in range(_n_tiles(n, size)):
        first, _, points = _tile(b, n, size)
        for start in range(0, points, 4):
            within = 0.0
            for t in range(start, start + 4):
                within += rows.weights[b, t] * rows.closest[b, t]
                ends[first + t] = total + within
            total += within


@kernel
def _drawn_row(ends, share, slack):
    """First row whose end of the running sum reaches a share of the whole; -1 if rounding decides.

    Rows that occupy nothing lie between no two ends, and are never drawn.
    """
    last = len(ends) - 1
    value = share * ends[last]
    row = min(np.searchsorted(ends, value), last)
    if ends[row] - value <= slack or (row > 0 and value - ends[row - 1] <= slack):
        return -1
    return row


@kernel
def _n_trials(n_draws, k):
    """Candidates for every center but the first, from the number of draws."""
    return (n_draws - 1) // max(k - 1, 1)


@kernel
def _copy_row(rows, row, point):
    """Coordinates (d,) of a row."""
    b, t = divmod(row, rows.weights.shape[1])
    for j in range(len(point)):
        point[j] = rows.tiles[b, j, t]


@kernel
def _seed(rows, n, draws, least, ends, distances, seeds):
    """Rows chosen by greedy k-means++; False if rounding decides.

    `least` is what rounding of the distances may do to their sum, however small that is.
    """
    k, d, size = len(seeds), rows.tiles.shape[1] - 1, rows.weights.shape[1]
    n_trials = _n_trials(len(draws), k)
    candidates, potentials = np.empty((max(n_trials, 1), d)), np.empty(n_trials)
    drawn = np.empty(max(n_trials, 1), dtype=np.int64)
    rows.closest[:] = 1.0
    for c in range(k):
        n_drawn, first = (n_trials, 1 + (c - 1) * n_trials) if c else (1, 0)
        _running_sums(rows, n, ends)
        for m in range(n_drawn):
            slack = _SLACK * ends[n - 1] + (least if c else 0.0)
            drawn[m] = _drawn_row(ends[:n], draws[first + m], slack)
            if drawn[m] < 0:
                return False
            _copy_row(rows, drawn[m], candidates[m])
        best = 0
        if c == 0:
            rows.closest[:] = np.inf
        else:
            potentials[:] = 0.0
            for b in range(_n_tiles(n, size)):
                _, _, points = _tile(b, n, size)
                isotropic_distances(rows.tiles[b], points, candidates, distances)
                add_potentials(distances, points, rows.closest[b], rows.weights[b], potentials)
            for m in range(1, n_trials):
                lead = potentials[best] - potentials[m]
                close = abs(lead) <= _SLACK * potentials[best] + 2 * least
                if close and (candidates[m] != candidates[best]).any():
                    return False
                if lead > 0.0:
                    best = m
        seeds[c] = drawn[best]
        for b in range(_n_tiles(n, size)):
            _, _, points = _tile(b, n, size)
            take_center(rows.tiles[b], points, candidates[best], rows.closest[b])
    return True


@kernel
def _assign(rows, centers, labels):
    """Bring labels (n,) up to date; 1 if any changed, 0 if none did, -1 if rounding decides."""
    n, size = len(labels), rows.weights.shape[1]
    nearest, best, second = rows.found
    offsets = np.empty(len(centers))
    for c in range(len(centers)):
        offsets[c] = -0.5 * (centers[c] * centers[c]).sum()
    # Of squared distances, which are twice the difference of scores.
    slack, least = 0.5 * _SLACK, -_SLACK * offsets.min()
    close = changed = 0
    for b in range(_n_tiles(n, size)):
        first, count, points = _tile(b, n, size)
        nearest_centers(rows.tiles[b], points, centers, offsets, nearest, best, second)
        norms = rows.norms[b]
        for t in range(count):
            label = np.int32(nearest[t])
            close |= best[t] - second[t] <= slack * norms[t] + least
            changed |= label != labels[first + t]
            labels[first + t] = label
        if close:
            return -1
    return 1 if changed else 0


@kernel
def _moved_centers(rows, labels, centers, shares, moved):
    """Means of the clusters; their squared shift, -1 if one is empty."""
    (k, d), n, size = centers.shape, len(labels), rows.weights.shape[1]
    sums = np.zeros((k, d + 1))
    for b in range(_n_tiles(n, size)):
        first, count, points = _tile(b, n, size)
        load_labels(labels, first, first + count, rows.weights[b], shares)
        first_moments(rows.tiles[b], points, shares, sums)
    shift = 0.0
    for c in range(k):
        if sums[c, d] == 0.0:
            return -1.0
        for j in range(d):
            moved[c, j] = sums[c, j] / sums[c, d]
            shift += (moved[c, j] - centers[c, j]) ** 2
    return shift


@kernel
def _lloyd(rows, seeds, tolerance, max_iter, shares, labels):
    """Lloyd's iterations; False if rounding decides, or a cluster empties."""
    k, d = len(seeds), rows.tiles.shape[1] - 1
    centers, moved = np.empty((k, d)), np.empty((k, d))
    for c in range(k):
        _copy_row(rows, seeds[c], centers[c])
    labels[:] = -1
    for _ in range(max_iter):
        changed = _assign(rows, centers, labels)
        if changed <= 0:
            return changed == 0
        shift = _moved_centers(rows, labels, centers, shares, moved)
        if shift < 0.0 or abs(shift - tolerance) <= _SLACK * tolerance:
            return False
        centers, moved = moved, centers
        if shift <= tolerance:
            break
    return _assign(rows, centers, labels) >= 0


@entry_point
def small_kmeans():
    """Kernel that clusters data sets, each as ``KMeans(n_init=1)`` of scikit-learn would.

    Returns
    -------
    callable (X, sample_weight, offsets, draws, tol, max_iter, rounding, seeds, labels, decided)
        Data set i has the rows offsets[i] to offsets[i + 1] of X (n, d) and of sample_weight (n,),
        which is empty for 1 everywhere; draws (sets, 1 + (k - 1) trials) are uniform. Out: seeds
        (sets, k), counted within a data set, the first of them -1 where rounding decides; labels
        (n,), unless max_iter is 0; decided (sets,), false where they mean nothing. `rounding` is
        that of squared distances, as a part of the squared norms.
    """
    rows, weights, _ = row_types(np.float64)
    signature = types.void(
        rows,
        weights,
        array_type(types.int64, 1),
        array_type(types.float64, 2),
        types.float64,
        types.int64,
        types.float64,
        types.Array(types.int64, 2, "C"),
        types.Array(types.int32, 1, "C"),
        types.Array(types.boolean, 1, "C"),
    )

    @kernel(signature=signature)
    def cluster(X, sample_weight, offsets, draws, tol, max_iter, rounding, seeds, labels, decided):
        n_sets, k = seeds.shape
        most, d = longest_of_all(offsets), X.shape[1]
        size = tile_points(most, d, k, 8, False)
        n_tiles = _n_tiles(most, size)
        tiles = aligned_rows(n_tiles * (d + 1), size, X)
        tiles = tiles.reshape(n_tiles, d + 1, tiles.shape[1])
        weights, norms, closest = np.empty((3, n_tiles, size))
        rows = _Rows(tiles, weights, norms, closest, aligned_rows(3, size, X))
        shares = aligned_rows(k, size, X)
        distances = aligned_rows(max(_n_trials(draws.shape[1], k), 1), size, X)
        ends = np.empty(n_tiles * size)
        for i in range(n_sets):
            start, stop = offsets[i], offsets[i + 1]
            n = stop - start
            variance, near, far = _load(X[start:stop], sample_weight[start:stop], rows, shares)
            # `KMeans` takes the mean off the rows first; `kmeans_plusplus` by itself does not.
            least = rounding * (near if max_iter > 0 else near + far)
            decided[i] = _seed(rows, n, draws[i], least, ends, distances, seeds[i])
            if not decided[i]:
                seeds[i, 0] = -1
            if decided[i] and max_iter > 0:
                found = labels[start:stop]
                decided[i] = _lloyd(rows, seeds[i], tol * variance, max_iter, shares, found)

    return cluster
