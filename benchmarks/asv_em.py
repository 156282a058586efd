"""asv: a few EM iterations from given parameters, per covariance type and shape."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from benchmarks.data import make_mixture, start_parameters

ITERATIONS = 5
SHAPES = {"100000x2x8": (100_000, 2, 8), "50000x16x16": (50_000, 16, 16)}


class EMIterations:
    """Fits of a fixed number of iterations; validation of the rows is included."""

    version = "1"
    params = (["full", "tied", "diag", "spherical"], list(SHAPES), [1, 2])
    param_names = ("covariance_type", "shape", "n_jobs")
    rounds = 4
    repeat = (3, 10, 10.0)
    number = 1
    timeout = 300

    def setup(self, covariance_type: str, shape: str, n_jobs: int) -> None:
        """Make rows and start; the first fit, on few of the rows, compiles the kernels."""
        from fastgmm import GaussianMixture

        n, d, k = SHAPES[shape]
        self.X = make_mixture(n, d, k)
        self.model = GaussianMixture(
            k,
            covariance_type=covariance_type,
            tol=0.0,
            max_iter=ITERATIONS,
            n_jobs=n_jobs,
            **start_parameters(self.X, k, covariance_type),
        )
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.model.fit(self.X[: 50 * k])

    def time_fit(self, covariance_type: str, shape: str, n_jobs: int) -> None:
        """Time the fit."""
        self.model.fit(self.X)
