"""The starts by name: a new one is a function, and a line in `METHODS`.

The draws from the random state are scikit-learn's, in the same order, so that both begin alike.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.starts.drawn import bytes_of_permutation, random, random_from_data, unequal
from fastgmm.starts.given import given_start
from fastgmm.starts.kmeans import kmeans, kmeans_plusplus
from fastgmm.starts.records import Start


class Method(NamedTuple):
    """A way to make starts.

    Parameters
    ----------
    make : callable
        Of a method that looks at all rows: ``make(X, n_components, random_state, sample_weight,
        engine)``, with rows in memory. Of one whose rows may be anywhere:
        ``make(source, n_components, random_state, engine)``.
    bytes_to_draw : callable, optional
        Memory that a method which draws takes for a source; None for the others.
    """

    make: Callable[..., Start]
    bytes_to_draw: Callable[[RowSource], float] | None = None


def _hierarchical(*arguments: Any) -> Start:
    from fastgmm.starts.hierarchical import hierarchical  # not before it is asked for

    return hierarchical(*arguments)


def _kmeans_parallel(*arguments: Any) -> Start:
    from fastgmm.starts.oversampled import kmeans_parallel

    return kmeans_parallel(*arguments)


METHODS = {
    "kmeans": Method(kmeans),
    "k-means++": Method(kmeans_plusplus),
    "random": Method(random, lambda source: 0),
    "random_from_data": Method(random_from_data, bytes_of_permutation),
    "hierarchical": Method(_hierarchical),
    "k-means||": Method(_kmeans_parallel, lambda source: 0),
}
"""By the names that `init_params` may have."""


def bytes_to_draw(method: str, source: RowSource) -> float:
    """Memory to draw starts from all rows of a source; infinite if a method looks at all of them.

    Parameters
    ----------
    method : str
    source : RowSource
    """
    needed = METHODS[method].bytes_to_draw
    return math.inf if needed is None else needed(source)


def draw_starts(
    source: RowSource,
    n_components: int,
    method: str,
    random_state: np.random.RandomState,
    engine: Engine,
) -> Iterator[Start]:
    """Starts without end, as `make_starts` makes them of the same rows in memory.

    Parameters
    ----------
    source : RowSource
        In the type that the rows were given in.
    n_components : int
    method : str
        One for which `bytes_to_draw` is finite.
    random_state : RandomState
    engine : Engine
    """
    while True:
        yield METHODS[method].make(source, n_components, random_state, engine)


def make_starts(
    X: np.ndarray,
    n_components: int,
    method: str | Callable | Start,
    random_state: np.random.RandomState,
    sample_weight: np.ndarray | None,
    engine: Engine,
) -> Iterator[Start]:
    """Starts without end, one draw after another from one random state.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    n_components : int
    method : str, callable or Start
        A method's name; a callable ``(X, n_components, random_state)`` that returns labels or
        responsibilities; or a start to begin with every time.
    random_state : RandomState
    sample_weight : ndarray of shape (n,) or None
        All positive.
    engine : Engine

    Raises
    ------
    ValueError
        If what the callable returns does not fit the data.
    """
    if isinstance(method, str) and METHODS[method].bytes_to_draw is not None:
        source = array_source(X, sample_weight)
        yield from draw_starts(source, n_components, method, random_state, engine)
    sample_weight = unequal(sample_weight)
    while True:
        if isinstance(method, str):
            yield METHODS[method].make(X, n_components, random_state, sample_weight, engine)
        elif callable(method):
            made = method(X, n_components, random_state)
            yield given_start(made, len(X), n_components, "What init_params returns")
        else:
            yield method
