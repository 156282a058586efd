"""The loop of EM: accumulate, maximize, converge, restart.

It knows neither rows nor covariances, only two functions: statistics from parameters, and
parameters from statistics.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Listener(Protocol):
    """What hears of the progress of a run; `fastgmm.fitting` adapts the estimators to it."""

    def restart_begins(self, number: int) -> None:
        """Restart `number` begins."""

    def iteration_ends(self, number: int, lower_bound: float, change: float) -> None:
        """Iteration `number`, counted from 1, is done."""

    def restart_ends(self, lower_bound: float, converged: bool) -> None:
        """A restart is done."""


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
    """

    parameters: Any
    lower_bounds: list[float]
    converged: bool

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return len(self.lower_bounds)

    @property
    def lower_bound(self) -> float:
        """The last bound; minus infinity when there was no iteration."""
        return self.lower_bounds[-1] if self.lower_bounds else -np.inf


def run_em(
    step: Callable[[Any], tuple[Any, float]],
    start: Any,
    *,
    tol: float,
    max_iter: int,
    lower_bound: float,
    listener: Listener,
) -> EMResult:
    """Iterate from `start` until the bound changes by less than `tol`.

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
    """
    parameters, bounds, converged = start, [], False
    for number in range(1, max_iter + 1):
        parameters, bound = step(parameters)
        bounds.append(bound)
        change = bound - lower_bound
        lower_bound = bound
        listener.iteration_ends(number, bound, change)
        if abs(change) < tol:
            converged = True
            break
    return EMResult(parameters, bounds, converged)


def best_of_restarts(
    step: Callable[[Any], tuple[Any, float]],
    starts: Iterable[Any],
    *,
    tol: float,
    max_iter: int,
    lower_bound: float,
    listener: Listener,
) -> EMResult:
    """Run EM from each of `starts` and keep the run of largest final bound, the first among equals.

    Parameters
    ----------
    starts : iterable of object
        Made one by one, just before they are needed.
    step, tol, max_iter, lower_bound, listener
        See `run_em`.
    """
    best: EMResult | None = None
    for number, start in enumerate(starts):
        listener.restart_begins(number)
        result = run_em(
            step, start, tol=tol, max_iter=max_iter, lower_bound=lower_bound, listener=listener
        )
        if max_iter > 0:
            listener.restart_ends(result.lower_bound, result.converged)
        # Without a bound to choose by, as with max_iter=0, the last start stands (as in
        # scikit-learn).
        if best is None or best.lower_bound == -np.inf or result.lower_bound > best.lower_bound:
            best = result
    assert best is not None
    return best
