"""The fits of a call of `fit_many`: which run together, where, and what they leave."""

import threading
from collections.abc import Callable
from contextlib import closing

import numpy as np

from fastgmm.batch.datasets import DataSetList
from fastgmm.batch.fits import Fits, Outcome
from fastgmm.batch.progress import Progress
from fastgmm.batch.report import FitReport
from fastgmm.distributed import Cluster, stays_here
from fastgmm.engines.threads import ThreadEngine

_MOST_SETS = 1024
"""Data sets that run in lockstep; the more, the less each costs beside its kernels..."""

_LEAST_SETS = 64

_MOST_BYTES = 1 << 23
"""...but their rows should stay in a cache."""

_GROUPS_PER_THREAD = 4
"""So that threads end at about the same time."""


class Run:
    """The fits of one call.

    Parameters
    ----------
    items : DataSetList
    report : FitReport
        To be filled.
    bar : Progress
    raises : bool
        Whether the first error ends it all.
    done : ndarray of bool, shape (sets,)
        Which fits are done; those of the run are entered.
    keep : callable, optional
        Called with `report` and `done` after some more fits are done.
    """

    def __init__(
        self,
        items: DataSetList,
        report: FitReport,
        bar: Progress,
        raises: bool,
        done: np.ndarray,
        keep: Callable[[FitReport, np.ndarray], None] | None = None,
    ):
        self._done, self._keep = done, keep
        self._items = items
        self._report, self._bar, self._raises = report, bar, raises
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fits = Fits(items, report._make, report.seeds)
        self._n_features = self._fits.n_features

    def on_threads(self, engine: ThreadEngine) -> None:
        """Do all fits that are not done, on threads of this process."""
        groups = self._groups(engine.n_threads)
        engine.for_each(lambda number: self._fit_group(groups[number]), len(groups))

    def on_cluster(self, cluster: Cluster) -> None:
        """Do them on the workers of a cluster, a task for every group.

        Data sets of a group that workers died of are then done one by one.

        Rows that are on the cluster already, and sources, which are open, are fitted from here, one
        data set after another.
        """
        groups, data = self._groups(cluster.n_threads), self._items.data
        here = [group for group in groups if any(stays_here(data[i]) for i in group)]
        there = [group for group in groups if group not in here]
        if suspects := self._spread(cluster, there):
            alone = [[i] for group in suspects for i in group]
            for (i,), error in self._spread(cluster, alone, one_by_one=True).items():
                self._enter(Outcome(np.array([i]), {i: error}))
        for group in here:
            self._fit_group(group)

    def _spread(
        self, cluster: Cluster, groups: list[list[int]], one_by_one: bool = False
    ) -> dict[tuple[int, ...], OSError]:
        """Do groups on a cluster; those that every worker died of, and the error."""
        died: dict[tuple[int, ...], OSError] = {}
        pieces = map(self._fits.take, groups)
        with closing(
            cluster.spread(_outcomes, pieces, self._words(groups), one_by_one=one_by_one)
        ) as results:
            for number, found in results:
                if isinstance(found, OSError):
                    died[tuple(groups[number])] = found
                    continue
                numbers = np.array(groups[number])
                for outcome in found:
                    errors = {int(numbers[i]): error for i, error in outcome.errors.items()}
                    self._enter(outcome._replace(numbers=numbers[outcome.numbers], errors=errors))
        return died

    def _words(self, groups: list[list[int]]) -> Callable[[int], str]:
        """What to call a group, by its number."""

        def words(number: int) -> str:
            first, *others = (repr(self._items.keys[i]) for i in groups[number])
            return f"Data sets {first} to {others[-1]}" if others else f"Data set {first}"

        return words

    # -- which run together ------------------------------------------------------------------------
    def _groups(self, n_threads: int) -> list[list[int]]:
        """Numbers of data sets that run together: the large first, each by itself."""
        together: dict[np.dtype, list[int]] = {}
        alone = []
        for i in np.flatnonzero(~self._done).tolist():
            dtype = self._fits.lockstep_type(i)
            if dtype is None:
                alone.append(i)
            else:
                together.setdefault(dtype, []).append(i)
        groups = [[i] for i in alone]
        for numbers in together.values():
            share = -(-len(numbers) // (n_threads * _GROUPS_PER_THREAD))
            most = min(max(share, _LEAST_SETS), _MOST_SETS)
            groups.extend(self._cut(numbers, most))
        return groups

    def _cut(self, numbers: list[int], most: int) -> list[list[int]]:
        groups: list[list[int]] = []
        n_bytes = 0
        for i in numbers:
            size = 8 * self._items.data[i].size
            if not groups or len(groups[-1]) == most or n_bytes + size > _MOST_BYTES:
                groups.append([])
                n_bytes = 0
            groups[-1].append(i)
            n_bytes += size
        return groups

    # -- what comes of them ------------------------------------------------------------------------
    def _fit_group(self, numbers: list[int]) -> None:
        """Fit data sets that run together; if that is interrupted, those of other threads end."""
        try:
            for outcome in self._fits.outcomes(numbers, self._stop):
                self._enter(outcome)
        except BaseException:
            self._stop.set()
            raise

    def _enter(self, outcome: Outcome) -> None:
        """Take note of fits that are done."""
        numbers, errors = outcome.numbers, dict(outcome.errors)
        good = np.array([i not in errors for i in numbers.tolist()])
        with self._lock:
            if outcome.entries:
                d = outcome.entries[0]["means_"].shape[-1]
                if good.any() and self._n_features is None:
                    self._n_features = d
                if d == self._n_features or not good.any():
                    self._report.put(numbers[good], *outcome.entries)
                else:  # their parameters are stacked
                    wrong = f"It has {d} features, but the other data sets have {self._n_features}."
                    errors |= {i: ValueError(wrong) for i in numbers[good].tolist()}
        for i, error in errors.items():
            self._record(i, error)
        with self._lock:
            if outcome.feature_names is not None and not errors:
                self._report.name_features(int(numbers[0]), outcome.feature_names)
            self._done[numbers] = True
            if self._keep is not None:
                self._keep(self._report, self._done)
        self._bar.advance(len(numbers), len(errors))

    def _record(self, i: int, error: Exception) -> None:
        if self._raises:
            raise ValueError(
                f"The fit of data set {self._items.keys[i]!r} failed: {error}"
            ) from error
        self._report.errors[i] = str(error) or type(error).__name__


def _outcomes(fits: Fits) -> list[Outcome]:
    """What comes of all of some fits that run together; called on a worker."""
    return list(fits.outcomes(range(len(fits)), threading.Event()))
