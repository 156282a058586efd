"""Fits of few rows by default arguments: the same bits by compiled code as by the loop of EM."""

import warnings

import numpy as np
import pytest
import sklearn.mixture
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.em import Listener
from fastgmm.estimator import fitting, small
from fastgmm.estimator.rows import rows_to_fit
from fastgmm.small_fits import iteration_of
from fastgmm.sources.base import RowGrid

COMPILED = [
    name
    for name, structure in STRUCTURES.items()
    if structure.core.compiled is not None and structure.most_features is None
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Best performing initialization did not converge"),
    pytest.mark.filterwarnings("ignore:Number of distinct clusters"),
]


@pytest.fixture(autouse=True)
def kernels_pay(monkeypatch):
    """Kernels that others can do without are there."""
    monkeypatch.setattr(
        small, "iteration_of", lambda structure, d, if_it_pays: iteration_of(structure, d)
    )


DRAWN = "random", "random_from_data", "k-means++"


def by_the_loop(model, X):
    """The same fit, with a listener, who hears of every iteration."""
    model._listener = Listener()
    model.fit(X)
    del model._listener
    return model


def assert_same_attributes(one, other):
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        assert type(value) is type(vars(other)[name]), name
        if name.endswith("_"):
            np.testing.assert_array_equal(value, vars(other)[name], name)


def rows_of(n, d, scale):
    random = np.random.default_rng(n)
    X = random.standard_normal((n, d))
    X[:, 0] += scale * random.integers(3, size=n)
    return X


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize(
    "X",
    [
        load_iris().data,
        np.asfortranarray(rows_of(90, 2, 4.0)),
        rows_of(60, 3, 1e9),
        rows_of(300, 1, 4.0),
    ],
    ids=["iris", "columns", "far", "one feature"],
)
def test_bits_of_the_loop(name, X):
    for seed in range(3):
        for k in (1, 3, 5):
            arguments = {"covariance_type": name, "random_state": seed, "max_iter": 30}
            one = GaussianMixture(k, **arguments).fit(X)
            assert_same_attributes(one, by_the_loop(GaussianMixture(k, **arguments), X))


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize(
    "arguments",
    [
        {"n_init": 4},
        {"init_params": "hierarchical"},
        *({"init_params": start, "n_init": 2} for start in DRAWN),
    ],
    ids=lambda arguments: arguments.get("init_params", "n_init"),
)
def test_bits_of_the_loop_from_other_starts(name, arguments):
    X = load_iris().data
    for k, tol in ((3, 1e-3), (6, 1e-5)):
        arguments = {**arguments, "covariance_type": name, "random_state": 0, "tol": tol}
        one = GaussianMixture(k, **arguments).fit(X)
        assert_same_attributes(one, by_the_loop(GaussianMixture(k, **arguments), X))


@pytest.mark.parametrize("name", COMPILED)
def test_bits_of_the_loop_over_chunks(name):
    """A single thread has compiled code add chunks up, as the merge does."""
    X = rows_of(8191, 8, 4.0)
    for k in (6, 8):
        arguments = {"covariance_type": name, "random_state": 0, "max_iter": 5, "n_jobs": 1}
        one = GaussianMixture(k, **arguments)
        assert small.small_fit(one, rows_to_fit(one, X, None))[0] is not None
        assert len(RowGrid.of(*X.shape, k)) > 1
        assert_same_attributes(one.fit(X), by_the_loop(GaussianMixture(k, **arguments), X))


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("start", DRAWN)
def test_bits_of_the_loop_whatever_is_drawn(name, start):
    """Also of rows of several chunks, far ones and one feature; and the draws go on alike."""
    for X, k in (
        (rows_of(8191, 8, 4.0), 8),
        (rows_of(29, 12, 4.0), 3),
        (rows_of(300, 1, 4.0), 5),
        (rows_of(60, 3, 1e9), 2),
        (rows_of(90, 2, 4.0) + 1e4, 1),
    ):
        arguments = {"covariance_type": name, "init_params": start, "max_iter": 20, "n_jobs": 1}
        for n_init in (1, 3):
            ours, theirs = (np.random.RandomState(n_init) for _ in range(2))
            arguments |= {"n_init": n_init}
            one = GaussianMixture(k, random_state=ours, **arguments)
            other = GaussianMixture(k, random_state=theirs, **arguments)
            for model in (one.fit(X), by_the_loop(other, X)):
                del model.random_state
            assert_same_attributes(one, other)
            assert ours.random_sample() == theirs.random_sample()


@pytest.mark.parametrize("name", COMPILED)
def test_what_compiled_code_makes(name):
    X = rows_of(90, 2, 4.0)
    for arguments, is_made in {
        (): True,
        ("n_init", 2): True,
        ("init_params", "hierarchical"): True,
        **{("init_params", start): True for start in DRAWN},
        ("init_params", "k-means||"): False,
        ("on_failure", "recover"): False,
        ("noise", "box"): False,
        ("accelerate", "squarem"): False,
        ("tol_kind", "aitken"): False,
        ("reg_covar", 0.0): False,
        ("max_iter", 0): False,
        ("weights_init", (0.5, 0.5)): False,
        ("n_components", np.uint8(2)): True,
    }.items():
        given = dict([arguments]) if arguments else {}
        model = GaussianMixture(**{"n_components": 2, "covariance_type": name, **given})
        made, starts = small.small_fit(model, rows_to_fit(model, X, None))
        assert (made is not None) == is_made, arguments
        assert starts is None
    model = GaussianMixture(2, covariance_type=name)
    for data in (
        rows_to_fit(model, X.astype(np.float32), None),
        rows_to_fit(model, X, np.arange(90.0)),
        rows_to_fit(model, X, None, np.arange(90) % 3 - 1),
    ):
        assert small.small_fit(model, data) == (None, None)


@pytest.mark.parametrize("n_init", [1, 3])
def test_starts_are_made_once(n_init, monkeypatch):
    X = rows_of(60, 3, 1e9)
    ours, theirs = (np.random.RandomState(0) for _ in range(2))
    model = GaussianMixture(3, n_init=n_init, random_state=ours)
    made, starts = small.small_fit(model, rows_to_fit(model, X, None))
    assert made is None  # digits count
    assert len(starts) == n_init
    ours.seed(0)
    monkeypatch.setattr(fitting, "find_starts", None)
    model.fit(X)
    desired = sklearn.mixture.GaussianMixture(3, n_init=n_init, random_state=theirs).fit(X)
    np.testing.assert_allclose(model.means_, desired.means_)
    assert ours.random_sample() == theirs.random_sample()


def test_warnings_name_the_line_of_the_caller():
    X = load_iris().data
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        GaussianMixture(3, max_iter=2, random_state=0).fit(X)
        by_the_loop(GaussianMixture(3, max_iter=2, random_state=0), X)
    assert [warning.category for warning in said] == [ConvergenceWarning] * 2
    assert {warning.filename for warning in said} == {__file__}
