"""A run of EM with a checkpoint, for tests; as a script it stops wherever it is killed.

The loop stands for that of `fastgmm.em`, with the same order of steps.
"""

import itertools
import sys
import time

import numpy as np

from fastgmm.covariance import STRUCTURES
from fastgmm.em import EMResult
from fastgmm.engines.threads import ThreadEngine
from fastgmm.fitting import FitOptions, MixtureFit
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.initialization import make_starts
from fastgmm.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.persistence.checkpoints import Checkpoint, RunState, fingerprint_of
from fastgmm.sources.array import ArraySource

K, TOL, N_INIT, MAX_ITER = 4, 1e-3, 3, 15


def rows():
    random = np.random.RandomState(0)
    return random.standard_normal((2000, 3)) + 3 * random.randint(0, 3, (2000, 1))


def run(path, every_seconds=0.0, after_iteration=lambda state: None, X=None, **arguments):
    """Parameters and bounds of the best of some restarts."""
    X = rows() if X is None else X
    structure, engine = STRUCTURES["full"], ThreadEngine(1)
    fit = MixtureFit(ArraySource(X), structure, engine, FitOptions(K, TOL, 1e-6, MAX_ITER))
    model = MaximumLikelihood(structure, X.dtype, GivenParameters())
    random_state = np.random.RandomState(0)
    estimator = GaussianMixture(K, tol=TOL, n_init=N_INIT, random_state=0, **arguments)
    checkpoint = None
    state = None
    if path is not None:
        fingerprint = fingerprint_of(estimator, fit.source, fit.grid)
        checkpoint = Checkpoint(path, fingerprint, random_state, every_seconds)
        state = checkpoint.resume(structure)

    def observe(state):
        if checkpoint is not None:
            checkpoint.update(state)
        after_iteration(state)

    if state is not None and state.finished:
        return state.best
    starts = make_starts(X, K, "random_from_data", random_state, None, engine)
    left = N_INIT if state is None else N_INIT - state.restart - 1
    parameters = fit.starts(model, starts, left)
    result = loop(lambda p: fit._step(model, p), parameters, state, observe)
    if checkpoint is not None:
        checkpoint.finish(result)
    return result


def loop(step, starts, state, observe):
    """EM from each start, or on from a state."""
    best, first, bounds = None, 0, []
    if state is not None:
        best, first, bounds = state.best, state.restart, list(state.lower_bounds)
        starts = itertools.chain([state.parameters], starts)
    for number, parameters in enumerate(starts, first):
        converged = is_converged(bounds)
        while not converged and len(bounds) < MAX_ITER:
            parameters, bound = step(parameters)
            bounds.append(bound)
            observe(RunState(number, parameters, list(bounds), best))
            converged = is_converged(bounds)
        result = EMResult(parameters, bounds, converged)
        if best is None or result.lower_bound > best.lower_bound:
            best = result
        bounds = []
    return best


def is_converged(bounds):
    return len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < TOL


def main():
    path, seconds = sys.argv[1], float(sys.argv[2])
    print("ready", flush=True)
    run(path, after_iteration=lambda state: time.sleep(seconds))
    print("done", flush=True)


if __name__ == "__main__":
    main()
