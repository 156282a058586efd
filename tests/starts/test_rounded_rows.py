"""Rounded rows lie between two centers ever so often, and have scikit-learn's labels all the same.

Its own sums have one order on one thread only, so that it gets one.
"""

import numpy as np
import pytest
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from fastgmm import GaussianMixture
from fastgmm.engines.threads import ThreadEngine
from fastgmm.starts import make_starts
from tests.estimator.helpers import quiet_fit

KINDS = {
    "ratings": lambda r, n: r.randint(1, 6, (n, 4)),
    "flags": lambda r, n: r.randint(0, 2, (n, 8)),
    "one flag": lambda r, n: r.randint(0, 2, (n, 1)),
    "counts": lambda r, n: r.poisson(3, (n, 2)),
    "one count": lambda r, n: r.poisson(3, (n, 1)),
    "large counts": lambda r, n: r.poisson(20, (n, 2)),
    "halves": lambda r, n: np.round(4 * r.standard_normal((n, 3))) / 2,
    "tenths": lambda r, n: np.round(r.standard_normal((n, 3)), 1),
    "hours and days": lambda r, n: np.column_stack([r.randint(0, 24, n), r.randint(0, 7, n)]),
    "age and children": lambda r, n: np.column_stack([r.randint(18, 90, n), r.poisson(1.5, n)]),
    "few colours": lambda r, n: 85 * r.randint(0, 4, (n, 3)),
    "colours": lambda r, n: r.randint(0, 256, (n, 3)),
    "grey levels": lambda r, n: r.randint(0, 256, (n, 1)),
    "repeated rows": lambda r, n: r.standard_normal((n // 50, 3))[r.randint(0, n // 50, n)],
    "years": lambda r, n: r.randint(1950, 2025, (n, 2)),
    "zeros and incomes": lambda r, n: np.where(
        r.uniform(size=(n, 2)) < 0.4, 0, r.lognormal(10, 1, (n, 2))
    ),
    "saturated": lambda r, n: np.minimum(2e5 * r.lognormal(0, 1, (n, 2)), 262143),
    "not rounded": lambda r, n: r.standard_normal((n, 3)),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def problem(kind, dtype, n, seed):
    return KINDS[kind](np.random.RandomState(seed), n).astype(dtype), 2 + 3 * seed % 7


@every_kind
@every_dtype
@pytest.mark.parametrize(("n", "n_seeds"), [(9000, 4), (40_000, 2)])
def test_labels_are_scikit_learns(kind, dtype, n, n_seeds):
    for seed in range(n_seeds):
        X, k = problem(kind, dtype, n, seed)
        ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
        with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *args, **kwargs: None)
            start = next(make_starts(X, k, "kmeans", ours, None, ThreadEngine(2)))
            model = KMeans(k, n_init=1, random_state=theirs).fit(X)
        np.testing.assert_array_equal(start.labels, model.labels_)
        assert ours.randint(2**31) == theirs.randint(2**31)


@every_kind
@every_dtype
def test_rows_of_plusplus_are_scikit_learns(kind, dtype):
    for seed in range(4):
        X, k = problem(kind, dtype, 9000, seed)
        ours, theirs = np.random.RandomState(seed), np.random.RandomState(seed)
        with np.errstate(all="ignore"):
            start = next(make_starts(X, k, "k-means++", ours, None, ThreadEngine(2)))
            desired, _ = kmeans_plusplus(X, k, random_state=theirs)
        np.testing.assert_array_equal(start.rows, desired)
        assert ours.randint(2**31) == theirs.randint(2**31)


@pytest.mark.parametrize("kind", ["ratings", "large counts", "tenths", "colours"])
def test_fits_take_as_many_iterations_to_the_same_parameters(kind):
    for seed in range(2):
        X, k = problem(kind, np.float64, 9000, seed)
        arguments = {"random_state": seed, "max_iter": 20, "reg_covar": 1e-3}
        theirs = quiet_fit(SklearnGaussianMixture(k, **arguments), X)
        ours = quiet_fit(GaussianMixture(k, **arguments), X)
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-6)
