"""A run of EM with a checkpoint, for tests."""

import numpy as np

from fastgmm.covariance import STRUCTURES
from fastgmm.em import Listener
from fastgmm.engines.threads import ThreadEngine
from fastgmm.fitting import FitOptions, MixtureFit
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.initialization import make_starts
from fastgmm.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.persistence.checkpoints import Checkpoint, fingerprint_of
from fastgmm.sources.array import array_source

K, TOL, N_INIT, MAX_ITER = 4, 1e-3, 3, 15


def rows():
    random = np.random.RandomState(0)
    return random.standard_normal((2000, 3)) + 3 * random.randint(0, 3, (2000, 1))


def run(path, every_seconds=0.0, after_iteration=lambda state: None, X=None, **arguments):
    """Parameters and bounds of the best of some restarts."""
    X = rows() if X is None else X
    structure, engine = STRUCTURES["full"], ThreadEngine(1)
    fit = MixtureFit(array_source(X), structure, engine, FitOptions(K, TOL, 1e-6, MAX_ITER))
    model = MaximumLikelihood(structure, X.dtype, GivenParameters())
    random_state = np.random.RandomState(0)
    starts = make_starts(X, K, "random_from_data", random_state, None, engine)
    parameters = fit.starts(model, starts, N_INIT)

    def em(starts, resume=None, observe=lambda state: None):
        def observe_twice(state):
            observe(state)
            after_iteration(state)

        return fit.run(model, starts, Listener(), resume=resume, observe=observe_twice)

    if path is None:
        return em(parameters)
    estimator = GaussianMixture(K, tol=TOL, n_init=N_INIT, random_state=0, **arguments)
    fingerprint = fingerprint_of(estimator, fit.source, fit.grid)
    checkpoint = Checkpoint(path, fingerprint, random_state, every_seconds)
    return checkpoint.run(em, parameters, N_INIT, structure)
