"""The accelerated step: plain EM until it proves slow, then L-BFGS or SQUAREM, then EM to the end.

Every pass over the rows gives the bound at a point, and the next step of EM from there. That is all
that either method asks for: L-BFGS gets its gradient from it, SQUAREM its differences. A trial that
is worse than the point before it is refused; the bound then stands, and so does the result.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastgmm.acceleration.chart import Chart, is_unconstrained
from fastgmm.acceleration.directions import direction, slowest_rate
from fastgmm.acceleration.state import Accelerated
from fastgmm.convergence import NOISE, distance_to_limit
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import are_defined
from fastgmm.parameters import Parameters

WARM = 10
"""Iterations of EM before it may be called slow: they settle which optimum is reached."""

_WARM_AGAIN = 5
"""Iterations of EM after a stall."""

_SLOW = 6.0
"""Iterations that EM would still need, as far as can be told, from which on it is slow."""

_HISTORY = 20
"""Pairs of changes that L-BFGS remembers."""

_FARTHEST = 1.0
"""Most that a trial may change log-weights, logarithms of deviations, and means in deviations."""

_MOST_REFUSED = 3
"""Trials along one direction."""

_ENOUGH = 1e-4
"""Share of the expected gain that a trial has to bring (Nocedal & Wright 2006, eq. 3.4)."""

_LONGER = 4.0
"""Factor by which SQUAREM's longest extrapolation grows and shrinks (Varadhan & Roland 2008)."""

_TO_KNOW_THE_RATE = 10
"""Pairs from which L-BFGS takes the least curvature for that of the slowest direction."""

_TO_TELL_THE_DISTANCE = 3
"""Pairs before which it does not ask how far the limit is."""

_SAFETY = 10.0
"""Factor that is allowed for in what L-BFGS tells of the distance."""

_MATTERS = 1e-2
"""Share of a variance from which on regularisation leaves L-BFGS no function to climb."""

_NEGLIGIBLE = 1e-4
"""Share of a variance up to which regularisation is not allowed to lower the bound in a trial."""

_FORGETTING = 0.95
"""Factor by which the slowest direction that SQUAREM has met counts less in every cycle."""


class Advance(NamedTuple):
    """What a pass comes to.

    Parameters
    ----------
    after : Parameters
        The next step of EM.
    bound : float
        Of the parameters that it was made from.
    shares : ndarray of shape (k,)
        Of the rows, that the components had.
    mended : bool
        Whether something failed and was mended, so that another run begins.
    """

    after: Parameters
    bound: float
    shares: np.ndarray
    mended: bool = False


Step = Callable[[Parameters], Advance]


def method_for(name: str, structure: CovarianceStructure) -> str:
    """The method that `accelerate` names for a structure: 'lbfgs' or 'squarem'.

    Raises
    ------
    ValueError
        If the structure has no coordinates for it.
    """
    unconstrained = is_unconstrained(structure)
    if name == "lbfgs" and not unconstrained:
        raise ValueError(
            f"accelerate='lbfgs' has no coordinates for covariance_type={structure.name!r}, whose "
            "covariances are constrained; 'squarem' and 'auto' take it."
        )
    if name == "auto":
        return "lbfgs" if unconstrained else "squarem"
    return name


