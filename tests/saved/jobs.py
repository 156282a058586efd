"""Fits with a checkpoint, for tests: what they fit, how they are stopped, and what they leave."""

import contextlib
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.em import Listener
from fastgmm.saved.checkpoints import read_checkpoint

K = 4


def make_rows(n_rows=9000):
    generator = np.random.RandomState(0)
    X = generator.standard_normal((n_rows, 4)) + 2 * generator.randint(0, 3, (n_rows, 1))
    return X, generator.randint(0, 4, n_rows) / 2


X, WEIGHTS = make_rows()


def make(cls=GaussianMixture, **arguments):
    defaults = {"n_components": K, "n_init": 3, "max_iter": 12, "tol": 0.0, "random_state": 0}
    return cls(**{**defaults, **arguments})


def fit(model, rows=X, weights=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows, sample_weight=weights, **options)


@contextlib.contextmanager
def no_iterations():
    """Fail if an iteration is made: a finished run ends at once."""

    def refuse(*arguments):
        raise AssertionError("an iteration")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("fastgmm.estimator.accelerating.em_step", refuse)
        yield


class Stop(Exception):
    pass


class Stopper(Listener):
    """Listens to a fit, and does something after some iterations."""

    def __init__(self, n_iterations, action):
        self.left, self.action = n_iterations, action

    def iteration_ends(self, result, change):
        self.left -= 1
        if self.left == 0:
            self.action()


def stop():
    raise Stop


def stopped(path, n_iterations=5, **arguments):
    """Leave the checkpoint of a run that has not ended."""
    model = make(**arguments)
    model._listener = Stopper(n_iterations, stop)
    with pytest.raises(Stop):
        fit(model, checkpoint=path, checkpoint_every=0.0)


def state_in(path):
    """The state that a checkpoint holds, whatever its run."""
    return read_checkpoint(path).state
