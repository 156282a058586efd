"""EM never makes the likelihood smaller (Dempster, Laird and Rubin 1977, theorem 1)."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.covariance import STRUCTURES
from tests import datasets, structures, tolerances
from tests.laws.strategies import seeds

#: Below this variance, relative to the data's, a component has collapsed onto a few points. There
#: the likelihood has no bound, and scikit-learn's guard against empty components, ten epsilons,
#: is no longer small: the step is not quite EM's.
COLLAPSED = 1e-6


def quiet_fit(model, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X)


@st.composite
def rows(draw):
    """Rows of several kinds: of different units, with many duplicates, rank-deficient, far away."""
    random = np.random.RandomState(draw(seeds))
    n, d = draw(st.integers(5, 120)), draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["plain", "units", "counts", "deficient", "far"]))
    X = random.standard_normal((n, d))
    if kind == "units":
        X *= 10 ** random.uniform(-2, 2, d)
    elif kind == "counts":
        X = random.poisson(2.0, (n, d)).astype(float)
    elif kind == "deficient":
        X[:, -1] = X[:, 0]
    elif kind == "far":
        X += 1e4
    return X


def smallest_variance(model, X):
    """Smallest eigenvalue of the covariances, with every feature in units of its deviation."""
    deviations = X.std(axis=0)
    shape = (model.n_components, X.shape[1])
    matrices = STRUCTURES[model.covariance_type].as_matrices(model.covariances_, *shape)
    with np.errstate(all="ignore"):
        scaled = matrices / np.outer(deviations, deviations)
    return np.linalg.eigvalsh(scaled).min() if np.isfinite(scaled).all() else 0.0


def assert_never_falls(model, X):
    """Or the fit refuses, and says why."""
    try:
        quiet_fit(model, X)
    except ValueError as error:
        if "ill-defined empirical covariance" not in str(error):
            raise
        return
    assert np.isfinite(model.lower_bounds_).all()
    assert np.isfinite(model.means_).all()
    if smallest_variance(model, X) > COLLAPSED:
        assert np.diff(model.lower_bounds_).min() >= -tolerances.LIKELIHOOD_FALL


@given(
    X=rows(),
    k=st.integers(1, 5),
    covariance_type=st.sampled_from(structures.ALL),
    concentration=st.sampled_from([0.1, 1.0, 10.0]),
    seed=seeds,
)
@settings(max_examples=200)
def test_the_likelihood_never_falls(X, k, covariance_type, concentration, seed):
    """From any start, without regularisation."""
    shares = np.random.RandomState(seed).gamma(concentration, size=(len(X), k)) + 1e-6
    model = GaussianMixture(
        k,
        covariance_type=covariance_type,
        reg_covar=0,
        tol=0,
        max_iter=50,
        init_params=shares / shares.sum(axis=1, keepdims=True),
    )
    assert_never_falls(model, X)


@pytest.mark.parametrize("covariance_type", structures.ALL)
@pytest.mark.parametrize("start", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("name", ["anisotropic", "iris"])
def test_the_likelihood_never_falls_from_scikit_learns_starts(covariance_type, start, name):
    """Single rows have no variance without regularisation: these starts refuse, or collapse."""
    options = {"tol": 0, "max_iter": 50, "reg_covar": 0, "init_params": start, "random_state": 0}
    model = GaussianMixture(3, covariance_type=covariance_type, **options)
    assert_never_falls(model, datasets.load(name).X)


@pytest.mark.parametrize("covariance_type", structures.ALL)
def test_a_bound_is_the_score_before_its_m_step(covariance_type):
    X = datasets.load("anisotropic").X
    model = GaussianMixture(
        3, covariance_type=covariance_type, tol=0, max_iter=6, init_params=np.arange(len(X)) % 3
    )
    bounds = quiet_fit(model, X).lower_bounds_
    for n_iter in range(1, 6):
        score = quiet_fit(model.set_params(max_iter=n_iter), X).score(X)
        assert score == pytest.approx(bounds[n_iter], rel=1e-12)
