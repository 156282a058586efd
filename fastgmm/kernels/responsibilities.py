r"""From distances to responsibilities, log-likelihoods and labels.

With :math:`a_{tc}` the weighted log-density, :math:`\log p(x_t) = m_t + \log \sum_c e^{a_{tc} -
m_t}`, :math:`m_t = \max_c a_{tc}`, and :math:`r_{tc} = e^{a_{tc} - \log p(x_t)}` (Bishop 2006,
eq. 9.13 and 9.14; Murphy 2012, sec. 3.5.3 for the shift by the maximum).

Noise has the same weighted log-density everywhere. If there is any, that number stands behind the
constants of the components; maximum and sum then begin with it, and the responsibilities of the
components sum to less than one. Where it counts at all, exponentials are taken relative to it and
not to the maximum: its own is 1, and needs no computing.

Outer moments take :math:`\sqrt{r_{tc}}`, which is no dearer than :math:`r_{tc}`: the exponential of
half the argument, whose square is summed. A square root of each would take longer than the
exponential.
"""

import functools

import numpy as np
from numba.core import types

from fastgmm.kernels.compile import microkernel
from fastgmm.kernels.elementary import LOG2_E, exp2, log_and_inverse, log_positive
from fastgmm.kernels.simd import GROUP, Vectors, unpack_arguments

# Below every log-density of a point that has a likelihood at all; the start of maxima.
_LOWEST = {True: -1.7976931348623157e308, False: -3.4028234663852886e38}

_FARTHEST = 60.0
"""Below the largest log-density of components, noise that is so far counts for nothing.

It changes no sum in its last digit, and exp of this is a number of either type.
"""


def _background_definition(constants, k):
    return constants[k] if len(constants) > k else -np.inf


def _normalize_definition(
    distances, points, scales, constants, cutoff, weights, responsibilities, log_likelihoods
):
    k = len(scales)
    background = _background_definition(constants, k)
    log_densities = constants[:k, None] + scales[:, None] * distances[:, :points]
    lowest = max(background, _LOWEST[distances.dtype == np.float64])
    maximum = np.maximum(log_densities.max(axis=0), lowest)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = log_densities - maximum
        densities = np.where(relative <= cutoff, 0.0, np.exp(relative))
        of_noise = background - maximum
        total = densities.sum(axis=0) + np.where(of_noise <= cutoff, 0.0, np.exp(of_noise))
        log_likelihoods[:points] = maximum + np.log(total)
        responsibilities[:, :points] = densities * (weights[:points] / total)
    weighted = np.where(weights[:points] > 0, weights[:points] * log_likelihoods[:points], 0.0)
    return float(weighted.sum())


def _normalize_to_roots_definition(
    distances, points, scales, constants, cutoff, weights, roots, log_likelihoods
):
    total = _normalize_definition(
        distances, points, scales, constants, cutoff, weights, roots, log_likelihoods
    )
    roots[:, :points] = np.sqrt(roots[:, :points])
    return total


def _normalizing(to_roots, distances, scales, constants, weights, responsibilities, norms):
    """Signature and emitter of `normalize`, or of `normalize_to_roots`, for these types."""
    cutoff, result = distances.dtype, (weights, responsibilities, norms)
    signature = types.float64(distances, types.intp, scales, constants, cutoff, *result)

    def emit(context, builder, signature, args):
        v = Vectors(builder, distances.dtype)
        return _emit_normalize(v, to_roots, *unpack_arguments(context, builder, signature, args))

    return signature, emit


