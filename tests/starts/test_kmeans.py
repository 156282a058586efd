"""K-means of our own against scikit-learn's: the same draws, steps and stopping rule."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from fastgmm.engines.threads import ThreadEngine
from fastgmm.sources.array import array_source
from fastgmm.starts import make_starts
from fastgmm.starts.chunks import Chunks, Undecided
from fastgmm.starts.kmeans import centred_as_sklearn
from fastgmm.starts.lloyd import TOL, BoundedLabels, QuickSteps, SklearnSteps, lloyd
from fastgmm.starts.plusplus import Seeding
from tests.datasets import mixture_sample

N, D, K = 60_000, 6, 7
ENGINE = ThreadEngine(2)


def rows(spread=10.0, n=N, offset=0.0, dtype=np.float64):
    X = mixture_sample(n, D, K, seed=31, spread=spread, offset=offset)
    return X.astype(dtype)


def some_weights(n=N):
    return np.random.RandomState(32).uniform(0.1, 3, n)


def chunks_of(X, sample_weight=None, engine=ENGINE):
    return Chunks.about_mean(X, sample_weight, 3, engine)


def start(X, sample_weight=None, n_clusters=K, seed=0, method="kmeans", engine=ENGINE):
    """(the start, the random state after it)."""
    random_state = np.random.RandomState(seed)
    return next(
        make_starts(X, n_clusters, method, random_state, sample_weight, engine)
    ), random_state


def quick_labels(X, centers, sample_weight=None, engine=ENGINE):
    """Of rows of float64, without scikit-learn's arithmetic."""
    chunks = chunks_of(X, sample_weight, engine)
    squares, _ = chunks.squares()
    centers = centers - chunks.origin
    steps = QuickSteps(chunks, centers, np.sqrt(squares / len(X)))
    return lloyd(steps, centers, TOL * squares / X.size)


def exact_labels(X, rows, sample_weight=None, engine=ENGINE):
    """In scikit-learn's arithmetic, from some rows on."""
    chunks, tolerance = centred_as_sklearn(X, sample_weight, 3, engine)
    centers = chunks.source.read(0, len(X)).rows[rows]
    return lloyd(SklearnSteps(chunks, centers), centers, tolerance)


def sklearn_labels(X, sample_weight=None, n_clusters=K, **options):
    model = KMeans(n_clusters, n_init=1, **options)
    # scikit-learn on duplicates divides by a potential of 0.
    with np.errstate(all="ignore"):
        return model.fit(X, sample_weight=sample_weight).labels_


