r"""Squared Mahalanobis distances of the points of a tile to the components.

The weighted log-density of component c at x is ``constants[c] + scales[c] * distance``; see
`fastgmm.parameters.Operands`. One micro-kernel per density form:

- Cholesky (full): :math:`\|U_c^T (x - \mu_c)\|^2`, U upper triangular with
  :math:`U U^T = \Sigma^{-1}` (Bishop 2006, eq. 2.44; scikit-learn's ``precisions_cholesky_``), kept
  in panels (see `fastgmm.kernels.layout`).
- shared Cholesky (tied): the tile is whitened once, then isotropic.
- diagonal: :math:`\sum_j (s_{cj} x_j - s_{cj} \mu_{cj})^2`.
- isotropic (spherical): :math:`\|x - \mu_c\|^2`, its variance in ``scales``.
"""

import functools

import numpy as np
from llvmlite import ir
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.layout import BLOCK, from_panels
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments


def _cholesky_definition(tile, points, mean, panels, projected, central, scratch, distances):
    centred = tile[: len(mean), :points] - mean[:, None]
    upper = np.triu(from_panels(panels, len(mean)))
    distances[:points] = ((upper.T @ centred) ** 2).sum(axis=0)


@microkernel(_cholesky_definition)
def cholesky_distances(typing, tile, points, mean, panels, projected, central, scratch, distances):
    """distances[t] = ||U^T (tile[:, t] - mean)||^2 for one component.

    tile (>= d, stride), points <= stride a multiple of the group, mean (d,), panels of U,
    projected (d,) = U^T mean, central: whether it is so small that it may come off U^T tile[:, t]
    instead, scratch of at least d groups, distances (stride,).
    """
    operands = mean, panels, projected, central
    signature = types.void(tile, types.intp, *operands, scratch, distances)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        arrays = unpack_arguments(context, builder, signature, args)
        v.by_features(
            arrays[2].shape[0],
            lambda d: _cholesky_in_registers(v, d, *arrays),
            lambda: _cholesky_in_blocks(v, *arrays),
        )
        return context.get_dummy_value()

    return signature, emit


def _cholesky_in_registers(v, d, x, count, mu, u, projected, central, z, out):
    """Distances for no more features than a block has rows: nothing is stored on the way."""
    stride = x.shape[1]
    means = [v.broadcast(mu, v.index(j)) for j in range(d)]
    upper = {(j, i): v.broadcast(u, v.index(j * BLOCK + i)) for i in range(d) for j in range(i + 1)}

    def vector(t, _):
        centred = [v.sub(v.load(x, v.at(v.index(j), stride, t)), means[j]) for j in range(d)]
        squares = v.constant(0.0)
        for i in range(d):
            y = v.mul(upper[0, i], centred[0])
            for j in range(1, i + 1):
                y = v.fma(upper[j, i], centred[j], y)
            squares = v.fma(y, y, squares)
        v.store(squares, out, t)

    v.loop(0, count, v.lanes, [], vector)


def _cholesky_in_blocks(v, x, count, mu, u, projected, central, z, out):
    """Distances for any number of features, by groups of points.

    Unless the component is central, they are centred first, and go through the scratch z.
    """
    builder, stride, (d,) = v.builder, x.shape[1], mu.shape
    group = GROUP * v.lanes
    central = v.is_set(central)
    centred_stride = builder.select(central, stride, v.index(group))

    def whole_group(t, _):
        def centre(j, _):
            mean_j = v.broadcast(mu, j)
            for n in range(GROUP):
                x_j = v.load(x, v.plus(v.at(j, stride, t), n * v.lanes))
                v.store(v.sub(x_j, mean_j), z, v.plus(v.at(j, v.index(group)), n * v.lanes))

        v.loop(0, builder.select(central, v.index(0), d), 1, [], centre)
        points = builder.select(central, x.address(builder, t), z.pointer)
        centred = z._replace(pointer=points, shape=[d, centred_stride])

        def start(i):
            projected_i = v.number(projected, i)
            offset = builder.select(central, projected_i, ir.Constant(v.scalar, 0.0))
            return v.splat(builder.fneg(offset))

        rows = _whitened_rows(v, centred, centred_stride, v.index(0), u, d, start)

        def add_squares(i, height, squares):
            for row in rows(i, height):
                squares = [v.fma(y, y, s) for y, s in zip(row, squares, strict=True)]
            return squares

        squares = v.blocks(d, [v.constant(0.0)] * GROUP, add_squares)
        for n in range(GROUP):
            v.store(squares[n], out, v.plus(t, n * v.lanes))

    v.loop(0, count, group, [], whole_group)


