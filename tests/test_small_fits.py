"""Fits side by side in compiled code: the bits of `fit`, or a mark that others have to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgmm
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.linalg import IN_ORDER
from fastgmm.estimator import predicting
from fastgmm.kernels.small_fits import STRUCTURES as SMALL
from fastgmm.kernels.small_fits import VARIANTS
from fastgmm.kernels.small_fits.iteration import iteration
from fastgmm.small_fits import SmallFits, is_small, iteration_of
from fastgmm.sources.array import array_source
from fastgmm.starts import LabelledRows

COMPILED = [
    name
    for name, structure in STRUCTURES.items()
    if structure.core.compiled is not None and structure.most_features is None
]
REG_COVAR = 1e-6


def rows_of(n, d, seed=0, scale=3.0, shift=0.0):
    random = np.random.default_rng(seed)
    centres = random.normal(0, scale, (4, d))
    spreads = random.uniform(0.5, 1.5, (4, d))
    part = random.integers(4, size=n)
    return centres[part] + spreads[part] * random.standard_normal((n, d)) + shift


def fits_of(X, name, numbers, labels, max_iter=30):
    structure = STRUCTURES[name]
    kernel = iteration_of(structure, X.shape[1])
    starts = [LabelledRows(*start) for start in zip(labels, numbers, strict=True)]
    return SmallFits(X, structure, numbers, starts, REG_COVAR, max_iter, kernel)


def assert_own_bits(fits, m, X, name, k, labels, tol, max_iter=30):
    """The fit has the bits of one of its own, if it is not in doubt."""
    if fits.doubtful[m]:
        return
    own = fastgmm.GaussianMixture(
        k, covariance_type=name, init_params=labels, tol=tol, max_iter=max_iter
    ).fit(X)
    result = fits.result(m)
    assert result.lower_bounds == own.lower_bounds_
    assert result.converged == own.converged_
    for attribute in ("weights", "means", "covariances", "precisions_cholesky"):
        actual = getattr(result.parameters, attribute)
        np.testing.assert_array_equal(actual, getattr(own, f"{attribute}_"), attribute)
    assert fits.classified(m) == predicting.classified(own, array_source(X))


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize(("n", "d"), [(40, 2), (150, 4), (300, 9), (500, 3)])
def test_bits_of_own_fits(name, n, d):
    X, numbers = rows_of(n, d), (1, 2, 3, 7, 8, 9, 12)
    labels = [np.arange(n) * 7919 % n % k for k in numbers]
    fits = fits_of(X, name, numbers, labels)
    for tol in (1e-3, 1e-6):  # the second goes on from the first
        fits.run(tol)
        for m, k in enumerate(numbers):
            assert_own_bits(fits, m, X, name, k, labels[m], tol)
    assert not fits.doubtful[:3].any()


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(COMPILED),
    st.integers(8, 90),
    st.integers(2, 6),
    st.integers(0, 1000),
    st.sampled_from([0.0, 1.0, 50.0, 1e4]),
    st.sampled_from([0.0, -7.0, 1e5]),
)
def test_bits_whatever_the_rows(name, n, d, seed, scale, shift):
    X = rows_of(n, d, seed, scale, shift)
    numbers = (1, 2, 4)
    labels = []
    for k in numbers:  # every component has a row
        own = np.random.default_rng(seed).integers(k, size=n)
        labels.append(np.where(np.arange(n) < k, np.arange(n), own))
    fits = fits_of(X, name, numbers, labels)
    fits.run(1e-3)
    for m, k in enumerate(numbers):
        assert_own_bits(fits, m, X, name, k, labels[m], 1e-3)


@pytest.mark.parametrize("name", COMPILED)
def test_what_counts_digits_is_left_to_others(name):
    labels = np.arange(60) % 2
    alike = rows_of(60, 3) * 1e3
    alike[:, 2] = alike[:, 1]
    fits = fits_of(alike, name, (2,), [labels])
    fits.run(1e-3)
    assert fits.doubtful[0] == (STRUCTURES[name].core.n_own_axes == 2)
    fits = fits_of(rows_of(60, 3) + 1e9 * labels[:, np.newaxis], name, (2,), [labels])
    fits.run(1e-3)
    assert fits.doubtful[0]


@pytest.mark.compiled_only
def test_parts_have_names_of_their_own():
    """Of two with one name, a process that loads both from the cache might call the wrong one."""
    made = [iteration(*variant).py_func.__globals__ for variant in VARIANTS]
    for part in ("move", "is_doubtful"):
        names = {parts[part].py_func.__qualname__ for parts in made}
        assert len(names) == len(SMALL)


def test_what_is_small():
    full, tied = STRUCTURES["full"], STRUCTURES["tied"]
    assert is_small(full, 500, 10, 4)
    assert is_small(tied, 8191, 3, 2)
    assert not is_small(full, 10**6, 10, 4)  # many chunks
    assert not is_small(full, 8191, 8, 8)
    assert is_small(full, 8191, 8, 8, most_chunks=3)
    assert is_small(full, 500, 7, 1)
    assert not is_small(full, 500, 8, 1)
    assert not is_small(full, 5, 10, 4)
    assert not is_small(full, 500, IN_ORDER, 4)
    assert not is_small(STRUCTURES["VEV"], 500, 10, 4)
    assert is_small(STRUCTURES["V"], 500, 3, 1)
    assert not is_small(STRUCTURES["V"], 500, 3, 2)  # for others to refuse
