"""The libraries, what each can fit, and how it runs EM iterations from a start.

No covariance is regularised, because libraries differ in what they add, and no test of convergence
may stop early.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np
import sklearn.mixture
from numpy.typing import NDArray

import fastgmm
from benchmarks.suite.calls import BAYESIAN, ESTIMATORS, GAUSSIAN, OURS, THEIRS
from benchmarks.suite.problems import STRUCTURES, Problem

Run = Callable[[int], NDArray[Any]]  # runs EM iterations from the start; returns the means (k, d)


@dataclass(frozen=True)
class Posed:
    """A problem, and by how many threads which estimator is to solve it."""

    shape: str
    structure: str
    estimator: str
    threads: int

    @property
    def arguments(self) -> dict[str, Any]:
        """Of an estimator, a start among them."""
        return Problem(self.shape, self.structure).arguments

    @cached_property
    def X(self) -> NDArray[Any]:
        return Problem(self.shape).rows

    @cached_property
    def start(self) -> list[NDArray[Any]]:
        """Weights, means and covariances."""
        precisions = self.arguments["precisions_init"]
        matrices = self.structure in ("full", "tied")
        covariances = np.linalg.inv(precisions) if matrices else 1.0 / precisions
        return [self.arguments["weights_init"], self.arguments["means_init"], covariances]


def by_estimators(library: ModuleType, posed: Posed) -> Run:
    """For a module with scikit-learn's estimators.

    A variational posterior cannot be given as arguments. Its start is one iteration on the first
    rows, from k-means, which both make alike; fits go on from there by ``warm_start``.
    """
    estimator = getattr(library, posed.estimator)
    arguments = {"n_jobs": posed.threads} if library is fastgmm else {}
    if posed.estimator == BAYESIAN:
        arguments |= Problem(posed.shape, posed.structure, start="kmeans").arguments
        start = estimator(max_iter=1, warm_start=True, **arguments).fit(posed.X[:20_000])
    else:
        start = estimator(reg_covar=0.0, **arguments, **posed.arguments)
    return lambda n: copy.deepcopy(start).set_params(max_iter=n).fit(posed.X).means_


def onedal(posed: Posed) -> Run:
    """Intel's oneDAL, by daal4py; its diagonals are matrices of one row."""
    import daal4py

    daal4py.daalinit(posed.threads)
    weights, means, covariances = posed.start
    k, d = means.shape
    storage = {"full": "full", "diag": "diagonal"}[posed.structure]

    def run(iterations: int) -> NDArray[Any]:
        algorithm = daal4py.em_gmm(
            k, maxIterations=iterations, accuracyThreshold=0.0, covarianceStorage=storage
        )
        each = list(covariances.reshape(k, -1, d))
        return algorithm.compute(posed.X, weights[np.newaxis], means, each).means

    return run


def gmmx(posed: Posed) -> Run:
    """gmmx, on JAX: float32 only."""
    import jax.numpy as jnp
    from gmmx.fit import EMFitter
    from gmmx.gmm import GaussianMixtureModelJax

    X, weights, means, covariances = (
        jnp.asarray(array, dtype=np.float32) for array in (posed.X, *posed.start)
    )
    start = GaussianMixtureModelJax.from_squeezed(means, covariances, weights, posed.structure)

    def run(iterations: int) -> NDArray[Any]:
        fitter = EMFitter(max_iter=iterations, tol=0.0, reg_covar=0.0)
        return fitter.fit(X, start).gmm.means_numpy

    return run


def of_torch(posed: Posed) -> list[Any]:
    """Rows, weights, means and covariances as tensors."""
    import torch

    torch.set_num_threads(posed.threads)
    return [torch.tensor(array) for array in (posed.X, *posed.start)]


def pomegranate(posed: Posed) -> Run:
    """pomegranate, on torch; responsibilities pass through float32 there."""
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    X, weights, means, covariances = of_torch(posed)

    def run(iterations: int) -> NDArray[Any]:
        # A fit changes its distributions, so each gets new ones.
        components = [
            Normal(mean.clone(), covariance.clone(), covariance_type=posed.structure)
            for mean, covariance in zip(means, covariances, strict=True)
        ]
        # A likelihood that rounding lowers must not end the fit.
        options = {"priors": weights.clone(), "max_iter": iterations, "tol": -np.inf}
        GeneralMixtureModel(components, **options).fit(X)
        return np.stack([component.means.detach().numpy() for component in components])

    return run


def tgmm(posed: Posed) -> Run:
    """tgmm, on torch."""
    from tgmm import GaussianMixture

    X, weights, means, covariances = of_torch(posed)

    def run(iterations: int) -> NDArray[Any]:
        model = GaussianMixture(
            *means.shape,
            covariance_type=posed.structure,
            max_iter=iterations,
            tol=1e-300,  # 0 is refused
            reg_covar=0.0,
            init_weights=weights,
            init_means=means,
            init_covariances=covariances,
        )
        return model.fit(X).means_.numpy()

    return run


@dataclass(frozen=True)
class Peer:
    """One library."""

    distribution: str  # what pip installs
    prepare: Callable[[Posed], Run]
    structures: tuple[str, ...] = tuple(STRUCTURES)
    estimators: tuple[str, ...] = (GAUSSIAN,)

    def version(self) -> str | None:
        """The version installed, or None."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return None

    def lacks(self, structure: str, estimator: str) -> str | None:
        """Why it fits no such mixture here; None if it does."""
        if structure not in self.structures or estimator not in self.estimators:
            return "-"
        return None if self.version() else "not installed"


PEERS = {
    OURS: Peer("fastgmm", partial(by_estimators, fastgmm), estimators=ESTIMATORS),
    THEIRS: Peer("scikit-learn", partial(by_estimators, sklearn.mixture), estimators=ESTIMATORS),
    "oneDAL": Peer("scikit-learn-intelex", onedal, ("full", "diag")),
    "gmmx": Peer("gmmx", gmmx, ("full", "diag")),
    "pomegranate": Peer("pomegranate", pomegranate, ("full", "diag")),
    "tgmm": Peer("tgmm", tgmm),
}
"""By the names that they have in tables and on the command line."""
