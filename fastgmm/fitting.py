"""The one place that puts rows, an engine, a structure, a start and the loop together."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, repeat
from typing import Any, Protocol

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.cells import CellPass
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.base import EMPTY_GUARD, Gaussians, TotalScatter, ill_defined
from fastgmm.covariance.scales import relative_regularization
from fastgmm.em import EMResult, Listener, RunState, best_of_restarts
from fastgmm.engines.base import Engine
from fastgmm.engines.threads import ThreadEngine
from fastgmm.expectation import chunk_scatter, sums_of_chunks, totals_of_each
from fastgmm.initialization import LabelledRows, Shares, SingleRows, Start
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowGrid, RowSource
from fastgmm.sources.sampling import sample_rows
from fastgmm.statistics import MomentForm, SufficientStatistics

START_ROWS = 1 << 18
"""Rows of a source that a start is made from, if it has more."""

START_BYTES = 1 << 27
"""Memory for them, in float64."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to run EM; the names are the estimator's.

    Parameters
    ----------
    n_components, tol, max_iter
        See `fastgmm.GaussianMixture`.
    reg_covar : float, ndarray of shape (d,) or 'scale'
        An array holds a number per feature.
    """

    n_components: int
    tol: float
    reg_covar: float | np.ndarray | str
    max_iter: int


class MixtureModel(Protocol):
    """What a fit asks of a model: all that follows from statistics, without a look at rows."""

    def first_parameters(self) -> MixtureParameters | None:
        """Parameters to start from, if that is settled beforehand."""
        ...

    def start(self, gaussians: Gaussians, total_weight: Any) -> MixtureParameters:
        """Parameters to start from, estimated from a start."""
        ...

    def maximize(self, gaussians: Gaussians) -> MixtureParameters:
        """M-step."""
        ...

    def lower_bound(
        self,
        statistics: SufficientStatistics,
        operands: Operands,
        parameters: Any,
        scatter: TotalScatter | None,
    ) -> Any:
        """Bound from a pass with these operands, and the parameters of the M-step after it."""
        ...

    def take(self, chosen: np.ndarray) -> "MixtureModel":
        """Of a model of many data sets: the model of those that are chosen."""
        ...


class MixtureFit:
    """Fit of a Gaussian mixture to the rows of a source.

    Parameters
    ----------
    source : RowSource
    structure : CovarianceStructure
    engine : Engine
    options : FitOptions
    """

    def __init__(
        self,
        source: RowSource,
        structure: CovarianceStructure,
        engine: Engine,
        options: FitOptions,
    ):
        self.source = source.scaled()
        self.structure = structure
        self.engine = engine
        self.options = options
        self.grid = RowGrid.of(source.n_rows, source.n_features, options.n_components)

    def run(
        self,
        model: MixtureModel,
        starts: Iterator[MixtureParameters],
        listener: Listener,
        lower_bound: float = -np.inf,
        resume: RunState | None = None,
        observe: Callable[[RunState], None] = lambda state: None,
    ) -> EMResult:
        """EM from each start; the result of the largest bound.

        Parameters
        ----------
        model : MixtureModel
        starts : iterator of MixtureParameters
        listener : Listener
        lower_bound : float, optional
            Of a run that this one goes on from.
        resume, observe
            See `fastgmm.em.best_of_restarts`.

        Raises
        ------
        ValueError
            If a covariance is no longer positive definite, or the bound is not a number.
        """
        result = best_of_restarts(
            partial(self._step, model),
            starts,
            tol=self.options.tol,
            max_iter=self.options.max_iter,
            lower_bound=lower_bound,
            listener=listener,
            resume=resume,
            observe=observe,
        )
        if np.isnan(result.lower_bound):
            raise ValueError(
                "The lower bound is not a number: rows or weights are too large, or differ by too "
                "many orders of magnitude. Scale them."
            )
        return result

    def starts(
        self, model: MixtureModel, starts: Iterator[Start], n_init: int
    ) -> Iterator[MixtureParameters]:
        """First parameters of `n_init` restarts, made when they are asked for.

        Parameters
        ----------
        model : MixtureModel
        starts : iterator of Start
            Not touched when the model needs none.
        n_init : int
        """
        total_weight = self.source.total_weight
        estimates = ((self._estimates(start), total_weight) for start in starts)
        return self._first_parameters(model, estimates, n_init)

    def sampled_starts(
        self,
        model: MixtureModel,
        make: Callable[[np.ndarray, np.ndarray | None], Iterator[Start]],
        n_init: int,
        random_state: np.random.RandomState,
    ) -> Iterator[MixtureParameters]:
        """First parameters of restarts, made from samples of the rows; of all rows if they are few.

        Parameters
        ----------
        model : MixtureModel
        make : callable
            ``make(rows, weights)`` gives starts for rows in memory.
        n_init : int
        random_state : RandomState
            That samples are drawn from, each before its start; if all rows are taken, nothing is.
        """
        return self._first_parameters(model, self._sampled_estimates(make, random_state), n_init)

    @cached_property
    def pooled(self) -> Gaussians:
        """Estimates from all rows as one component, without regularisation."""
        n_rows = int(np.sum(self.source.n_rows))
        everything = LabelledRows(np.broadcast_to(np.int64(0), n_rows), 1)
        operands = self._moment_operands(self._centre[..., np.newaxis, :])
        return self.structure.estimate(self._accumulate(operands, everything), 0.0, self._scatter)

    @cached_property
    def regularization(self) -> float | np.ndarray:
        """What is added to the variances: of every feature alike, or (d,) of each.

        Raises
        ------
        ValueError
            If it is relative to variances that overflow.
        """
        reg_covar = self.options.reg_covar
        if isinstance(reg_covar, str):
            return relative_regularization(self.structure, self.pooled)
        return reg_covar

    def accumulate(self, operands: Operands) -> SufficientStatistics:
        """E-step of all rows, in the units that their weights were given in.

        Unlike within a fit, all moments are about points that follow from the parameters, so that
        statistics of different rows add.

        Parameters
        ----------
        operands : Operands
        """
        statistics = self._accumulate(operands)
        if self.structure.needs_total_scatter:
            statistics = replace(statistics, scatter=self._scatter_about(operands.origin))
        return statistics.scaled(self.source.weight_scale)

    def _step(
        self, model: MixtureModel, parameters: MixtureParameters
    ) -> tuple[MixtureParameters, float]:
        """One iteration: E-step and M-step."""
        operands = self.structure.operands(parameters, self.source.dtype)
        statistics = self._accumulate(operands)
        parameters = self._maximize(model, self._estimate(statistics))
        if self.structure.density_form == "cholesky" and not _is_defined(parameters):
            # Perhaps for digits lost about the origin: once more, all about their own means.
            again = self._accumulate(operands.about_means())
            defined = np.isfinite(parameters.precisions_cholesky)
            of_each_set = defined.all(axis=(-1, -2, -3))[..., np.newaxis]
            sums = np.where(of_each_set, statistics.sums, again.sums)
            statistics = replace(statistics, sums=sums)
            parameters = self._maximize(model, self._estimate(statistics))
        parameters = self._well_defined(parameters)
        bound = model.lower_bound(statistics, operands, parameters, self._scatter)
        return parameters, bound

    def _maximize(self, model: MixtureModel, gaussians: Gaussians) -> MixtureParameters:
        """M-step; a component's precision factors are NaN where it has no covariance."""
        return model.maximize(gaussians)

    def _well_defined(self, parameters: MixtureParameters) -> MixtureParameters:
        """The parameters, if all covariances are positive definite."""
        if not _is_defined(parameters):
            raise ill_defined(self.source.dtype)
        return parameters

    def _accumulate(self, operands: Operands, start: Shares | None = None) -> SufficientStatistics:
        """One pass over the rows."""
        if start is None and self._cells is not None and self._cells.pays(operands):
            return self._cells.accumulate(operands)
        sums_of_chunk = sums_of_chunks(self.structure, operands, self.source.dtype)

        def sums(index: int) -> np.ndarray:
            begin, end = self.grid.bounds(index)
            shares = None if start is None else start.chunk(begin, end)
            return sums_of_chunk(self.source.read(begin, end), shares)

        in_order = start is not None and start.in_order
        engine = ThreadEngine(1) if in_order else self.engine
        total = engine.reduce(sums, len(self.grid))
        return SufficientStatistics(self.structure.moment_form, operands.reference, total)

    @cached_property
    def _cells(self) -> CellPass | None:
        may_pay = CellPass.may_pay(self.source, self.options.n_components)
        return CellPass(self.source, self.structure, self.engine) if may_pay else None

    def _estimate(self, statistics: SufficientStatistics) -> Gaussians:
        return self.structure.estimate(statistics, self.regularization, self._scatter)

    @property
    def _scatter(self) -> TotalScatter | None:
        return self._total_scatter if self.structure.needs_total_scatter else None

    # -- starts ------------------------------------------------------------------------------------
    def _first_parameters(
        self, model: MixtureModel, estimates: Iterator[tuple[Gaussians, float]], n_init: int
    ) -> Iterator[MixtureParameters]:
        """First parameters of restarts, from estimates and the weight of the rows behind them."""
        settled = model.first_parameters()
        if settled is not None:
            yield from repeat(self._well_defined(settled), n_init)
            return
        for gaussians, total_weight in islice(estimates, n_init):
            yield self._start(model, gaussians, total_weight)

    def _start(
        self, model: MixtureModel, gaussians: Gaussians, total_weight: float
    ) -> MixtureParameters:
        """M-step of a start."""
        return self._well_defined(model.start(gaussians, total_weight))

    def _sampled_estimates(
        self,
        make: Callable[[np.ndarray, np.ndarray | None], Iterator[Start]],
        random_state: np.random.RandomState,
    ) -> Iterator[tuple[Gaussians, float]]:
        most = max(min(START_ROWS, START_BYTES // (8 * self.source.n_features)), 1)
        while True:
            rows, weights = sample_rows(self.source, most, random_state)
            if weights is not None:
                weights *= self.source.weight_scale
            fit = self
            if len(rows) < self.source.n_rows:
                source = array_source(rows, weights, self.source.dtype)
                options = replace(self.options, reg_covar=self.regularization)
                fit = MixtureFit(source, self.structure, self.engine, options)
            yield fit._estimates(next(make(rows, weights))), fit.source.total_weight

    def _estimates(self, start: Start) -> Gaussians:
        if isinstance(start, SingleRows):
            return self._from_single_rows(start)
        return self._from_responsibilities(start)

    def _from_responsibilities(self, start: Shares) -> Gaussians:
        """Estimates from responsibilities of all rows."""
        k = self.options.n_components
        about = np.repeat(self._centre[..., np.newaxis, :], k, axis=-2)
        statistics = self._accumulate(self._moment_operands(about), start)
        if self.structure.moment_form is not MomentForm.NONE and not start.in_order:
            # Second moments are accurate about the means themselves, so a second pass follows.
            weight = statistics.weight + EMPTY_GUARD
            means = statistics.reference + statistics.first / weight[..., np.newaxis]
            statistics = self._accumulate(self._moment_operands(means), start)
        return self._estimate(statistics)

    def _from_single_rows(self, start: SingleRows) -> Gaussians:
        """Estimates from one row per component: no spread but the regularisation."""
        reference = np.asarray(start.rows, dtype=np.float64)
        d = self.source.n_features
        statistics = SufficientStatistics.zero(self.structure.moment_form, reference)
        mean_weight = self.source.total_weight / self.source.n_rows
        statistics.weight[...] = np.expand_dims(mean_weight, -1)
        if not self.structure.needs_total_scatter:
            return self._estimate(statistics)
        # The scatter of all rows about zero, divided among these few: what scikit-learn starts
        # from, and so what gives its results.
        total = self._total_scatter
        weight = np.expand_dims(total.weight, -1)
        cross = total.first[..., :, np.newaxis] * total.reference[..., np.newaxis, :]
        square = total.reference[..., :, np.newaxis] * total.reference[..., np.newaxis, :]
        about_zero = TotalScatter(
            np.zeros(d),
            total.weight,
            total.first + weight * total.reference,
            total.second + cross + cross.swapaxes(-1, -2) + weight[..., np.newaxis] * square,
        )
        return self.structure.estimate(statistics, self.regularization, about_zero)

    def _moment_operands(self, means: np.ndarray) -> Operands:
        """Operands for a pass that is given its responsibilities: only the means matter."""
        about = self._centre[..., np.newaxis, :]
        centred = np.ascontiguousarray(means - about, dtype=self.source.dtype)
        *leading, k, _ = means.shape
        unread = np.zeros((*leading, 1, 1, 1), dtype=centred.dtype)
        zeros = np.zeros((*leading, k), dtype=centred.dtype)
        return Operands(self._centre, centred, unread, centred, zeros, zeros)

    @cached_property
    def _centre(self) -> np.ndarray:
        """Mean of the rows: a point amid the data to take moments about."""

        def total(index: int) -> np.ndarray:
            rows = self.source.read(*self.grid.bounds(index)).rows
            return totals_of_each(rows, np.array([0, len(rows)]))[0]

        return self.engine.reduce(total, len(self.grid)) / self.source.n_rows

    @cached_property
    def _total_scatter(self) -> TotalScatter:
        """Moments of all rows about their centre."""
        return TotalScatter.of(self._scatter_about(self._centre))

    def _scatter_about(self, point: np.ndarray) -> SufficientStatistics:
        """Outer moments of all rows about a point."""
        reference = point[np.newaxis]

        def scatter(index: int) -> SufficientStatistics:
            return chunk_scatter(self.source.read(*self.grid.bounds(index)), reference)

        return self.engine.reduce(scatter, len(self.grid))


def _is_defined(parameters: MixtureParameters) -> bool:
    """Whether every covariance is positive definite."""
    return bool(np.isfinite(parameters.precisions_cholesky).all())
