"""gmmx, on JAX: float32 only."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from gmmx.fit import EMFitter
from gmmx.gmm import GaussianMixtureModelJax
from numpy.typing import NDArray

from benchmarks.peers.problem import Problem, Run


def prepare(problem: Problem) -> Run:
    """For gmmx."""
    X, weights, means, covariances = (
        jnp.asarray(array, dtype=np.float32)
        for array in (problem.X, problem.weights, problem.means, problem.covariances)
    )
    start = GaussianMixtureModelJax.from_squeezed(means, covariances, weights, problem.structure)

    def run(iterations: int) -> NDArray[Any]:
        fitter = EMFitter(max_iter=iterations, tol=0.0, reg_covar=0.0)
        return fitter.fit(X, start).gmm.means_numpy

    return run
