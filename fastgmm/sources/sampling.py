"""Some of a source's rows, and all of its weights, as arrays."""

from typing import NamedTuple

import numpy as np

from fastgmm.sources.base import RowSource, scan

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
