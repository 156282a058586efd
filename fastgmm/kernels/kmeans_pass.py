"""Passes over rows for k-means: seeding potentials, and Lloyd steps."""

import numpy as np
from numba import types

from fastgmm.kernels.centers import take_center
from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.loading import load_picked, load_tile, load_weights
from fastgmm.kernels.log_density import isotropic_distances
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_rows, tile_points


def _potentials_definition(distances, points, closest, weights, sums):
    nearer = np.minimum(distances[:, :points], closest[:points])
    sums += (nearer * weights[:points]).sum(axis=1)


@microkernel(_potentials_definition)
def add_potentials(typing, distances, points, closest, weights, sums):
    """sums[c] += sum over t of weights[t] min(distances[c, t], closest[t])."""
    signature = types.void(distances, types.intp, closest, weights, sums)

    def emit(context, builder, signature, args):
        v = Vectors(builder, distances.dtype)
        q, count, near, w, out = unpack_arguments(context, builder, signature, args)
        k, stride = q.shape

        def candidate(c, _):
            def step(t, totals):
                distance, so_far = v.load(q, v.at(c, stride, t)), v.load(near, t)
                nearer = builder.select(
                    builder.fcmp_ordered("<", distance, so_far), distance, so_far
                )
                return [v.fma(nearer, v.load(w, t), totals[0])]

            (total,) = v.loop(0, count, v.lanes, [v.constant(0.0)], step)
            v.add_to(v.horizontal_sums([total])[0], out, c)

        v.loop(0, k, 1, [], candidate)
        return context.get_dummy_value()

    return signature, emit


def _nearest_definition(tile, points, centers, offsets, slack, least, labels, margins):
    x = tile[: centers.shape[1], :points]
    scores = centers @ x + offsets[:, None]
    labels[:points] = scores.argmax(axis=0)
    if len(centers) == 1:
        margins[:points] = np.inf
        return
    second, best = np.sort(scores, axis=0)[-2:]
    norms = (x**2).sum(axis=0)
    nearest, other = (np.maximum(norms - 2 * score, 0) for score in (best, second))
    errors = slack * (2 * norms + nearest + other) + least
    apart = np.sqrt(nearest + errors) + np.sqrt(other + errors)
    margins[:points] = (2 * (best - second) - errors) / apart