class Acceleration:
    """A step for the loop of EM that takes and makes records of `Accelerated`.

    Parameters
    ----------
    step : callable
        An iteration of EM. It raises or mends where there are no next parameters.
    attempt : callable
        The same for a trial: parameters that are not finite where there are none.
    chart : callable
        Makes a chart, of a reference and the shares that the components have there: a `Chart`, or
        for 'squarem' a `PosteriorChart`.
    structure : CovarianceStructure
    method : {'lbfgs', 'squarem'}
    tol : float
    by_change : bool
        Whether `tol` is of changes of the bound, instead of its distance to the limit.
    """

    def __init__(
        self,
        step: Step,
        attempt: Step,
        chart: Callable[[Any, np.ndarray], Any],
        structure: CovarianceStructure,
        method: str,
        tol: float,
        by_change: bool,
    ):
        self._step, self._attempt, self._chart = step, attempt, chart
        self._structure, self._method = structure, method
        self._tol, self._by_change = tol, by_change

    def __call__(self, point: Any, running: Any) -> tuple[Accelerated, float]:
        """See `fastgmm.em.Step`; `point` is a start, or what the last call returned."""
        if not isinstance(point, Accelerated):
            point = Accelerated(point, "em", point)
        phases = {
            "em": self._plain,
            "last": self._plain,
            "first": self._first,
            "second": self._second,
            "squarem": self._squarem_trial,
            "lbfgs": self._lbfgs_trial,
        }
        state = phases[point.phase](point)
        return state, state.bound

    def has_converged(self, state: Any, bounds: Sequence[float]) -> bool:
        """The rule of an accelerated run, see `fastgmm.convergence.Rule`."""
        return isinstance(state, Accelerated) and state.settled

    # -- plain EM ----------------------------------------------------------------------------------
    def _plain(self, state: Accelerated) -> Accelerated:
        """An iteration of EM, after which it is called slow, or has converged, or goes on."""
        after, bound, shares, mended = self._step(state.trial)
        if mended:
            return _anew(after, bound)
        gains = np.array([state.gains[1], bound - state.bound])
        now = replace(
            state,
            parameters=after,
            phase="em",
            trial=after,
            bound=bound,
            n_plain=state.n_plain + 1,
            gains=gains,
        )
        sizes = np.abs(gains)
        if not np.isfinite(sizes[1]):
            return now
        shrinks = 0.0 < sizes[1] < sizes[0] < np.inf
        rate = float(np.sqrt(sizes[1] / sizes[0])) if shrinks else float("nan")
        if state.phase == "last":
            # Had the run been farther from its limit than was told, EM would gain more.
            if sizes[1] < self._tol or self._is_noise(gains[1], bound):
                return replace(now, settled=True)
        elif self._has_settled(state, now):
            return replace(now, settled=True, rate=rate if np.isnan(state.rate) else state.rate)
        warm = WARM if state.reference is None else _WARM_AGAIN
        if now.n_plain < warm or not self._is_slow(gains):
            return now
        now = replace(now, reference=state.trial, shares=shares)
        chart = self._chart_of(now)
        if self._method == "lbfgs" and chart.regularized_share < _MATTERS:
            return self._begin_lbfgs(chart, replace(now, rate=rate))
        return replace(now, phase="second", rate=_known(rate), step=1.0)

    def _has_settled(self, before: Accelerated, now: Accelerated) -> bool:
        """Whether plain EM has converged."""
        change = abs(now.gains[1])
        if self._by_change:
            return bool(change < self._tol)
        if self._is_noise(change, now.bound):
            return True
        near = (_distance(now) < self._tol) and (_distance(before) < self._tol)
        return bool(near and now.n_plain >= 4)

    def _is_slow(self, gains: np.ndarray) -> bool:
        """Whether EM would need many iterations more."""
        before, last = np.abs(gains)
        if last >= before:
            return True
        ratio = last / before
        left = last if self._by_change else last * ratio / (1.0 - ratio)
        if not self._tol > 0.0:
            return ratio > 0.3
        return bool(left > 0.0 and np.log(left / self._tol) > -_SLOW * np.log(ratio))

    def _is_noise(self, change: float, bound: float) -> bool:
        return bool(self._tol > 0.0 and abs(change) <= NOISE * abs(bound))

    # -- L-BFGS ------------------------------------------------------------------------------------
    def _begin_lbfgs(self, chart: Chart, state: Accelerated) -> Accelerated:
        """The first direction about a new reference: the best point, whose next step is known."""
        best = chart.reference
        gradient = chart.gradient(best, state.parameters, state.shares)
        none = np.empty((0, len(gradient)))
        begun = replace(
            state,
            height=state.bound - chart.penalty(best),
            position=np.zeros(len(gradient)),
            gradient=gradient,
            moves=none,
            turns=none,
            n_refused=0,
            n_plain=0,
        )
        return self._aimed(chart, begun, 1.0)

    def _aimed(self, chart: Chart, state: Accelerated, step: float) -> Accelerated:
        """The next trial from a point."""
        towards = direction(state.gradient, state.moves, state.turns)
        step = min(step, _FARTHEST / max(chart.largest_change(towards), 1e-300))
        trial = chart.point(state.position + step * towards)
        return replace(state, phase="lbfgs", trial=trial, direction=towards, step=step)

    def _lbfgs_trial(self, state: Accelerated) -> Accelerated:
        chart = self._chart_of(state)
        height, (after, bound, shares, _) = self._tried(chart, state.trial)
        slope = float((state.gradient * state.direction).sum())
        gain = height - state.height
        if not (gain >= _ENOUGH * state.step * slope and self._is_no_worse(chart, bound, state)):
            return self._shortened(chart, state, gain, slope)
        position = state.position + state.step * state.direction
        gradient = chart.gradient(state.trial, after, shares)
        moves, turns, step = state.moves, state.turns, 1.0
        move, turn = position - state.position, state.gradient - gradient
        if (move * turn).sum() > 1e-10 * (move**2).sum():
            moves = np.vstack([moves, move])[-_HISTORY:]
            turns = np.vstack([turns, turn])[-_HISTORY:]
        else:
            step = 2.0 * state.step  # it still grows steeper
        now = replace(
            state,
            parameters=after,
            bound=bound,
            height=height,
            position=position,
            gradient=gradient,
            moves=moves,
            turns=turns,
            n_refused=0,
            rate=self._rate(state, moves, turns),
        )
        if self._is_near(now, gain):
            return replace(self._back_to_em(now), phase="last")
        return self._aimed(chart, now, step)

    @staticmethod
    def _rate(state: Accelerated, moves: np.ndarray, turns: np.ndarray) -> float:
        """Of EM; what it was before holds as long as few curvatures are known."""
        rate = slowest_rate(moves, turns)
        return rate if len(moves) >= _TO_KNOW_THE_RATE else float(np.fmax(rate, state.rate))

    def _is_near(self, state: Accelerated, gain: float) -> bool:
        """Whether L-BFGS has come as near to its limit as is asked for."""
        if self._is_noise(gain, state.bound):
            return True
        if self._by_change:
            return gain < self._tol
        if len(state.moves) < _TO_TELL_THE_DISTANCE:
            return False
        # As if all that is left lay along the slowest direction that was met.
        left = 0.5 * float((state.gradient**2).sum()) / max(1.0 - state.rate, 1e-12)
        return max(_SAFETY * left, gain / _SAFETY) < self._tol

    def _shortened(
        self, chart: Chart, state: Accelerated, gain: float, slope: float
    ) -> Accelerated:
        """After a refusal: a shorter step, or plain EM for a while."""
        n_refused = state.n_refused + 1
        if n_refused >= _MOST_REFUSED or self._is_noise(slope * state.step, state.bound):
            return self._back_to_em(state)
        expected = slope * state.step
        share = 0.25
        if np.isfinite(gain) and expected > gain:
            share = float(np.clip(0.5 * expected / (expected - gain), 0.1, 0.5))
        step = share * state.step
        trial = chart.point(state.position + step * state.direction)
        return replace(state, trial=trial, step=step, n_refused=n_refused)

    def _back_to_em(self, state: Accelerated) -> Accelerated:
        """From the best point."""
        return replace(
            state, phase="em", trial=state.parameters, n_plain=0, gains=np.full(2, np.inf)
        )

    # -- SQUAREM -----------------------------------------------------------------------------------
    def _first(self, state: Accelerated) -> Accelerated:
        """The first iteration of EM of a cycle."""
        after, bound, shares, mended = self._step(state.trial)
        if mended:
            return _anew(after, bound)
        return replace(
            state,
            phase="second",
            parameters=after,
            trial=after,
            bound=bound,
            reference=state.trial,
            shares=shares,
        )

    def _second(self, state: Accelerated) -> Accelerated:
        """The second iteration of EM of a cycle, and the extrapolation of both."""
        first = state.trial
        after, bound, _, mended = self._step(first)
        if mended:
            return _anew(after, bound)
        chart = self._chart_of(state)
        r, both = chart.position(first), chart.position(after)
        v = both - 2.0 * r
        now = replace(state, parameters=after, trial=after, gains=np.array([np.inf, np.inf]))
        now = replace(now, bound=bound, height=bound - chart.penalty(first), n_plain=0)
        sizes = np.sqrt((r**2).sum()), np.sqrt((v**2).sum())
        longest = sizes[0] / max(sizes[1], 1e-300)
        # Directions that are slow may be missing in one cycle.
        slowest = max(longest, 1.0, _FORGETTING / (1.0 - min(state.rate, 1.0 - 1e-12)))
        now = replace(now, rate=float(1.0 - 1.0 / slowest))
        left = 0.5 * ((both - r) ** 2).sum() * slowest
        change = bound - state.bound
        near = abs(change) if self._by_change else left
        if near < self._tol or self._is_noise(change, bound):
            return replace(now, settled=True)
        length = min(max(longest, 1.0), state.step)
        target = 2.0 * length * r + length**2 * v
        far = chart.largest_change(target - both)
        if length <= 1.0 or not np.isfinite(far):
            return replace(now, phase="second", reference=first, step=_LONGER * state.step)
        grown = _LONGER * state.step if length == state.step else state.step
        if far > _FARTHEST:
            target = both + (target - both) * (_FARTHEST / far)
        return replace(now, phase="squarem", trial=chart.point(target), step=grown)

    def _squarem_trial(self, state: Accelerated) -> Accelerated:
        """The extrapolation, from which a new cycle begins."""
        chart = self._chart_of(state)
        height, (after, bound, *_) = self._tried(chart, state.trial)
        now = replace(state, phase="first")
        if not (height >= state.height and self._is_no_worse(chart, bound, state)):
            return replace(now, trial=state.parameters, step=max(state.step / _LONGER**2, 1.0))
        return replace(now, parameters=after, trial=after, bound=bound)

    # -- what both have in common ------------------------------------------------------------------
    def _chart_of(self, state: Accelerated) -> Any:
        assert state.reference is not None
        return self._chart(state.reference, state.shares)

    @staticmethod
    def _is_no_worse(chart: Any, bound: float, state: Accelerated) -> bool:
        """Whether the bound itself stands or rises, where regularisation does not matter."""
        return bound >= state.bound or chart.regularized_share > _NEGLIGIBLE

    def _tried(self, chart: Any, trial: Parameters) -> tuple[float, Advance]:
        """What is climbed at a trial, and what its pass comes to; NaN to be refused."""
        tried = Advance(trial, np.nan, trial.weights)
        if are_defined(self._structure, trial.precisions_cholesky):
            tried = self._attempt(trial)
            if not are_defined(self._structure, tried.after.precisions_cholesky):
                tried = tried._replace(bound=np.nan)
        return tried.bound - chart.penalty(trial), tried


def _anew(parameters: Parameters, bound: float) -> Accelerated:
    """Plain EM from parameters that have been mended, as if from a start."""
    return Accelerated(parameters, "em", parameters, bound)


def _known(rate: float) -> float:
    """A rate, or zero as long as there is none."""
    return 0.0 if np.isnan(rate) else float(rate)


def _distance(state: Accelerated) -> float:
    """Aitken's estimate of the distance of the bound from its limit."""
    before, last = state.gains
    if not np.isfinite(before):
        return np.inf
    bound = state.bound
    return float(distance_to_limit([bound - last - before, bound - last, bound]))
