"""Random inputs of every micro-kernel, for any number of features, components, groups of points."""

import numpy as np

from fastgmm.kernels.layout import BLOCK, HEADER, outer_size, to_panels
from fastgmm.kernels.linalg.marginals import SIDE_BY_SIDE
from fastgmm.kernels.shared_moments import POINTS, PRODUCTS, n_products
from fastgmm.kernels.simd import GROUP_BYTES, LANE_BYTES

UNTOUCHED = -777.0
"""Stands in what is not to be read, and where nothing is to be written."""


class Scratch(np.ndarray):
    """An array whose contents after the call are nobody's business."""


class SameDigits(np.ndarray):
    """An array whose type the definition asks for."""


class Problem:
    """Random inputs of one size and dtype."""

    def __init__(self, d, k, groups, dtype, seed=0):
        self.random = np.random.RandomState(seed)
        self.d, self.k, self.dtype = d, k, np.dtype(dtype)
        self.points = groups * GROUP_BYTES // self.dtype.itemsize
        self.stride = self.points + 64 // self.dtype.itemsize

    def of_few(self):
        """The same with no more features than a block has rows."""
        self.d = (self.d - 1) % BLOCK + 1
        return self

    def of_many(self):
        """The same with more."""
        self.d += BLOCK
        return self

    def normal(self, *shape):
        return self.random.standard_normal(shape).astype(self.dtype)

    def points_of(self, *shape):
        """Random numbers (..., stride), of which the kernel owns the first `points`."""
        values = np.full((*shape, self.stride), UNTOUCHED, self.dtype)
        values[..., : self.points] = self.random.standard_normal((*shape, self.points))
        return values

    def positive_points(self, *shape):
        """The same, not negative, and zero here and there."""
        values = self.points_of(*shape)
        inside = values[..., : self.points]
        np.maximum(inside, 0, out=inside)
        return values

    def output(self, *shape):
        return np.full((*shape, self.stride), UNTOUCHED, self.dtype)

    def scratch(self, rows):
        return np.full((rows, self.stride), np.nan, self.dtype).view(Scratch)

    def tile(self):
        """A tile with its row of ones."""
        tile = self.points_of(self.d + 1)
        tile[-1] = 1.0
        return tile

    def flags(self):
        """Of components: 1 or 0, and something behind."""
        return np.append(self.random.uniform(size=self.k) < 0.7, UNTOUCHED).astype(self.dtype)

    def permutation(self):
        """Of components, as floats, and something behind."""
        return np.append(self.random.permutation(self.k), UNTOUCHED).astype(self.dtype)

    def sums(self, *shape):
        return self.random.standard_normal(shape)

    def upper(self):
        """Triangular with rubbish below the diagonal, which is not to be read."""
        upper = np.full((self.d, self.d), UNTOUCHED, self.dtype)
        above = np.triu_indices(self.d)
        upper[above] = self.normal(len(above[0]))
        return upper

    def log_densities(self):
        """(distances, points, scales, constants), with one component of weight 0."""
        constants = self.normal(self.k)
        constants[1:2] = -np.inf
        distances = 30 * self.positive_points(self.k)
        return distances, self.points, np.full(self.k, -0.5, self.dtype), constants


def rows_of(p, d, n):
    """Rows (2 n, d) side by side, features side by side, or neither."""
    rows = p.normal(2 * n, 2 * d)
    layouts = {1: rows[:, :d], 3: np.asfortranarray(rows[:, :d]), 4: rows[::-1, ::2]}
    return layouts.get(p.k, np.ascontiguousarray(rows[:, :d]))


def tile_points(p):
    """From few rows to many, and few numbers a row to many."""
    return 10**p.k, p.d**2, p.k**2, p.dtype.itemsize, p.d % 2 == 0


def whole_groups(p):
    return p.points - p.d, p.dtype.itemsize


def longest(p):
    offsets = np.cumsum(p.random.randint(9, size=p.d + 1))
    return offsets, p.random.permutation(p.d)[: p.k]


def longest_of_all(p):
    return (np.cumsum(p.random.randint(9, size=p.d + 1)),)


def part(p):
    return p.normal(p.k, p.d, 2), p.k - 1


