"""Starts of many small data sets: what `fastgmm.starts` makes, for all of them at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fastgmm.engines.threads import ThreadEngine
from fastgmm.kernels.layout import DECIDED
from fastgmm.sklearn_interface import random_state_of
from fastgmm.starts import LabelledRows, SingleRows, Start, make_starts
from fastgmm.starts.few_rows import Clusters
from fastgmm.starts.lloyd import MAX_ITER, TOL
from fastgmm.starts.plusplus import n_draws, rounding_of_distances


@dataclass(frozen=True, eq=False, slots=True)
class ManyShares:
    """Responsibilities or labels of the rows of all data sets.

    Parameters
    ----------
    shares : ndarray of shape (n, k), or of int (n,)
    in_order : bool
        See `fastgmm.starts.RandomResponsibilities`.
    """

    shares: np.ndarray
    in_order: bool

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Those of the rows start to stop."""
        return self.shares[start:stop]


class ManyStarts:
    """Makes the starts of all data sets, one restart after another.

    The draws are those of ``RandomState(seed)``, data set by data set, as in a fit of its own.

    Parameters
    ----------
    arrays : sequence of ndarray (n_i, d)
        Contiguous, of one type.
    rows : ndarray of shape (n, d)
        The same, one after another.
    offsets : ndarray of int, shape (sets + 1,)
    seeds : ndarray of uint32, shape (sets,)
    n_components : int
    method : str or callable
        See `fastgmm.starts.make_starts`.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        rows: np.ndarray,
        offsets: np.ndarray,
        seeds: np.ndarray,
        n_components: int,
        method: str | Callable,
    ):
        self._arrays, self._rows, self._offsets = arrays, rows, offsets
        self._seeds, self._n_components, self._method = seeds, n_components, method
        self.errors: dict[int, Exception] = {}
        """What was wrong with single data sets."""

    def restarts(self, n_init: int) -> Iterator[ManyShares | SingleRows]:
        """The starts of every data set, for one restart after another.

        Parameters
        ----------
        n_init : int
        """
        kernel_knows = self._method in ("kmeans", "k-means++")
        if kernel_knows and self._arrays[0].dtype == np.float64:
            return self._clustered(n_init)
        return self._one_by_one(n_init)

    # -- k-means on a kernel for all ---------------------------------------------------------------
    def _clustered(self, n_init: int) -> Iterator[ManyShares | SingleRows]:
        from fastgmm.kernels.kmeans.draws import uniform_draws
        from fastgmm.kernels.kmeans.many import small_kmeans

        k, n_sets = self._n_components, len(self._arrays)
        per_start = n_draws(k)
        drawn = np.empty((n_sets, n_init * per_start))
        uniform_draws()(self._seeds, drawn)
        draws = drawn.reshape(n_sets, n_init, per_start)
        only_seeds = self._method == "k-means++"
        rounding = rounding_of_distances(self._rows.shape[1])
        cluster, no_weights = small_kmeans(), np.empty(0)
        for number in range(n_init):
            found = Clusters.blank(n_sets, k, *self._rows.shape)
            cluster(
                self._rows,
                no_weights,
                self._offsets,
                np.ascontiguousarray(draws[:, number]),
                TOL,
                0 if only_seeds else MAX_ITER,
                rounding,
                *found,
            )
            seeds, labels = found.seeds, found.labels
            # Where rounding decides, scikit-learn's own does.
            undecided = {
                i: self._next(i, self._own_starts(i, number * per_start))
                for i in np.flatnonzero(found.state[:, 0] != DECIDED).tolist()
            }
            if only_seeds:
                chosen = self._rows[self._offsets[:-1, np.newaxis] + seeds]
                for i, start in undecided.items():
                    if isinstance(start, SingleRows):
                        chosen[i] = start.rows
                yield SingleRows(chosen)
            else:
                for i, start in undecided.items():
                    if isinstance(start, LabelledRows):
                        labels[self._offsets[i] : self._offsets[i + 1]] = start.labels
                yield ManyShares(labels, in_order=False)

    def _own_starts(self, i: int, n_drawn: int) -> Iterator[Start]:
        """Starts of one data set, after a number of draws."""
        random_state = random_state_of(int(self._seeds[i]))
        random_state.random_sample(n_drawn)
        X, engine = self._arrays[i], ThreadEngine(1)
        return make_starts(X, self._n_components, self._method, random_state, None, engine)

    # -- any method, data set by data set ----------------------------------------------------------
    def _one_by_one(self, n_init: int) -> Iterator[ManyShares | SingleRows]:
        engine = ThreadEngine(1)
        streams = [
            make_starts(
                X, self._n_components, self._method, random_state_of(int(seed)), None, engine
            )
            for X, seed in zip(self._arrays, self._seeds, strict=True)
        ]
        for _ in range(n_init):
            yield self._joined([self._next(i, stream) for i, stream in enumerate(streams)])

    def _next(self, i: int, stream: Iterator[Start]) -> Start | None:
        """The next start of a data set; None if there is an error."""
        if i not in self.errors:
            try:
                return next(stream)
            except Exception as error:  # a callable of the user's, above all
                self.errors[i] = error
        return None

    def _joined(self, starts: list[Start | None]) -> ManyShares | SingleRows:
        """One method makes starts of one kind: single rows, or shares of all rows.

        Where there is an error, what stands for the start means nothing.
        """
        made = [start for start in starts if start is not None]
        if not made:
            return ManyShares(np.zeros(len(self._rows), dtype=np.int64), in_order=False)
        if isinstance(made[0], SingleRows):
            rows = [s.rows if isinstance(s, SingleRows) else made[0].rows for s in starts]
            return SingleRows(np.stack(rows))
        shares = [
            None if start is None or isinstance(start, SingleRows) else start.chunk(0, len(X))
            for start, X in zip(starts, self._arrays, strict=True)
        ]
        any_row = next(found[:1] for found in shares if found is not None)
        filled = [
            np.repeat(any_row, len(X), axis=0) if found is None else found
            for found, X in zip(shares, self._arrays, strict=True)
        ]
        return ManyShares(np.concatenate(filled), in_order=made[0].in_order)
