"""The rows of a search: checked once, and cut into folds for the held-out likelihood."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import KFold, check_cv

from fastgmm.estimator.missing import check_features_seen, tally_of
from fastgmm.estimator.rows import FitRows, known_labels
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.sampling import all_weights
from fastgmm.sources.weighted import WithWeights


class Part(NamedTuple):
    """Rows to fit, and rows to judge the fit by.

    Parameters
    ----------
    train : FitRows
    test : RowSource
        Without rows of weight 0.
    """

    train: FitRows
    test: RowSource


def fold_rows(data: FitRows, cv: Any, entropy: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Numbers of the rows to fit, and of those that are held out, for every fold.

    Parameters
    ----------
    data : FitRows
    cv : int or splitter
        A number of folds of shuffled rows; or an object with the method ``split`` of scikit-learn.
    entropy : int
        That the shuffling follows from.

    Raises
    ------
    ValueError
        If it makes no such parts.
    """
    n_rows = data.source.n_rows
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        if not 2 <= cv <= n_rows:
            raise ValueError(f"cv should be from 2 to the {n_rows} rows that there are, not {cv}.")
        seed = int(np.random.SeedSequence(entropy, spawn_key=(0,)).generate_state(1)[0])
        cv = KFold(int(cv), shuffle=True, random_state=seed)
    return list(check_cv(cv).split(np.zeros((n_rows, 1))))


def folds(data: FitRows, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[Part]:
    """Parts that each hold out other rows; see `fold_rows`."""
    return list(_parts(data, pairs))


def _parts(data: FitRows, pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[Part]:
    source = data.source
    own = all_weights(source) if data.arrays is None else data.arrays[1]
    for number, (train, test) in enumerate(pairs, 1):
        kept, tally = None, None
        if data.arrays is None:
            fitted, held_out = (_only(source, own, chosen) for chosen in (train, test))
        else:
            kept, left_out = (
                (data.arrays[0][chosen], None if own is None else own[chosen])
                for chosen in (train, test)
            )
            fitted, held_out = array_source(*kept, source.dtype), array_source(*left_out)
        if source.missing:
            held_out = held_out.allowing_missing()
            fitted, tally = tally_of(fitted.allowing_missing())
            names = source.feature_names or range(source.n_features)
            check_features_seen(tally, names, f"What is left of X without fold {number}")
        given = fitted.astype(data.given.dtype)
        labels = None
        if data.labels is not None:  # of files, the rows stay in their order
            order = np.sort(train) if data.arrays is None else train
            labels = known_labels(data.labels[order])
        yield Part(FitRows(given, fitted, data.start, kept, labels, tally=tally), held_out)


def _only(source: RowSource, own: np.ndarray | None, chosen: np.ndarray) -> RowSource:
    """Some rows of a source, as one in which the others weigh nothing."""
    weights = np.zeros(source.n_rows)
    weights[chosen] = 1.0 if own is None else own[chosen]
    return RowSource(WithWeights(source.reader, weights, replacing=True), source.dtype).present()
