"""A run of EM with a checkpoint, for tests."""

import numpy as np

from fastgmm.covariance import STRUCTURES
from fastgmm.engines.threads import ThreadEngine
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.saved.checkpoints import Checkpoint
from fastgmm.saved.fingerprints import fingerprint_of
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowGrid
from fastgmm.starts import make_starts
from tests.fits import Fit

K, TOL, N_INIT, MAX_ITER = 4, 1e-3, 3, 15


def rows():
    random = np.random.RandomState(0)
    return random.standard_normal((2000, 3)) + 3 * random.randint(0, 3, (2000, 1))


def run(path, every_seconds=0.0, after_iteration=lambda state: None, X=None, **arguments):
    """Parameters and bounds of the best of some restarts."""
    X = rows() if X is None else X
    source, structure = array_source(X), STRUCTURES["full"]
    fit = Fit(source, structure, K, tol=TOL, max_iter=MAX_ITER)
    random_state = np.random.RandomState(0)
    starts = make_starts(X, K, "random_from_data", random_state, None, ThreadEngine(1))
    parameters = fit.first_parameters(starts, N_INIT)

    def em(starts, resume=None, observe=lambda state: None):
        def observe_twice(state):
            observe(state)
            after_iteration(state)

        return fit.run(starts, resume=resume, observe=observe_twice)

    if path is None:
        return em(parameters)
    estimator = GaussianMixture(K, tol=TOL, n_init=N_INIT, random_state=0, **arguments)
    fingerprint = fingerprint_of(estimator, source, RowGrid.of(len(X), X.shape[1], K))
    checkpoint = Checkpoint(path, fingerprint, random_state, every_seconds)
    return checkpoint.run(em, parameters, N_INIT, structure)
