"""Where an accelerated run stands between two passes: plain numbers, as checkpoints keep them."""

from dataclasses import dataclass, field

import numpy as np

from fastgmm.parameters import Parameters

PHASES = ("em", "lbfgs", "first", "second", "squarem", "last")
"""See `Accelerated`."""


def _nothing() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True, eq=False, slots=True)
class Accelerated:
    """What the loop has in the place of parameters.

    Positions and gradients are coordinates of a `Chart` about the reference.

    Parameters
    ----------
    parameters : Parameters
        Result so far: what EM makes of the best point.
    phase : str
        What the next pass is for: 'em', an iteration of EM; 'lbfgs', a trial along a direction;
        'first', 'second' and 'squarem', two iterations of EM of a cycle and its trial; 'last', an
        iteration of EM after which the run may end.
    trial : Parameters
        That the next pass is about.
    bound : float
        Of the best point.
    settled : bool
        Whether the run has converged.
    rate : float
        Convergence rate of EM, estimated; not a number as long as it is unknown.
    n_plain : int
        Iterations of EM since the last trial.
    gains : ndarray of shape (2,)
        Changes of the bound by the last two of them.
    reference : Parameters or None
        Of the chart.
    shares : ndarray of shape (k,)
        Of the rows, that components had there.
    height : float
        What is climbed, at the best point: the bound less the chart's penalty.
    position, gradient, direction : ndarray of shape (p,)
        Of the best point.
    step : float
        Multiple of the direction that is tried; of SQUAREM, its longest extrapolation.
    n_refused : int
        Trials refused since the last that was accepted.
    moves, turns : ndarray of shape (m, p)
        Changes of position and (less) of gradient between accepted points.
    """

    parameters: Parameters
    phase: str
    trial: Parameters
    bound: float = -np.inf
    settled: bool = False
    rate: float = float("nan")
    n_plain: int = 0
    gains: np.ndarray = field(default_factory=lambda: np.full(2, np.inf))
    reference: Parameters | None = None
    shares: np.ndarray = field(default_factory=_nothing)
    height: float = -np.inf
    position: np.ndarray = field(default_factory=_nothing)
    gradient: np.ndarray = field(default_factory=_nothing)
    direction: np.ndarray = field(default_factory=_nothing)
    step: float = 1.0
    n_refused: int = 0
    moves: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    turns: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def mixtures(self) -> list[Parameters]:
        """All mixtures that it holds, but for a trial that will be refused unseen."""
        found = [self.parameters, self.reference]
        if np.isfinite(self.trial.precisions_cholesky).all():
            found.append(self.trial)
        return [mixture for mixture in found if mixture is not None]


def check_accelerated(state: Accelerated, chart_size: int) -> None:
    """Check that a record is one that a run could have left, but for its mixtures.

    Parameters
    ----------
    state : Accelerated
    chart_size : int
        Coordinates of a chart.

    Raises
    ------
    ValueError
        If it is not.
    """
    if state.phase not in PHASES or type(state.settled) is not bool:
        raise ValueError("its phase is none")
    if state.reference is None and state.phase != "em":
        raise ValueError("it has no reference")
    k = len(state.parameters.means)
    if state.reference is not None and state.shares.shape != (k,):
        raise ValueError("its shares have another shape")
    for name in ("n_plain", "n_refused"):
        if type(getattr(state, name)) is not int:
            raise ValueError(f"its {name} is no number")
    for name in ("bound", "rate", "height", "step"):
        if type(getattr(state, name)) is not float:
            raise ValueError(f"its {name} is no number")
    arrays = (state.gains, state.position, state.gradient, state.direction)
    pairs = state.moves, state.turns
    for array in (*arrays, *pairs, state.shares):
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            raise ValueError("its memory is no array of float64")
    if state.phase == "lbfgs":
        wanted = [(2,), *[(chart_size,)] * 3, *[(len(state.moves), chart_size)] * 2]
        if [array.shape for array in (*arrays, *pairs)] != wanted:
            raise ValueError("its memory has another shape")
    if state.trial.means.shape != state.parameters.means.shape:
        raise ValueError("its trial has another shape")
