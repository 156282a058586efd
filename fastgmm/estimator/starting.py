"""Starts of a fit: from all of its rows, or from samples of them."""

from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np

from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.rows import FitRows
from fastgmm.families.noise import USUAL_SHARE
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.sampling import sample_of
from fastgmm.starts import Known, Start, bytes_to_draw, draw_starts, known_starts, make_starts
from fastgmm.starts.noise import without_noise

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
    with_noise: bool = False,
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
    with_noise : bool, optional
        Whether some rows are taken for noise.
    """
    method, dtype = data.start, data.given.dtype

    def make(
        X: Any, weights: np.ndarray | None, numbers: np.ndarray | None = None
    ) -> Iterator[Start]:
        # Methods see the type that the rows were given in, as scikit-learn's do.
        X = None if X is None else X.astype(dtype, copy=False)
        found = make_starts(X, n_components, method, random_state, weights, engine)
        of_rows, chosen = known, data.noise
        if known is not None and numbers is not None:
            of_rows = known._replace(labels=known.labels[numbers])
        if chosen is not None and numbers is not None:
            chosen = chosen[numbers]
        if of_rows is not None:
            found = known_starts(found, of_rows, method, X, random_state, weights)
        if not with_noise:
            return found
        labels = None if of_rows is None else of_rows.labels
        return (
            without_noise(start, n_components, chosen, USUAL_SHARE, X, weights, labels)
            for start in found
        )

    if data.arrays is not None:
        found = make(*data.arrays)
    elif not (isinstance(method, str) or callable(method)):
        found = make(None, None)
    elif _is_drawn(method, data.source) and not with_noise:  # which looks at the rows
        found = draw_starts(data.source.astype(dtype), n_components, method, random_state, engine)
        if known is not None:
            found = known_starts(found, known, method, None, random_state, None)
    else:
        yield from _sampled_starts(data.source, make, random_state, engine)
        return
    yield from ((None, start) for start in found)


def _is_drawn(method: Any, source: RowSource) -> TypeGuard[str]:
    """Whether a start is drawn from all rows of a source, without a look at them."""
    return isinstance(method, str) and bytes_to_draw(method, source) <= START_BYTES


def _sampled_starts(
    source: RowSource,
    make: Callable[..., Iterator[Start]],
    random_state: np.random.RandomState,
    engine: ThreadEngine,
) -> Iterator[FoundStart]:
    """Starts from samples of the rows, each drawn before its start; of all rows if they are few."""
    most = max(min(START_ROWS, START_BYTES // (8 * source.n_features)), 1)
    while True:
        sample, weights, numbers = sample_of(source, most, random_state, engine)
        drawn = None
        if len(sample) < source.n_rows:
            drawn = array_source(sample, weights, source.dtype)
        yield drawn, next(make(sample, weights, numbers))