def _whiten_definition(tile, points, n_features, panels, whitened):
    upper = np.triu(from_panels(panels, n_features))
    whitened[:n_features, :points] = upper.T @ tile[:n_features, :points]


@microkernel(_whiten_definition)
def whiten(typing, tile, points, n_features, panels, whitened):
    """whitened[:, t] = U^T tile[:, t], U in panels; both tiles have the same stride."""
    signature = types.void(tile, types.intp, types.intp, panels, whitened)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        _whiten(v, *unpack_arguments(context, builder, signature, args))
        return context.get_dummy_value()

    return signature, emit


def _whiten(v, x, count, d, u, out):
    stride = x.shape[1]

    def whole_group(t, _):
        rows = _whitened_rows(v, x, stride, t, u, d, lambda i: v.constant(0.0))

        def keep(i, count, _):
            for r, row in enumerate(rows(i, count)):
                for n in range(GROUP):
                    v.store(row[n], out, v.plus(v.at(v.plus(i, r), stride, t), n * v.lanes))

        v.blocks(d, [], keep)

    v.loop(0, count, GROUP * v.lanes, [], whole_group)


def _whitened_rows(v, z, stride, t, u, d, start):
    """Emitter of rows i to i + count of U^T z, on top of `start(i)`, for the group of points at t.

    `count` rows times `GROUP` vectors stay in registers while j runs over the rows of z above the
    diagonal; the triangle on the diagonal is unrolled, so that no product with a zero is formed.
    """

    def rows(i, count):
        panel = v.builder.mul(i, d)

        def multiply(j, first, sums):
            z_j = [v.load(z, v.plus(v.at(j, stride, t), n * v.lanes)) for n in range(GROUP)]
            sums = list(sums)
            for r in range(first, count):
                u_ji = v.broadcast(u, v.plus(v.at(j, v.index(BLOCK), panel), r))
                for n in range(GROUP):
                    sums[r * GROUP + n] = v.fma(u_ji, z_j[n], sums[r * GROUP + n])
            return sums

        starts = [start(v.plus(i, r)) for r in range(count) for _ in range(GROUP)]
        sums = v.loop(0, i, 1, starts, lambda j, sums: multiply(j, 0, sums))
        for r in range(count):
            sums = multiply(v.plus(i, r), r, sums)
        return [sums[r * GROUP : (r + 1) * GROUP] for r in range(count)]

    return rows


def _isotropic_definition(tile, points, means, distances):
    _, d = means.shape
    for c, mean in enumerate(means):
        distances[c, :points] = ((tile[:d, :points] - mean[:, None]) ** 2).sum(axis=0)


def _from_mean(v, x, mean):
    return v.sub(x, mean)


@microkernel(_isotropic_definition)
def isotropic_distances(typing, tile, points, means, distances):
    """distances[c, t] = ||tile[:, t] - means[c]||^2 for all components."""
    signature = types.void(tile, types.intp, means, distances)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, means, out = unpack_arguments(context, builder, signature, args)
        _separable(v, _from_mean, x, count, out, means)
        return context.get_dummy_value()

    return signature, emit


def _diagonal_definition(tile, points, scaled_means, scales, distances):
    _, d = scaled_means.shape
    for c, (mean, scale) in enumerate(zip(scaled_means, scales, strict=True)):
        scaled = tile[:d, :points] * scale[:, None]
        distances[c, :points] = ((scaled - mean[:, None]) ** 2).sum(axis=0)


def _from_scaled_mean(v, x, mean, scale):
    return v.fma(x, scale, v.builder.fneg(mean))


@microkernel(_diagonal_definition)
def diagonal_distances(typing, tile, points, scaled_means, scales, distances):
    """distances[c, t] = ||scales[c] * tile[:, t] - scaled_means[c]||^2 for all components."""
    signature = types.void(tile, types.intp, scaled_means, scales, distances)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, *operands, out = unpack_arguments(context, builder, signature, args)
        _separable(v, _from_scaled_mean, x, count, out, *operands)
        return context.get_dummy_value()

    return signature, emit


def _centred_definition(tile, points, means, scales, distances):
    _, d = means.shape
    for c, (mean, scale) in enumerate(zip(means, scales, strict=True)):
        centred = tile[:d, :points] - mean[:, None]
        distances[c, :points] = ((centred * scale[:, None]) ** 2).sum(axis=0)


