"""K-means of small data sets, many in one call: greedy k-means++ and Lloyd's steps.

The draws and the stopping rule are scikit-learn's, as in `fastgmm.starts`. Among few rows, a row
halfway between two centers is common (data rounded to a digit or two), and only the last digits of
scikit-learn's arithmetic say where it belongs. So every decision is taken with its margin: where
one hangs on rounding, the data set is given back, with the rows in doubt. Centers have
scikit-learn's bits, for its sums are taken in its order; so who settles these rows by its
arithmetic may give the data set back here, to go on. (Of one feature, the mean that rows are less
of is summed in another order. Such a data set is given back for good.)
"""

from typing import NamedTuple

import numpy as np
from numba.core import types

from fastgmm.kernels.compile import as_written, entry_point, inlined, kernel
from fastgmm.kernels.kmeans.lloyd import add_row
from fastgmm.kernels.kmeans.nearest import nearest_centers
from fastgmm.kernels.kmeans.seeding import add_potentials
from fastgmm.kernels.layout import BEGIN, DECIDED, FROM_SEEDS, GO_ON, LABELS, LEFT, SEEDS
from fastgmm.kernels.loading import load_tile, load_weights
from fastgmm.kernels.log_density import isotropic_distances
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.tiles import aligned_rows, longest_of_all, tile_points, whole_groups
from fastgmm.kernels.views import fill, lesser, part, stretch

_SLACK = 1e-12
"""Relative margin below which rounding may decide; a thousand times what rounding does."""


class _Rows(NamedTuple):
    """The rows of a data set in tiles of `size` points, less their mean.

    tiles (tiles * (d + 1), stride), with a last row of ones each; for every row its weight, squared
    norm, and squared distance to the closest center so far: (tiles, stride). Beyond the rows
    weights are zero. Distances (tiles * trials, stride) are those from candidates, and found
    (3, stride) has room for what `nearest_centers` finds.
    """

    size: int
    tiles: np.ndarray
    weights: np.ndarray
    norms: np.ndarray
    closest: np.ndarray
    distances: np.ndarray
    found: np.ndarray


@inlined
def _tile(b, n, size):
    """First row of a tile, how many it has, and these filled up to whole groups."""
    count = lesser(size, n - b * size)
    return b * size, count, whole_groups(count, 8)


@inlined
def _n_tiles(n, size):
    return (n + size - 1) // size


@kernel(fused=False)
def _load(X, sample_weight, rows, mean):
    """Put a data set into its tiles, and its mean (d,) as NumPy sums it.

    Returns the mean variance of the features, and the weighted sums of |x|^2, less the mean and of
    the mean.
    """
    as_written()
    n, d = X.shape
    sums, zero = np.zeros((1, d + 1)), np.zeros((1, d))
    origin = part(zero, 0)
    for t in range(n):
        add_row(X, t, origin, 1.0, sums, 0)
    of_mean = squares = near = total = 0.0
    for j in range(d):
        mean[j] = sums[0, j] / n
        of_mean += mean[j] * mean[j]
    for b in range(_n_tiles(n, rows.size)):
        start, count, points = _tile(b, n, rows.size)
        tile, weights = stretch(rows.tiles, b * (d + 1), d + 1), part(rows.weights, b)
        load_tile(X, start, start + count, mean, tile)
        total += load_weights(sample_weight, start, start + count, points, weights)
        isotropic_distances(tile, points, zero, stretch(rows.norms, b, 1))
        norms = part(rows.norms, b)
        for t in range(count):
            squares += norms[t]
            near += weights[t] * norms[t]
    return squares / n / d, near, total * of_mean


@kernel
def _take(rows, n, n_trials, chosen):
    """Bring the closest distances up to date with a candidate that was chosen."""
    for b in range(_n_tiles(n, rows.size)):
        _, _, points = _tile(b, n, rows.size)
        distances, closest = part(rows.distances, b * n_trials + chosen), part(rows.closest, b)
        for t in range(points):
            distance, before = distances[t], closest[t]
            closest[t] = distance if distance < before else before


@kernel
def _running_sums(rows, n, ends):
    """Sums of the weighted distances up to every row.

    Within runs of rows and between them, because every addition waits for the one before. Four rows
    go into any group of points.
    """
    total = 0.0
    for b in range(_n_tiles(n, rows.size)):
        first, _, points = _tile(b, n, rows.size)
        weights, closest = part(rows.weights, b), part(rows.closest, b)
        for start in range(0, points, 4):
            within = 0.0
            for t in range(start, start + 4):
                within += weights[t] * closest[t]
                ends[first + t] = total + within
            total += within


