"""Starts: which rows, or shares of rows, the components begin with.

The draws from the random state are scikit-learn's, in the same order, so that both begin alike.
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.utils.validation import check_array
from threadpoolctl import ThreadpoolController

from fastgmm.engines.base import Engine
from fastgmm.kmeans import KMeansFit
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.sampling import all_weights, rows_at

_OWN_KMEANS_ROWS = 8192
"""Rows from which k-means runs on the package's kernels."""


@dataclass(frozen=True, eq=False, slots=True)
class LabelledRows:
    """Every row belongs to one component.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    n_components : int
    """

    labels: np.ndarray
    n_components: int
    in_order = False

    def take(self, present: np.ndarray) -> "LabelledRows":
        """Start for the rows that a mask chooses."""
        return LabelledRows(self.labels[present], self.n_components)

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Labels (rows,) of the rows start to stop."""
        return self.labels[start:stop]


@dataclass(frozen=True, eq=False, slots=True)
class GivenResponsibilities:
    """Responsibilities given as an array (n, k)."""

    responsibilities: np.ndarray
    in_order = False

    def take(self, present: np.ndarray) -> "GivenResponsibilities":
        """Start for the rows that a mask chooses."""
        return GivenResponsibilities(self.responsibilities[present])

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the rows start to stop."""
        return self.responsibilities[start:stop]


@dataclass(frozen=True, eq=False, slots=True)
class RandomResponsibilities:
    """Uniform random shares, drawn as chunks are asked for: once, and in order.

    An array for all rows would be the largest of the whole fit.
    """

    random_state: np.random.RandomState
    n_components: int
    dtype: np.dtype
    in_order = True

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the next rows."""
        shares = self.random_state.uniform(size=(stop - start, self.n_components))
        shares = shares.astype(self.dtype, copy=False)
        shares /= shares.sum(axis=1)[:, np.newaxis]
        return shares.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False, slots=True)
class SingleRows:
    """Every component begins with one row, and the other rows with none."""

    rows: np.ndarray


Shares = LabelledRows | GivenResponsibilities | RandomResponsibilities
"""Starts that share out all rows."""

Start = Shares | SingleRows


@functools.cache
def _thread_controller() -> ThreadpoolController:
    """Handle on the OpenMP libraries that are loaded; finding them takes milliseconds."""
    return ThreadpoolController()


def _kmeans(X, n_components, random_state, sample_weight, engine) -> LabelledRows:
    """Clusters of k-means, by scikit-learn itself where there are few rows.

    There, rows halfway between two centers are common (data rounded to a digit or two), and only
    the same arithmetic breaks such ties the same way.
    """
    if len(X) < _OWN_KMEANS_ROWS:
        # One thread: its sums then have one order, so a fit has the same bits every time.
        with _thread_controller().limit(limits=1, user_api="openmp"):
            kmeans = KMeans(n_clusters=n_components, n_init=1, random_state=random_state)
            labels = kmeans.fit(X, sample_weight=sample_weight).labels_
        return LabelledRows(labels, n_components)
    fit = KMeansFit(array_source(X, sample_weight), engine, n_components)
    if X.dtype == np.float32:
        # scikit-learn draws by a running sum in float32, whose rounding decides which rows.
        rows = _plusplus_rows(X - X.mean(axis=0), n_components, random_state, sample_weight)
    else:
        rows = fit.seeds(random_state)
    return LabelledRows(fit.labels(X[rows]), n_components)


def _kmeans_plusplus(X, n_components, random_state, sample_weight, engine) -> SingleRows:
    if len(X) < _OWN_KMEANS_ROWS or X.dtype == np.float32:
        rows = _plusplus_rows(X, n_components, random_state, sample_weight)
    else:
        fit = KMeansFit(array_source(X, sample_weight), engine, n_components)
        rows = fit.seeds(random_state)
    return SingleRows(X[rows])


def _plusplus_rows(X, n_components, random_state, sample_weight) -> np.ndarray:
    """Rows that scikit-learn's k-means++ chooses."""
    _, rows = kmeans_plusplus(
        X, n_components, random_state=random_state, sample_weight=sample_weight
    )
    return rows


def _random(source: RowSource, n_components, random_state) -> RandomResponsibilities:
    return RandomResponsibilities(random_state, n_components, source.dtype)


