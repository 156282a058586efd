"""What a change of the data does to the fitted model, by theory, it does."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import ortho_group
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.covariance import STRUCTURES
from tests import structures, tolerances
from tests.datasets import mixture_sample
from tests.laws.strategies import seeds

N, D, K = 240, 3, 3
ITERATIONS = 8

every_structure = pytest.mark.parametrize("covariance_type", structures.OF_FORMS)
few_examples = settings(max_examples=15)


def random_rotation(random):
    return ortho_group.rvs(D, random_state=random)


def random_stretch(random):
    return np.diag(random.uniform(0.2, 5.0, D))


#: Matrices A of x -> A x + b, and the structures that hold A C A^T whenever they hold C.
TRANSFORMATIONS = {
    "shift": (lambda random: np.eye(D), structures.OF_FORMS),
    "scale": (lambda random: random.uniform(0.01, 100) * np.eye(D), structures.OF_FORMS),
    "order of features": (lambda random: np.eye(D)[random.permutation(D)], structures.OF_FORMS),
    "stretch": (random_stretch, ["full", "tied", "diag"]),
    "rotation": (random_rotation, ["full", "tied", "spherical"]),
    "affine": (lambda random: random_rotation(random) @ random_stretch(random), ["full", "tied"]),
}


def rows_and_shares(seed):
    """Overlapping clusters, and a soft start."""
    random = np.random.RandomState(seed)
    X = mixture_sample(N, D, K, seed, spread=3.0)
    return X, random.dirichlet(np.ones(K), N), random


def fit(X, shares, covariance_type, **params):
    model = GaussianMixture(
        K,
        covariance_type=covariance_type,
        **{"tol": 0, "reg_covar": 0, "max_iter": ITERATIONS, "init_params": shares, **params},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X)


def matrices(model):
    return STRUCTURES[model.covariance_type].as_matrices(model.covariances_, K, D)


def assert_close(actual, desired, rtol=tolerances.TRANSFORMED_RTOL):
    scale = float(np.abs(desired).max())
    np.testing.assert_allclose(actual, desired, rtol=0, atol=rtol * scale)


# --- transformations of the rows ----------------------------------------------------------


@pytest.mark.parametrize(
    ("transformation", "covariance_type"),
    [(name, holds) for name, (_, all_holding) in TRANSFORMATIONS.items() for holds in all_holding],
)
@given(seed=seeds)
@few_examples
def test_affine_maps(transformation, covariance_type, seed):
    X, shares, random = rows_and_shares(seed)
    A = TRANSFORMATIONS[transformation][0](random)
    b = 10 * random.standard_normal(D)
    model = fit(X, shares, covariance_type)
    moved = fit(X @ A.T + b, shares, covariance_type)
    assert_close(moved.weights_, model.weights_)
    assert_close(moved.means_ - b, model.means_ @ A.T)
    assert_close(matrices(moved), A @ matrices(model) @ A.T)
    volume = np.linalg.slogdet(A)[1]
    assert_close(np.add(moved.lower_bounds_, volume), model.lower_bounds_)
    assert_close(moved.predict_proba(X @ A.T + b), model.predict_proba(X))


@every_structure
@pytest.mark.parametrize(
    ("dtype", "grid", "offset", "rtol"),
    [
        (np.float64, 2.0**-16, 2.0**26, tolerances.FAR_SHIFT_RTOL),
        (np.float32, 2.0**-8, 2.0**10, tolerances.FAR_SHIFT_RTOL_FLOAT32),
    ],
)
def test_a_shift_far_away_costs_no_digits(covariance_type, dtype, grid, offset, rtol):
    """Numbers of few bits, so that the shifted rows are exact.

    E[x^2] - mean^2 would be off by eps * offset^2: by 1 in float64, by 0.1 in float32.
    """
    X, shares, _ = rows_and_shares(1)
    X = (np.round(X / grid) * grid).astype(dtype)
    far = (X + offset).astype(dtype)
    np.testing.assert_array_equal(far.astype(np.float64) - offset, X)
    here, there = fit(X, shares, covariance_type), fit(far, shares, covariance_type)
    assert_close(matrices(there), matrices(here), rtol)
    assert_close(there.weights_, here.weights_, rtol)
    assert_close(there.lower_bounds_, here.lower_bounds_, rtol)
    mean_rounding = np.finfo(dtype).eps * offset
    deviation = np.sqrt(matrices(here).max())
    assert np.abs(there.means_ - offset - here.means_).max() < mean_rounding + rtol * deviation


# --- orders -------------------------------------------------------------------------------


@every_structure
@given(seed=seeds)
@few_examples
def test_the_order_of_rows(covariance_type, seed):
    X, shares, random = rows_and_shares(seed)
    order = random.permutation(N)
    model = fit(X, shares, covariance_type)
    shuffled = fit(X[order], shares[order], covariance_type)
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert_close(getattr(shuffled, name), getattr(model, name))
    assert_close(shuffled.predict_proba(X), model.predict_proba(X))


@every_structure
@given(seed=seeds)
@few_examples
def test_the_order_of_components(covariance_type, seed):
    X, shares, random = rows_and_shares(seed)
    order = random.permutation(K)
    model = fit(X, shares, covariance_type)
    renamed = fit(X, shares[:, order], covariance_type)
    assert_close(renamed.weights_, model.weights_[order])
    assert_close(renamed.means_, model.means_[order])
    assert_close(matrices(renamed), matrices(model)[order])
    assert_close(renamed.lower_bounds_, model.lower_bounds_)
    assert_close(renamed.predict_proba(X), model.predict_proba(X)[:, order])


# --- starts -------------------------------------------------------------------------------

LABELS = np.random.RandomState(2).randint(K, size=N)
STARTS = {
    "list": LABELS.tolist(),
    "floats": LABELS.astype(np.float64),
    "unsigned": LABELS.astype(np.uint8),
    "responsibilities": np.eye(K)[LABELS],
    "integer responsibilities": np.eye(K, dtype=int)[LABELS],
    "callable of labels": lambda X, n_components, random_state: LABELS,
    "callable of responsibilities": lambda X, n_components, random_state: np.eye(K)[LABELS],
}


@every_structure
@pytest.mark.parametrize("start", STARTS)
def test_a_start_in_any_form(covariance_type, start):
    """The same bits."""
    X, _, _ = rows_and_shares(3)
    model = fit(X, LABELS, covariance_type)
    same = fit(X, STARTS[start], covariance_type)
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_array_equal(getattr(same, name), getattr(model, name))


def test_what_a_callable_gets():
    """The rows, the number of components, and one random state that goes on between restarts."""
    X, shares, _ = rows_and_shares(4)
    calls = []

    def start(rows, n_components, random_state):
        calls.append((rows.shape, n_components, random_state.randint(1 << 30)))
        return shares

    fit(X, start, structures.OF_FORMS[0], n_init=3, random_state=7)
    draws = np.random.RandomState(7)
    assert calls == [((N, D), K, draws.randint(1 << 30)) for _ in range(3)]
