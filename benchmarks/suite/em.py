"""EM iterations: fits of a fixed number of them, from the parameters that rows were drawn from.

Checking the rows is part of every fit, and so of these figures; `ITERATIONS` of them make it small.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning

from . import problems
from .problems import CENTRE, DTYPES, SHAPES, STRUCTURES, THREADS

FAR_APART = "40000x4"
SEPARATION = 80.0


class EMIterations:
    """Five EM iterations, for every structure, type, shape and number of threads."""

    version = "1"
    params = (STRUCTURES, DTYPES, SHAPES, THREADS)
    param_names = ("covariance_type", "dtype", "shape", "threads")
    rounds = 1
    repeat = (6, 12, 0.6)
    number = 1

    def setup(self, covariance_type: str, dtype: str, shape: str, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.X = problems.rows(shape, dtype)
        self.model = problems.mixture(threads, **problems.from_truth(shape, covariance_type))
        problems.warm_up(self.model, self.X)

    def time_five_iterations(
        self, covariance_type: str, dtype: str, shape: str, threads: int
    ) -> None:
        self.model.fit(self.X)


class WeightedEMIterations:
    """The same with a weight for every row."""

    version = "1"
    params = (STRUCTURES, THREADS)
    param_names = ("covariance_type", "threads")
    rounds = 1
    repeat = (6, 12, 0.6)
    number = 1

    def setup(self, covariance_type: str, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.X = problems.rows(CENTRE)
        self.weights = problems.row_weights(len(self.X))
        self.model = problems.mixture(threads, **problems.from_truth(CENTRE, covariance_type))
        problems.warm_up(self.model, self.X, sample_weight=self.weights)

    def time_five_iterations(self, covariance_type: str, threads: int) -> None:
        self.model.fit(self.X, sample_weight=self.weights)


class BayesianEMIterations:
    """Five iterations of variational Bayes."""

    version = "1"
    params = (STRUCTURES, THREADS)
    param_names = ("covariance_type", "threads")
    rounds = 1
    repeat = (6, 12, 0.6)
    number = 1

    def setup(self, covariance_type: str, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.X = problems.rows(CENTRE)
        arguments = problems.from_rows(CENTRE, covariance_type)
        self.model = problems.bayesian_mixture(threads, **arguments)
        problems.warm_up(self.model, self.X)

    def time_five_iterations(self, covariance_type: str, threads: int) -> None:
        self.model.fit(self.X)


class ManyComponents:
    """Five iterations with components far apart, most of which are near few rows."""

    version = "1"
    params = (STRUCTURES, [64, 1024], THREADS)
    param_names = ("covariance_type", "components", "threads")
    rounds = 1
    repeat = (3, 6, 0.6)
    number = 1

    def setup(self, covariance_type: str, components: int, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        shape = f"{FAR_APART}x{components}"
        self.X = problems.rows(shape, separation=SEPARATION)
        arguments = problems.from_truth(shape, covariance_type, separation=SEPARATION)
        self.model = problems.mixture(threads, **arguments)
        # On all rows: with few, the kernels for many components are not called.
        self.model.fit(self.X)

    def time_five_iterations(self, covariance_type: str, components: int, threads: int) -> None:
        self.model.fit(self.X)
