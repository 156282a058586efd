"""scikit-learn, and by the same arguments fastgmm."""

import copy
import warnings
from types import ModuleType
from typing import Any

import sklearn.mixture
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from benchmarks.peers.problem import Problem, Run
from benchmarks.peers.registry import BAYESIAN
from benchmarks.suite.data import SUBSAMPLE_ROWS


def prepare(problem: Problem) -> Run:
    """For scikit-learn."""
    return prepare_with(sklearn.mixture, problem)


def prepare_with(library: ModuleType, problem: Problem, **arguments: Any) -> Run:
    """For a module with scikit-learn's estimators, which take `arguments` besides.

    A variational posterior cannot be given as arguments. Its start is one iteration on the first
    rows, from k-means, which both make alike; fits go on from there by ``warm_start``.
    """
    arguments |= {
        "n_components": len(problem.means),
        "covariance_type": problem.structure,
        "tol": 0.0,
        "random_state": 0,
    }
    warnings.simplefilter("ignore", ConvergenceWarning)
    if problem.estimator == BAYESIAN:
        start = library.BayesianGaussianMixture(max_iter=1, warm_start=True, **arguments)
        start.fit(problem.X[:SUBSAMPLE_ROWS])
    else:
        start = library.GaussianMixture(
            reg_covar=0.0,
            weights_init=problem.weights,
            means_init=problem.means,
            precisions_init=problem.precisions,
            **arguments,
        )

    def run(iterations: int) -> NDArray[Any]:
        model = copy.deepcopy(start).set_params(max_iter=iterations)
        return model.fit(problem.X).means_

    return run
