"""The same `fit` with a checkpoint and another `max_iter`: it goes on, or says why it cannot."""

import os

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.em import Listener
from tests.saved.jobs import WEIGHTS, X, fit, make, no_iterations, stopped
from tests.saved.models import assert_same_model


@pytest.fixture
def path(tmp_path):
    return tmp_path / "job.npz"


RECOVER = {"on_failure": "recover", "init_params": "random_from_data"}
LONGER = [
    (GaussianMixture, WEIGHTS, {}),
    (GaussianMixture, None, {"init_params": "random", "covariance_type": "tied"}),
    (GaussianMixture, None, {**RECOVER, "reg_covar": 0.0}),
    (BayesianGaussianMixture, None, {"covariance_type": "diag", "verbose": 1}),
]


@pytest.mark.parametrize("job", LONGER, ids=range(len(LONGER)))
def test_more_iterations(path, job):
    cls, weights, arguments = job
    rows = make_clumped_rows() if "on_failure" in arguments else X
    arguments = {"n_init": 1, **arguments}
    undisturbed = fit(make(cls, **arguments), rows, weights)
    assert bool(undisturbed.diagnostics_) == ("on_failure" in arguments)
    for max_iter in (0, 1, 6):
        part = fit(make(cls, **arguments, max_iter=max_iter), rows, weights, checkpoint=path)
        assert part.n_iter_ == max_iter
    found = make(cls, **arguments)
    found._listener = Counter()
    fit(found, rows, weights, checkpoint=path)
    assert found._listener.begun == [7, 8, 9, 10, 11, 12]
    del found._listener
    assert_same_model(found, undisturbed)
    with no_iterations():
        again = fit(make(cls, **arguments), rows, weights, checkpoint=path)
    assert_same_model(again, undisturbed)


class Counter(Listener):
    """Keeps the numbers of iterations."""

    def __init__(self):
        self.begun = []

    def iteration_begins(self, number):
        self.begun.append(number)


def make_clumped_rows():
    """Rows with a clump of equal ones, where components collapse."""
    return np.concatenate([X[:1500], np.repeat(X[:1], 1500, axis=0)])


def test_more_iterations_of_a_run_that_was_killed(path):
    stopped(path, n_init=1)
    found = fit(make(n_init=1, max_iter=20), checkpoint=path)
    assert_same_model(found, fit(make(n_init=1, max_iter=20)))
    os.remove(path)
    stopped(path)  # in the first of three starts
    assert_same_model(fit(make(max_iter=14), checkpoint=path), fit(make(max_iter=14)))


@pytest.mark.parametrize("max_iter", [50, 1000])
def test_a_converged_run_is_done(path, max_iter):
    converged = fit(make(n_init=1, tol=0.1, max_iter=100), checkpoint=path)
    assert converged.converged_
    assert converged.n_iter_ < 50
    with no_iterations():
        found = fit(make(n_init=1, tol=0.1, max_iter=max_iter), checkpoint=path)
    converged.set_params(max_iter=max_iter)
    assert_same_model(found, converged)


def test_a_run_that_a_listener_has_stopped_is_done(path):
    class Enough(Listener):
        def iteration_ends(self, result, change):
            return result.n_iter == 4

    model = make(n_init=1)
    model._listener = Enough()
    assert fit(model, checkpoint=path).n_iter_ == 4
    with no_iterations():
        assert fit(make(n_init=1, max_iter=50), checkpoint=path).n_iter_ == 4


def test_fewer_iterations_than_were_made(path):
    fit(make(n_init=1), checkpoint=path)
    text = "max_iter was 12 and is 11, but 12 iterations have been made"
    with pytest.raises(ValueError, match=text):
        fit(make(n_init=1, max_iter=11), checkpoint=path)
    with pytest.raises(ValueError, match=r"another run: tol was 0\.0 and is 1\.0\. Give"):
        fit(make(n_init=1, max_iter=20, tol=1.0), checkpoint=path)


@pytest.mark.parametrize("stop_at", [15, None])
def test_more_iterations_of_starts_that_are_gone(path, stop_at):
    if stop_at is None:
        fit(make(), checkpoint=path)
    else:
        stopped(path, stop_at)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is 20, but of 3 starts, only the best that has ended"):
        fit(make(max_iter=20), checkpoint=path)
    assert path.read_bytes() == before