def stretch(p):
    return p.normal(p.k + 2, p.d), 1, p.k


def with_axis(p):
    return (p.normal(p.k, p.d),)


def sums_of_components(p):
    return p.sums(3, HEADER + p.k * p.d), 1, p.k


def fill(p):
    return p.sums(p.k, p.d), 0.5


def count_up(p):
    return (p.normal(p.d),)


def add_to(p):
    return p.sums(p.k), p.k - 1, 0.5


def lesser(p):
    return p.k, p.d


def greater(p):
    return lesser(p)


def load_tile(p):
    n = p.points - 3
    start, tile = 2 * n // 3, p.output(p.d + 1).view(SameDigits)
    X = rows_of(p, p.d, n)
    return X, start, start + n - n // 2, p.random.standard_normal(p.d), tile


def load_picked(p):
    """Neighbours, or rows from all over."""
    n = p.points
    X, tile = rows_of(p, p.d, n), p.output(p.d).view(SameDigits)
    picked = np.sort(p.random.permutation(2 * n)[:n]) if p.d % 2 else np.arange(3, 3 + n)
    return X, picked, 2, n - 1, p.random.standard_normal(p.d), tile


def add_totals(p):
    return rows_of(p, p.d, p.points), 3, p.points + 2, p.sums(p.d)


def load_weights(p):
    given = p.random.uniform(size=2 * p.points)[:: 1 + p.d % 2] if p.k % 2 else np.empty(0)
    return given, 2, p.points - 1, p.points, p.output()


def load_labels(p):
    labels = p.random.randint(p.k, size=p.points).astype(np.int32)
    weights = p.positive_points().view(SameDigits)
    return labels, 2, p.points - 1, weights, p.output(p.k)


def load_responsibilities(p):
    given = np.abs(rows_of(p, p.k, p.points)).astype(np.float64)
    weights = p.positive_points().view(SameDigits)
    return given, 2, p.points - 1, weights, p.output(p.k)


def take_roots(p):
    return p.positive_points(p.k), p.points


def store_rows(p):
    count, start = p.points - 3, 2
    return p.points_of(p.k), count, np.full((count + 3, p.k), UNTOUCHED, p.dtype), start


def store_numbers(p):
    """Whole numbers, which integers may hold too."""
    kind = np.int64 if p.k % 2 else p.dtype
    row, out = p.points_of().round(), np.full(p.points + p.k, UNTOUCHED)
    return row, p.points - p.d % 3, out.astype(kind), p.k


