"""Write densities.json and em.json: mixtures evaluated with 50 digits by mpmath.

Run it from the top of the repository: ``python -m tests.goldens.make_goldens``. The files
are frozen; running this again must change nothing (the inputs come from NumPy's legacy
generator, whose streams do not change, and from mpmath, not from LAPACK).

The inputs are float64 numbers, and the answers are the exact mathematics of these numbers.
For the densities that is, with U = precisions_cholesky,

    y = U^T (x - mean),    log N = sum log diag U - (d log 2 pi + y^T y) / 2,

so they test the density, not a factorisation. For EM it is scikit-learn's iteration: see
``tests/reference.py`` for the formulas, in particular for the ten epsilons and for why the
covariances are centred.
"""

import json
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 50
DIGITS = 30
N_EPS = 10 * mp.mpf(float(np.finfo(np.float64).eps))
FOLDER = Path(__file__).parent
STRUCTURES = ("full", "tied", "diag", "spherical")


# --- exact numbers in and out -------------------------------------------------------------


def exact(array):
    """Nested lists of mpf from an array of float64."""
    if isinstance(array, np.ndarray):
        return [exact(item) for item in array]
    return mp.mpf(float(array))


def as_hex(array):
    if isinstance(array, np.ndarray):
        return [as_hex(item) for item in array]
    return float(array).hex()


def as_decimal(values):
    if isinstance(values, list):
        return [as_decimal(value) for value in values]
    return mp.nstr(values, DIGITS, strip_zeros=False)


# --- the mathematics ----------------------------------------------------------------------


def factor_of(factors, structure, k):
    return factors if structure == "tied" else factors[k]


def log_density(x, mean, factor, structure):
    d = len(x)
    difference = [a - b for a, b in zip(x, mean, strict=True)]
    if structure in ("full", "tied"):
        y = [mp.fsum(difference[i] * factor[i][j] for i in range(d)) for j in range(d)]
        log_det = mp.fsum(mp.log(factor[j][j]) for j in range(d))
    elif structure == "diag":
        y = [difference[j] * factor[j] for j in range(d)]
        log_det = mp.fsum(mp.log(factor[j]) for j in range(d))
    else:
        y = [value * factor for value in difference]
        log_det = d * mp.log(factor)
    return log_det - (d * mp.log(2 * mp.pi) + mp.fsum(value**2 for value in y)) / 2


def e_step(X, weights, means, factors, structure):
    """Log-densities (n, k), log p(x) (n,) and responsibilities (n, k)."""
    densities, log_likelihood, resp = [], [], []
    for x in X:
        row = [
            log_density(x, mean, factor_of(factors, structure, k), structure)
            for k, mean in enumerate(means)
        ]
        joint = [mp.log(w) + value for w, value in zip(weights, row, strict=True)]
        largest = max(joint)
        total = largest + mp.log(mp.fsum(mp.exp(value - largest) for value in joint))
        densities.append(row)
        log_likelihood.append(total)
        resp.append([mp.exp(value - total) for value in joint])
    return densities, log_likelihood, resp


def scatter_about(X, weighted, mean):
    d = len(mean)
    return [
        [
            mp.fsum(
                w * (x[i] - mean[i]) * (x[j] - mean[j]) for w, x in zip(weighted, X, strict=True)
            )
            for j in range(d)
        ]
        for i in range(d)
    ]


def m_step(X, resp, sample_weight, structure, reg_covar):
    n, d, n_components = len(X), len(X[0]), len(resp[0])
    present = [w for w in sample_weight if w > 0]
    tiny = N_EPS * mp.fsum(present) / len(present)
    columns = [[sample_weight[n_] * resp[n_][k] for n_ in range(n)] for k in range(n_components)]
    nk = [mp.fsum(column) + tiny for column in columns]
    means = [
        [mp.fsum(w * x[j] for w, x in zip(columns[k], X, strict=True)) / nk[k] for j in range(d)]
        for k in range(n_components)
    ]
    scatter = [scatter_about(X, columns[k], means[k]) for k in range(n_components)]

    def regularised(matrix):
        return [[matrix[i][j] + (reg_covar if i == j else 0) for j in range(d)] for i in range(d)]

    def divided(matrix, count):
        return [[value / count for value in row] for row in matrix]

    if structure == "full":
        covariances = [regularised(divided(s, c)) for s, c in zip(scatter, nk, strict=True)]
    elif structure == "tied":
        pooled = [[mp.fsum(s[i][j] for s in scatter) for j in range(d)] for i in range(d)]
        covariances = regularised(divided(pooled, mp.fsum(nk)))
    else:
        covariances = [
            [s[j][j] / c + reg_covar for j in range(d)] for s, c in zip(scatter, nk, strict=True)
        ]
        if structure == "spherical":
            covariances = [mp.fsum(row) / d for row in covariances]
    total = mp.fsum(nk)
    return [value / total for value in nk], means, covariances


