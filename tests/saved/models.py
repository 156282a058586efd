"""Fitted models of every kind, for the tests of files."""

import functools

import numpy as np

from fastgmm import BayesianGaussianMixture, GaussianMixture
from tests import structures

X = np.random.RandomState(0).standard_normal((300, 3))
X[::2] += 4.0
X.flags.writeable = False

ESTIMATORS = {
    "maximum likelihood": GaussianMixture,
    "dirichlet process": BayesianGaussianMixture,
    "dirichlet distribution": functools.partial(
        BayesianGaussianMixture, weight_concentration_prior_type="dirichlet_distribution"
    ),
}

KINDS = [(name, structure) for name in ESTIMATORS for structure in structures.SHARED]


@functools.cache
def fitted(name="maximum likelihood", structure="full", dtype=np.float64):
    """A model of two components, converged."""
    make = ESTIMATORS[name]
    model = make(n_components=2, covariance_type=structure, random_state=0, tol=1e-2, n_jobs=1)
    return model.fit(X.astype(dtype))


def assert_same(one, other):
    """Assert that two values are the same, to the bit and in type."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, strict=True)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    elif isinstance(one, np.random.RandomState):
        assert_same(one.get_state()[1], other.get_state()[1])
        assert one.get_state()[2:] == other.get_state()[2:]
    else:
        assert one == other or (one != one and other != other)


def assert_same_model(one, other):
    assert type(one) is type(other)
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        assert_same(value, vars(other)[name])
