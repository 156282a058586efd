"""The loop of EM: iterate, converge, restart; of one mixture, or of many at once.

It knows neither rows nor covariances, only a step, which makes parameters and a lower bound from
parameters.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Protocol

import numpy as np

from fastgmm.records import selected

_ROUNDING = 1e-14
"""Of a bound, relative to itself or to one: differences that say nothing about which is larger.

Restarts that end in the same optimum differ by less than 1e-15, those in others by more than 1e-13.
"""

Rule = Callable[[Any, Sequence[float]], bool]
"""Whether the run of a mixture has converged: of its parameters and its lower bounds so far."""


class Step(Protocol):
    """One iteration of EM."""

    def __call__(self, parameters: Any, running: Any) -> tuple[Any, Any]:
        """The next parameters, and a lower bound; not a number where there are no next ones.

        Of many mixtures both have an axis in front, and those that the mask `running` leaves out
        stay as they are.
        """
        ...


class RestartFailed(Exception):
    """What a step raises to end its restart and let the others go on."""


@dataclass(frozen=True, slots=True)
class EMResult:
    """Outcome of a run of EM.

    Parameters
    ----------
    parameters : object
        After the last M-step; of many mixtures, with an axis in front.
    lower_bounds : list of float, or of ndarray
        One per iteration: the bound under the parameters before that iteration's M-step. Of many
        mixtures, an array; not a number for those that had stopped.
    converged : bool, or ndarray of bool
    diagnostics : list of dict
        Of all restarts: what was done to keep them going, in order; see `fastgmm.recovery`.
    """

    parameters: Any
    lower_bounds: list
    converged: Any
    diagnostics: list[dict[str, Any]] = field(default_factory=list)

    @property
    def n_iter(self) -> Any:
        """Iterations made."""
        if np.ndim(self.converged) == 0:
            return len(self.lower_bounds)
        return sum(
            (~np.isnan(bound) for bound in self.lower_bounds), np.zeros_like(self.converged, int)
        )

    @property
    def lower_bound(self) -> Any:
        """The last bound; minus infinity when there was no iteration."""
        last = -np.inf if np.ndim(self.converged) == 0 else np.full(self.converged.shape, -np.inf)
        if not self.lower_bounds:
            return last
        if np.ndim(last) == 0:
            return self.lower_bounds[-1]
        for bound in self.lower_bounds:
            last = np.where(np.isnan(bound), last, bound)
        return last


class Listener:
    """What hears of the progress of a run; this one does nothing about it."""

    def restart_begins(self, number: int) -> None:
        """Restart `number`, counted from 0, begins."""

    def iteration_begins(self, number: int) -> None:
        """Iteration `number`, counted from 1, begins."""

    def iteration_ends(self, result: EMResult, change: float) -> bool | None:
        """An iteration is done: the restart so far, and the change of the bound.

        Returns whether to stop iterating.
        """

    def restart_ends(self, result: EMResult) -> bool | None:
        """A restart is done; returns whether to do without those that would follow."""

    def restart_fails(self) -> None:
        """A restart has come to an end without a result."""


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run stands after an iteration: enough to go on with the same bits.

    Parameters
    ----------
    restart : int
        Number of the restart that is under way.
    parameters : object
        After the last M-step.
    lower_bounds : list of float
        Of the iterations of this restart so far.
    best : EMResult or None
        Best of the earlier restarts; when the run is over, its result.
    finished : bool
    diagnostics : list of dict
        As of an `EMResult`.
    """

    restart: int
    parameters: Any
    lower_bounds: list[float]
    best: EMResult | None
    finished: bool = False
    diagnostics: list[dict[str, Any]] = field(default_factory=list)


