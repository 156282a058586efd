"""tgmm, on torch."""

from typing import Any

import torch
from numpy.typing import NDArray
from tgmm import GaussianMixture

from benchmarks.peers.problem import Problem, Run


def prepare(problem: Problem) -> Run:
    """For tgmm."""
    torch.set_num_threads(problem.threads)
    X, weights, means, covariances = (
        torch.tensor(array)
        for array in (problem.X, problem.weights, problem.means, problem.covariances)
    )

    def run(iterations: int) -> NDArray[Any]:
        model = GaussianMixture(
            *means.shape,
            covariance_type=problem.structure,
            max_iter=iterations,
            tol=1e-300,  # 0 is refused
            reg_covar=0.0,
            init_weights=weights,
            init_means=means,
            init_covariances=covariances,
        )
        return model.fit(X).means_.numpy()

    return run