def upper_factor(matrix):
    """Upper U with U U^T = matrix (nested lists): a Cholesky from the last row upwards."""
    d = len(matrix)
    upper = [[mp.mpf(0)] * d for _ in range(d)]
    for j in reversed(range(d)):
        rest = mp.fsum(upper[j][m] ** 2 for m in range(j + 1, d))
        upper[j][j] = mp.sqrt(matrix[j][j] - rest)
        for i in range(j):
            rest = mp.fsum(upper[i][m] * upper[j][m] for m in range(j + 1, d))
            upper[i][j] = (matrix[i][j] - rest) / upper[j][j]
    return upper


def inverse_factor(covariances, structure):
    """Factors of the precisions, as the E-step reads them, from covariances."""

    def of_matrix(matrix):
        inverse = mp.matrix(matrix) ** -1
        return upper_factor(inverse.tolist())

    if structure == "full":
        return [of_matrix(matrix) for matrix in covariances]
    if structure == "tied":
        return of_matrix(covariances)
    if structure == "diag":
        return [[1 / mp.sqrt(value) for value in row] for row in covariances]
    return [1 / mp.sqrt(value) for value in covariances]


def householder_covariance(direction, eigenvalues):
    """H diag(eigenvalues) H with the reflection H = I - 2 v v^T / v^T v, dense and exact."""
    d = len(direction)
    norm = mp.fsum(v**2 for v in direction)
    reflection = mp.matrix(d, d)
    for i in range(d):
        for j in range(d):
            reflection[i, j] = (1 if i == j else 0) - 2 * direction[i] * direction[j] / norm
    return (reflection * mp.diag(eigenvalues) * reflection).tolist()


# --- density cases ------------------------------------------------------------------------


def rounded(values):
    """Float64 array nearest to nested lists of mpf."""
    return np.array(
        [rounded(value) for value in values] if isinstance(values, list) else float(values)
    )


def random_factors(random, structure, k, d, scale=1.0):
    """Well-conditioned factors: diagonals in [0.5, 2] / scale, some correlation."""

    def upper():
        matrix = np.triu(random.uniform(-0.5, 0.5, (d, d)), 1)
        matrix[np.diag_indices(d)] = random.uniform(0.5, 2.0, d)
        return matrix / scale

    if structure == "full":
        return np.stack([upper() for _ in range(k)])
    if structure == "tied":
        return upper()
    shape = (k, d) if structure == "diag" else (k,)
    return random.uniform(0.5, 2.0, shape) / scale


def ill_conditioned_factors(random, structure, k, d):
    """Covariances whose eigenvalues run from 1e-10 to 1 (for spherical: over components)."""
    eigenvalues = [mp.mpf(10) ** (-mp.mpf(10) * i / (d - 1)) for i in range(d)]

    def matrix():
        return householder_covariance(exact(random.uniform(0.5, 1.5, d)), eigenvalues)

    if structure == "full":
        covariances = [matrix() for _ in range(k)]
    elif structure == "tied":
        covariances = matrix()
    elif structure == "diag":
        covariances = [eigenvalues[i:] + eigenvalues[:i] for i in range(k)]
    else:
        covariances = [mp.mpf(10) ** (-mp.mpf(10) * i / (k - 1)) for i in range(k)]
    return rounded(inverse_factor(covariances, structure))


def points_near(random, means, scale, n_near):
    """Points around each mean, the mean itself, and a point between the first two means."""
    points = [
        mean + scale * random.standard_normal(len(mean)) for mean in means for _ in range(n_near)
    ]
    points.append(means[0])
    points.append((means[0] + means[-1]) / 2)
    return np.array(points)


def density_inputs():
    """Yield (name, structure, X, weights, means, factors)."""
    for structure in STRUCTURES:
        random = np.random.RandomState(20240)

        def simple(k, d, scale=1.0, offset=0.0, n_near=2, weights=None, random=random, s=structure):
            means = offset + scale * random.uniform(-2, 2, (k, d))
            factors = random_factors(random, s, k, d, scale)
            if weights is None:
                weights = np.arange(1, k + 1) / (k * (k + 1) / 2)
            return points_near(random, means, scale, n_near), np.array(weights), means, factors

        yield "plain", structure, *simple(k=3, d=3)
        yield "one_feature", structure, *simple(k=3, d=1)
        yield "one_component", structure, *simple(k=1, d=3, n_near=4)
        yield "one_feature_one_component", structure, *simple(k=1, d=1, n_near=4)
        yield "twenty_features", structure, *simple(k=3, d=20)
        yield "offset_1e8", structure, *simple(k=3, d=3, offset=1e8)
        yield "scale_1e-30", structure, *simple(k=2, d=2, scale=1e-30)
        yield "scale_1e30", structure, *simple(k=2, d=2, scale=1e30)
        yield "tiny_weights", structure, *simple(k=3, d=3, weights=[1.0, 1e-300, 1e-30])

        # Points so far out that all responsibilities but one underflow, or that the tiny
        # weight of a component is outweighed by its distance.
        X, weights, means, factors = simple(k=3, d=3, weights=[1.0, 1e-300, 1e-30])
        means *= 30
        directions = np.sign(means)
        X = np.concatenate([means, means + 8 * directions, 1e3 * directions, 1e6 * directions])
        yield "far_tails", structure, X, weights, means, factors

        k, d = 2, 4
        means = random.uniform(-1, 1, (k, d))
        factors = ill_conditioned_factors(random, structure, k, d)
        X = points_near(random, means, 1e-3, 3)
        yield "condition_1e10", structure, X, np.array([0.25, 0.75]), means, factors


