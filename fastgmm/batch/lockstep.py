"""EM of many small data sets at once, in lockstep: one call of a kernel or of NumPy for them all.

What an iteration costs beside its kernel is shared by hundreds of data sets. The iteration and the
loop are those of single fits, whose arrays may have an axis in front.
"""

import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance.algebra import are_defined
from fastgmm.covariance.estimates import Estimates
from fastgmm.em import EMResult, Listener, best_of_restarts
from fastgmm.em_start import first_parameters
from fastgmm.em_step import Model, attempt, is_doubtful, is_known_to_need_care
from fastgmm.estimator.fitting import model_to_fit
from fastgmm.parameters import Parameters
from fastgmm.passes.many import ManyPass
from fastgmm.records import entered, taken


class LockstepResult(NamedTuple):
    """What comes out for all data sets.

    Parameters
    ----------
    model : Model
    result : EMResult
        Of many mixtures.
    failed : ndarray of bool, shape (sets,)
        Where a covariance was singular to rounding.
    log_likelihoods : ndarray of shape (sets,)
        Of all rows under the fitted parameters.
    """

    model: Model
    result: EMResult
    failed: np.ndarray
    log_likelihoods: np.ndarray


def fit_in_lockstep(
    estimator: Any, rows: ManyPass, dtype: np.dtype, starts: Iterator[Any], stop: threading.Event
) -> LockstepResult:
    """EM from every start; for every data set, the result of the largest bound.

    Parameters
    ----------
    estimator : MixtureEstimator
        Whose arguments hold for all data sets.
    rows : ManyPass
    dtype : dtype
        That rows are stored in.
    starts : iterator of ManyShares or SingleRows
    stop : threading.Event
        Once it is set, nobody waits for the results any more.
    """
    structure = estimator._structure
    model = model_to_fit(estimator, structure, rows, dtype)
    step = _LockstepStep(rows, model)
    n_sets = len(rows.n_rows)
    k, n_init = estimator.n_components, estimator.n_init
    found = first_parameters(model, ((rows, s) for s in starts), k, n_init, step.start)
    found = (_of_each(parameters, n_sets) for parameters in found)
    result = best_of_restarts(
        step,
        found,
        tol=np.broadcast_to(model.family.tolerance(estimator, rows.total_weight), n_sets),
        max_iter=estimator.max_iter,
        lower_bound=-np.inf,
        listener=_UntilStopped(stop),
    )
    statistics = rows.statistics(model.operands(result.parameters))
    return LockstepResult(model, result, step.failed, statistics.log_likelihood)


class _LockstepStep:
    """One iteration for those data sets that have not stopped.

    Attributes
    ----------
    failed : ndarray of bool, shape (sets,)
        Where a covariance has been singular to rounding, in any restart.
    """

    def __init__(self, rows: ManyPass, model: Model):
        self.failed = np.zeros(len(rows.n_rows), dtype=bool)
        self._of_all = self._of_running = rows, model
        self._running = np.ones(len(rows.n_rows), dtype=bool)

    def start(self, model: Model, estimates: Estimates, total_weight: Any) -> Parameters:
        """M-step of a start."""
        parameters = model.family.start(estimates, total_weight)
        self.failed |= ~are_defined(model.structure, parameters.precisions_cholesky)
        return parameters

    def __call__(
        self, parameters: Parameters, running: np.ndarray
    ) -> tuple[Parameters, np.ndarray]:
        """See `fastgmm.em.Step`."""
        if not np.array_equal(running, self._running):
            self._running = running
            self._of_running = _taken(*self._of_all, running)
        if running.all():
            new, bound = _iteration(*self._of_running, parameters)
            bounds = bound
        else:
            new, bound = _iteration(*self._of_running, taken(parameters, running))
            new = entered(parameters, running, new)
            bounds = np.full(len(running), np.nan)
            bounds[running] = bound
        undefined = ~are_defined(self._of_all[1].structure, new.precisions_cholesky)
        self.failed |= undefined
        return new, np.where(undefined, np.nan, bounds)


def _iteration(
    rows: ManyPass, model: Model, parameters: Parameters, careful: bool = False
) -> tuple[Parameters, np.ndarray]:
    """`fastgmm.em_step.em_step` of every data set, without mending.

    The second, careful E-step is that of the doubtful alone: each has the bits of its own fit.
    """
    operands = model.operands(parameters)
    doubtful = is_known_to_need_care(model, parameters, operands, rows.dtype)
    careful |= bool(doubtful.all())
    statistics, estimates, new = attempt(rows, model, parameters, operands, careful)
    bound = model.family.lower_bound(statistics, operands, new)
    if careful:
        return new, bound
    doubtful |= is_doubtful(rows, model, operands.origin, statistics, estimates, new)
    if doubtful.any():
        part, of_part = _taken(rows, model, doubtful)
        again, bounds = _iteration(part, of_part, taken(parameters, doubtful), careful=True)
        new = entered(new, doubtful, again)
        bound[doubtful] = bounds
    return new, bound


def _of_each(parameters: Parameters, n_sets: int) -> Parameters:
    """Parameters of every data set: those that are given hold for each."""
    if parameters.means.ndim > 2:
        return parameters
    parts = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    each = {name: np.broadcast_to(part, (n_sets, *part.shape)) for name, part in parts.items()}
    return replace(parameters, **each)


def _taken(rows: ManyPass, model: Model, chosen: np.ndarray) -> tuple[ManyPass, Model]:
    return rows.take(chosen), replace(model, family=model.family.take(chosen))


class _UntilStopped(Listener):
    """Ends a run when nobody waits for it any more."""

    def __init__(self, stop: threading.Event):
        self._stop = stop

    def iteration_ends(self, result, change):
        return self._stop.is_set()
