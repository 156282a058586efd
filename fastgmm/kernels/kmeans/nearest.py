"""The nearest of some centers to each point of a tile, and by how much it leads."""

import numpy as np
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments


def _nearest_definition(tile, points, centers, offsets, labels, best, second):
    scores = centers @ tile[: centers.shape[1], :points] + offsets[:, None]
    ranked = np.sort(np.vstack([np.full((1, points), -np.inf), scores]), axis=0)
    labels[:points] = scores.argmax(axis=0)
    second[:points], best[:points] = ranked[-2:]


@microkernel(_nearest_definition)
def nearest_centers(typing, tile, points, centers, offsets, labels, best, second):
    """labels[t] = the first c of largest centers[c] . tile[:, t] + offsets[c], as a float.

    With offsets -|center|^2 / 2 that is the nearest center: half the operations of distances. Best
    and second are the two largest of these scores.
    """
    signature = types.void(tile, types.intp, centers, offsets, labels, best, second)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, centers, offsets, *found = unpack_arguments(context, builder, signature, args)
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
                label, best, second = (carried[i * GROUP : (i + 1) * GROUP] for i in range(3))
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
                return [*label, *best, *second, this]

            start = [v.constant(0.0)] * GROUP + [v.constant("-inf")] * (2 * GROUP)
            *carried, _ = v.blocks(k, [*start, v.constant(0.0)], block)
            for i, array in enumerate(found):
                for n in range(GROUP):
                    v.store(carried[i * GROUP + n], array, v.plus(t, n * v.lanes))

        v.loop(0, count, GROUP * v.lanes, [], whole_group)
        return context.get_dummy_value()

    return signature, emit


def _leads_definition(tile, points, n_features, best, second, slack, least, part, margins, holds):
    norms = (tile[:n_features, :points] ** 2).sum(axis=0)
    nearest, other = (np.maximum(norms - 2 * x[:points], 0) for x in (best, second))
    errors = slack * (2 * norms + nearest + other) + least
    apart = np.sqrt(nearest + errors) + np.sqrt(other + errors)
    margins[:points] = (2 * (best[:points] - second[:points]) - errors) / apart
    holds[:points] = margins[:points] - part * np.sqrt(norms)


@microkernel(_leads_definition)
def leads(typing, tile, points, n_features, best, second, slack, least, part, margins, holds):
    """margins[t] = by how much any other center is farther than the nearest, at least.

    That is the difference of the two smallest distances, by the scores of `nearest_centers`, less
    what rounding may have done to it. Rounding is a part, `slack`, of |x|^2 + |center|^2 for each
    center. But |center|^2 <= 2 |x|^2 + 2 |x - center|^2, and a center farther than the second has
    by its distance more than it needs. `least` stands for underflow.

    holds[t] = margins[t] - part |x|. Moves of the centers may take so much off the difference, and
    rounding still has no say: with part^2 = 2 slack, the rest times itself is more than its share.
    """
    real = tile.dtype
    signature = types.void(
        tile, types.intp, types.intp, best, second, real, real, real, margins, holds
    )

    def emit(context, builder, signature, args):
        v = Vectors(builder, real)
        x, count, d, best, second, slack, least, part, *out = unpack_arguments(
            context, builder, signature, args
        )
        stride, minus_two, zero = x.shape[1], v.constant(-2.0), v.constant(0.0)
        slack, least, part = v.splat(slack), v.splat(least), v.splat(part)

        def feature(j, sums, t):
            x_j = v.load(x, v.at(j, stride, t))
            return [v.fma(x_j, x_j, sums[0])]

        def vector(t, _):
            (norm,) = v.loop(0, d, 1, [zero], lambda j, sums: feature(j, sums, t))
            scores = v.load(best, t), v.load(second, t)
            squares = [v.maximum(v.fma(minus_two, score, norm), zero) for score in scores]
            error = v.fma(slack, v.add(v.add(norm, norm), v.add(*squares)), least)
            apart = v.add(*[v.sqrt(v.add(square, error)) for square in squares])
            lead = v.fma(minus_two, v.sub(scores[1], scores[0]), builder.fneg(error))
            margin = builder.fdiv(lead, apart)
            hold = v.sub(margin, v.mul(part, v.sqrt(norm)))
            for value, array in zip((margin, hold), out, strict=True):
                v.store(value, array, t)

        v.loop(0, count, v.lanes, [], vector)
        return context.get_dummy_value()

    return signature, emit