def density_case(name, structure, X, weights, means, factors):
    densities, log_likelihood, resp = e_step(
        exact(X), exact(weights), exact(means), exact(factors), structure
    )
    return {
        "name": name,
        "covariance_type": structure,
        "X": as_hex(X),
        "weights": as_hex(weights),
        "means": as_hex(means),
        "precisions_cholesky": as_hex(factors),
        "log_densities": as_decimal(densities),
        "log_likelihood": as_decimal(log_likelihood),
        "responsibilities": as_decimal(resp),
    }


# --- EM cases -----------------------------------------------------------------------------


def eighths(random, low, high, shape):
    """Random multiples of 1/8, whose products float64 holds exactly."""
    return random.randint(8 * low, 8 * high + 1, shape) / 8


def exact_start(random, structure, k, d):
    """Precisions and their factors, both exact in float64."""

    def upper():
        matrix = np.triu(eighths(random, -0.5, 0.5, (d, d)), 1)
        matrix[np.diag_indices(d)] = eighths(random, 0.75, 1.5, d)
        return matrix

    if structure == "full":
        factors = np.stack([upper() for _ in range(k)])
        return np.stack([u @ u.T for u in factors]), factors
    if structure == "tied":
        factor = upper()
        return factor @ factor.T, factor
    factors = eighths(random, 0.75, 1.5, (k, d) if structure == "diag" else (k,))
    return factors**2, factors


def em_inputs():
    """Yield (name, structure, X, sample_weight, reg_covar, weights, means, precisions, factors)."""
    for structure in STRUCTURES:
        random = np.random.RandomState(20241)

        def data(n, d, k, offset=0.0, random=random, s=structure):
            centres = 2.0 * np.arange(k)[:, np.newaxis] * np.where(np.arange(d) % 2, -1, 1)
            X = offset + centres[np.arange(n) % k] + random.standard_normal((n, d))
            weights = np.arange(1, k + 1) / (k * (k + 1) / 2)
            means = offset + centres + eighths(random, -1, 1, (k, d))
            return X, weights, means, *exact_start(random, s, k, d)

        def case(name, sample_weight, reg_covar, X, *start, s=structure):
            return name, s, X, sample_weight, reg_covar, *start

        yield case("one_feature", None, 1e-6, *data(12, 1, 2))
        yield case("two_features", None, 1e-6, *data(20, 2, 2))
        yield case("three_components", None, 1e-6, *data(30, 3, 3))
        yield case("one_component", None, 1e-6, *data(10, 2, 1))
        yield case("strong_reg_covar", None, 0.5, *data(20, 2, 2))
        yield case("offset_1e8", None, 1e-6, *data(24, 2, 2, offset=1e8))
        sample_weight = eighths(random, 0, 4, 20)
        sample_weight[:3] = 0.0, 0.125, 10.0
        yield case("weighted", sample_weight, 1e-6, *data(20, 2, 2))


def em_case(
    name, structure, X, sample_weight, reg_covar, weights, means, precisions, factors, n_iter=3
):
    rows = exact(X)
    row_weights = exact(np.ones(len(X)) if sample_weight is None else sample_weight)
    pi, mu, u = exact(weights), exact(means), exact(factors)
    iterations = []
    for _ in range(n_iter):
        _, log_likelihood, resp = e_step(rows, pi, mu, u, structure)
        total = mp.fsum(w * value for w, value in zip(row_weights, log_likelihood, strict=True))
        pi, mu, covariances = m_step(rows, resp, row_weights, structure, mp.mpf(reg_covar))
        u = inverse_factor(covariances, structure)
        iterations.append(
            {
                "lower_bound": as_decimal(total / mp.fsum(row_weights)),
                "weights": as_decimal(pi),
                "means": as_decimal(mu),
                "covariances": as_decimal(covariances),
            }
        )
    return {
        "name": name,
        "covariance_type": structure,
        "X": as_hex(X),
        "sample_weight": None if sample_weight is None else as_hex(sample_weight),
        "reg_covar": float(reg_covar).hex(),
        "weights": as_hex(weights),
        "means": as_hex(means),
        "precisions": as_hex(precisions),
        "precisions_cholesky": as_hex(factors),
        "iterations": iterations,
    }


def write(file_name, cases):
    lines = ",\n".join(json.dumps(case) for case in cases)
    head = f'"decimal_digits_of_arithmetic": {mp.mp.dps},\n"cases": ['
    (FOLDER / file_name).write_text(f"{{{head}\n{lines}\n]}}\n")


if __name__ == "__main__":
    write("densities.json", [density_case(*inputs) for inputs in density_inputs()])
    write("em.json", [em_case(*inputs) for inputs in em_inputs()])