def same_state(one, other):
    pairs = zip(one.get_state(), other.get_state(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# --- the same as scikit-learn's -----------------------------------------------------------


@pytest.mark.parametrize("spread", [10.0, 1.0], ids=["separated", "overlapping"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(2))
def test_labels_and_draws(spread, weighted, dtype, seed):
    X, weights = rows(spread, dtype=dtype), some_weights() if weighted else None
    found, random_state = start(X, weights, seed=seed)
    theirs = np.random.RandomState(seed)
    np.testing.assert_array_equal(found.labels, sklearn_labels(X, weights, random_state=theirs))
    assert same_state(random_state, theirs)
    assert found.labels.dtype == np.int32


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layouts(dtype):
    X = rows(dtype=dtype)
    desired = start(X)[0].labels
    for same in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_array_equal(start(same)[0].labels, desired)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_seeds_are_the_rows_of_scikit_learn(weighted, centred):
    X, weights = rows(1.0), some_weights() if weighted else None
    X = X - X.mean(axis=0) if centred else X + 3
    chunks = chunks_of(X, weights)
    _, squares = chunks.squares()
    seeds = Seeding(chunks, K, squares).rows(np.random.RandomState(5))
    _, chosen = kmeans_plusplus(X, K, sample_weight=weights, random_state=np.random.RandomState(5))
    np.testing.assert_array_equal(seeds, chosen)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e7])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_seeds_far_from_zero(offset, dtype):
    """scikit-learn's k-means++ takes no mean off, so that its distances lose their digits."""
    X = (np.random.RandomState(36).standard_normal((9000, 2)) + offset).astype(dtype)
    for seed in range(20):
        found, random_state = start(X, seed=seed, method="k-means++")
        theirs = np.random.RandomState(seed)
        desired, _ = kmeans_plusplus(X, K, random_state=theirs)
        np.testing.assert_array_equal(found.rows, desired)
        assert same_state(random_state, theirs)


def test_far_from_zero():
    near, far = rows(), rows(offset=1e6)
    seeds = near[:: N // K][:K]
    np.testing.assert_array_equal(quick_labels(far, seeds + 1e6), quick_labels(near, seeds))


def test_a_weight_is_a_number_of_repeats():
    X = rows(n=5000)
    repeats = np.random.RandomState(34).randint(1, 4, len(X))
    weighted = quick_labels(X, X[:K], repeats.astype(np.float64))
    repeated = quick_labels(X.repeat(repeats, axis=0), X[:K])
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


every_problem = pytest.mark.parametrize("problem", PROBLEMS)
CONTINUOUS = [clustered, uniform, in_one_dimension, in_many_dimensions, with_two_clusters]


def settle(bounded, X, centers):
    """Label the rows in doubt by the distances themselves."""
    in_doubt = np.isneginf(bounded.limits)
    distances = ((X[in_doubt, np.newaxis].astype(np.longdouble) - centers) ** 2).sum(axis=2)
    bounded.labels[in_doubt] = distances.argmin(axis=1)
    return np.count_nonzero(in_doubt)


def assert_nearest(X, centers, labels):
    """But for rows between two centers."""
    X, centers = X.astype(np.longdouble), centers.astype(np.longdouble)
    distances = ((X[:, np.newaxis] - centers) ** 2).sum(axis=2)
    nearest = distances.min(axis=1)
    chosen = np.take_along_axis(distances, labels[:, np.newaxis].astype(int), axis=1)[:, 0]
    between = 1e-14 * ((X**2).sum(axis=1) + nearest) * X.shape[1]
    assert np.all(chosen - nearest <= between)


@every_problem
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bounds_leave_out_no_row(problem, weighted, dtype):
    random = np.random.RandomState(weighted)
    X, k = problem(random)
    X, n = X.astype(dtype), len(X)
    weights = random.uniform(size=n) * (random.uniform(size=n) > 0.1) if weighted else np.ones(n)
    chunks = chunks_of(X, weights if weighted else None)
    # In the type of the rows, as those of which the exact steps go from center to center.
    X = (X - chunks.origin).astype(dtype)
    chunks = Chunks(array_source(X), np.zeros(X.shape[1]), chunks.grid, ENGINE)
    centers = X[random.choice(n, k, replace=False)].astype(np.float64)
    bounded, before = BoundedLabels(chunks, centers, 0.0), np.full(n, k)
    for _ in range(40):
        changed, in_doubt, _ = bounded.update(centers, 0)
        assert in_doubt == settle(bounded, X, centers)
        n_changed = np.count_nonzero(bounded.labels != before)
        assert changed <= n_changed <= changed + in_doubt
        assert_nearest(X, centers, bounded.labels)
        shares = np.eye(k)[bounded.labels] * weights[:, np.newaxis]
        held = shares.sum(axis=0)
        moved = shares[:, held > 0].T @ X / held[held > 0, np.newaxis]
        before, centers = bounded.labels.copy(), centers.copy()
        centers[held > 0] = moved
        if not n_changed:
            break


def test_centers_that_jump():
    random = np.random.RandomState(35)
    X = random.standard_normal((3000, 3))
    chunks = Chunks(array_source(X), np.zeros(3), chunks_of(X).grid, ENGINE)
    centers = random.standard_normal((6, 3))
    bounded, sums = BoundedLabels(chunks, centers, 0.0), np.zeros((6, 4))
    for i in range(60):
        _, in_doubt, changes = bounded.update(centers, 6)
        assert not in_doubt
        assert_nearest(X, centers, bounded.labels)
        sums += changes
        desired = np.eye(6)[bounded.labels].T @ np.column_stack([X, np.ones(3000)])
        np.testing.assert_allclose(sums, desired, atol=1e-9)
        centers = centers + random.standard_normal((6, 3)) * 10.0 ** random.uniform(-6, 0.5, (6, 1))
        if i % 7 == 3:
            centers[random.randint(6)] += 100
        if i % 7 == 5:
            centers = random.standard_normal((6, 3))


def test_late_steps_look_at_few_rows():
    """Rows that no bound holds for would not be missed by any test of labels."""
    X = rows(1.0)
    chunks = chunks_of(X)
    centers = X[:: N // K][:K] - chunks.origin
    steps = QuickSteps(chunks, centers, 10.0)
    for _ in range(30):
        changed = steps.assign(centers)
        centers = steps.means(centers)
    assert 0 < changed < N / 50
    bounded = steps._bounded
    bounded._move(centers)
    overdue = np.count_nonzero(~(bounded.limits > bounded._drifts[bounded.labels]))
    assert changed < overdue < N / 3


@every_problem
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("seed", range(2))
def test_exact_steps_are_scikit_learns(problem, dtype, seed):
    """To the last label, whatever lies between two centers or empties a cluster."""
    random = np.random.RandomState(seed)
    X, k = problem(random)
    if problem is very_large and dtype == np.float32:
        X = X * 1e-15  # else squares overflow, and scikit-learn has all rows in one cluster
    X = X.astype(dtype)
    chosen = random.choice(len(X), k, replace=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of overflows, and of duplicates
        labels = exact_labels(X, chosen)
        desired = sklearn_labels(X, n_clusters=k, init=X[chosen])
    np.testing.assert_array_equal(labels, desired)


@every_problem
def test_quick_steps_have_scikit_learns_labels_or_give_up(problem):
    random = np.random.RandomState(2)
    X, k = problem(random)
    chosen = random.choice(len(X), k, replace=False)
    try:
        labels = quick_labels(X, X[chosen])
    except Undecided:
        assert problem not in CONTINUOUS
    else:
        assert problem is not on_a_grid
        np.testing.assert_array_equal(labels, exact_labels(X, chosen))


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
    X = np.arange(2.0 * n_distinct).reshape(n_distinct, 2).repeat(9000 // n_distinct, axis=0)
    weights, theirs = some_weights(len(X)) if weighted else None, np.random.RandomState(0)
    found = []
    text = warning_of(lambda: found.extend(start(X, weights)))
    desired = warning_of(lambda: found.append(sklearn_labels(X, weights, random_state=theirs)))
    assert text == desired
    assert f"({n_distinct})" in text
    ours, random_state, labels = found
    assert same_state(random_state, theirs)
    np.testing.assert_array_equal(ours.labels, labels)


@pytest.mark.parametrize("n_empty", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_empty_clusters_are_moved(n_empty, weighted):
    """To the rows that lie farthest from their centers, as in scikit-learn."""
    X, weights = rows(), some_weights() if weighted else None
    X[:n_empty] = X[n_empty]  # of equal seeds all but one stay empty
    seeds = np.arange(K)
    labels = exact_labels(X, seeds, weights)
    assert len(np.unique(labels)) == K
    np.testing.assert_array_equal(labels, sklearn_labels(X, weights, init=X[seeds]))
    with pytest.raises(Undecided):
        quick_labels(X, X[seeds], weights)


def test_no_warning_when_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        start(rows(n=9000))


# --- determinism --------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_bits_for_any_number_of_threads(n_threads, dtype, weighted):
    X, weights = rows(1.0, dtype=dtype), some_weights() if weighted else None

    def run(engine):
        chunks = chunks_of(X, weights, engine)
        labels = start(X, weights, engine=engine)[0].labels
        return chunks.origin, np.array(chunks.squares()), labels

    for one, other in zip(run(ThreadEngine(n_threads)), run(ThreadEngine(8)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_are_not_changed(dtype):
    X = np.round(rows(n=9000, dtype=dtype))
    X.flags.writeable = False
    start(X)


def test_the_threads_of_blas_are_as_before():
    """Also after starts that ran at the same time."""

    def n_blas_threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    X = np.round(rows(n=9000))
    with threadpool_limits(2, "blas"):
        before = n_blas_threads()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda seed: start(X, seed=seed, engine=ThreadEngine(1)), range(16)))
        assert n_blas_threads() == before