def mark_central(p):
    """Some near, some far, one that is not a number."""
    projected = p.normal(p.k, p.d) * 10.0 ** p.random.randint(-1, 3, size=(p.k, 1))
    projected[3:4, p.d // 2] = np.nan
    projected = projected.astype(p.dtype).view(SameDigits)
    return projected, np.full(p.k + 2, UNTOUCHED, p.dtype)


def mark_central_along_axes(p):
    return mark_central(p)


def cholesky_distances(p):
    mean, upper = p.normal(p.d), p.upper()
    projected, central = mean @ np.triu(upper), p.dtype.type(p.k % 2)
    operands = mean, to_panels(upper), projected, central
    return p.tile(), p.points, *operands, p.scratch(p.d), p.output()


def cholesky_distances_to_all(p):
    means, factors = p.normal(p.k, p.d), np.stack([p.upper() for _ in range(p.k)])
    projected = np.stack([mean @ np.triu(u) for mean, u in zip(means, factors, strict=True)])
    operands = means, to_panels(factors), projected, p.flags()
    return p.tile(), p.points, *operands, p.scratch(p.d + 1), p.output(p.k)


def cholesky_distances_of_few(p):
    return cholesky_distances_to_all(p.of_few())


def cholesky_distances_of_many(p):
    return cholesky_distances_to_all(p.of_many())


def whiten(p):
    return p.tile(), p.points, p.d, to_panels(p.upper()), p.output(p.d + 1)


def isotropic_distances(p):
    return p.tile(), p.points, p.normal(p.k, p.d), p.output(p.k)


def diagonal_distances(p):
    return p.tile(), p.points, p.normal(p.k, p.d), p.normal(p.k, p.d), p.output(p.k)


def centred_diagonal_distances(p):
    return diagonal_distances(p)


def centred_distances_to_likely(p):
    """Of more features than are looked at first; groups of points around one component each."""
    p.d *= 20
    means, axes = 3 * p.normal(p.k, p.d), np.abs(p.normal(p.k, p.d)) + 0.5
    tile = p.tile()
    group = GROUP_BYTES // p.dtype.itemsize
    for start in range(0, p.points, group):
        tile[:-1, start : start + group] += means[p.random.randint(p.k)][:, np.newaxis]
    constants = p.normal(p.k).view(SameDigits)
    room = np.full(p.k, np.nan, p.dtype).view(Scratch)
    scales = np.full(p.k, -0.5, p.dtype)
    return tile, p.points, means, axes, scales, constants, room, p.output(p.k)


def _with_noise(p):
    """Log-densities; for an odd number of components, with that of noise, which is amid them."""
    distances, points, scales, constants = p.log_densities()
    if p.k % 2:
        middle = np.median(constants[:, None] + scales[:, None] * distances[:, :points])
        constants = np.append(constants, p.dtype.type(middle))
    return distances, points, scales, constants


def normalize(p):
    cutoff = p.dtype.type(-10)  # so high that it cuts something off
    return *_with_noise(p), cutoff, p.positive_points(), p.output(p.k), p.output()


def normalize_to_roots(p):
    return normalize(p)


def certainties(p):
    cutoff = p.dtype.type(-10)
    return *_with_noise(p), cutoff, p.output(), p.output()


def assign(p):
    return *_with_noise(p), p.output()


def weigh_distances(p):
    return _with_noise(p)


def _listed(p):
    """Numbers of components in some order, and something behind."""
    return np.append(p.random.permutation(p.k), int(UNTOUCHED))


def take_listed(p):
    taken = np.full((p.k, p.d), UNTOUCHED, p.dtype)
    return p.normal(p.k, p.d), _listed(p), p.k // 3, p.k - p.k // 4, taken


def add_listed(p):
    return p.sums(p.k, p.d + 2), _listed(p), p.k - p.k // 4, p.sums(p.k, p.d)


def outer_moments(p):
    """Of few points, too, or of none: one in seven, of one vector or of all."""
    roots, block = p.positive_points(), p.sums(outer_size(p.d))
    if p.k > 3:
        roots[: p.points][np.arange(p.points) % 7 != p.k % 7] = 0.0
    if p.k > 9:
        roots[8 : p.points] = 0.0
    return p.tile(), p.points, p.normal(p.d), roots, p.scratch(p.d + BLOCK), block


def outer_moments_of_few(p):
    return _outer_moments_of_each(p.of_few())


def outer_moments_of_many(p):
    return _outer_moments_of_each(p.of_many())


def _outer_moments_of_each(p):
    roots, blocks = p.positive_points(p.k), p.sums(p.k, outer_size(p.d))
    some = p.permutation(), p.k // 2
    means, scratch = p.normal(p.k, p.d), p.scratch(p.d + BLOCK)
    return p.tile(), p.points, means, roots, *some, scratch, blocks


def pooled_second_moments(p):
    """Only second moments are added: nothing to what stands for first ones and the weight."""
    block = p.sums(outer_size(p.d))
    return p.tile(), p.points, p.positive_points(p.k), p.scratch(p.d + BLOCK), block


def choose_shared(p):
    order = np.full(p.k + 2, UNTOUCHED, p.dtype)
    n_rows = 1000 if p.points % 3 else 100
    return p.flags(), p.normal(p.k, p.d).view(SameDigits), n_rows, order


def shared_outer_moments(p):
    columns = p.k + 16 - p.k % 16
    count, order = p.k - p.k // 3, p.permutation()
    scratch = np.full((POINTS, PRODUCTS + columns), np.nan, p.dtype).view(Scratch)
    sums = p.sums(n_products(p.d) + PRODUCTS, columns)
    sums[n_products(p.d) :] = sums[:, count:] = 0.0
    return p.tile(), p.points, p.positive_points(p.k), order, count, scratch, sums


def add_shared_about_means(p):
    """One in three, or in two, has lost its digits."""
    sums = p.sums(n_products(p.d) + 1, p.k + 3)
    last = n_products(p.d) - 1
    sums[last] = 2.0
    squares = [j * (j + 3) // 2 for j in range(p.d)]
    sums[squares] = 100.0
    lost = slice(1, None, 2 + p.d % 2)
    sums[squares[-1], lost] = (0.5 + 1e-5) * sums[last - 1, lost] ** 2
    means, blocks = p.normal(p.k, p.d).view(SameDigits), p.sums(p.k, outer_size(p.d))
    return sums, p.permutation(), p.k - p.k // 3, means, blocks


def first_moments(p):
    return p.tile(), p.points, p.positive_points(p.k), p.sums(p.k, p.d + 3)


def diagonal_moments(p):
    return p.tile(), p.points, p.normal(p.d), p.positive_points(), p.sums(2 * p.d + 1)


def diagonal_moments_of_few(p):
    """Of half the points; or of none, of one, or of two, in the same lane or in others."""
    tile, points, mean, responsibilities, block = diagonal_moments(p)
    if p.d % 2:
        kept = p.random.permutation(points)[: p.k % 4]
        if p.k % 4 == 3:
            kept = np.array([1, points - LANE_BYTES // p.dtype.itemsize + 1])
        responsibilities[:points] = np.isin(np.arange(points), kept) * 0.7
    else:
        responsibilities[: points // 2] = 0.0
    return tile, points, mean, responsibilities, block


def diagonal_moments_of_others(p):
    responsibilities, sums = p.positive_points(p.k), p.sums(p.k, 2 * p.d + 1)
    return p.tile(), p.points, p.normal(p.k, p.d), responsibilities, p.flags(), sums


def append_squares(p):
    return p.points_of(2 * p.d + 1), p.points


def add_squares_about_means(p):
    """Of a few points of each component, near zero or far from it, about a mean like theirs."""
    x = p.random.standard_normal((p.k, 3, p.d)) * 10.0 ** -p.random.randint(5, size=(p.k, 1, 1))
    x += p.random.randint(2, size=(p.k, 1, p.d))
    sums = np.hstack([x.sum(axis=1), np.full((p.k, 1), 3.0), (x**2).sum(axis=1)])
    means = np.full((p.k, p.d), p.d % 2 + 0.01, p.dtype)
    return sums, means.view(SameDigits), 30.0, p.flags(), p.sums(p.k, 2 * p.d + 1)


def trace_moments(p):
    sums = p.sums(p.k, p.d + 2)
    return p.positive_points(p.k), p.points, p.positive_points(p.k), sums, p.d + 1


def add_potentials(p):
    closest, weights = p.positive_points(), p.positive_points()
    return p.positive_points(p.k), p.points, closest, weights, p.sums(p.k)


def nearest_centers(p):
    centers = p.normal(p.k, p.d)
    offsets = -0.5 * (centers**2).sum(axis=1)
    return p.tile(), p.points, centers, offsets, p.output(), p.output(), p.output()


def leads(p):
    tile, best = p.tile(), p.positive_points()
    second = best - p.positive_points()
    slack, least, part = (p.dtype.type(number) for number in (0.01, 0.001, 0.1))
    return tile, p.points, p.d, best, second, slack, least, part, p.output(), p.output()


def add_row(p):
    X, sums = rows_of(p, p.d, p.points), p.sums(p.k, p.d + 1)
    return X, p.points // 2, p.random.standard_normal(p.d), 0.7, sums, p.k - 1


def add_about_means(p):
    size = p.d + 1 + p.d % 3
    return p.sums(p.k, size + p.k % 2), p.normal(p.k, p.d), p.sums(p.k, size)


def take_center(p):
    return p.tile(), p.points, p.normal(p.d), p.positive_points()


def subtract_product(p):
    """Of any matrix or an upper triangular one, with nothing behind its last column."""
    rows, stride = p.d + BLOCK, p.d + p.stride
    left, right, out = (np.full((rows, stride), value, p.dtype) for value in (2, 0, UNTOUCHED))
    left[:, : p.d], right[: p.d, : p.d] = p.normal(rows, p.d), p.normal(p.d, p.d)
    upper = p.k % 3 > 0
    if upper:
        right = np.triu(right)
    start, stop = p.d // 3, p.d if p.k % 2 else p.d // 2
    return left, right, upper, p.d // 2, start, stop, p.k % p.d, p.d, out


def factor(p):
    """Of which one is no number, and one not definite."""
    d = p.of_few().d
    halves = p.random.standard_normal((p.k, d, d))
    covariances = halves @ halves.swapaxes(-1, -2) + np.eye(d)
    covariances[4:5] = np.nan
    covariances[3:4, -1, -1] = -1.0
    return covariances, np.full((p.k, d, d), UNTOUCHED, np.float64)


def factor_side_by_side(p):
    """Of which one is no number, and one not definite."""
    n, stride = p.d * p.d, SIDE_BY_SIDE + p.k
    halves = p.random.standard_normal((SIDE_BY_SIDE, p.d, p.d))
    matrices = halves @ halves.swapaxes(-1, -2) + np.eye(p.d)
    matrices[3] = np.nan
    matrices[2, -1, -1] = -1.0
    covariances, roots, factors = np.full((3, n, stride), UNTOUCHED)
    covariances[:, :SIDE_BY_SIDE] = matrices.reshape(SIDE_BY_SIDE, n).T
    return covariances, p.d, roots.view(Scratch), factors, np.full(stride, UNTOUCHED)


def add_products(p):
    """Of a matrix that is zero where the last vector of a row reaches into the next."""
    d, width = p.d + BLOCK, 64 // p.dtype.itemsize
    right = np.triu(p.normal(d, d))
    right[:, :width] = 0
    right = np.vstack([right, np.zeros((width, d), p.dtype)])
    left, out = p.normal(p.k, d + width), p.normal(p.k, d + width)
    return left, right, p.k % p.d // BLOCK * BLOCK, out


def collect_bits(p):
    """Few bits that are set; as many columns left of the block as a vector has numbers, or more."""
    lanes = LANE_BYTES // p.dtype.itemsize
    row = lanes + p.d
    bits = 1 << p.random.randint(31, size=(row + BLOCK, row + BLOCK))
    bits[p.random.uniform(size=bits.shape) > 1 / row] = 0
    integer = np.dtype(f"i{p.dtype.itemsize}")
    return bits.astype(integer), row, np.zeros((1, lanes), integer)


def place(p):
    return p.d, p.k


def squared_distances(p):
    rows = np.full((p.k, p.d + p.k), UNTOUCHED, p.dtype)
    rows[:, : p.d] = p.normal(p.k, p.d)
    return rows, p.normal(p.d), np.full(p.k, UNTOUCHED, p.dtype)


INPUTS = {
    factory.__name__: factory
    for factory in (
        tile_points,
        whole_groups,
        longest,
        longest_of_all,
        part,
        stretch,
        with_axis,
        sums_of_components,
        fill,
        count_up,
        add_to,
        lesser,
        greater,
        load_tile,
        load_picked,
        add_totals,
        load_weights,
        load_labels,
        load_responsibilities,
        take_roots,
        store_rows,
        store_numbers,
        mark_central,
        mark_central_along_axes,
        cholesky_distances,
        cholesky_distances_to_all,
        cholesky_distances_of_few,
        cholesky_distances_of_many,
        whiten,
        isotropic_distances,
        diagonal_distances,
        centred_diagonal_distances,
        centred_distances_to_likely,
        normalize,
        normalize_to_roots,
        certainties,
        assign,
        weigh_distances,
        take_listed,
        add_listed,
        outer_moments,
        outer_moments_of_few,
        outer_moments_of_many,
        pooled_second_moments,
        choose_shared,
        shared_outer_moments,
        add_shared_about_means,
        first_moments,
        diagonal_moments,
        diagonal_moments_of_few,
        diagonal_moments_of_others,
        append_squares,
        add_squares_about_means,
        trace_moments,
        add_potentials,
        nearest_centers,
        leads,
        add_row,
        add_about_means,
        take_center,
        subtract_product,
        factor,
        factor_side_by_side,
        add_products,
        collect_bits,
        squared_distances,
        place,
    )
}