def _emit_normalize(v, to_roots, q, count, scale, constant, least, w, r, norms):
    builder, (k, stride) = v.builder, q.shape
    span = range(GROUP)
    zeros = [v.constant(0.0)] * GROUP
    weigh = _log_densities(v, q, scale, constant, least, r)

    def whole_group(t, likelihoods):
        def at(c, n):
            return v.plus(v.at(c, stride, t), n * v.lanes)

        maxima, first, cutoffs = weigh(at)

        def add(c, e, sums):
            if to_roots:
                added = [v.fma(e[n], e[n], sums[n]) for n in span]
            else:
                added = [v.add(sums[n], e[n]) for n in span]
            keep(c, e)
            return added

        def keep(c, densities):
            for n in span:
                v.store(densities[n], r, at(c, n))

        base = LOG2_E / 2.0 if to_roots else LOG2_E
        relative = _relative(v, r, at, maxima)
        sums = _exponentials(v, k, relative, cutoffs, base, first, add, lambda c: keep(c, zeros))
        factors = []
        for n in span:
            weight = v.load(w, v.plus(t, n * v.lanes))
            if to_roots:
                # The divider is what all waits for: it has the root to take as well.
                log_sum, inverse = log_and_inverse(v, sums[n])
                factors.append(v.sqrt(v.mul(weight, inverse)))
            else:
                log_sum = log_positive(v, sums[n])
                factors.append(builder.fdiv(weight, sums[n]))
            norm = _log_likelihood(v, maxima[n], sums[n], log_sum)
            v.store(norm, norms, v.plus(t, n * v.lanes))
            counted = builder.fcmp_ordered(">", weight, v.constant(0.0))
            more = v.fma(weight, norm, likelihoods[n])
            likelihoods[n] = builder.select(counted, more, likelihoods[n])

        def scale_to_one(c, _):
            for n in span:
                v.store(v.mul(v.load(r, at(c, n)), factors[n]), r, at(c, n))

        v.loop(0, k, 1, [], scale_to_one)
        return likelihoods

    likelihoods = v.loop(0, count, GROUP * v.lanes, zeros, whole_group)
    return v.widen(v.horizontal_sums([_sum(v, likelihoods)])[0])


def _log_densities(v, q, scale, constant, least, r):
    """Emitter that puts the weighted log-densities of a group into r, at the places `at` says.

    It gives what exponentials are relative to, their sums without the components, and the least
    that counts.
    """
    builder, (k, _), span = v.builder, q.shape, range(GROUP)
    cutoff = v.splat(least)
    noisy, background = _background(v, constant, k)
    lowest = v.maximum(background, v.constant(_LOWEST[v.double]))
    farthest = builder.fneg(v.maximum(cutoff, v.constant(-_FARTHEST)))

    def weigh(at):
        def log_densities(c, maxima):
            constant_c, scale_c = v.broadcast(constant, c), v.broadcast(scale, c)
            for n in span:
                a = v.fma(scale_c, v.load(q, at(c, n)), constant_c)
                v.store(a, r, at(c, n))
                maxima[n] = v.maximum(a, maxima[n])
            return maxima

        maxima = v.loop(0, k, 1, [lowest] * GROUP, log_densities)
        # Exponentials are taken relative to noise wherever it counts: so its own is 1.
        with builder.if_else(noisy) as (some_noise, no_noise):
            with some_noise:
                behind = [v.sub(maxima[n], background) for n in span]
                counts = [builder.fcmp_ordered("<", x, farthest) for x in behind]
                zero, one = v.constant(0.0), v.constant(1.0)
                of_noise = [builder.select(is_near, one, zero) for is_near in counts]
                shifted = [builder.select(counts[n], background, maxima[n]) for n in span]
                lower = [v.add(cutoff, v.sub(maxima[n], shifted[n])) for n in span]
                noisy_end = builder.block
            with no_noise:
                quiet_end = builder.block

        def where_noisy(some, none):
            pairs = zip(some, none, strict=True)
            return [v.join((one, noisy_end), (other, quiet_end)) for one, other in pairs]

        first = where_noisy(of_noise, [v.constant(0.0)] * GROUP)
        cutoffs = where_noisy(lower, [cutoff] * GROUP)
        return where_noisy(shifted, maxima), first, cutoffs

    return weigh


def _relative(v, log_densities, at, maxima):
    """Emitter of a component's log-densities relative to the largest."""
    return lambda c: [v.sub(v.load(log_densities, at(c, n)), maxima[n]) for n in range(GROUP)]


