"""The points of a tile and some centers: nearest distances, labels with their margin, shares."""

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments


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


CLOSE, CHANGED = 1, 2
"""What `take_nearest` finds out, as bits."""


def _nearest_definition(tile, points, centers, offsets, slack, least, norms, labels):
    scores = centers @ tile[: centers.shape[1], :points] + offsets[:, None]
    ranked = np.sort(np.vstack([np.full((1, points), -np.inf), scores]), axis=0)
    close = ranked[-1] - ranked[-2] <= slack * norms[:points] + least
    nearest = scores.argmax(axis=0)
    changed = nearest != labels[:points]
    labels[:points] = nearest
    return CLOSE * int(close.any()) + CHANGED * int(changed.any())


@microkernel(_nearest_definition)
def take_nearest(typing, tile, points, centers, offsets, slack, least, norms, labels):
    """labels[t] = the first c of largest centers[c] . tile[:, t] + offsets[c], as a float.

    With offsets -|center|^2 / 2 that is the nearest center. Returns `CHANGED` if any label was
    another before, plus `CLOSE` if anywhere the second largest comes as near as slack norms[t] +
    least.
    """
    real = tile.dtype
    signature = types.int64(tile, types.intp, centers, offsets, real, real, norms, labels)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, centers, offsets, slack, least, norms, labels = unpack_arguments(
            context, builder, signature, args
        )
        (k, d), stride = centers.shape, x.shape[1]
        slack, least = v.splat(slack), v.splat(least)

        def whole_group(t, found):
            def center(c, carried):
                best, second, label = (carried[i * GROUP : (i + 1) * GROUP] for i in range(3))

                def feature(j, sums):
                    center_j, at = v.broadcast(centers, v.at(c, d, j)), v.at(j, stride, t)
                    return [
                        v.fma(center_j, v.load(x, v.plus(at, n * v.lanes)), sums[n])
                        for n in range(GROUP)
                    ]

                scores = v.loop(0, d, 1, [v.broadcast(offsets, c)] * GROUP, feature)
                for n, score in enumerate(scores):
                    better = builder.fcmp_ordered(">", score, best[n])
                    second[n] = v.maximum(builder.select(better, best[n], score), second[n])
                    best[n] = builder.select(better, score, best[n])
                    label[n] = builder.select(better, carried[-1], label[n])
                return [*best, *second, *label, v.add(carried[-1], v.constant(1.0))]

            start = [v.constant("-inf")] * (2 * GROUP) + [v.constant(0.0)] * (GROUP + 1)
            carried = v.loop(0, k, 1, start, center)
            close, changed = found
            for n in range(GROUP):
                best, second, label = (carried[i * GROUP + n] for i in range(3))
                at = v.plus(t, n * v.lanes)
                least_lead = v.fma(slack, v.load(norms, at), least)
                is_close = builder.fcmp_ordered("<=", v.sub(best, second), least_lead)
                close = builder.or_(close, is_close)
                changes = builder.fcmp_unordered("!=", label, v.load(labels, at))
                changed = builder.or_(changed, changes)
                v.store(label, labels, at)
            return [close, changed]

        none = ir.Constant(ir.VectorType(ir.IntType(1), v.lanes), [0] * v.lanes)
        found = v.loop(0, count, GROUP * v.lanes, [none, none], whole_group)
        close, changed = (builder.zext(v.any(mask), ir.IntType(64)) for mask in found)
        return builder.add(
            builder.mul(close, v.index(CLOSE)), builder.mul(changed, v.index(CHANGED))
        )

    return signature, emit


def _shares_definition(labels, points, weights, shares):
    numbers = np.arange(len(shares))[:, None]
    shares[:, :points] = np.where(labels[:points] == numbers, weights[:points], 0.0)


@microkernel(_shares_definition)
def share_out(typing, labels, points, weights, shares):
    """shares[c, t] = weights[t] if labels[t] is c, else zero; labels are floats."""
    signature = types.void(labels, types.intp, weights, shares)

    def emit(context, builder, signature, args):
        v = Vectors(builder, shares.dtype)
        label, count, weight, out = unpack_arguments(context, builder, signature, args)
        k, stride = out.shape

        def whole_vector(t, _):
            label_t, weight_t = v.load(label, t), v.load(weight, t)

            def component(c, carried):
                (this,) = carried
                mine = builder.fcmp_ordered("==", label_t, this)
                share = builder.select(mine, weight_t, v.constant(0.0))
                v.store(share, out, v.at(c, stride, t))
                return [v.add(this, v.constant(1.0))]

            v.loop(0, k, 1, [v.constant(0.0)], component)

        v.loop(0, count, v.lanes, [], whole_vector)
        return context.get_dummy_value()

    return signature, emit