def run_em(
    step: Step,
    start: Any,
    *,
    tol: Any,
    max_iter: int,
    lower_bound: float,
    listener: Listener,
    lower_bounds: Sequence[float] = (),
    observe: Callable[[EMResult], None] = lambda result: None,
    rule: Rule | None = None,
) -> EMResult:
    """Iterate from `start` until the bound changes by less than `tol`, or `listener` stops it.

    Every one of many mixtures stops for itself.

    Parameters
    ----------
    step : Step
    start : object
        Parameters to start from.
    tol : float, or ndarray of shape (mixtures,)
        Of the change of the bound between iterations; reached when strictly below.
    max_iter : int
    lower_bound : float
        The bound to compare the first one with; minus infinity for a fresh start.
    listener : Listener
    lower_bounds : sequence of float, optional
        Of iterations that were made already, before `start`.
    observe : callable, optional
        Called with the result so far after every iteration.
    rule : callable, optional
        Whether the run of a single mixture has converged, in the place of `tol`; see
        `fastgmm.convergence`.
    """
    many = np.ndim(tol) > 0
    bounds = list(lower_bounds)
    last: Any = lower_bound
    running: Any = True
    converged: Any = False
    if many:
        running, converged = np.ones(np.shape(tol), dtype=bool), np.zeros(np.shape(tol), dtype=bool)
    if bounds:
        change, last = bounds[-1] - [lower_bound, *bounds][-2], bounds[-1]
        converged = bool(abs(change) < tol) if rule is None else rule(start, bounds)
        running = not converged
    result, stop = EMResult(start, bounds, converged), None
    while (running.any() if many else running) and not stop and len(bounds) < max_iter:
        listener.iteration_begins(len(bounds) + 1)
        parameters, bound = step(result.parameters, running)
        bound = bound if many else float(bound)
        change = bound - last
        last = np.where(running, bound, last) if many else bound
        bounds = [*bounds, bound]
        if rule is None:
            converged = result.converged | (running & (abs(change) < tol))
            running = running & (abs(change) >= tol)  # not where the bound is no number
        else:
            converged = rule(parameters, bounds)
            running = not (converged or np.isnan(bound))
        result = EMResult(parameters, bounds, converged)
        stop = listener.iteration_ends(result, change)
        observe(result)
    return result


def best_of_restarts(
    step: Step,
    starts: Iterable[Any],
    *,
    tol: Any,
    max_iter: int,
    lower_bound: float,
    listener: Listener,
    resume: RunState | None = None,
    observe: Callable[[RunState], None] = lambda state: None,
    rule: Rule | None = None,
) -> EMResult:
    """Run EM from each of `starts` and keep the run of largest final bound.

    Bounds that differ by rounding are equal, and of equals the first is kept.

    Parameters
    ----------
    starts : iterable of object
        Made one by one, just before they are needed.
    step, tol, max_iter, lower_bound, listener, rule
        See `run_em`.
    resume : RunState, optional
        Of an earlier run, to go on with; `starts` are then those that follow.
    observe : callable, optional
        Called with the state after every iteration.

    Raises
    ------
    RestartFailed
        If every restart has failed.
    """
    best: EMResult | None = None
    failure: RestartFailed | None = None
    first, bounds = 0, []
    if resume is not None:
        best, first, bounds = resume.best, resume.restart, resume.lower_bounds
        starts = chain([resume.parameters], starts)
    for number, start in enumerate(starts, first):
        listener.restart_begins(number)
        try:
            result = run_em(
                step,
                start,
                tol=tol,
                max_iter=max_iter,
                lower_bound=lower_bound,
                listener=listener,
                lower_bounds=bounds,
                observe=partial(_observe_run, observe, number, best),
                rule=rule,
            )
        except RestartFailed as error:
            failure = error
            listener.restart_fails()
            continue
        finally:
            bounds = []
        stop = listener.restart_ends(result)
        # Without a bound to choose by, as with max_iter=0, the last start stands (as in
        # scikit-learn).
        best = result if best is None else better_of(best, result)
        if stop:
            break
    if best is None:
        assert failure is not None
        raise failure
    return best


def _observe_run(
    observe: Callable[[RunState], None],
    restart: int,
    best: EMResult | None,
    result: EMResult,
) -> None:
    observe(RunState(restart, result.parameters, result.lower_bounds, best))


def better_of(best: EMResult, result: EMResult) -> EMResult:
    """The later of two results where its bound is larger by more than rounding, else the best."""
    bound = best.lower_bound
    with np.errstate(invalid="ignore"):  # of minus infinity, twice
        gain = np.subtract(result.lower_bound, bound)
        better = (bound == -np.inf) | (gain > _ROUNDING * np.maximum(np.abs(bound), 1.0))
    if np.ndim(better) == 0:
        return result if better else best
    n_iter = max(len(result.lower_bounds), len(best.lower_bounds))
    none = [np.full(len(better), np.nan)]
    return EMResult(
        selected(better, result.parameters, best.parameters),
        [
            np.where(better, *pair)
            for pair in zip(
                *(r.lower_bounds + none * (n_iter - len(r.lower_bounds)) for r in (result, best)),
                strict=True,
            )
        ],
        np.where(better, result.converged, best.converged),
    )