@kernel
def _drawn_row(ends, n, share, slack):
    """First row whose end of the running sum reaches a share of the whole; -1 if rounding decides.

    Rows that occupy nothing lie between no two ends, and are never drawn.
    """
    value = share * ends[n - 1]
    row, last = 0, n - 1
    while row < last:
        middle = (row + last) >> 1
        if ends[middle] < value:
            row = middle + 1
        else:
            last = middle
    if not ends[row] - value > slack or (row > 0 and not value - ends[row - 1] > slack):
        return -1
    return row


@inlined
def _n_trials(n_draws, k):
    """Candidates for every center but the first, from the number of draws; 1 at least."""
    return (n_draws - 1) // (k - 1) if k > 1 else 1


@kernel
def _copy_row(rows, row, points, at):
    """Coordinates of a row, to points[at]."""
    b, d = row // rows.size, points.shape[1]
    for j in range(d):
        points[at, j] = rows.tiles[b * (d + 1) + j, row - b * rows.size]


@kernel
def _differ(points, one, other):
    """Whether two of some points do."""
    differ = False
    for j in range(points.shape[1]):
        differ |= points[one, j] != points[other, j]
    return differ


@kernel
def _seed(rows, n, draws, least, ends, seeds):
    """Rows chosen by greedy k-means++; False if rounding decides.

    `least` is what rounding of the distances may do to their sum, however small that is.
    """
    as_written()
    k, n_trials = len(seeds), _n_trials(len(draws), len(seeds))
    d = rows.tiles.shape[0] // rows.weights.shape[0] - 1
    candidates, potentials = np.empty((n_trials, d)), np.empty(n_trials)
    drawn = np.empty(n_trials, dtype=np.int64)
    fill(rows.closest, 1.0)
    for c in range(k):
        n_drawn, first = (n_trials, 1 + (c - 1) * n_trials) if c else (1, 0)
        _running_sums(rows, n, ends)
        slack = _SLACK * ends[n - 1] + (least if c else 0.0)
        for m in range(n_drawn):
            drawn[m] = _drawn_row(ends, n, draws[first + m], slack)
            if drawn[m] < 0:
                return False
            _copy_row(rows, drawn[m], candidates, m)
        if c == 0:
            fill(rows.closest, np.inf)
        fill(potentials, 0.0)
        best = 0
        for b in range(_n_tiles(n, rows.size)):
            _, _, points = _tile(b, n, rows.size)
            tile = stretch(rows.tiles, b * (d + 1), d + 1)
            distances = stretch(rows.distances, b * n_trials, n_drawn)
            closest, weights = part(rows.closest, b), part(rows.weights, b)
            isotropic_distances(tile, points, stretch(candidates, 0, n_drawn), distances)
            add_potentials(distances, points, closest, weights, potentials)
        for m in range(1, n_drawn):
            lead = potentials[best] - potentials[m]
            close = not abs(lead) > _SLACK * potentials[best] + 2 * least
            if close and _differ(candidates, m, best):
                return False
            if lead > 0.0:
                best = m
        seeds[c] = drawn[best]
        _take(rows, n, n_trials, best)
    return True


@kernel
def _assign(rows, centers, labels, in_doubt):
    """Bring labels (n,) up to date.

    Rows of which rounding may decide are marked, and keep their label. Returns whether any label
    changed, and whether any row is in doubt.
    """
    as_written()
    (k, d), n = centers.shape, len(labels)
    nearest, best, second = part(rows.found, 0), part(rows.found, 1), part(rows.found, 2)
    offsets, least = np.zeros(k), 0.0
    for c in range(k):
        for j in range(d):
            offsets[c] -= 0.5 * centers[c, j] * centers[c, j]
        least = max(least, -_SLACK * offsets[c])
    # Of squared distances, which are twice the difference of scores.
    slack, changed, any_close = 0.5 * _SLACK, False, False
    for b in range(_n_tiles(n, rows.size)):
        first, count, points = _tile(b, n, rows.size)
        tile, norms = stretch(rows.tiles, b * (d + 1), d + 1), part(rows.norms, b)
        nearest_centers(tile, points, centers, offsets, nearest, best, second)
        for t in range(count):
            row = np.uint64(first + t)
            before, label = labels[row], np.int32(nearest[t])
            close = not best[t] - second[t] > slack * norms[t] + least
            label = before if close else label
            in_doubt[row] = close
            any_close |= close
            changed |= label != before
            labels[row] = label
    return changed, any_close


@kernel(fused=False)
def _move(X, sample_weight, mean, labels, centers):
    """Make centers the means of the clusters; returns their squared shift, -1 if one is empty."""
    as_written()
    k, d = centers.shape
    sums, shift = np.zeros((k, d + 1)), 0.0
    for t in range(len(labels)):
        weight = sample_weight[t] if len(sample_weight) else 1.0
        add_row(X, t, mean, weight, sums, labels[t])
    for c in range(k):
        if sums[c, d] == 0.0:
            return -1.0
        scale = 1.0 / sums[c, d]
        for j in range(d):
            moved = sums[c, j] * scale
            shift += (moved - centers[c, j]) ** 2
            centers[c, j] = moved
    return shift


