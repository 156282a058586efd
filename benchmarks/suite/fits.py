"""What users call: a whole fit with default arguments, its start, and predictions."""

import warnings
from typing import Any

from numpy.typing import NDArray
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning

from . import problems
from .data import make_mixture
from .problems import CENTRE, STRUCTURES, THREADS

DATA_SETS = ["iris", "wine", "20000x8x8"]


def data_set(name: str) -> tuple[NDArray[Any], int]:
    """Rows, and the number of components to fit."""
    if name == "iris":
        return datasets.load_iris().data, 3
    if name == "wine":
        return datasets.load_wine().data, 3
    n, d, k = problems.parse_shape(name)
    # Closer together than where single iterations are timed, so that EM has work to do.
    return make_mixture(n, d, k, seed=2, separation=3.0), k


class DefaultFit:
    """A whole fit: k-means start, EM to the default tolerance, one start."""

    version = "1"
    params = (DATA_SETS, THREADS)
    param_names = ("data", "threads")
    rounds = 1
    repeat = (6, 20, 1.5)
    number = 1

    def setup(self, data: str, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        if not hasattr(self, "X"):
            self.X, k = data_set(data)
            self.model = problems.mixture(threads, n_components=k, random_state=0)
            problems.warm_up(self.model, self.X)

    def time_fit(self, data: str, threads: int) -> None:
        self.model.fit(self.X)


class KMeansStart:
    """The default start, k-means, and the one iteration that a fit cannot do without."""

    version = "1"
    params = ([CENTRE, "40000x32x8", "40000x8x32"], THREADS)
    param_names = ("shape", "threads")
    rounds = 1
    repeat = (6, 12, 1.5)
    number = 1

    def setup(self, shape: str, threads: int) -> None:
        problems.needs_cores(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.X = problems.rows(shape)
        _, _, k = problems.parse_shape(shape)
        self.model = problems.mixture(threads, n_components=k, max_iter=1, random_state=0)
        problems.warm_up(self.model, self.X)

    def time_start(self, shape: str, threads: int) -> None:
        self.model.fit(self.X)


class Predictions:
    """Predictions of a fitted model for all rows."""

    version = "1"
    params = (["predict", "predict_proba", "score_samples"], STRUCTURES, THREADS)
    param_names = ("method", "covariance_type", "threads")
    rounds = 1
    repeat = (6, 20, 0.4)
    number = 1

    def setup(self, method: str, covariance_type: str, threads: int) -> None:
        problems.needs_cores(threads)
        if not hasattr(self, "call"):
            self.X = problems.rows(CENTRE)
            arguments = problems.from_truth(CENTRE, covariance_type, iterations=1)
            model = problems.mixture(threads, **arguments)
            problems.warm_up(model, self.X)
            self.call = getattr(model, method)
            self.call(self.X[:100])

    def time_predict(self, method: str, covariance_type: str, threads: int) -> None:
        self.call(self.X)
