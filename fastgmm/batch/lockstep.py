"""EM of many small data sets at once, in lockstep: one call of a kernel or of NumPy for them all.

What an iteration costs beside its kernel is shared by hundreds of data sets. The algebra is that of
single fits, which is written for axes in front; only what looks at rows is here, and the loop, in
which every data set stops for itself.
"""

import threading
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.base import TotalScatter, ill_defined
from fastgmm.engines.threads import ThreadEngine
from fastgmm.expectation import scatter_of_each, statistics_of_each, totals_of_each
from fastgmm.fitting import FitOptions, MixtureFit, MixtureModel
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.statistics import SufficientStatistics


@dataclass(frozen=True, eq=False, slots=True)
class DataSets:
    """Rows of many data sets, one after another: what is a number of a `RowSource` is an array.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        float64 or float32.
    offsets : ndarray of int, shape (sets + 1,)
        Where each data set begins; the last ends at n.
    """

    rows: np.ndarray
    offsets: np.ndarray
    weight_scale = 1.0

    @property
    def dtype(self) -> np.dtype:
        """Of the rows."""
        return self.rows.dtype

    @property
    def n_features(self) -> int:
        """The same for all data sets."""
        return self.rows.shape[1]

    @property
    def n_rows(self) -> np.ndarray:
        """(sets,)."""
        return np.diff(self.offsets)

    @property
    def total_weight(self) -> np.ndarray:
        """(sets,): every row weighs 1."""
        return self.n_rows.astype(np.float64)


class ManyResults(NamedTuple):
    """Outcome for all data sets; the names are those of `fastgmm.em.EMResult`.

    Parameters
    ----------
    parameters : MixtureParameters
        With an axis in front.
    lower_bounds : list of ndarray
    converged : ndarray of bool, shape (sets,)
    n_iter : ndarray of int, shape (sets,)
    lower_bound : ndarray of shape (sets,)
    diagnostics : list of tuple
        Empty.
    """

    parameters: Any
    lower_bounds: list[np.ndarray]
    converged: np.ndarray
    n_iter: np.ndarray
    lower_bound: np.ndarray
    diagnostics: list[tuple]


