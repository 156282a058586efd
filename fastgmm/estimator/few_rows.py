"""Log-densities of few rows under a large mixture, from its public attributes in one reading."""

from typing import Any

import numpy as np

from fastgmm.covariance.algebra import log_determinants
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.attributes import working_dtype
from fastgmm.families.noise import has_noise
from fastgmm.parameters import log_constants
from fastgmm.passes.few_rows import are_few, squared_distances
from fastgmm.sources.base import RowSource


def log_densities_of_few(estimator: Any, source: RowSource) -> np.ndarray | None:
    """Weighted log-densities of the rows under every component.

    Parameters
    ----------
    estimator : MixtureEstimator
        Fitted, or with attributes that were set by hand.
    source : RowSource

    Returns
    -------
    ndarray of float64, shape (n, k), or None
        None if rows are many, the mixture is small, or anything about the attributes is not as a
        fit leaves it: whoever checks all of them then says so, or puts it right.
    """
    if source.missing or has_noise(estimator):
        return None
    structure = estimator._structure
    means, factors = np.asarray(estimator.means_), np.asarray(estimator.precisions_cholesky_)
    density = structure.forms.density
    if means.ndim != 2 or not are_few(source.n_rows, density, means, factors):
        return None
    k, d = means.shape
    dtype = working_dtype(estimator, source.dtype)
    if source.n_features != d or not means.dtype == factors.dtype == dtype:
        return None
    roots = log_determinants(structure, factors, d)
    constants = log_constants(_log_weights(estimator, k, d), roots, d)
    # A component of weight 0 has no logarithm.
    if constants.shape != (k,) or not (np.isfinite(roots).all() and np.isfinite(constants.max())):
        return None
    rows = source.astype(dtype).read(0, source.n_rows).rows
    engine = ThreadEngine(estimator.n_jobs)
    distances = squared_distances(rows, density, means, factors, engine)
    return None if distances is None else constants - 0.5 * distances


class _Small:
    """An estimator whose large attributes are empty, of which a family takes the others."""

    def __init__(self, estimator: Any, n_components: int, n_features: int):
        self._estimator = estimator
        self.means_ = np.empty((n_components, n_features))
        self.covariances_ = self.precisions_cholesky_ = np.empty(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._estimator, name)


@np.errstate(invalid="ignore")
def _log_weights(estimator: Any, n_components: int, n_features: int) -> np.ndarray:
    """`Parameters.log_weights`, which of the large attributes follow from the shape alone."""
    return estimator._family.parameters_of(_Small(estimator, n_components, n_features)).log_weights
