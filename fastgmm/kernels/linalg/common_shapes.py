"""The shape that the scatters of several components have in common, and their volumes.

In turn, the shape that is the best for the volumes, and the volumes that are the best for the shape
(Celeux & Govaert, Gaussian parsimonious clustering models (1995), Pattern Recognition 28(5), sec.
4.1). No step makes the likelihood smaller, and there is one maximum.

A template is filled in with two parts, for what has a shape:

- ``take_shape(scatter, volumes, shape)`` sets the shape that is the best for volumes, but for its
  size, which volumes make up for;
- ``take_volumes(scatter, weights, shape, room, volumes)`` sets the volumes that are the best for a
  shape.
"""

# ruff: noqa: F821  (names that the template leaves open)

from types import SimpleNamespace

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, filled_in, inlined, kernel
from fastgmm.kernels.linalg.factors import precision_factors
from fastgmm.kernels.linalg.few_features import few_precision_factors
from fastgmm.kernels.linalg.products import stacked_product
from fastgmm.kernels.views import fill, greater, part, stretch

SETTLED = 1e-10
"""Relative change of volumes below which they are settled."""

MOST_STEPS = 500


@inlined
def reciprocal(number):
    """One over what is positive; 0 for what is not, so that it has no say in what is shared."""
    return 1.0 / number if number > 0.0 else 0.0


@inlined
def enter(new, rounding, volumes):
    """Take new volumes, 0 for a component that has none; returns whether any has moved."""
    moving = False
    for c in range(len(new)):
        volume = new[c] if not new[c] <= rounding[c] else 0.0
        moving |= abs(volume - volumes[c]) > SETTLED * volume
        volumes[c] = volume
    return moving


@inlined
def shape_along_axes(spreads, volumes, shape):
    k, d = spreads.shape
    total = 0.0
    for j in range(d):
        shape[j] = 0.0
        for c in range(k):
            shape[j] += spreads[c, j] * reciprocal(volumes[c])
        total += shape[j]
    scale = reciprocal(total / d)
    for j in range(d):
        shape[j] *= scale


@inlined
def volumes_along_axes(spreads, weights, shape, room, volumes):
    k, d = spreads.shape
    n_spread = 0
    for j in range(d):
        n_spread += shape[j] > 0.0
    for c in range(k):
        total = 0.0
        for j in range(d):
            total += spreads[c, j] * reciprocal(shape[j])
        volumes[c] = total / (weights[c] * greater(n_spread, 1))


@inlined
def shape_of_matrices(scatter, volumes, shape):
    k, d, _ = scatter.shape
    fill(shape, 0.0)
    for c in range(k):
        share = reciprocal(volumes[c])
        for i in range(d):
            for j in range(d):
                shape[i, j] += scatter[c, i, j] * share
    total = 0.0
    for i in range(d):
        total += shape[i, i]
    scale = reciprocal(total / d)
    for i in range(d):
        for j in range(d):
            shape[i, j] *= scale


def _volumes_of_matrices(scatter, weights, shape, room, volumes):
    """Of a singular shape, those of spheres."""
    k, d, _ = scatter.shape
    for i in range(d):
        for j in range(d):
            room[0, i, j] = shape[i, j]
    factor, inverse = stretch(room, 1, 1), stretch(room, 2, 1)
    factors_of(stretch(room, 0, 1), factor)
    square(factor, factor, False, True, inverse)
    for c in range(k):
        trace = of_sphere = 0.0
        for i in range(d):
            of_sphere += scatter[c, i, i]
            for j in range(d):
                trace += scatter[c, i, j] * inverse[0, i, j]
        volumes[c] = (trace if np.isfinite(trace) else of_sphere) / (weights[c] * d)


@inlined
def square_of_few(left, right, upper, mirrored, out):
    """The same as `stacked_product` of ``factor @ factor.T``."""
    d = left.shape[1]
    for i in range(d):
        for j in range(i, d):
            total = 0.0
            for h in range(j, d):
                total += left[0, i, h] * left[0, j, h]
            out[0, i, j] = out[0, j, i] = total


def _settle(scatters, weights, rounding, volumes, shapes):
    new, room = np.empty(weights.shape[1]), room_for(scatters)
    for g in range(len(scatters)):
        scatter, volume, shape = part(scatters, g), part(volumes, g), part(shapes, g)
        moving, steps = True, 0
        while True:
            take_shape(scatter, volume, shape)
            if not moving or steps == MOST_STEPS:
                break
            take_volumes(scatter, part(weights, g), shape, room, new)
            moving = enter(new, part(rounding, g), volume)
            steps += 1


@inlined
def no_room(scatters):
    return np.empty(0)


@inlined
def room_of_matrices(scatters):
    return np.empty((3, scatters.shape[2], scatters.shape[2]))


def _signature(n_own_axes):
    matrix, given = types.Array(types.float64, 2, "C"), types.float64[:, ::1]
    shapes = types.Array(types.float64, 1 + n_own_axes, "C")
    return types.void(types.Array(types.float64, 2 + n_own_axes, "C"), given, given, matrix, shapes)


@entry_point
def common_shape():
    """Kernel for variances (k, d) along axes that are known, of a stack of mixtures.

    Returns
    -------
    callable (spreads, weights, rounding, volumes, shapes)
        spreads (m, k, d), not negative; weights (m, k); rounding (m, k), the largest volumes that
        are none; volumes (m, k), to start from, and then those that were found; shapes (m, d) are
        written.
    """
    parts = SimpleNamespace(
        take_shape=shape_along_axes, take_volumes=volumes_along_axes, room_for=no_room
    )
    return kernel(filled_in(_settle, parts), signature=_signature(1), variant="along_axes")


@entry_point
def common_matrix(few):
    """Kernel for the matrix of shape and orientation that components have in common.

    Parameters
    ----------
    few : bool
        Whether there are at most `BLOCK` features.

    Returns
    -------
    callable (scatters, weights, rounding, volumes, shapes)
        scatters (m, k, d, d); weights (m, k); rounding (m, k), the largest volumes that are none;
        volumes (m, k), to start from, and then those that were found; shapes (m, d, d) are written.
    """
    names = SimpleNamespace(
        factors_of=few_precision_factors() if few else precision_factors(),
        square=square_of_few if few else stacked_product(),
    )
    parts = SimpleNamespace(
        take_shape=shape_of_matrices,
        take_volumes=inlined(filled_in(_volumes_of_matrices, names)),
        room_for=room_of_matrices,
    )
    variant = "few_matrices" if few else "matrices"
    return kernel(filled_in(_settle, parts), signature=_signature(2), variant=variant)