@microkernel(_nearest_definition)
def nearest_centers(typing, tile, points, centers, offsets, slack, least, labels, margins):
    """labels[t] = the first c of largest centers[c] . tile[:, t] + offsets[c], as a float.

    With offsets -|center|^2 / 2 that is the nearest center: half the operations of distances.
    margins[t] = by how much any other is farther, at least: the difference of the two smallest
    distances, by their scores, less what rounding may have done to it. That is a part of
    |x|^2 + |center|^2 for each center; but |center|^2 <= 2 |x|^2 + 2 |x - center|^2, and a center
    farther than the second has by its distance more than it needs. `least` stands for underflow.
    """
    signature = types.void(
        tile, types.intp, centers, offsets, tile.dtype, tile.dtype, labels, margins
    )

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, centers, offsets, slack, least, labels, margins = unpack_arguments(
            context, builder, signature, args
        )
        (k, d), stride = centers.shape, x.shape[1]
        slack, least = v.splat(slack), v.splat(least)
        alone = builder.icmp_signed("==", k, v.index(1))

        def vectors(j, t):
            return [v.load(x, v.plus(v.at(j, stride, t), n * v.lanes)) for n in range(GROUP)]

        def scores(c, height, t):
            """Scores of `height` centers from c, `GROUP` vectors each."""

            def feature(j, sums):
                x_j = vectors(j, t)
                rows = [v.broadcast(centers, v.at(v.plus(c, r), d, j)) for r in range(height)]
                return [
                    v.fma(rows[r], x_j[n], sums[r * GROUP + n])
                    for r in range(height)
                    for n in range(GROUP)
                ]

            start = [
                v.broadcast(offsets, v.plus(c, r)) for r in range(height) for _ in range(GROUP)
            ]
            return v.loop(0, d, 1, start, feature)

        def margin(norm, best, second):
            minus_two = v.constant(-2.0)
            squares = [
                v.maximum(v.fma(minus_two, score, norm), v.constant(0.0))
                for score in (best, second)
            ]
            both = v.add(*squares)
            error = v.fma(slack, v.add(v.add(norm, norm), both), least)
            apart = v.add(*[v.sqrt(v.add(square, error)) for square in squares])
            lead = v.fma(minus_two, v.sub(second, best), builder.fneg(error))
            return builder.select(alone, v.constant("inf"), builder.fdiv(lead, apart))

        def whole_group(t, _):
            def block(c, height, carried):
                best, second, label = (carried[i * GROUP : (i + 1) * GROUP] for i in range(3))
                this = carried[-1]
                sums = scores(c, height, t)
                for r in range(height):
                    for n in range(GROUP):
                        score = sums[r * GROUP + n]
                        better = builder.fcmp_ordered(">", score, best[n])
                        second[n] = v.maximum(builder.select(better, best[n], score), second[n])
                        best[n] = builder.select(better, score, best[n])
                        label[n] = builder.select(better, this, label[n])
                    this = v.add(this, v.constant(1.0))
                return [*best, *second, *label, this]

            start = [v.constant("-inf")] * (2 * GROUP) + [v.constant(0.0)] * (GROUP + 1)
            carried = v.blocks(k, start, block)
            norms = v.loop(
                0,
                d,
                1,
                [v.constant(0.0)] * GROUP,
                lambda j, sums: [
                    v.fma(x_j, x_j, total) for x_j, total in zip(vectors(j, t), sums, strict=True)
                ],
            )
            for n in range(GROUP):
                best, second, label = (carried[i * GROUP + n] for i in range(3))
                v.store(label, labels, v.plus(t, n * v.lanes))
                v.store(margin(norms[n], best, second), margins, v.plus(t, n * v.lanes))

        v.loop(0, count, GROUP * v.lanes, [], whole_group)
        return context.get_dummy_value()

    return signature, emit


@entry_point
def seeding_pass(dtype):
    """Kernel for greedy k-means++: takes up the center chosen last, and weighs the next candidates.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, sample_weight, origin, chosen, candidates, closest, potentials)
        chosen (0 or 1, d) and candidates (l, d), less the origin; closest (rows,): squared
        distances to the nearest center, brought up to date with the chosen one. Adds to potentials
        (l,) the weighted sums of what the distances would be with each candidate.
    """
    rows, weights, real = row_types(dtype)
    signature = types.void(
        rows,
        weights,
        array_type(types.float64, 1),
        array_type(real, 2),
        array_type(real, 2),
        types.Array(real, 1, "C"),
        types.Array(types.float64, 1, "C"),
    )

    @kernel(signature=signature, variant=str(real))
    def seed(X, sample_weight, origin, chosen, candidates, closest, potentials):
        n, d = X.shape
        tile_size = tile_points(n, d, len(candidates), X.itemsize, False)
        tile = aligned_rows(d + 1, tile_size, closest)
        distances = aligned_rows(len(candidates), tile_size, closest)
        weights, near = aligned_rows(2, tile_size, closest)
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            for t in range(stop - start):
                near[t] = closest[start + t]
            for t in range(stop - start, points):
                near[t] = 0.0
            if len(chosen):
                take_center(tile, points, chosen[0], near)
                for t in range(stop - start):
                    closest[start + t] = near[t]
            if len(candidates):
                load_weights(sample_weight, start, stop, points, weights)
                isotropic_distances(tile, points, candidates, distances)
                add_potentials(distances, points, near, weights, potentials)

    return seed


def _add_row_definition(X, row, origin, weight, sums, label):
    sums[label, :-1] += weight * (X[row] - origin)
    sums[label, -1] += weight


@microkernel(_add_row_definition)
def add_row(typing, X, row, origin, weight, sums, label):
    """Add a weighted row of X, less the origin, and its weight, to sums[label] (d + 1,)."""
    signature = types.void(X, types.intp, origin, types.float64, sums, types.intp)

    def emit(context, builder, signature, args):
        v = Vectors(builder, X.dtype)
        array, row, centre, weight, out, label = unpack_arguments(context, builder, signature, args)
        d, out = array.shape[1], out.part(builder, label)

        def feature(j, _):
            centred = builder.fsub(v.widen(v.element(array, row, j)), v.number(centre, j))
            v.put(v.fma(weight, centred, v.number(out, j)), out, j)

        v.loop(0, d, 1, [], feature)
        v.put(builder.fadd(v.number(out, d), weight), out, d)
        return context.get_dummy_value()

    return signature, emit


