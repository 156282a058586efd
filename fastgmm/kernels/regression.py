r"""How missing features follow from observed ones, for many patterns of these at once.

With o the features that a pattern observes and u the others, :math:`\Lambda` a component's
precision and f, W, N its sums over what is observed: the covariance that is left is
:math:`C = \Lambda_{uu}^{-1}`, the gain :math:`B = -C \Lambda_{uo}` (Bishop 2006, eq. 2.73 and
2.75), and a row's expected values of u are :math:`B (x_o - \mu_o) + \mu_u`. A pattern has few rows,
and its matrices are small: calls of NumPy for each step would take longer than its arithmetic.
"""

import numpy as np
from numba import types

from fastgmm.kernels.compile import entry_point, kernel, microkernel
from fastgmm.kernels.layout import HEADER, outer_place
from fastgmm.kernels.outer_moments import sums_place
from fastgmm.kernels.simd import Vectors
from fastgmm.kernels.views import fill, part, stretch

_STACK = types.Array(types.float64, 4, "C")
_READ = types.Array(types.float64, 3, "C", readonly=True)
_FEATURES = types.Array(types.int64, 2, "C", readonly=True)


@entry_point
def conditional_matrices():
    """Kernel for gains and what they leave of the covariances.

    Returns
    -------
    callable (precisions, known, others, gains, covariances)
        precisions (k, d, d); known (m, p) and others (m, q), numbers of features; out: gains
        (m, k, q, p) and covariances (m, k, q, q). NaN where a precision is not positive definite.
    """
    signature = types.void(_READ, _FEATURES, _FEATURES, _STACK, _STACK)

    @kernel(signature=signature)
    def condition(precisions, known, others, gains, covariances):
        k, (m, p), q = len(precisions), known.shape, others.shape[1]
        root, inverse = np.zeros((q, q)), np.zeros((q, q))
        for i in range(m):
            for c in range(k):
                given = part(precisions, c)
                left, gain = part(part(covariances, i), c), part(part(gains, i), c)
                # The lower triangle L of L @ L.T, and its inverse beside it, row by row.
                for u in range(q):
                    for v in range(u + 1):
                        number = given[others[i, u], others[i, v]]
                        for h in range(v):
                            number -= root[u, h] * root[v, h]
                        if v < u:
                            root[u, v] = number / root[v, v]
                        else:
                            root[u, u] = np.sqrt(number) if number > 0.0 else np.nan
                    for v in range(u):
                        inverse[u, v] = 0.0
                    for h in range(u):
                        for v in range(h + 1):
                            inverse[u, v] -= root[u, h] * inverse[h, v]
                    for v in range(u):
                        inverse[u, v] /= root[u, u]
                    inverse[u, u] = 1.0 / root[u, u]
                fill(left, 0.0)
                for h in range(q):
                    for u in range(h + 1):
                        for v in range(h + 1):
                            left[u, v] += inverse[h, u] * inverse[h, v]
                fill(gain, 0.0)
                for u in range(q):
                    for v in range(q):
                        factor, row = left[u, v], part(given, others[i, v])
                        for j in range(p):
                            gain[u, j] -= factor * row[known[i, j]]

    return condition


def _place_definition(row, column):
    return outer_place(max(row, column), min(row, column))


@microkernel(_place_definition)
def place(typing, row, column):
    """`fastgmm.kernels.layout.outer_place`, in either order."""

    def emit(context, builder, signature, args):
        v = Vectors(builder, types.float64)
        return sums_place(v, v.greater(*args), v.lesser(*args))

    return types.intp(types.intp, types.intp), emit


