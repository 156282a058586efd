"""pomegranate, on torch; responsibilities pass through float32 there."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pomegranate.distributions import Normal
from pomegranate.gmm import GeneralMixtureModel

from benchmarks.peers.problem import Problem, Run


def prepare(problem: Problem) -> Run:
    """For pomegranate; a fit changes its distributions, so each gets new ones."""
    torch.set_num_threads(problem.threads)
    X, weights, means, covariances = (
        torch.tensor(array)
        for array in (problem.X, problem.weights, problem.means, problem.covariances)
    )

    def run(iterations: int) -> NDArray[Any]:
        components = [
            Normal(mean.clone(), covariance.clone(), covariance_type=problem.structure)
            for mean, covariance in zip(means, covariances, strict=True)
        ]
        # A likelihood that rounding lowers must not end the fit.
        model = GeneralMixtureModel(
            components, priors=weights.clone(), max_iter=iterations, tol=-np.inf
        )
        model.fit(X)
        return np.stack([component.means.detach().numpy() for component in components])

    return run
