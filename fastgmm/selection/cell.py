"""A cell of a search: a number of components, a structure, and what its fit came to."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgmm.covariance.scales import RELATIVE_REGULARIZATION
from fastgmm.estimator import predicting
from fastgmm.families.noise import has_noise
from fastgmm.sources.base import RowSource

OK, FEW_ROWS, NEAR_SINGULAR, FAILED = "ok", "few rows", "near singular", "failed"
"""How a fit went; only the first may be best, as long as there is one."""

_THINNEST = 1.5e-8
"""Variance, relative to that of all rows, below which a component has collapsed: mclust's bound on
the reciprocal of a condition, the square root of a float64's rounding."""

_THINNEST_REGULARIZED = 1e-4
"""The same, where more than half of what is left of a variance is `reg_covar`."""


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
    model : estimator or None
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
    model: Any = None

    @property
    def key(self) -> tuple[int, str]:
        """Where it stands in the search."""
        return self.n_components, self.covariance_type


COLUMNS = tuple(name for name in Cell.__dataclass_fields__ if name != "model")
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
    found = {
        "log_likelihood": mean * n,
        "n_iter": int(model.n_iter_),
        "converged": bool(model.converged_),
        "status": status_of(model, n),
        "n_parameters": n_parameters_of(model, k, d),
    }
    if hasattr(model, "bic"):
        n_parameters = found["n_parameters"] = model.n_parameters()
        penalty = n_parameters * math.log(n)
        found["bic"] = -2 * mean * n + penalty
        found["aic"] = -2 * mean * n + 2 * n_parameters
        alone = k == 1 and not has_noise(model)
        found["icl"] = found["bic"] if alone else -2 * with_classes + penalty
    return found


def n_parameters_of(model: Any, n_components: int, n_features: int) -> int:
    """Parameters of a mixture of this size, with the structure of a model and nothing frozen."""
    of_covariances = model._structure.n_free_parameters(n_components, n_features)
    return int(of_covariances + n_components * n_features + n_components - 1)


def status_of(model: Any, total_weight: float) -> str:
    """Whether every component has rows enough, and a covariance that is not close to singular.

    What the regularisation adds to variances is taken off first, and units do not matter: features
    are divided by the deviations that the mixture as a whole has.

    Parameters
    ----------
    model : MixtureEstimator
    total_weight : float
        Of the rows that it was fitted to.
    """
    means = np.asarray(model.means_, dtype=np.float64)
    k, d = means.shape
    weights = np.asarray(model.weights_, dtype=np.float64)[:k]
    if (weights * total_weight < d + 1).any():
        return FEW_ROWS
    covariances = np.asarray(model.covariances_, dtype=np.float64)
    matrices = model._structure.as_matrices(covariances, k, d)
    shares = weights / weights.sum()
    within = shares @ np.einsum("kjj->kj", matrices)
    total = within + shares @ (means - shares @ means) ** 2
    is_relative = isinstance(model.reg_covar, str)
    added = np.full(d, RELATIVE_REGULARIZATION) if is_relative else model.reg_covar / total
    scaled = matrices / np.sqrt(total[:, np.newaxis] * total) - np.diag(added)
    rounding = 10 * float(np.finfo(np.asarray(model.means_).dtype).eps)
    bound = max(_THINNEST, rounding, min(float(added.max()), _THINNEST_REGULARIZED))
    return NEAR_SINGULAR if np.linalg.eigvalsh(scaled).min() < bound else OK