@entry_point
def pooled_expansion():
    r"""Kernel that does what `expansion` does for components that share gains and covariances.

    Their second moments are pooled, about an origin z. With W the pooled ones of o, f' and N the
    first moments of a component about z and its weight, and :math:`a = \mu_u - z_u - B (\mu_o -
    z_o)`, those of u and o are :math:`B W + \sum a f'^T` and those of u :math:`B W B^T + \sum (B f'
    a^T + a (B f')^T + N a a^T + N C)`, summed over components.

    Returns
    -------
    callable (sums, known, others, gains, covariances, means, reference, origin, total)
        As for `expansion`, but for sums (m, ...) and total (...), which are of the form `POOLED`,
        gains (m, 1, q, p), covariances (m, 1, q, q), and origin (d,).
    """
    matrix = types.Array(types.float64, 2, "C", readonly=True)
    vector = types.Array(types.float64, 1, "C", readonly=True)
    total = types.Array(types.float64, 1, "C")
    stack = types.Array(types.float64, 4, "C", readonly=True)
    which = _FEATURES, _FEATURES, stack, stack
    signature = types.void(matrix, *which, matrix, matrix, vector, total)

    @kernel(signature=signature)
    def expand(sums, known, others, gains, covariances, means, reference, origin, total):
        (m, p), q, (k, d) = known.shape, others.shape[1], means.shape
        second, mixed, crossed = np.empty((p, p)), np.empty((q, p)), np.empty((q, q))
        first, moved, offset, expected = np.empty(p), np.empty(p), np.empty(q), np.empty(q)
        behind = HEADER + k * (d + 1)
        pooled = stretch(total, behind, len(total) - behind)
        for i in range(m):
            o, u = part(known, i), part(others, i)
            gain, left = part(part(gains, i), 0), part(part(covariances, i), 0)
            behind = HEADER + k * (p + 1)
            block = stretch(part(sums, i), behind, sums.shape[1] - behind)
            for h in range(HEADER):
                total[h] += sums[i, h]
            for j in range(p):
                for h in range(j + 1):
                    second[j, h] = second[h, j] = block[place(j, h)]
                    pooled[place(o[j], o[h])] += second[j, h]
            for a in range(q):
                fill(part(mixed, a), 0.0)
                for j in range(p):
                    for h in range(p):
                        mixed[a, h] += gain[a, j] * second[j, h]
            for a in range(q):
                for b in range(a + 1):
                    crossed[a, b] = 0.0
                    for j in range(p):
                        crossed[a, b] += mixed[a, j] * gain[b, j]
            weight_of_all = 0.0
            for c in range(k):
                own = stretch(part(sums, i), HEADER + c * (p + 1), p + 1)
                out = stretch(total, HEADER + c * (d + 1), d + 1)
                weight = own[p]
                if weight == 0.0:  # and all the other sums
                    continue
                weight_of_all += weight
                out[d] += weight
                for j in range(p):
                    out[o[j]] += own[j]
                    moved[j] = reference[c, o[j]] - origin[o[j]]
                    first[j] = own[j] + weight * moved[j]
                for a in range(q):
                    near, shift, about = means[c, u[a]] - reference[c, u[a]], 0.0, 0.0
                    for j in range(p):
                        near += gain[a, j] * (reference[c, o[j]] - means[c, o[j]])
                        shift += gain[a, j] * moved[j]
                        about += gain[a, j] * own[j]
                    out[u[a]] += about + weight * near
                    expected[a] = about + weight * shift
                    offset[a] = near + (reference[c, u[a]] - origin[u[a]]) - shift
                    for h in range(p):
                        mixed[a, h] += offset[a] * first[h]
                    for b in range(a + 1):
                        crossed[a, b] += expected[a] * offset[b] + expected[b] * offset[a]
                        crossed[a, b] += weight * offset[a] * offset[b]
            for a in range(q):
                for h in range(p):
                    pooled[place(u[a], o[h])] += mixed[a, h]
                for b in range(a + 1):
                    pooled[place(u[a], u[b])] += crossed[a, b] + weight_of_all * left[a, b]

    return expand