def _random_from_data(source: RowSource, n_components, random_state) -> SingleRows:
    weights = _unequal(all_weights(source))
    shares = None if weights is None else weights / weights.sum()
    rows = random_state.choice(source.n_rows, size=n_components, replace=False, p=shares)
    return SingleRows(rows_at(source, rows))


_METHODS: dict[str, Callable[..., Start]] = {
    "kmeans": _kmeans,
    "k-means++": _kmeans_plusplus,
}
"""Those that look at all rows at once."""

_DRAWING_METHODS: dict[str, Callable[..., Start]] = {
    "random": _random,
    "random_from_data": _random_from_data,
}
"""Those that draw and only then look, so that rows may be anywhere."""


def bytes_to_draw(method: str, source: RowSource) -> float:
    """Memory to draw starts from all rows of a source; infinite if a method looks at all of them.

    Parameters
    ----------
    method : str
    source : RowSource
    """
    if method not in _DRAWING_METHODS:
        return math.inf
    if method == "random":
        return 0
    # NumPy permutes the numbers of all rows; with weights, it takes these and two running sums.
    return source.n_rows * (32 if source.weighted else 8)


def draw_starts(
    source: RowSource, n_components: int, method: str, random_state: np.random.RandomState
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
    """
    while True:
        yield _DRAWING_METHODS[method](source, n_components, random_state)


def _unequal(weights: np.ndarray | None) -> np.ndarray | None:
    """Weights, or None if they are equal: equal weights should draw what no weights draw."""
    return None if weights is None or (weights == weights[0]).all() else weights


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
    if isinstance(method, str) and method in _DRAWING_METHODS:
        yield from draw_starts(array_source(X, sample_weight), n_components, method, random_state)
    sample_weight = _unequal(sample_weight)
    while True:
        if isinstance(method, str):
            yield _METHODS[method](X, n_components, random_state, sample_weight, engine)
        elif callable(method):
            made = method(X, n_components, random_state)
            yield given_start(made, len(X), n_components, "What init_params returns")
        else:
            yield method


def given_start(
    given, n_rows: int, n_components: int, name: str = "The array init_params"
) -> LabelledRows | GivenResponsibilities:
    """Check labels or responsibilities that a caller gives.

    Parameters
    ----------
    given : array-like of shape (n_rows,) or (n_rows, n_components)
    n_rows, n_components : int
    name : str, optional
        What to call them in errors.

    Raises
    ------
    ValueError
        If they do not fit the data.
    """
    if np.ndim(given) in (1, 2):  # else it has a wrong shape, which is said below
        given = check_array(given, ensure_2d=False, dtype=None, input_name="init_params")
    if np.ndim(given) == 1:
        return _given_labels(given, n_rows, n_components, name)
    if np.shape(given) != (n_rows, n_components):
        raise ValueError(
            f"{name} should have the shape of {(n_rows, n_components)} (responsibilities) or "
            f"{(n_rows,)} (labels), but got {np.shape(given)}."
        )
    if given.dtype.kind not in "iufb":
        raise ValueError(f"{name} should hold numbers, but got dtype {given.dtype}.")
    given = given.astype(np.float64)
    sums = given.sum(axis=1)
    wrong = np.flatnonzero((given < 0).any(axis=1) | (np.abs(sums - 1.0) > 1e-6))
    if len(wrong):
        raise ValueError(
            f"{name} should be non-negative and sum to 1 in every row, but row {wrong[0]} sums to "
            f"{sums[wrong[0]]:.6g} with minimum {given[wrong[0]].min():.6g}."
        )
    return GivenResponsibilities(given)


def _given_labels(given, n_rows, n_components, name) -> LabelledRows:
    if given.shape != (n_rows,):
        raise ValueError(f"{name} should hold {n_rows} labels, but got {len(given)}.")
    with np.errstate(invalid="ignore"):
        labels = given.astype(np.int64) if given.dtype.kind in "iufb" else None
    if labels is None or not np.array_equal(labels, given):
        raise ValueError(f"{name} should hold integer labels, but got dtype {given.dtype}.")
    outside = np.flatnonzero((labels < 0) | (labels >= n_components))
    if len(outside):
        raise ValueError(
            f"{name} should hold labels from 0 to {n_components - 1}, but row {outside[0]} has "
            f"{labels[outside[0]]}."
        )
    return LabelledRows(labels, n_components)
