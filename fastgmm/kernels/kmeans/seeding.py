"""Greedy k-means++: distances to the centers so far, and what a next one would leave of them."""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.loading import load_tile, load_weights
from fastgmm.kernels.log_density import isotropic_distances
from fastgmm.kernels.signatures import array_type, row_types
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments
from fastgmm.kernels.tiles import aligned_rows, tile_points


def _center_definition(tile, points, center, closest):
    distances = ((tile[: len(center), :points] - center[:, None]) ** 2).sum(axis=0)
    closest[:points] = np.minimum(closest[:points], distances)


@microkernel(_center_definition)
def take_center(typing, tile, points, center, closest):
    """closest[t] = min(closest[t], ||tile[:, t] - center||^2)."""
    signature = types.void(tile, types.intp, center, closest)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, center, closest = unpack_arguments(context, builder, signature, args)
        (d,), stride = center.shape, x.shape[1]

        def whole_group(t, _):
            def feature(j, sums):
                center_j, at = v.broadcast(center, j), v.at(j, stride, t)
                differences = [
                    v.sub(v.load(x, v.plus(at, n * v.lanes)), center_j) for n in range(GROUP)
                ]
                return [v.fma(u, u, total) for u, total in zip(differences, sums, strict=True)]

            distances = v.loop(0, d, 1, [v.constant(0.0)] * GROUP, feature)
            for n, distance in enumerate(distances):
                at = v.plus(t, n * v.lanes)
                before = v.load(closest, at)
                nearer = builder.fcmp_ordered("<", distance, before)
                v.store(builder.select(nearer, distance, before), closest, at)

        v.loop(0, count, GROUP * v.lanes, [], whole_group)
        return context.get_dummy_value()

    return signature, emit


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


@entry_point
def distances_pass():
    """Kernel for squared distances of rows of float32, in float64 and then rounded.

    Returns
    -------
    callable (X, points, distances)
        Points (l, d). Out: distances (l, rows) of float32.
    """
    rows, _, real = row_types(np.float32)
    signature = types.void(rows, array_type(types.float64, 2), types.Array(real, 2, "A"))

    @kernel(signature=signature)
    def measure(X, points, distances):
        n, d = X.shape
        size = tile_points(n, d, len(points), 8, False)
        tile, wide = aligned_rows(d + 1, size, points), aligned_rows(len(points), size, points)
        origin = np.zeros(d)
        for start in range(0, n, size):
            stop = min(start + size, n)
            columns = load_tile(X, start, stop, origin, tile)
            isotropic_distances(tile, columns, points, wide)
            for c in range(len(points)):
                for t in range(stop - start):
                    distances[c, start + t] = wide[c, t]

    return measure