class LockstepFit(MixtureFit):
    """Fits to many data sets.

    Parameters
    ----------
    source : DataSets
    structure : CovarianceStructure
    options : FitOptions
        `tol` may be an array (sets,).
    stop : threading.Event
        Once it is set, nobody waits for the results any more.
    """

    source: Any  # DataSets

    def __init__(
        self,
        source: DataSets,
        structure: CovarianceStructure,
        options: FitOptions,
        stop: threading.Event,
    ):
        self.source = source
        self.structure = structure
        self.options = options
        self.stop = stop
        self.engine = ThreadEngine(1)
        n_sets = len(source.offsets) - 1
        self.failed = np.zeros(n_sets, dtype=bool)
        """Data sets whose covariance was no longer positive definite."""
        self._tol = np.broadcast_to(options.tol, n_sets)
        self._running = np.arange(n_sets)

    def run_all(self, model: MixtureModel, starts: Any, n_init: int) -> ManyResults:
        """EM from every start; for every data set, the result of the largest bound.

        Parameters
        ----------
        model : MixtureModel
        starts : iterator of ManyShares or SingleRows
        n_init : int
        """
        best: ManyResults | None = None
        for start in self.starts(model, starts, n_init):
            result = self._run_restart(model, start)
            if best is None:
                best = result
            else:
                bound = best.lower_bound
                better = (bound == -np.inf) | (result.lower_bound > bound)
                best = _chosen(better, result, best)
        assert best is not None
        return best

    def log_likelihoods(self, parameters: MixtureParameters) -> np.ndarray:
        """Log-likelihoods (sets,) of all rows under these parameters."""
        operands = self.structure.operands(parameters, self.source.dtype)
        return self._accumulate(operands).log_likelihood

    def error(self) -> ValueError:
        """What is wrong with the data sets that failed."""
        return ill_defined(self.source.dtype)

    def _run_restart(self, model: MixtureModel, parameters: MixtureParameters) -> ManyResults:
        everything = self._running
        n_sets = len(everything)
        bounds, converged = np.full(n_sets, -np.inf), np.zeros(n_sets, dtype=bool)
        n_iter = np.zeros(n_sets, dtype=np.int64)
        history: list[np.ndarray] = []
        ended: list[tuple[np.ndarray, MixtureParameters]] = []
        try:
            while (
                len(self._running)
                and len(history) < self.options.max_iter
                and not self.stop.is_set()
            ):
                parameters, bound = self._step(model, parameters)
                running = self._running
                change = bound - bounds[running]
                bounds[running] = bound
                n_iter[running] += 1
                history.append(bounds.copy())
                converged[running] = np.abs(change) < self._tol[running]
                over = converged[running] | self.failed[running]
                if over.any():
                    ended.append((running[over], _taken(parameters, over)))
                    parameters = _taken(parameters, ~over)
                    model, self._running = model.take(~over), running[~over]
            ended.append((self._running, parameters))
        finally:
            self._running = everything
        order = np.argsort(np.concatenate([numbers for numbers, _ in ended]))
        joined = _mapped(lambda *a: np.concatenate(a)[order], *(p for _, p in ended))
        made = np.arange(len(history)) < n_iter[:, np.newaxis]
        flat = np.array(history).reshape(len(history), n_sets).T[made]
        ends = np.cumsum(n_iter)
        parts = [flat[end - n : end] for end, n in zip(ends.tolist(), n_iter.tolist(), strict=True)]
        return ManyResults(joined, parts, converged, n_iter, bounds, [()] * n_sets)

    # -- what looks at rows, or at single data sets ------------------------------------------------
    def _accumulate(
        self, operands: Operands, start: Any = None, careful: bool = False
    ) -> SufficientStatistics:
        source = self.source
        shares = None if start is None else start.chunk(0, len(source.rows))
        return statistics_of_each(
            source.rows, source.offsets, self._running, self.structure, operands, shares, careful
        )

    def _well_defined(self, parameters: MixtureParameters) -> MixtureParameters:
        factors = parameters.precisions_cholesky
        good = np.isfinite(factors).all(axis=tuple(range(1, factors.ndim)))
        self.failed[self._running[~good]] = True
        return parameters

    @cached_property
    def _centre(self) -> np.ndarray:
        source = self.source
        return totals_of_each(source.rows, source.offsets) / source.n_rows[:, np.newaxis]

    @property
    def _scatter(self) -> TotalScatter | None:
        if not self.structure.needs_total_scatter:
            return None
        return TotalScatter(*(part[self._running] for part in self._total_scatter))

    @cached_property
    def _total_scatter(self) -> TotalScatter:
        source = self.source
        return TotalScatter.of(scatter_of_each(source.rows, source.offsets, self._centre))


def _mapped(function: Any, *records: Any) -> Any:
    """The record whose arrays are ``function`` of the arrays of records of one kind."""
    if isinstance(records[0], np.ndarray):
        return function(*records)
    names = [field.name for field in fields(records[0])]
    arrays = {name: _mapped(function, *(getattr(r, name) for r in records)) for name in names}
    return type(records[0])(**arrays)


def _taken(record: Any, chosen: np.ndarray) -> Any:
    """The record of the data sets that a mask chooses."""
    return _mapped(lambda array: array[chosen], record)


def _chosen(better: np.ndarray, one: ManyResults, other: ManyResults) -> ManyResults:
    """Of every data set, the one result where it is better, else the other."""

    def choose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(better.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

    return ManyResults(
        _mapped(choose, one.parameters, other.parameters),
        [a if is_better else b for is_better, a, b in zip(better, one[1], other[1], strict=True)],
        choose(one.converged, other.converged),
        choose(one.n_iter, other.n_iter),
        choose(one.lower_bound, other.lower_bound),
        one.diagnostics,
    )