_SPAN = 4096
"""Rows that are looked through before those picked are computed."""

_EPS32, _EPS64 = (float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64))
_TINY32, _TINY64 = (float(np.finfo(dtype).tiny) for dtype in (np.float32, np.float64))


@kernel
def _pick(start, stop, drifts, labels, limits, picked):
    """List the rows start to stop whose label may no longer hold; returns how many."""
    count = 0
    for t in range(start, stop):
        picked[count] = t
        # Not "<=": what is not a number is to be computed.
        count += not limits[t] > drifts[np.uint32(labels[t])]
    return count


@entry_point
def lloyd_pass(dtype):
    """Kernel for a Lloyd step: nearest centers of the rows that may have another than before.

    They are sought in float32 first, and in float64 for the rows whose nearest center float32
    leaves in doubt.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, sample_weight, origin, centers, offsets, centers32, offsets32, *state) -> int
        With state = (drifts, labels, limits, sums);
        centers (k, d), less the origin; offsets (k,) = -|center|^2 / 2; both in float32 once more;
        drifts (k + 1,): by how much others may have come nearer to a center's rows, compared with
        itself, since the first step; the last, infinite, is that of rows without a label, which is
        k. Brought up to date: labels (rows,), and limits (rows,), the drifts up to which they hold.
        Added to sums (k, d + 1): the weighted rows, less the origin, and the weights that clusters
        gain, less those that they lose. Returns the number of labels that changed.
    """
    rows_type, weights, real = row_types(dtype)
    signature = types.int64(
        rows_type,
        weights,
        array_type(types.float64, 1),
        array_type(types.float64, 2),
        array_type(types.float64, 1),
        array_type(types.float32, 2),
        array_type(types.float32, 1),
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
        drifts,
        labels,
        limits,
        sums,
    ):
        n, d = X.shape
        k = len(centers)
        slack = 8.0 * (d + 3)
        size = tile_points(n, d, 2, 4, False)
        tile32, tile64 = aligned_rows(d, size, drifts), aligned_rows(d, size, sums)
        nearest, margins = aligned_rows(2, size, drifts)
        nearest64, margins64 = aligned_rows(2, size, sums)
        overdue, doubtful = np.empty((2, _SPAN), dtype=np.int64)
        changed = 0
        for start in range(0, n, _SPAN):
            count = _pick(start, min(start + _SPAN, n), drifts, labels, limits, overdue)
            for begin in range(0, count, size):
                end = min(begin + size, count)
                points = load_picked(X, overdue, begin, end, origin, tile32)
                nearest_centers(
                    tile32, points, centers32, offsets32, slack * _EPS32, _TINY32, nearest, margins
                )
                in_doubt = 0
                for i in range(end - begin):
                    doubtful[in_doubt] = overdue[begin + i]
                    in_doubt += not margins[i] > 0.0
                if in_doubt:
                    points = load_picked(X, doubtful, 0, in_doubt, origin, tile64)
                    nearest_centers(
                        tile64,
                        points,
                        centers,
                        offsets,
                        slack * _EPS64,
                        _TINY64,
                        nearest64,
                        margins64,
                    )
                    in_doubt = 0
                    for i in range(end - begin):
                        if not margins[i] > 0.0:
                            nearest[i], margins[i] = nearest64[in_doubt], margins64[in_doubt]
                            in_doubt += 1
                for i in range(end - begin):
                    row = overdue[begin + i]
                    label, old = np.uint32(nearest[i]), np.uint32(labels[row])
                    limits[row] = margins[i] + drifts[label]
                    if label == old:
                        continue
                    labels[row] = label
                    changed += 1
                    weight = sample_weight[row] if len(sample_weight) else 1.0
                    add_row(X, row, origin, weight, sums, label)
                    if old < k:
                        add_row(X, row, origin, -weight, sums, old)
        return changed

    return step
