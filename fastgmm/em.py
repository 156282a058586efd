"""The loop of EM: accumulate, maximize, converge, restart.

It knows neither rows nor covariances, only two functions: statistics from parameters, and
parameters from statistics.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import numpy as np


class RestartFailed(Exception):
    """What a step raises to end its restart and let the others go on."""


@dataclass(frozen=True, slots=True)
class EMResult:
    """Outcome of a run of EM.

    Parameters
    ----------
    parameters : object
        After the last M-step.
    lower_bounds : list of float
        One per iteration: the bound under the parameters before that iteration's M-step.
    converged : bool
    diagnostics : list of dict
        Of all restarts: what was done to keep them going, in order; see `fastgmm.recovery`.
    """

    parameters: Any
    lower_bounds: list[float]
    converged: bool
    diagnostics: list[dict[str, Any]] = field(default_factory=list)

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return len(self.lower_bounds)

    @property
    def lower_bound(self) -> float:
        """The last bound; minus infinity when there was no iteration."""
        return self.lower_bounds[-1] if self.lower_bounds else -np.inf


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
    step: Callable[[Any], tuple[Any, float]],
    start: Any,
    *,
    tol: float,
    max_iter: int,
    lower_bound: float,
    listener: Listener,
    lower_bounds: Sequence[float] = (),
    observe: Callable[[EMResult], None] = lambda result: None,
) -> EMResult:
    """Iterate from `start` until the bound changes by less than `tol`, or `listener` stops it.

    Parameters
    ----------
    step : callable
        One E-step and M-step: from parameters to the next ones, and a lower bound.
    start : object
        Parameters to start from.
    tol : float
        Of the change of the bound between iterations; reached when strictly below.
    max_iter : int
    lower_bound : float
        The bound to compare the first one with; minus infinity for a fresh start.
    listener : Listener
    lower_bounds : sequence of float, optional
        Of iterations that were made already, before `start`.
    observe : callable, optional
        Called with the result so far after every iteration.
    """
    bounds = list(lower_bounds)
    change = bounds[-1] - [lower_bound, *bounds][-2] if bounds else np.inf
    result, stop = EMResult(start, bounds, bool(abs(change) < tol)), None
    while not (result.converged or stop) and result.n_iter < max_iter:
        listener.iteration_begins(result.n_iter + 1)
        parameters, bound = step(result.parameters)
        change = bound - (result.lower_bounds[-1] if result.n_iter else lower_bound)
        result = EMResult(parameters, [*result.lower_bounds, float(bound)], bool(abs(change) < tol))
        stop = listener.iteration_ends(result, change)
        observe(result)
    return result


def best_of_restarts(
    step: Callable[[Any], tuple[Any, float]],
    starts: Iterable[Any],
    *,
    tol: float,
    max_iter: int,
    lower_bound: float,
    listener: Listener,
    resume: RunState | None = None,
    observe: Callable[[RunState], None] = lambda state: None,
) -> EMResult:
    """Run EM from each of `starts` and keep the run of largest final bound, the first among equals.

    Parameters
    ----------
    starts : iterable of object
        Made one by one, just before they are needed.
    step, tol, max_iter, lower_bound, listener
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
        if best is None or best.lower_bound == -np.inf or result.lower_bound > best.lower_bound:
            best = result
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