def _exponentials(v, k, relative, cutoffs, base, carried, near, far):
    """Emit ``carried = near(c, exponentials, carried)`` for every component c of a group.

    ``far(c)`` is emitted for one that counts nowhere.
    """
    builder, span = v.builder, range(GROUP)

    def component(c, carried):
        exponents = relative(c)
        # Unordered: a NaN counts, so that it shows in the sum.
        counts = [builder.fcmp_unordered(">", exponents[n], cutoffs[n]) for n in span]
        # Most components are far from most points: skip where no lane counts.
        some = v.any(functools.reduce(builder.or_, counts))
        with builder.if_else(some) as (where_near, where_far):
            with where_near:
                e = [exp2(v, exponents[n], base, counts[n]) for n in span]
                found = near(c, e, carried)
                near_end = builder.block
            with where_far:
                far(c)
                far_end = builder.block
        pairs = zip(found, carried, strict=True)
        return [v.join((new, near_end), (old, far_end)) for new, old in pairs]

    return v.loop(0, k, 1, carried, component)


def _log_likelihood(v, maximum, total, log_total):
    """What a sum of exponentials relative to a maximum says, and the logarithm of the sum."""
    # Where the sum is 0 its logarithm is minus infinity; where it is NaN, NaN.
    special = v.builder.fcmp_unordered("==", total, v.constant(0.0))
    infinite = v.sub(total, v.constant("inf"))
    return v.add(maximum, v.builder.select(special, infinite, log_total))


def _background(v, constant, k):
    """Whether there is noise, and its log-density in every lane: minus infinity for none."""
    noisy = v.builder.icmp_signed(">", constant.shape[0], k)
    density = v.broadcast(constant, v.builder.select(noisy, k, v.index(0)))
    return noisy, v.builder.select(noisy, density, v.constant("-inf"))


@microkernel(_normalize_definition)
def normalize(
    typing,
    distances,
    points,
    scales,
    constants,
    cutoff,
    weights,
    responsibilities,
    log_likelihoods,
):
    """Weighted responsibilities of a tile; returns the weighted sum of its log-likelihoods.

    distances (k, stride), points a multiple of the group, scales (k,), constants (k,), or (k + 1,)
    with that of noise last, cutoff:
    components whose log-density lies further below the point's largest count as zero, weights
    (stride,), out: responsibilities (k, stride), which may be `distances` itself, and
    log_likelihoods (stride,).
    """
    return _normalizing(
        False, distances, scales, constants, weights, responsibilities, log_likelihoods
    )


@microkernel(_normalize_to_roots_definition)
def normalize_to_roots(
    typing, distances, points, scales, constants, cutoff, weights, roots, log_likelihoods
):
    """`normalize`, with the square roots of the weighted responsibilities instead of these."""
    return _normalizing(True, distances, scales, constants, weights, roots, log_likelihoods)


def _certainties_definition(distances, points, scales, constants, cutoff, largest, log_likelihoods):
    shape, ones = (len(scales), points), np.ones(points, distances.dtype)
    responsibilities = np.empty(shape, distances.dtype)
    _normalize_definition(
        distances, points, scales, constants, cutoff, ones, responsibilities, log_likelihoods
    )
    largest[:points] = np.fmax(responsibilities.max(axis=0), 0.0)
    _weigh_distances_definition(distances, points, scales, constants)