@kernel
def _lloyd(X, sample_weight, mean, rows, tolerance, max_iter, centers, labels, in_doubt, state):
    """Lloyd's iterations: see `small_kmeans`."""
    as_written()
    phase, last = state[0], False
    while True:
        if phase != GO_ON:
            changed, any_close = _assign(rows, centers, labels, in_doubt)
            if any_close:
                state[0] = LABELS if X.shape[1] > 1 else LEFT
                state[2] = -1 if last else changed
                return
            if last or not changed:
                state[0] = DECIDED
                return
        phase = BEGIN
        shift = _move(X, sample_weight, mean, labels, centers)
        if shift < 0.0 or not abs(shift - tolerance) > _SLACK * tolerance:
            state[0] = LEFT
            return
        state[1] += 1
        last = shift <= tolerance or state[1] == max_iter


@entry_point
def small_kmeans():
    """Kernel that clusters data sets, each as ``KMeans(n_init=1)`` of scikit-learn would.

    Returns
    -------
    callable (X, sample_weight, offsets, draws, tol, max_iter, rounding, *found)
        With found = (seeds, centers, labels, in_doubt, state). Data set i has the rows offsets[i]
        to offsets[i + 1] of X (n, d) and of sample_weight (n,), which is empty for 1 everywhere;
        draws (sets, 1 + (k - 1) trials) are uniform. `rounding` is that of squared distances, as a
        part of the squared norms.

        Out: seeds (sets, k), counted within a data set; unless max_iter is 0, centers (sets, k, d)
        of the last step, less the mean, and labels (n,). State (sets, 3) has a phase first. Before,
        that is `BEGIN`, `FROM_SEEDS` that are given, or `GO_ON` from centers and labels. After, it
        is `DECIDED`, or what rounding decides: `SEEDS`, `LABELS` of the rows in doubt (n,), or
        something else (`LEFT`). Then the number of moves, and whether labels changed that are not
        in doubt, -1 if nothing comes after these labels.
    """
    rows, weights, _ = row_types(np.float64)
    whole = types.int64
    signature = types.void(
        rows,
        weights,
        array_type(whole, 1),
        array_type(types.float64, 2),
        types.float64,
        whole,
        types.float64,
        types.Array(whole, 2, "C"),
        types.Array(types.float64, 3, "C"),
        types.Array(types.int32, 1, "C"),
        types.Array(types.boolean, 1, "C"),
        types.Array(whole, 2, "C"),
    )

    @kernel(signature=signature)
    def cluster(
        X,
        sample_weight,
        offsets,
        draws,
        tol,
        max_iter,
        rounding,
        seeds,
        centers,
        labels,
        in_doubt,
        state,
    ):
        as_written()
        n_sets, k = seeds.shape
        most, d = longest_of_all(offsets), X.shape[1]
        size, n_trials = tile_points(most, d, k, 8, False), _n_trials(draws.shape[1], k)
        n_tiles = _n_tiles(most, size)
        rows = _Rows(
            size,
            aligned_rows(n_tiles * (d + 1), size, X),
            aligned_rows(n_tiles, size, X),
            aligned_rows(n_tiles, size, X),
            aligned_rows(n_tiles, size, X),
            aligned_rows(n_tiles * n_trials, size, X),
            aligned_rows(3, size, X),
        )
        ends, mean = np.empty(n_tiles * size), np.empty(d)
        for i in range(n_sets):
            start, stop = offsets[i], offsets[i + 1]
            own, its_weights, its_state = X[start:stop], sample_weight[start:stop], part(state, i)
            variance, near, far = _load(own, its_weights, rows, mean)
            if its_state[0] == BEGIN:
                # `KMeans` takes the mean off the rows first; `kmeans_plusplus` by itself does not.
                least = rounding * (near if max_iter > 0 else near + far)
                decided = _seed(rows, stop - start, draws[i], least, ends, part(seeds, i))
                its_state[0] = FROM_SEEDS if decided and max_iter > 0 else DECIDED
                if not decided:
                    its_state[0] = SEEDS
                if its_state[0] != FROM_SEEDS:
                    continue
            its_centers, its_labels = part(centers, i), labels[start:stop]
            if its_state[0] != GO_ON:
                for c in range(k):
                    _copy_row(rows, seeds[i, c], its_centers, c)
                for t in range(stop - start):
                    its_labels[t] = -1
            _lloyd(
                own,
                its_weights,
                mean,
                rows,
                tol * variance,
                max_iter,
                its_centers,
                its_labels,
                in_doubt[start:stop],
                its_state,
            )

    return cluster
