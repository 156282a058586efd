"""Starts that are drawn before any row is looked at, so that rows may be anywhere."""

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.sources.base import RowSource
from fastgmm.sources.sampling import all_weights, rows_numbered
from fastgmm.starts.records import RandomResponsibilities, SingleRows


def random(
    source: RowSource, n_components: int, random_state: np.random.RandomState, engine: Engine
) -> RandomResponsibilities:
    """Responsibilities that are uniform random numbers, divided by their sum."""
    return RandomResponsibilities(random_state, n_components, source.dtype)


def random_from_data(
    source: RowSource, n_components: int, random_state: np.random.RandomState, engine: Engine
) -> SingleRows:
    """A row for every component, drawn without replacement and by weight."""
    weights = unequal(all_weights(source))
    shares = None if weights is None else weights / weights.sum()
    rows = random_state.choice(source.n_rows, size=n_components, replace=False, p=shares)
    return SingleRows(rows_numbered(source, rows, engine))


def bytes_of_permutation(source: RowSource) -> int:
    """Memory for `random_from_data`: NumPy permutes the numbers of all rows.

    With weights, it takes these and two running sums.
    """
    return source.n_rows * (32 if source.weighted else 8)


def unequal(weights: np.ndarray | None) -> np.ndarray | None:
    """Weights, or None if they are equal: equal weights should draw what no weights draw."""
    return None if weights is None or (weights == weights[0]).all() else weights