@microkernel(_certainties_definition)
def certainties(typing, distances, points, scales, constants, cutoff, largest, log_likelihoods):
    """largest[t] = the largest of the responsibilities of components, and the log-likelihoods.

    With the bits of `normalize`, of weights of one, but without the responsibilities themselves.
    Distances (k, stride) become log-densities.
    """
    real = distances.dtype
    signature = types.void(distances, types.intp, scales, constants, real, largest, log_likelihoods)

    def emit(context, builder, signature, args):
        v = Vectors(builder, real)
        q, count, scale, constant, least, out, norms = unpack_arguments(
            context, builder, signature, args
        )
        (k, stride), span, zeros = q.shape, range(GROUP), [v.constant(0.0)] * GROUP
        weigh = _log_densities(v, q, scale, constant, least, q)

        def whole_group(t, _):
            def at(c, n):
                return v.plus(v.at(c, stride, t), n * v.lanes)

            def add(c, e, carried):
                sums, tops = carried[:GROUP], carried[GROUP:]
                added = [v.add(sums[n], e[n]) for n in span]
                return [*added, *(v.maximum(e[n], tops[n]) for n in span)]

            maxima, first, cutoffs = weigh(at)
            relative, carried = _relative(v, q, at, maxima), [*first, *zeros]
            found = _exponentials(v, k, relative, cutoffs, LOG2_E, carried, add, lambda c: None)
            for n, (total, top) in enumerate(zip(found[:GROUP], found[GROUP:], strict=True)):
                place, log_sum = v.plus(t, n * v.lanes), log_positive(v, total)
                v.store(_log_likelihood(v, maxima[n], total, log_sum), norms, place)
                share = v.mul(top, builder.fdiv(v.constant(1.0), total))
                v.store(v.maximum(share, v.constant(0.0)), out, place)

        v.loop(0, count, GROUP * v.lanes, [], whole_group)
        return context.get_dummy_value()

    return signature, emit


def _sum(v, vectors):
    total = vectors[0]
    for vector in vectors[1:]:
        total = v.add(total, vector)
    return total


def _assign_definition(distances, points, scales, constants, labels):
    k = len(scales)
    log_densities = constants[:k, None] + scales[:, None] * distances[:, :points]
    labels[:points] = log_densities.argmax(axis=0)
    is_noise = ~(log_densities.max(axis=0) > _background_definition(constants, k))
    labels[:points][is_noise & (len(constants) > k)] = -1.0


@microkernel(_assign_definition)
def assign(typing, distances, points, scales, constants, labels):
    """labels[t] = the first component of largest log-density, as a float; needs no exponential.

    -1 where the density of noise, which may stand behind the constants, is no less.
    """
    signature = types.void(distances, types.intp, scales, constants, labels)

    def emit(context, builder, signature, args):
        v = Vectors(builder, distances.dtype)
        q, count, scale, constant, out = unpack_arguments(context, builder, signature, args)
        k, stride = q.shape
        noisy, background = _background(v, constant, k)
        unassigned = builder.select(noisy, v.constant(-1.0), v.constant(0.0))

        def whole_vector(t, _):
            def component(c, best):
                maximum, label, this = best
                a = v.fma(
                    v.broadcast(scale, c), v.load(q, v.at(c, stride, t)), v.broadcast(constant, c)
                )
                better = builder.fcmp_ordered(">", a, maximum)
                return [
                    builder.select(better, a, maximum),
                    builder.select(better, this, label),
                    v.add(this, v.constant(1.0)),
                ]

            start = [background, unassigned, v.constant(0.0)]
            _, label, _ = v.loop(0, k, 1, start, component)
            v.store(label, out, t)

        v.loop(0, count, v.lanes, [], whole_vector)
        return context.get_dummy_value()

    return signature, emit


def _weigh_distances_definition(distances, points, scales, constants):
    k = len(scales)
    log_densities = constants[:k, None] + scales[:, None] * distances[:, :points]
    distances[:, :points] = log_densities


@microkernel(_weigh_distances_definition)
def weigh_distances(typing, distances, points, scales, constants):
    """Make distances (k, stride) the weighted log-densities of the components."""
    signature = types.void(distances, types.intp, scales, constants)

    def emit(context, builder, signature, args):
        v = Vectors(builder, distances.dtype)
        q, count, scale, constant = unpack_arguments(context, builder, signature, args)

        def component(c, _):
            row = q.part(builder, c)
            scale_c, constant_c = v.broadcast(scale, c), v.broadcast(constant, c)

            def group(t, _):
                for n in range(GROUP):
                    at = v.plus(t, n * v.lanes)
                    v.store(v.fma(scale_c, v.load(row, at), constant_c), row, at)

            v.loop(0, count, GROUP * v.lanes, [], group)

        v.loop(0, q.shape[0], 1, [], component)
        return context.get_dummy_value()

    return signature, emit
