"""Starts of a fit: from all of its rows, or from samples of them."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.rows import FitRows
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.sampling import sample_rows
from fastgmm.starts import Known, Start, bytes_to_draw, draw_starts, known_starts, make_starts

START_ROWS = 1 << 18
"""Rows of a source that a start is made from, if it has more."""

START_BYTES = 1 << 27
"""Memory for them, in float64."""

FoundStart = tuple[RowSource | None, Start]
"""The sample that a start is about, if it is not about all rows; and the start."""


def find_starts(
    data: FitRows,
    n_components: int,
    random_state: np.random.RandomState,
    engine: ThreadEngine,
    known: Known | None = None,
) -> Iterator[FoundStart]:
    """Starts without end, each with the sample that it is about.

    Parameters
    ----------
    data : FitRows
        Whose `start` says how they are made.
    n_components : int
    random_state : RandomState
    engine : ThreadEngine
    known : Known, optional
        What is known of all rows.
    """
    method, dtype = data.start, data.given.dtype

    def follow(
        found: Iterator[Start],
        X: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        numbers: np.ndarray | None = None,
    ) -> Iterator[Start]:
        if known is None:
            return found
        of_rows = known if numbers is None else known._replace(labels=known.labels[numbers])
        return known_starts(found, of_rows, method, X, random_state, weights)

    def make(
        X: Any, weights: np.ndarray | None, numbers: np.ndarray | None = None
    ) -> Iterator[Start]:
        # Methods see the type that the rows were given in, as scikit-learn's do.
        X = None if X is None else X.astype(dtype, copy=False)
        found = make_starts(X, n_components, method, random_state, weights, engine)
        return follow(found, X, weights, numbers)

    if data.arrays is not None:
        found = make(*data.arrays)
    elif not (isinstance(method, str) or callable(method)):
        found = make(None, None)
    elif isinstance(method, str) and bytes_to_draw(method, data.source) <= START_BYTES:
        found = follow(draw_starts(data.source.astype(dtype), n_components, method, random_state))
    else:
        yield from _sampled_starts(data.source, make, random_state)
        return
    yield from ((None, start) for start in found)


def _sampled_starts(
    source: RowSource,
    make: Callable[..., Iterator[Start]],
    random_state: np.random.RandomState,
) -> Iterator[FoundStart]:
    """Starts from samples of the rows, each drawn before its start; of all rows if they are few."""
    most = max(min(START_ROWS, START_BYTES // (8 * source.n_features)), 1)
    while True:
        sample, weights, numbers = sample_rows(source, most, random_state)
        drawn = None
        if len(sample) < source.n_rows:
            drawn = array_source(sample, weights, source.dtype)
        yield drawn, next(make(sample, weights, numbers))
