"""fastgmm beside scikit-learn, in one process, on the same rows from the same start."""

import statistics
import time
from typing import Any

from threadpoolctl import threadpool_limits

from . import problems
from .fits import DATA_SETS, data_set
from .problems import CENTRE, COMPARED, STRUCTURES

ROUNDS = 5


def seconds(model: Any, X: Any) -> float:
    """Seconds of a fit."""
    started = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - started


class ToScikitLearn:
    """The time of EM iterations as a share of scikit-learn's; both on one thread.

    Machines differ in it far less than in seconds.
    """

    version = "1"
    params = (STRUCTURES, COMPARED)
    param_names = ("covariance_type", "shape")
    unit = "of scikit-learn's time"

    def setup(self, covariance_type: str, shape: str) -> None:
        self.X = problems.rows(shape)
        self.ours, self.theirs = self.models(covariance_type, shape)
        for model in (self.ours, self.theirs):
            problems.warm_up(model, self.X)

    def models(self, covariance_type: str, shape: str) -> tuple[Any, Any]:
        """The estimators to compare."""
        arguments = problems.from_truth(shape, covariance_type, iterations=3)
        return problems.mixture(1, **arguments), problems.scikit_learn_mixture(**arguments)

    def track_time_ratio(self, covariance_type: str, shape: str) -> float:
        """Median over fits taken in turn, each pair under the same mood of the machine."""
        with threadpool_limits(1), problems.quietly():
            pairs = (
                (seconds(self.ours, self.X), seconds(self.theirs, self.X)) for _ in range(ROUNDS)
            )
            return statistics.median(ours / theirs for ours, theirs in pairs)


class BayesianToScikitLearn(ToScikitLearn):
    """The same for variational Bayes."""

    params = (STRUCTURES, [CENTRE])

    def models(self, covariance_type: str, shape: str) -> tuple[Any, Any]:
        arguments = problems.from_rows(shape, covariance_type, iterations=3)
        return (
            problems.bayesian_mixture(1, **arguments),
            problems.scikit_learn_bayesian_mixture(**arguments),
        )


class Convergence:
    """Whole fits from the same start."""

    version = "1"
    params = (STRUCTURES, DATA_SETS)
    param_names = ("covariance_type", "data")

    def setup(self, covariance_type: str, data: str) -> None:
        self.X, k = data_set(data)
        self.arguments = {
            "n_components": k,
            "covariance_type": covariance_type,
            "reg_covar": 1e-3,
            "max_iter": 500,
            "random_state": 0,
        }


class Iterations(Convergence):
    """EM iterations until the default tolerance is met."""

    unit = "iterations"

    def track_iterations(self, covariance_type: str, data: str) -> int:
        return int(problems.mixture(1, **self.arguments).fit(self.X).n_iter_)


class Likelihood(Convergence):
    """How good an end."""

    unit = "nats"

    def track_gap_to_scikit_learn(self, covariance_type: str, data: str) -> float:
        """Mean log-likelihood that scikit-learn's fit has more; 0 where it has less.

        Rounded: a gap of one unit in the last place that doubles is no news.
        """
        ours = problems.mixture(1, **self.arguments)
        theirs = problems.scikit_learn_mixture(**self.arguments)
        with threadpool_limits(1), problems.quietly():
            gap = theirs.fit(self.X).score(self.X) - ours.fit(self.X).score(self.X)
        return max(round(float(gap), 12), 0.0)
