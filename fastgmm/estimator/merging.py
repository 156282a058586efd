"""EM by hand and EM on streams: statistics that merge, and the M-step from them."""

import copy
import math
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils.validation import _is_fitted, check_is_fitted

from fastgmm.covariance.base import Gaussians, TotalScatter, ill_defined
from fastgmm.covariance.scales import relative_regularization
from fastgmm.em import EMResult
from fastgmm.estimator.rows import rows_to_accumulate
from fastgmm.fitting import FitOptions, MixtureFit
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.sklearn_interface import copy_fitted, left_to_sklearn, underflow_is_zero
from fastgmm.statistics import SufficientStatistics

STEP_DECAY = 0.7
"""By which power the steps of `partial_fit` shrink: between 1/2 and 1 for EM to converge."""

STEP_DELAY = 2.0
"""Batches by which that is put off, so that the first few count about alike."""

_NO_PARAMETERS = (
    "This %(name)s instance has no parameters yet to take an E-step with. Start from a sample of "
    "the rows by fit with max_iter=0, or call fit or load."
)


class StatisticsMixin(BaseEstimator):
    """`accumulate`, `update` and `partial_fit`."""

    running_statistics_: SufficientStatistics

    @underflow_is_zero
    def accumulate(self, X, sample_weight=None) -> SufficientStatistics:
        """E-step: sufficient statistics of rows under the present parameters.

        Statistics of parts of the data add to those of the whole, whatever process made them;
        `update` does the M-step. The model stays as it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            As for `predict`; one row is enough.
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            As for `fit`.

        Returns
        -------
        statistics : SufficientStatistics
            They add by ``+``, pickle, and are saved by their `save`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If there are no parameters; ``fit`` with ``max_iter=0`` sets those of a start.
        ValueError
            If the rows are not what the model was fitted to, or hold NaN or infinity, or are so far
            from all components that sums overflow.
        """
        left_to_sklearn(self, accumulate=X)
        check_is_fitted(self, msg=_NO_PARAMETERS)
        source = rows_to_accumulate(self, X, sample_weight)
        if self._fit_dtype is not None:
            source = source.astype(self._fit_dtype)
        source, operands = self._prepared(source)
        # Of the options, a pass needs the number of components only.
        options = FitOptions(len(operands.means), self.tol, self.reg_covar, self.max_iter)
        fit = MixtureFit(source, self._structure, self._engine, options)
        statistics = fit.accumulate(operands)
        if not np.isfinite(statistics.sums).all():
            raise ValueError(
                "The statistics overflow: some rows are too far from all components. Are they on "
                "the scale of the data that the model was fitted to?"
            )
        return statistics

    @_fit_context(prefer_skip_nested_validation=True)
    @underflow_is_zero
    def update(self, statistics):
        """M-step: set the parameters from statistics of all rows.

        One call is one iteration of `fit`. `lower_bounds_` and `n_iter_` go on counting, and
        `converged_` tells whether the bound changed by less than `tol`.

        Parameters
        ----------
        statistics : SufficientStatistics
            Sum of what `accumulate` gave for all rows, with the parameters as they still are.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the statistics are those of other parameters, or a covariance degenerates.
        TypeError
            If they are no statistics.
        """
        left_to_sklearn(self, update=statistics)
        check_is_fitted(self, msg=_NO_PARAMETERS)
        step = self._m_step_of(statistics, statistics)
        bounds = list(getattr(self, "lower_bounds_", []))
        change = step.lower_bound - (bounds[-1] if bounds else -np.inf)
        converged = bool(abs(change) < self._tolerance(statistics.total_weight))
        bounds.append(step.lower_bound)
        self._keep(EMResult(step.parameters, bounds, converged), step.model, step.dtype)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @underflow_is_zero
    def partial_fit(self, X, y=None, sample_weight=None):
        r"""One step of stepwise EM with a batch of a stream (Cappe & Moulines 2009).

        Running statistics s move towards those of the batch, :math:`s \leftarrow (1 - \eta_t) s +
        \eta_t s_{batch}`, both per row, and the M-step follows. The step is 1 for the first batch
        and :math:`\eta_t = (t + 2)^{-0.7}` after t batches
        (``fastgmm.estimator.merging.STEP_DELAY`` and ``STEP_DECAY``). Every batch counts alike,
        so let them be of about one size, well above the number of components, and in random order.

        The first call starts from the batch by `init_params`, unless there are parameters already,
        from `fit` or by hand: then it goes on from those. `fit` begins anew.

        `lower_bound_` is an estimate from the last batch alone, `n_iter_` the number of batches,
        and `converged_` stays False. A Bayesian mixture weighs its priors against all rows seen
        so far; those of a second pass over the same rows count again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            As for `fit`. The first batch needs as many rows as there are components.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            How often each row counts, within the batch.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            See `fit`.

        References
        ----------
        Cappe & Moulines, On-line expectation-maximization algorithm for latent data models (2009),
        Journal of the Royal Statistical Society B 71(3).
        """
        left_to_sklearn(self, partial_fit=X)
        if not _is_fitted(self):
            start = copy.copy(self).set_params(max_iter=0, n_init=1, warm_start=False)
            copy_fitted(self, start.fit(X, sample_weight=sample_weight))
        batch = self.accumulate(X, sample_weight)
        n_batches = getattr(self, "n_batches_", 0)
        running = batch
        if n_batches:
            step_size = (n_batches + STEP_DELAY) ** -STEP_DECAY
            seen: SufficientStatistics = self.running_statistics_
            running = _moved(seen.about(batch), batch, step_size)
        total = batch.scaled(running.total_weight / batch.total_weight)
        step = self._m_step_of(running, total)
        self._keep(EMResult(step.parameters, [step.lower_bound], False), step.model, step.dtype)
        self.n_iter_ = self.n_batches_ = n_batches + 1
        self.running_statistics_ = running
        return self

    def _m_step_of(
        self, statistics: SufficientStatistics, of_bound: SufficientStatistics
    ) -> "_MStep":
        """M-step from statistics, and the bound from those of a pass with the present parameters.

        Both have the same weight.
        """
        parameters = self._parameters()
        operands = self._operands_of(statistics, parameters)
        # Weights near one, as in a fit: the guard against empty components is absolute.
        scale = math.ldexp(0.5, math.frexp(statistics.total_weight / statistics.n_rows)[1])
        statistics, of_bound = statistics.scaled(1.0 / scale), of_bound.scaled(1.0 / scale)
        dtype = operands.means.dtype
        model = self._fitted_model(dtype, scale)
        parameters = model.maximize(self._estimates(statistics))
        if not np.isfinite(parameters.precisions_cholesky).all():
            raise ill_defined(dtype)
        bound = model.lower_bound(of_bound, operands, parameters, _total_scatter_of(of_bound))
        single = np.asarray(self.means_).dtype == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        return _MStep(parameters, float(bound), model, dtype)

    def _estimates(self, statistics: SufficientStatistics) -> Gaussians:
        """Gaussians of largest likelihood, with the regularisation that `reg_covar` asks for."""
        structure, scatter = self._structure, _total_scatter_of(statistics)
        reg_covar = self.reg_covar
        if isinstance(reg_covar, str):
            pooled = structure.estimate(statistics.pooled(), 0.0, scatter)
            reg_covar = relative_regularization(structure, pooled)
        return structure.estimate(statistics, reg_covar, scatter)

    def _operands_of(
        self, statistics: SufficientStatistics, parameters: MixtureParameters
    ) -> Operands:
        """The operands that statistics were accumulated with; they tell the type of the rows."""
        if not isinstance(statistics, SufficientStatistics):
            raise TypeError(
                "update takes the statistics that accumulate returns, but got "
                f"{type(statistics).__name__}."
            )
        structure = self._structure
        needs = structure.moment_form, structure.needs_total_scatter
        if (statistics.form, statistics.scatter is not None) != needs:
            raise ValueError(
                f"The statistics hold {statistics.form.value} moments, which are not those of "
                f"covariance_type={self.covariance_type!r}."
            )
        if not statistics.total_weight > 0:
            raise ValueError("The statistics are those of no rows.")
        for dtype in (np.float64, np.float32):
            operands = structure.operands(parameters, np.dtype(dtype))
            if np.array_equal(operands.reference, statistics.reference):
                return operands
        raise ValueError(
            "The statistics were not accumulated with the present parameters. Every update needs "
            "an accumulate of all rows after the update before."
        )

    def _fitted_model(self, dtype: np.dtype, weight_scale: float) -> Any:
        """The model whose parameters the attributes are."""
        raise NotImplementedError


class _MStep(NamedTuple):
    """Outcome of an M-step, and the type of the attributes to keep it in."""

    parameters: MixtureParameters
    lower_bound: float
    model: Any
    dtype: np.dtype


def _moved(
    running: SufficientStatistics, batch: SufficientStatistics, step_size: float
) -> SufficientStatistics:
    """Mean of two statistics per row, for the weight of all rows seen."""
    weight = running.total_weight + batch.total_weight
    return running.scaled((1.0 - step_size) * weight / running.total_weight) + batch.scaled(
        step_size * weight / batch.total_weight
    )


def _total_scatter_of(statistics: SufficientStatistics) -> TotalScatter | None:
    return None if statistics.scatter is None else TotalScatter.of(statistics.scatter)