def _centred(v, x, mean, scale):
    return v.mul(v.sub(x, mean), scale)


@microkernel(_centred_definition)
def centred_diagonal_distances(typing, tile, points, means, scales, distances):
    """distances[c, t] = ||scales[c] * (tile[:, t] - means[c])||^2 for all components.

    What lies near a mean is exactly so far from it, wherever the mean is; that takes an operation
    more for every number than `diagonal_distances` does.
    """
    signature = types.void(tile, types.intp, means, scales, distances)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, *operands, out = unpack_arguments(context, builder, signature, args)
        _separable(v, _centred, x, count, out, *operands)
        return context.get_dummy_value()

    return signature, emit


def _separable(v, difference, x, count, out, means, *scales):
    """Distances that are a sum over features of ``difference(v, x, mean, ...)^2``.

    Blocks of components share each load of the tile.
    """
    (k, d), stride, out_stride = means.shape, x.shape[1], out.shape[1]
    width = GROUP // 2

    def whole_group(t, _):
        def components(c, count, _):
            def feature(j, sums):
                x_j = [v.load(x, v.plus(v.at(j, stride, t), n * v.lanes)) for n in range(width)]
                sums = list(sums)
                for r in range(count):
                    at = v.at(v.plus(c, r), d, j)
                    row = [v.broadcast(array, at) for array in (means, *scales)]
                    for n in range(width):
                        u = difference(v, x_j[n], *row)
                        sums[r * width + n] = v.fma(u, u, sums[r * width + n])
                return sums

            sums = v.loop(0, d, 1, [v.constant(0.0)] * (count * width), feature)
            for r in range(count):
                for n in range(width):
                    at = v.plus(v.at(v.plus(c, r), out_stride, t), n * v.lanes)
                    v.store(sums[r * width + n], out, at)

        v.blocks(k, [], components)

    v.loop(0, count, width * v.lanes, [], whole_group)


def _to_all_definition(tile, points, means, factors, projected, central, scratch, distances):
    for c, (mean, row) in enumerate(zip(means, distances, strict=True)):
        panels = factors[min(c, len(factors) - 1)]
        _cholesky_definition(tile, points, mean, panels, None, None, scratch, row)


def _cholesky_to_all(tile, *operands, few=True, many=True):
    """Signature and emitter of `cholesky_distances_to_all`, for some numbers of features."""
    signature = types.void(tile, types.intp, *operands)

    def emit(context, builder, signature, args):
        v = Vectors(builder, tile.dtype)
        x, count, means, factors, projected, central, scratch, out = unpack_arguments(
            context, builder, signature, args
        )
        k, d = means.shape

        def components(one):
            def component(c, _):
                mean, whitened = (array.part(builder, c) for array in (means, projected))
                panels = factors.part(builder, v.lesser(c, v.plus(factors.shape[0], -1)))
                near = v.number(central, c)
                one(x, count, mean, panels, whitened, near, scratch, out.part(builder, c))

            v.loop(0, k, 1, [], component)

        def of_few(n):
            components(functools.partial(_cholesky_in_registers, v, n))

        def of_many():
            components(functools.partial(_cholesky_in_blocks, v))

        v.by_features(d, of_few if few else None, of_many if many else None)
        return context.get_dummy_value()

    return signature, emit


@microkernel(_to_all_definition)
def cholesky_distances_to_all(
    typing, tile, points, means, factors, projected, central, scratch, distances
):
    """`cholesky_distances` (k, stride) to all components, with an axis for them in front.

    That of the factors may be of length 1, for one factor of all components.
    """
    return _cholesky_to_all(tile, means, factors, projected, central, scratch, distances)


@microkernel(_to_all_definition)
def cholesky_distances_of_few(
    typing, tile, points, means, factors, projected, central, scratch, distances
):
    """`cholesky_distances_to_all` for up to `BLOCK` features."""
    operands = means, factors, projected, central, scratch, distances
    return _cholesky_to_all(tile, *operands, many=False)


@microkernel(_to_all_definition)
def cholesky_distances_of_many(
    typing, tile, points, means, factors, projected, central, scratch, distances
):
    """`cholesky_distances_to_all` for more than `BLOCK` features."""
    operands = means, factors, projected, central, scratch, distances
    return _cholesky_to_all(tile, *operands, few=False)
