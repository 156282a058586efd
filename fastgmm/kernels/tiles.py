"""Tiles: some hundred rows as a structure of arrays, and how large they are."""

import numpy as np

from fastgmm.kernels.compile import kernel
from fastgmm.kernels.simd import GROUP_BYTES
from fastgmm.kernels.transpose import load_rows

_NEAREST_BYTES = 32 << 10
"""What outer moments read again and again should take, so as to stay in any L1 cache: the rows of
a tile, and a copy that is centred and weighted."""

_NEAR_BYTES = 48 << 10
"""What a tile and all that a pass keeps for it should take, while that leaves enough points..."""

_FAR_BYTES = 3 << 18
"""...and may take at most: three quarters of a usual L2 cache."""

_FEWEST_GROUPS, _ENOUGH_GROUPS, _MOST_GROUPS = 2, 3, 8


@kernel
def tile_points(n_rows, n_features, n_components, itemsize, outer=False):
    """Points of a tile: whole groups, by bytes, no more than there are rows.

    `outer` says that outer moments are taken of them.
    """
    copies = GROUP_BYTES * 2 * (n_features + 1)
    everything = copies + GROUP_BYTES * n_components
    groups = _MOST_GROUPS
    if outer and copies <= _NEAREST_BYTES:
        groups = min(_NEAREST_BYTES // copies, max(_NEAR_BYTES // everything, _ENOUGH_GROUPS))
        groups = max(groups, _FEWEST_GROUPS)
    groups = min(groups, max(_FAR_BYTES // everything, 1), _MOST_GROUPS)
    return min(groups * (GROUP_BYTES // itemsize), whole_groups(max(n_rows, 1), itemsize))


@kernel
def whole_groups(n_rows, itemsize):
    """So many points, filled up to whole groups."""
    group = GROUP_BYTES // itemsize
    return (n_rows + group - 1) // group * group


@kernel
def aligned_rows(n_rows, points, like):
    """Uninitialised (n_rows, stride), stride >= points, of the dtype of `like`.

    Rows start on cache lines, an odd number of lines apart: a power of two would send every row of
    a column to the same few sets of the cache.
    """
    per_line = 64 // like.itemsize
    stride = points + per_line * (1 - (points // per_line) % 2)
    buffer = np.empty((n_rows * stride + per_line), dtype=like.dtype)
    start = (-(buffer.ctypes.data // like.itemsize)) % per_line
    return buffer[start : start + n_rows * stride].reshape(n_rows, stride)


@kernel
def load_tile(X, start, stop, origin, tile):
    """Rows start to stop of X, less the origin, as columns; a last row of ones.

    Returns the number of columns to work on: whole groups, filled up with zeros.
    """
    d = X.shape[1]
    count = stop - start
    points = whole_groups(count, tile.itemsize)
    load_rows(X, start, stop, origin, tile)
    for t in range(count):
        tile[d, t] = 1.0
    for j in range(d + 1):
        for t in range(count, points):
            tile[j, t] = 0.0
    return points


@kernel
def total_of(numbers):
    """Sum in float64; four sums side by side, for every addition waits for the one before."""
    whole = len(numbers) // 4 * 4
    a = b = c = d = np.float64(0.0)
    for t in range(0, whole, 4):
        a += numbers[t]
        b += numbers[t + 1]
        c += numbers[t + 2]
        d += numbers[t + 3]
    for t in range(whole, len(numbers)):
        a += numbers[t]
    return (a + b) + (c + d)


@kernel
def load_weights(sample_weight, start, stop, points, weights):
    """Weights of the rows start to stop, 1 where none are given; zero beyond. Returns their sum."""
    count = stop - start
    for t in range(count, points):
        weights[t] = 0.0
    if not len(sample_weight):
        for t in range(count):
            weights[t] = 1.0
        return np.float64(count)
    for t in range(count):
        weights[t] = sample_weight[start + t]
    return total_of(weights[:count])


@kernel
def load_labels(labels, start, stop, points, weights, responsibilities):
    """Responsibilities of rows that belong to one component each, weighted, as rows of a tile."""
    count = stop - start
    chosen = labels[start:stop]
    for c in range(len(responsibilities)):
        for t in range(count):
            # No branch: what comes next cannot be guessed.
            responsibilities[c, t] = weights[t] * (chosen[t] == c)
        for t in range(count, points):
            responsibilities[c, t] = 0.0


@kernel
def load_responsibilities(given, start, stop, points, weights, responsibilities):
    """Given responsibilities (rows, k), weighted, as rows of a tile."""
    count = stop - start
    rows = given[start:stop]
    for c in range(given.shape[1]):
        for t in range(count):
            responsibilities[c, t] = rows[t, c] * weights[t]
        for t in range(count, points):
            responsibilities[c, t] = 0.0


@kernel
def take_roots(rows, points):
    """Replace the first numbers of every row, none of them negative, by their square roots."""
    for c in range(rows.shape[0]):
        for t in range(points):
            rows[c, t] = np.sqrt(rows[c, t])
