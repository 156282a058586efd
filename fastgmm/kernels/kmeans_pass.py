"""Passes over rows for k-means: seeding potentials, and Lloyd steps."""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.em_pass import array_type, row_types
from fastgmm.kernels.log_density import isotropic_distances
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_rows, load_tile, load_weights, tile_points


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


def _nearest_definition(tile, points, centers, offsets, labels):
    d = centers.shape[1]
    labels[:points] = (centers @ tile[:d, :points] + offsets[:, None]).argmax(axis=0)


@microkernel(_nearest_definition)
def nearest_centers(typing, tile, points, centers, offsets, labels):
    """labels[t] = the first c of largest centers[c] . tile[:, t] + offsets[c], as a float.

    With offsets -|center|^2 / 2 that is the nearest center: half the operations of distances.
    """
    signature = types.void(tile, types.intp, centers, offsets, labels)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, centers, offsets, out = unpack_arguments(context, builder, signature, args)
        (k, d), stride = centers.shape, x.shape[1]

        def scores(c, height, t):
            """Scores of `height` centers from c, `GROUP` vectors each."""

            def feature(j, sums):
                x_j = [v.load(x, v.plus(v.at(j, stride, t), n * v.lanes)) for n in range(GROUP)]
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

        def whole_group(t, _):
            def block(c, height, carried):
                best, label, this = carried[:GROUP], carried[GROUP:-1], carried[-1]
                sums = scores(c, height, t)
                for r in range(height):
                    for n in range(GROUP):
                        score = sums[r * GROUP + n]
                        better = builder.fcmp_ordered(">", score, best[n])
                        best[n] = builder.select(better, score, best[n])
                        label[n] = builder.select(better, this, label[n])
                    this = v.add(this, v.constant(1.0))
                return [*best, *label, this]

            start = [v.constant("-inf")] * GROUP + [v.constant(0.0)] * (GROUP + 1)
            carried = v.blocks(k, start, block)
            for n in range(GROUP):
                v.store(carried[GROUP + n], out, v.plus(t, n * v.lanes))

        v.loop(0, count, GROUP * v.lanes, [], whole_group)
        return context.get_dummy_value()

    return signature, emit


@entry_point
def seeding_pass(dtype):
    """Kernel for greedy k-means++: potentials of candidates, or taking one up.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, sample_weight, origin, candidates, take, closest, potentials)
        candidates (l, d), less the origin; closest (rows,): squared distances to the nearest
        center so far. Adds to potentials (l,) the weighted sums of what the distances would be with
        each candidate. With `take`, a single candidate becomes a center and `closest` is brought up
        to date.
    """
    rows, weights, real = row_types(dtype)
    closest_type = types.Array(real, 1, "C")
    potentials_type = types.Array(types.float64, 1, "C")
    signature = types.void(
        rows,
        weights,
        array_type(types.float64, 1),
        array_type(real, 2),
        types.boolean,
        closest_type,
        potentials_type,
    )

    @kernel(signature=signature, variant=str(real))
    def seed(X, sample_weight, origin, candidates, take, closest, potentials):
        n, d = X.shape
        n_candidates = len(candidates)
        tile_size = tile_points(n, d, n_candidates, X.itemsize)
        tile = aligned_rows(d + 1, tile_size, closest)
        distances = aligned_rows(n_candidates, tile_size, closest)
        weights = np.empty(tile_size, dtype=closest.dtype)
        near = np.zeros(tile_size, dtype=closest.dtype)
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            load_weights(sample_weight, start, stop, points, weights)
            isotropic_distances(tile, points, candidates, distances)
            for t in range(stop - start):
                near[t] = closest[start + t]
            if take:
                for t in range(stop - start):
                    near[t] = min(near[t], distances[0, t])
                    closest[start + t] = near[t]
            add_potentials(distances, points, near, weights, potentials)

    return seed


@entry_point
def lloyd_pass(dtype):
    """Kernel for a Lloyd step: nearest centers, and the sums of the rows that they take.

    Parameters
    ----------
    dtype : dtype
        float64 or float32.

    Returns
    -------
    callable (X, sample_weight, origin, centers, offsets, labels, sums) -> int
        centers (k, d), less the origin; offsets (k,) = -|center|^2 / 2; labels (rows,) are brought
        up to date; adds to sums (k, d + 1) the weighted rows, less the origin, and the weights.
        Returns the number of labels that changed.
    """
    rows, weights, real = row_types(dtype)
    signature = types.int64(
        rows,
        weights,
        array_type(types.float64, 1),
        array_type(real, 2),
        array_type(real, 1),
        types.Array(types.int32, 1, "C"),
        types.Array(types.float64, 2, "C"),
    )

    @kernel(signature=signature, variant=str(real))
    def step(X, sample_weight, origin, centers, offsets, labels, sums):
        n, d = X.shape
        k = len(centers)
        tile_size = tile_points(n, d, k, X.itemsize)
        tile = aligned_rows(d + 1, tile_size, centers)
        nearest = np.empty(tile_size, dtype=centers.dtype)
        changed = 0
        for start in range(0, n, tile_size):
            stop = min(start + tile_size, n)
            points = load_tile(X, start, stop, origin, tile)
            nearest_centers(tile, points, centers, offsets, nearest)
            for t in range(stop - start):
                label = int(nearest[t])
                if labels[start + t] != label:
                    labels[start + t] = label
                    changed += 1
                weight = sample_weight[start + t] if len(sample_weight) else 1.0
                for j in range(d):
                    sums[label, j] += weight * (X[start + t, j] - origin[j])
                sums[label, d] += weight
        return changed

    return step
