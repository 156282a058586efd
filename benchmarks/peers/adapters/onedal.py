"""Intel's oneDAL, by daal4py."""

from typing import Any

import daal4py
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.problem import Problem, Run


def prepare(problem: Problem) -> Run:
    """For oneDAL; its diagonals are matrices of one row."""
    daal4py.daalinit(problem.threads)
    d = problem.X.shape[1]
    covariances = list(problem.covariances.reshape(len(problem.means), -1, d))
    storage = {"full": "full", "diag": "diagonal"}[problem.structure]

    def run(iterations: int) -> NDArray[Any]:
        algorithm = daal4py.em_gmm(
            len(problem.means),
            maxIterations=iterations,
            accuracyThreshold=0.0,
            covarianceStorage=storage,
        )
        result = algorithm.compute(
            problem.X, problem.weights[np.newaxis], problem.means, covariances
        )
        return result.means

    return run
