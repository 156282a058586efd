"""K-means of our own against scikit-learn's: the same draws, steps and stopping rule."""

import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning

from fastgmm.engines.threads import ThreadEngine
from fastgmm.kmeans import KMeansFit, LloydStep
from fastgmm.sources.array import array_source
from fastgmm.sources.sampling import rows_at
from tests.datasets import mixture_sample

N, D, K = 60_000, 6, 7
ENGINE = ThreadEngine(2)


def rows(spread=10.0, n=N, offset=0.0, dtype=np.float64):
    X = mixture_sample(n, D, K, seed=31, spread=spread, offset=offset)
    return X.astype(dtype)


def some_weights(n=N):
    return np.random.RandomState(32).uniform(0.1, 3, n)


def kmeans_fit(X, sample_weight=None, n_clusters=K, engine=ENGINE):
    return KMeansFit(array_source(X, sample_weight), engine, n_clusters)


def sklearn_labels(X, sample_weight=None, n_clusters=K, **options):
    model = KMeans(n_clusters, n_init=1, **options)
    with np.errstate(all="ignore"):  # scikit-learn on duplicates divides by a potential of 0
        return model.fit(X, sample_weight=sample_weight).labels_


def same_state(one, other):
    pairs = zip(one.get_state(), other.get_state(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def fit_both(X, sample_weight=None, n_clusters=K, seed=0):
    """(our labels, theirs), and whether the random states end alike."""
    ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
    fit = kmeans_fit(X, sample_weight, n_clusters)
    labels = fit.labels(rows_at(fit.source, fit.seeds(ours)))
    desired = sklearn_labels(X, sample_weight, n_clusters, random_state=theirs)
    return labels, desired, same_state(ours, theirs)


def test_the_rows_make_several_chunks():
    """Otherwise much below shows nothing."""
    assert len(kmeans_fit(rows()).grid) > 2


# --- the same as scikit-learn's -----------------------------------------------------------


@pytest.mark.parametrize("spread", [10.0, 1.0], ids=["separated", "overlapping"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_labels_and_draws(spread, weighted, seed):
    X, weights = rows(spread), some_weights() if weighted else None
    labels, desired, same_draws = fit_both(X, weights, seed=seed)
    assert same_draws
    # Rows half-way between two centers may fall either way.
    assert np.count_nonzero(labels != desired) <= (0 if spread > 5 else 4)
    assert labels.dtype == desired.dtype


@pytest.mark.parametrize(
    ("n", "d", "k"), [(5, 2, 5), (50, 1, 3), (300, 3, 1), (2000, 20, 40), (1000, 2, 2)]
)
def test_other_sizes(n, d, k):
    X = mixture_sample(n, d, max(k, 2), seed=33, spread=12.0)
    labels, desired, same_draws = fit_both(X, n_clusters=k)
    assert same_draws
    np.testing.assert_array_equal(labels, desired)


def test_layouts():
    X = rows()
    desired, _, _ = fit_both(X)
    for same in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        fit = kmeans_fit(same)
        labels = fit.labels(rows_at(fit.source, fit.seeds(np.random.RandomState(0))))
        np.testing.assert_array_equal(labels, desired)


@pytest.mark.parametrize("weighted", [False, True])
def test_seeds_are_the_rows_of_scikit_learn(weighted):
    X, weights = rows(1.0), some_weights() if weighted else None
    seeds = kmeans_fit(X, weights).seeds(np.random.RandomState(5))
    centred = X - X.mean(axis=0)  # as KMeans does before it draws
    _, chosen = kmeans_plusplus(
        centred, K, sample_weight=weights, random_state=np.random.RandomState(5)
    )
    np.testing.assert_array_equal(seeds, chosen)


def test_float32_from_given_seeds():
    """Seeds in float32 are drawn by scikit-learn itself; the steps are ours."""
    X = rows(dtype=np.float32)
    seeds = X[:: N // K][:K]
    labels = kmeans_fit(X).labels(seeds.astype(np.float64))
    np.testing.assert_array_equal(labels, sklearn_labels(X, init=seeds))


def test_far_from_zero():
    near, far = rows(), rows(offset=1e6)
    seeds = near[:: N // K][:K]
    labels = kmeans_fit(far).labels(seeds + 1e6)
    np.testing.assert_array_equal(labels, kmeans_fit(near).labels(seeds))


def test_a_weight_is_a_number_of_repeats():
    X = rows(n=5000)
    repeats = np.random.RandomState(34).randint(1, 4, len(X))
    seeds = X[:K]
    weighted = kmeans_fit(X, repeats.astype(np.float64)).labels(seeds)
    repeated = kmeans_fit(X.repeat(repeats, axis=0)).labels(seeds)
    np.testing.assert_array_equal(weighted.repeat(repeats), repeated)


# --- what bounds leave out changes nothing ------------------------------------------------


def clustered(random):
    return random.standard_normal((3000, 4)) + 6 * random.randint(0, 5, (3000, 1)), 9


def uniform(random):
    return random.uniform(size=(3000, 3)), 8


def in_one_dimension(random):
    return random.standard_normal((3000, 1)), 6


def in_many_dimensions(random):
    return random.standard_normal((1500, 40)), 12


def on_a_grid(random):
    """Many rows are just as near to two centers."""
    return random.randint(0, 4, (3000, 2)).astype(float), 6


def with_duplicates(random):
    return random.standard_normal((40, 3))[random.randint(0, 40, 3000)], 12


def with_few_distinct_rows(random):
    return random.standard_normal((5, 3))[random.randint(0, 5, 2000)], 8


def far_from_zero(random):
    return 1e7 + random.standard_normal((3000, 3)), 7


def with_a_row_far_off(random):
    X = random.standard_normal((3000, 3))
    X[7] = 1e6
    return X, 5


def with_scales_apart(random):
    return random.standard_normal((3000, 4)) * [1e-3, 1, 1e3, 1e6], 6


def very_small(random):
    """In float32, squares are no longer normal numbers."""
    return 1e-22 * random.standard_normal((3000, 3)), 5


def very_large(random):
    return 1e30 * random.standard_normal((3000, 3)), 5


def with_one_cluster(random):
    return random.standard_normal((3000, 3)), 1


def with_two_clusters(random):
    return random.standard_normal((3000, 3)), 2


def with_as_many_clusters_as_rows(random):
    return random.standard_normal((30, 3)), 30


def with_many_clusters(random):
    return random.standard_normal((1000, 3)), 100


PROBLEMS = [
    clustered,
    uniform,
    in_one_dimension,
    in_many_dimensions,
    on_a_grid,
    with_duplicates,
    with_few_distinct_rows,
    far_from_zero,
    with_a_row_far_off,
    with_scales_apart,
    very_small,
    very_large,
    with_one_cluster,
    with_two_clusters,
    with_as_many_clusters_as_rows,
    with_many_clusters,
]


def assert_is_a_plain_step(X, weights, centers, labels, moved):
    """Of the nearest centers, and the means of their rows, but for rows between two of them."""
    X, centers = X.astype(np.longdouble), centers.astype(np.longdouble)
    distances = ((X[:, np.newaxis] - centers) ** 2).sum(axis=2)
    nearest = distances.min(axis=1)
    chosen = np.take_along_axis(distances, labels[:, np.newaxis].astype(int), axis=1)[:, 0]
    between = 1e-14 * ((X**2).sum(axis=1) + nearest) * X.shape[1]
    assert np.all(chosen - nearest <= between)
    shares = np.eye(len(centers))[labels] * weights[:, np.newaxis]
    held = shares.sum(axis=0)
    if np.all(held > 0):
        means = shares.T @ X / held[:, np.newaxis]
        error = np.abs(moved - means).max()
        assert error <= 1e-13 * np.abs(X).max() * max(1.0, weights.max() / held.min())


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(2))
def test_every_step_is_a_plain_one(problem, weighted, dtype, seed):
    random = np.random.RandomState(seed)
    X, k = problem(random)
    X, n = X.astype(dtype), len(X)
    weights = random.uniform(size=n) * (random.uniform(size=n) > 0.1) if weighted else np.ones(n)
    fit = kmeans_fit(X, weights if weighted else None, n_clusters=k)
    centers = X[random.choice(n, k, replace=False)] - fit.origin
    step, before = LloydStep(fit, centers), np.full(n, k)
    for _ in range(40):
        moved, changed = step(centers)
        assert changed == np.count_nonzero(step.labels != before)
        assert_is_a_plain_step(X - fit.origin, weights, centers, step.labels, moved)
        before, centers = step.labels.copy(), moved
        if not changed:
            break


def test_centers_that_jump():
    """Whatever moves them; a cluster that loses nearly all leaves no rounding behind."""
    random = np.random.RandomState(35)
    X, weights = random.standard_normal((3000, 3)), random.uniform(0.1, 3, 3000)
    fit = kmeans_fit(X, weights, n_clusters=6)
    centers = random.standard_normal((6, 3))
    step = LloydStep(fit, centers)
    for i in range(60):
        moved, _ = step(centers)
        assert_is_a_plain_step(X - fit.origin, weights, centers, step.labels, moved)
        centers = centers + random.standard_normal((6, 3)) * 10.0 ** random.uniform(-6, 0.5, (6, 1))
        if i % 7 == 3:
            centers[random.randint(6)] += 100
        if i % 7 == 5:
            centers = random.standard_normal((6, 3))


def test_late_steps_look_at_few_rows():
    """Rows that no bound holds for would not be missed by any test of labels."""
    X = rows(1.0)
    fit = kmeans_fit(X)
    centers = X[:: N // K][:K] - fit.origin
    step = LloydStep(fit, centers)
    for _ in range(30):
        centers, changed = step(centers)
    assert 0 < changed < N / 50
    step._move(centers)
    overdue = np.count_nonzero(~(step._limits > step._drifts[step.labels]))
    assert changed < overdue < N / 3


# --- degenerate data ----------------------------------------------------------------------


def warning_of(function):
    """The text of the one warning that a call gives."""
    with pytest.warns(ConvergenceWarning) as caught:
        function()
    (warning,) = caught
    return str(warning.message)


@pytest.mark.parametrize("n_distinct", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_duplicates(n_distinct, weighted):
    """Fewer distinct rows than clusters: scikit-learn's labels, draws and warning."""
    X = np.arange(2.0 * n_distinct).reshape(n_distinct, 2).repeat(400, axis=0)
    weights = some_weights(len(X)) if weighted else None
    ours, theirs = np.random.RandomState(0), np.random.RandomState(0)
    fit = kmeans_fit(X, weights)
    found = []
    text = warning_of(lambda: found.append(fit.labels(rows_at(fit.source, fit.seeds(ours)))))
    desired = warning_of(lambda: found.append(sklearn_labels(X, weights, random_state=theirs)))
    assert text == desired
    assert f"({n_distinct})" in text
    assert same_state(ours, theirs)
    assert len(np.unique(found[0])) == n_distinct
    # Equal rows share a cluster, whichever of those at the same place it is.
    pairs = set(zip(found[0].tolist(), found[1].tolist(), strict=True))
    assert len(pairs) == n_distinct


@pytest.mark.parametrize("n_empty", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_empty_clusters_are_moved(n_empty, weighted):
    """To the rows that lie farthest from their centers, as in scikit-learn."""
    X, weights = rows(), some_weights() if weighted else None
    seeds = X[:: N // K][:K].copy()
    seeds[:n_empty] = 1e3 + np.arange(n_empty)[:, np.newaxis]  # nearest to no row
    labels = kmeans_fit(X, weights).labels(seeds)
    assert len(np.unique(labels)) == K
    np.testing.assert_array_equal(labels, sklearn_labels(X, weights, init=seeds))


def test_no_warning_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kmeans_fit(rows(n=2000)).labels(rows(n=2000)[:K])


# --- determinism --------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_bits_for_any_number_of_threads(n_threads, dtype, weighted):
    X, weights = rows(1.0, dtype=dtype), some_weights() if weighted else None

    def run(engine):
        fit = kmeans_fit(X, weights, engine=engine)
        seeds = fit.seeds(np.random.RandomState(1))
        return fit.origin, fit.tolerance, seeds, fit.labels(rows_at(fit.source, seeds))

    for one, other in zip(run(ThreadEngine(n_threads)), run(ThreadEngine(8)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_neither_rows_nor_seeds_are_changed():
    X = rows(n=3000)
    seeds = X[:K].copy()
    for array in (X, seeds):
        array.flags.writeable = False
    kmeans_fit(X).labels(seeds)
