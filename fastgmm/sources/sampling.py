"""Some of a source's rows, and all of its weights, as arrays."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.sources.base import Chunk, RowGrid, RowSource, merge_chunks, scan

_FEW_NUMBERS = 1 << 18
"""Of rows at hand, up to which all are looked at sooner than neighbours are found."""


class Sample(NamedTuple):
    """Some rows of a source.

    Parameters
    ----------
    rows : ndarray of shape (min(n_rows, n), d)
    weights : ndarray or None
        None if the source has none.
    numbers : ndarray or None
        Which rows they are; None if they are all.
    """

    rows: np.ndarray
    weights: np.ndarray | None
    numbers: np.ndarray | None


def sample_rows(source: RowSource, n_rows: int, random_state: np.random.RandomState) -> Sample:
    """Rows drawn without replacement, in the source's order; one pass over it.

    Parameters
    ----------
    source : RowSource
    n_rows : int
        How many. If the source has no more, all are taken, and nothing is drawn.
    random_state : RandomState
    """
    chosen = draw_numbers(source.n_rows, n_rows, random_state)
    n_rows = min(n_rows, source.n_rows)
    rows = np.empty((n_rows, source.n_features), source.dtype)
    weights = np.empty(n_rows) if source.weighted else None
    filled = 0
    for chunk in scan(source):
        local: np.ndarray | slice = slice(None)
        n_local = len(chunk.rows)
        if chosen is not None:
            begin, end = np.searchsorted(chosen, (chunk.start, chunk.stop))
            local, n_local = chosen[begin:end] - chunk.start, int(end - begin)
        rows[filled : filled + n_local] = chunk.rows[local]
        if weights is not None:
            weights[filled : filled + n_local] = chunk.weights[local]
        filled += n_local
    return Sample(rows, weights, chosen)


def draw_numbers(
    n_total: int, n_rows: int, random_state: np.random.RandomState
) -> np.ndarray | None:
    """Numbers of the rows that `sample_rows` takes, in order; None if these are all."""
    return _draw(n_total, n_rows, random_state) if n_rows < n_total else None


def rows_at(source: RowSource, numbers: np.ndarray) -> np.ndarray:
    """Rows (len(numbers), d) of a source by their numbers, read in the source's order.

    Neighbours are read together, which helps where most rows are asked for.
    """
    if source.is_at_hand and source.n_rows * source.n_features <= _FEW_NUMBERS:
        return source.read(0, source.n_rows).rows.take(numbers, axis=0)
    rows = np.empty((len(numbers), source.n_features), source.dtype)
    places = np.argsort(numbers)
    apart = np.flatnonzero(np.diff(numbers[places]) > 1) + 1
    for run in np.split(places, apart) if len(places) else ():
        first, last = int(numbers[run[0]]), int(numbers[run[-1]])
        rows[run] = source.read(first, last + 1).rows[numbers[run] - first]
    return rows


def all_weights(source: RowSource) -> np.ndarray | None:
    """Weights of all rows; None if they have none."""
    if not source.weighted:
        return None
    return np.concatenate(list(source.reader.weights()))


def _draw(n_total: int, n_rows: int, random_state: np.random.RandomState) -> np.ndarray:
    """Distinct numbers below `n_total`, in order, in memory for no more than these."""
    if n_rows > n_total // 2:
        # Few are left out, so draw those.
        left_out = _draw(n_total, n_total - n_rows, random_state)
        return np.delete(np.arange(n_total), left_out)
    chosen = np.empty(0, dtype=np.int64)
    while len(chosen) < n_rows:
        more = random_state.randint(n_total, size=n_rows - len(chosen), dtype=np.int64)
        # As np.union1d, whose hash table takes a hundred times as long as a sort.
        chosen = np.sort(np.concatenate([chosen, more]))
        chosen = chosen[np.diff(chosen, prepend=-1) > 0]
    return chosen


def sample_of(
    source: RowSource, n_rows: int, random_state: np.random.RandomState, engine: Engine
) -> Sample:
    """The same rows as `sample_rows` takes, from wherever they are.

    Parameters
    ----------
    source : RowSource
    n_rows : int
    random_state : RandomState
    engine : Engine
    """
    if source.place is None:
        return sample_rows(source, n_rows, random_state)
    numbers = draw_numbers(source.n_rows, n_rows, random_state)
    grid = RowGrid.of(source.n_rows, source.n_features, 1)
    found = merge_chunks(_Chosen(numbers), source, grid, engine)
    return Sample(found.rows, found.weights if source.weighted else None, numbers)


def rows_numbered(source: RowSource, numbers: np.ndarray, engine: Engine) -> np.ndarray:
    """Rows (len(numbers), d) of a source by their numbers, from wherever they are.

    Parameters
    ----------
    source : RowSource
    numbers : ndarray of int
        In any order.
    engine : Engine
    """
    if source.place is None:
        return rows_at(source, numbers)
    order = np.argsort(numbers, kind="stable")
    grid = RowGrid.of(source.n_rows, source.n_features, 1)
    found = merge_chunks(_Chosen(numbers[order]), source, grid, engine)
    rows = np.empty_like(found.rows)
    rows[order] = found.rows
    return rows


@dataclass(frozen=True, eq=False, slots=True)
class _Rows:
    """Rows of neighbouring chunks; they add by following one another."""

    rows: np.ndarray
    weights: np.ndarray

    def __add__(self, other: "_Rows") -> "_Rows":
        rows = np.concatenate([self.rows, other.rows])
        return _Rows(rows, np.concatenate([self.weights, other.weights]))


@dataclass(frozen=True, eq=False, slots=True)
class _Chosen:
    """Those rows of a chunk that are among some.

    Parameters
    ----------
    numbers : ndarray of int or None
        In order; None for all.
    """

    numbers: np.ndarray | None

    def __call__(self, chunk: Chunk) -> _Rows:
        if self.numbers is None:
            return _Rows(np.array(chunk.rows), np.array(chunk.weights))
        begin, end = np.searchsorted(self.numbers, (chunk.start, chunk.stop))
        local = self.numbers[begin:end] - chunk.start
        weights = chunk.weights[local] if len(chunk.weights) else chunk.weights
        return _Rows(chunk.rows[local], weights)

    def of_chunks(self, bounds: list[tuple[int, int]]) -> "_Chosen":
        """The same with the numbers of rows in some chunks only."""
        if self.numbers is None:
            return self
        places = [np.searchsorted(self.numbers, pair) for pair in bounds]
        return _Chosen(np.concatenate([self.numbers[begin:end] for begin, end in places]))
