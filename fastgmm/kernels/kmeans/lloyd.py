"""Lloyd's steps: labels of the rows that may have another than before, and sums over clusters."""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.kmeans.nearest import leads, nearest_centers
from fastgmm.kernels.loading import load_picked
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.simd import Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_rows, tile_points


def _add_row_definition(X, row, origin, weight, sums, label):
    sums[label, :-1] += weight * (X[row] - origin)
    sums[label, -1] += weight


@microkernel(_add_row_definition)
def add_row(typing, X, row, origin, weight, sums, label):
    """Add a weighted row of X, less the origin, and its weight, to sums[label] (d + 1,).

    By NumPy's roundings, where the kernel is not `fused`. A loop of Numba's makes a step in which
    all rows change take 1.3 to 2 times as long.
    """
    signature = types.void(X, types.intp, origin, types.float64, sums, types.intp)

    def emit(context, builder, signature, args):
        v = Vectors(builder, X.dtype)
        array, row, centre, weight, out, label = unpack_arguments(context, builder, signature, args)
        d, out = array.shape[1], out.part(builder, label)

        def feature(j, _):
            centred = builder.fsub(v.widen(v.element(array, row, j)), v.number(centre, j))
            product = builder.fmul(weight, centred)
            v.put(builder.fadd(v.number(out, j), product), out, j)

        v.loop(0, d, 1, [], feature)
        v.put(builder.fadd(v.number(out, d), weight), out, d)
        return context.get_dummy_value()

    return signature, emit


_SPAN = 4096
"""Rows that are looked through before those picked are computed."""

_EPS32, _EPS64 = (float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64))
_TINY32, _TINY64 = (np.finfo(dtype).tiny for dtype in (np.float32, np.float64))


@kernel
def _find(tile, points, centers, offsets, slack, least, part, found):
    """Labels of a tile, two scores, and what `leads` makes of them, as rows of `found`."""
    labels, best, second, margins, holds = found
    nearest_centers(tile, points, centers, offsets, labels, best, second)
    if len(centers) > 1:
        d = centers.shape[1]
        leads(tile, points, d, best, second, slack, least, part, margins, holds)
    else:
        found[3:, :points] = np.inf


@entry_point
def lloyd_pass(dtype):
    """Kernel for a Lloyd step: nearest centers of the rows that may have another than before.

    They are sought in float32 first. For rows whose nearest center float32 leaves in doubt, they
    are sought in float64. What is then still in doubt is for scikit-learn's rounding to decide, in
    the type of the rows.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, sample_weight, origin, centers, offsets, centers32, offsets32, *state)
        With state = (leeway, drifts, labels, limits, sums);
        centers (k, d), less the origin; offsets (k,) = -|center|^2 / 2; both in float32 once more;
        leeway: margins up to which a row is in doubt;
        drifts (k + 1,): by how much others may have come nearer to a center's rows, compared with
        itself, since the first step; the last, infinite, is that of rows without a label, which is
        k. Brought up to date: labels (rows,), and limits (rows,), the drifts up to which they hold;
        a row in doubt keeps its label, and has a limit of minus infinity.
        Added to sums (k, d + 1): the weighted rows, less the origin, and the weights that clusters
        gain, less those that they lose; to none if it is (0, d + 1). Returns the number of labels
        that changed, and that of rows in doubt.
    """
    rows_type, weights, real = row_types(dtype)
    own = real == types.float64
    last_slack, least = (8 * _EPS64, _TINY64) if own else (3 * _EPS32, np.float64(_TINY32))
    signature = types.UniTuple(types.int64, 2)(
        rows_type,
        weights,
        array_type(types.float64, 1),
        array_type(types.float64, 2),
        array_type(types.float64, 1),
        array_type(types.float32, 2),
        array_type(types.float32, 1),
        types.float64,
        array_type(types.float32, 1),
        types.Array(types.int32, 1, "C"),
        types.Array(types.float32, 1, "C"),
        types.Array(types.float64, 2, "C"),
    )

    @kernel(signature=signature, variant=str(real))
    def step(
        X,
        sample_weight,
        origin,
        centers,
        offsets,
        centers32,
        offsets32,
        leeway,
        drifts,
        labels,
        limits,
        sums,
    ):
        n, d = X.shape
        # Parts for what rounding does in float32, and in float64 and scikit-learn's own arithmetic.
        slack32 = np.float32(8.0 * (d + 3) * _EPS32)
        slack64 = last_slack * (d + 3)
        part, part32 = np.sqrt(2 * slack64), np.float32(np.sqrt(2 * slack64))
        size = tile_points(n, d, 2, 4, False)
        tile32, found32 = aligned_rows(d, size, drifts), aligned_rows(5, size, drifts)
        tile64, found64 = aligned_rows(d, size, sums), aligned_rows(5, size, sums)
        nearest, margins, holds = found32[0], found32[3], found32[4]
        overdue, doubtful = np.empty((2, _SPAN), dtype=np.int64)
        leeway32 = np.float32(leeway)
        changed = in_doubt = 0
        for start in range(0, n, _SPAN):
            count = 0
            for t in range(start, min(start + _SPAN, n)):
                overdue[count] = t
                # Not "<=": what is not a number is to be computed.
                count += not limits[t] > drifts[np.uint32(labels[t])]
            for begin in range(0, count, size):
                end = min(begin + size, count)
                m = end - begin
                points = load_picked(X, overdue, begin, end, origin, tile32)
                _find(tile32, points, centers32, offsets32, slack32, _TINY32, part32, found32)
                again = 0
                for i in range(m):
                    doubtful[again] = overdue[begin + i]
                    again += not margins[i] > leeway
                if again:
                    points = load_picked(X, doubtful, 0, again, origin, tile64)
                    _find(tile64, points, centers, offsets, slack64, least, part, found64)
                    again = 0
                    for i in range(m):
                        if not margins[i] > leeway:
                            nearest[i], margins[i] = found64[0, again], found64[3, again]
                            holds[i] = found64[4, again]
                            again += 1
                for i in range(m):
                    row = overdue[begin + i]
                    if not margins[i] > leeway:
                        limits[row] = -np.inf
                        in_doubt += 1
                        continue
                    label, old = np.uint32(nearest[i]), np.uint32(labels[row])
                    limits[row] = holds[i] - leeway32 + drifts[label]
                    if label == old:
                        continue
                    labels[row] = label
                    changed += 1
                    weight = sample_weight[row] if len(sample_weight) else 1.0
                    if label < len(sums):
                        add_row(X, row, origin, weight, sums, label)
                    if old < len(sums):
                        add_row(X, row, origin, -weight, sums, old)
        return changed, in_doubt

    return step


@entry_point
def sums_in_order(dtype):
    """Kernel for sums over clusters as scikit-learn takes them: row after row, in the rows' type.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, sample_weight, labels, sums, weights)
        Adds the weighted rows to sums (k, d), and their weights, or 1 each, to weights (k,).
    """
    real = getattr(types, np.dtype(dtype).name)
    signature = types.void(
        array_type(real, 2),
        array_type(real, 1),
        array_type(types.int32, 1),
        types.Array(real, 2, "C"),
        types.Array(real, 1, "C"),
    )

    @kernel(signature=signature, variant=str(real))
    def add(X, sample_weight, labels, sums, weights):
        n, d = X.shape
        for t in range(n):
            label = np.uint32(labels[t])
            if len(sample_weight):
                weight = sample_weight[t]
                weights[label] += weight
                for j in range(d):
                    sums[label, j] += X[t, j] * weight
            else:
                weights[label] += 1
                for j in range(d):
                    sums[label, j] += X[t, j]

    return add