@entry_point
def separate_expansion():
    """Kernel that does what `expansion` does where features of a component never correlate.

    What is missing has the component's own mean and variance, whatever is observed.

    Returns
    -------
    callable (sums, known, others, variances, means, reference, total)
        As for `expansion`, but for sums (m, ...) and total (...), which are of the form `DIAGONAL`,
        and variances (m, k, q), of what is missing.
    """
    matrix = types.Array(types.float64, 2, "C", readonly=True)
    total = types.Array(types.float64, 1, "C")
    signature = types.void(matrix, _FEATURES, _FEATURES, _READ, matrix, matrix, total)

    @kernel(signature=signature)
    def expand(sums, known, others, variances, means, reference, total):
        (m, p), q, (k, d) = known.shape, others.shape[1], means.shape
        for i in range(m):
            o, u = part(known, i), part(others, i)
            for h in range(HEADER):
                total[h] += sums[i, h]
            for c in range(k):
                own = stretch(part(sums, i), HEADER + c * (2 * p + 1), 2 * p + 1)
                out = stretch(total, HEADER + c * (2 * d + 1), 2 * d + 1)
                weight = own[p]
                if weight == 0.0:  # and all the other sums
                    continue
                out[d] += weight
                for j in range(p):
                    out[o[j]] += own[j]
                    out[d + 1 + o[j]] += own[p + 1 + j]
                for a in range(q):
                    offset = means[c, u[a]] - reference[c, u[a]]
                    out[u[a]] += weight * offset
                    out[d + 1 + u[a]] += weight * (variances[i, c, a] + offset * offset)

    return expand


@entry_point
def expansion():
    r"""Kernel that adds sums over what is observed to sums over all features.

    For every pattern, about the same points, with :math:`b = \mu_u - \text{reference}_u + B
    (\text{reference}_o - \mu_o)`: the first moments of u are :math:`B f + N b`, the second ones
    :math:`B W + b f^T` and :math:`B W B^T + B f b^T + b (B f)^T + N (b b^T + C)`.

    Returns
    -------
    callable (sums, known, others, gains, covariances, means, reference, total)
        sums (m, ...), outer ones over p features each; known (m, p), others (m, q); gains and
        covariances as of `conditional_matrices`; means (k, d); reference (k, d), the points; out:
        total (...), outer sums over all features.
    """
    matrix = types.Array(types.float64, 2, "C", readonly=True)
    total = types.Array(types.float64, 1, "C")
    signature = types.void(matrix, _FEATURES, _FEATURES, _STACK, _STACK, matrix, matrix, total)

    @kernel(signature=signature)
    def expand(sums, known, others, gains, covariances, means, reference, total):
        (m, p), q, (k, d) = known.shape, others.shape[1], means.shape
        size, whole = (sums.shape[1] - HEADER) // k, (len(total) - HEADER) // k
        second, mixed = np.empty((p, p)), np.empty((q, p))
        offset, expected = np.empty(q), np.empty(q)
        for i in range(m):
            o, u = part(known, i), part(others, i)
            for h in range(HEADER):
                total[h] += sums[i, h]
            for c in range(k):
                block = stretch(part(sums, i), HEADER + c * size, size)
                out = stretch(total, HEADER + c * whole, whole)
                gain, left = part(part(gains, i), c), part(part(covariances, i), c)
                weight = block[place(p, p)]
                if weight == 0.0:  # and all the other sums
                    continue
                out[place(d, d)] += weight
                for j in range(p):
                    out[place(d, o[j])] += block[place(p, j)]
                    for h in range(j + 1):
                        second[j, h] = second[h, j] = block[place(j, h)]
                        out[place(o[j], o[h])] += second[j, h]
                for a in range(q):
                    offset[a] = means[c, u[a]] - reference[c, u[a]]
                    expected[a] = 0.0
                    fill(part(mixed, a), 0.0)
                    for j in range(p):
                        offset[a] += gain[a, j] * (reference[c, o[j]] - means[c, o[j]])
                        expected[a] += gain[a, j] * block[place(p, j)]
                        for h in range(p):
                            mixed[a, h] += gain[a, j] * second[j, h]
                    out[place(d, u[a])] += expected[a] + weight * offset[a]
                    for h in range(p):
                        product = mixed[a, h] + offset[a] * block[place(p, h)]
                        out[place(u[a], o[h])] += product
                for a in range(q):
                    for b in range(a + 1):
                        product = weight * (offset[a] * offset[b] + left[a, b])
                        product += expected[a] * offset[b] + expected[b] * offset[a]
                        for j in range(p):
                            product += mixed[a, j] * gain[b, j]
                        out[place(u[a], u[b])] += product

    return expand
