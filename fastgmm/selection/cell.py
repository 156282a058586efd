"""A cell of a search: a number of components, a structure, and what its fit came to."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import of_features
from fastgmm.covariance.scales import RELATIVE_REGULARIZATION
from fastgmm.estimator import predicting
from fastgmm.families.noise import has_noise
from fastgmm.parameters import MixtureParameters, Parameters
from fastgmm.sources.base import RowSource

OK, FEW_ROWS, NEAR_SINGULAR, FAILED = "ok", "few rows", "near singular", "failed"
"""How a fit went; only the first may be best, as long as there is one."""

_THINNEST = 1.5e-8
"""Variance, relative to that of all rows, below which a component has collapsed: mclust's bound on
the reciprocal of a condition, the square root of a float64's rounding."""

_THINNEST_REGULARIZED = 1e-4
"""The same, where more than half of what is left of a variance is `reg_covar`."""

_CLEARLY = 2.0
"""Times the bound: what no rounding brings down to it."""


Key = tuple[int, str]
"""Of a cell: its number of components, and its structure."""


class Deferred:
    """What is made when it is first asked for.

    Parameters
    ----------
    make : callable
    """

    def __init__(self, make: Callable[[], Any]):
        self._make: Callable[[], Any] | None = make

    def __call__(self) -> Any:
        """What is made: the same object every time."""
        make = self._make
        if make is not None:
            self._made = make()
            self._make = None
        return self._made

    def __reduce__(self) -> tuple:
        return _held, (self(),)


def _held(made: Any) -> Any:
    return made


@dataclass(frozen=True, slots=True)
class Cell:
    """What a fit came to; its columns of the table are the fields but for the last.

    Parameters
    ----------
    n_components : int
    covariance_type : str
    bic, aic, icl : float
        Lower is better. NaN if the fit failed, and for estimators without a likelihood's criteria.
    log_likelihood : float
        Of all rows with their weights, in nats.
    n_parameters : int
    n_iter : int
    converged : bool
    seconds : float
        Of the fit, on the clock.
    status : str
        'ok', 'few rows', 'near singular' or 'failed'.
    error : str or None
    tol : float
        That it was fitted with.
    start : str
        The `init_params` that it was fitted with, by name; 'split' for a component of the mixture
        before that was split.
    seed : int
        Its `random_state`.
    score : float
        By the criterion of the search.
    made : estimator, Deferred or None
        The fitted estimator, or what makes it when `model` is asked for.
    """

    n_components: int
    covariance_type: str
    bic: float = math.nan
    aic: float = math.nan
    icl: float = math.nan
    log_likelihood: float = math.nan
    n_parameters: int = 0
    n_iter: int = 0
    converged: bool = False
    seconds: float = 0.0
    status: str = FAILED
    error: str | None = None
    tol: float = math.nan
    start: str = ""
    seed: int = 0
    score: float = math.nan
    made: Any = None

    @property
    def model(self) -> Any:
        """The fitted estimator; None if the fit failed."""
        return self.made() if isinstance(self.made, Deferred) else self.made

    @property
    def key(self) -> Key:
        """Where it stands in the search."""
        return self.n_components, self.covariance_type


COLUMNS = tuple(name for name in Cell.__dataclass_fields__ if name != "made")
"""Of the table, in order."""


def figures(model: Any, source: RowSource) -> dict[str, Any]:
    """Criteria and status of a fitted model, by the names of a `Cell`'s fields.

    Parameters
    ----------
    model : MixtureEstimator
    source : RowSource
        That it was fitted to, without rows of weight 0.
    """
    mean, n, with_classes = predicting.classified(model, source)
    k, d = np.shape(model.means_)
    names = ("weights_", "means_", "covariances_", "precisions_cholesky_")
    arrays = (np.asarray(getattr(model, name)) for name in names)
    found: dict[str, Any] = {
        "log_likelihood": mean * n,
        "n_iter": int(model.n_iter_),
        "converged": bool(model.converged_),
        "status": status_of(model._structure, MixtureParameters(*arrays), model.reg_covar, n),
        "n_parameters": n_parameters_of(model._structure, k, d),
    }
    if hasattr(model, "bic"):
        found["n_parameters"] = model.n_parameters()
        alone = k == 1 and not has_noise(model)
        found |= criteria(mean, n, with_classes, found["n_parameters"], alone)
    return found


def criteria(
    mean: float, n: float, with_classes: float, n_parameters: int, alone: bool
) -> dict[str, Any]:
    """Criteria by the names of a `Cell`'s fields.

    Parameters
    ----------
    mean, n, with_classes : float
        See `fastgmm.estimator.predicting.classified`.
    n_parameters : int
    alone : bool
        Whether there is but one class.
    """
    deviance, penalty = -2 * mean * n, n_parameters * math.log(n)
    return {
        "bic": deviance + penalty,
        "aic": deviance + 2 * n_parameters,
        "icl": deviance + penalty if alone else -2 * with_classes + penalty,
    }


def n_parameters_of(structure: CovarianceStructure, n_components: int, n_features: int) -> int:
    """Parameters of a mixture of this size with nothing frozen."""
    of_covariances = structure.n_free_parameters(n_components, n_features)
    return int(of_covariances + n_components * n_features + n_components - 1)


def status_of(
    structure: CovarianceStructure,
    parameters: Parameters,
    reg_covar: float | str,
    total_weight: float,
) -> str:
    """Whether every component has rows enough, and a covariance that is not close to singular.

    What the regularisation adds to variances is taken off first, and units do not matter: features
    are divided by the deviations that the mixture as a whole has.

    Parameters
    ----------
    structure : CovarianceStructure
    parameters : Parameters
        In the type that they are kept in.
    reg_covar : float or str
    total_weight : float
        Of the rows that it was fitted to.
    """
    rounding = 10 * float(np.finfo(parameters.means.dtype).eps)
    weights, means, covariances, factors = (
        np.asarray(array, dtype=np.float64)
        for array in (
            parameters.weights,
            parameters.means,
            parameters.covariances,
            parameters.precisions_cholesky,
        )
    )
    k, d = means.shape
    weights = weights[:k]
    if (weights * total_weight < d + 1).any():
        return FEW_ROWS
    shares = weights / weights.sum()
    variances = of_features(structure, covariances)
    within = shares @ variances if len(variances) == k else variances[0]
    total = within + shares @ (means - shares @ means) ** 2
    is_relative = isinstance(reg_covar, str)
    added = RELATIVE_REGULARIZATION if is_relative else reg_covar / total.min()
    bound = max(_THINNEST, rounding, min(float(added), _THINNEST_REGULARIZED))
    # The smallest eigenvalue is at least one over the trace of the inverse: mostly that will do.
    inverse = (factors**2).sum(axis=-1) if structure.holds_matrices else factors**2
    if structure.n_own_axes == 0:
        inverse = inverse[..., np.newaxis]
    if 1.0 / (inverse * total).sum(axis=-1).max() - added > _CLEARLY * bound:
        return OK
    every = np.full(d, added) if is_relative else reg_covar / total
    matrices = structure.as_matrices(covariances, k, d)
    scaled = matrices / np.sqrt(total[:, np.newaxis] * total) - np.diag(every)
    return NEAR_SINGULAR if np.linalg.eigvalsh(scaled).min() < bound else OK
