"""States of a run of EM: the one place that knows of which records checkpoints are made."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from fastgmm.acceleration.chart import Chart
from fastgmm.acceleration.state import Accelerated, check_accelerated
from fastgmm.covariance import CovarianceStructure
from fastgmm.em import EMResult, RunState
from fastgmm.families.variational_bayes import VariationalParameters
from fastgmm.families.weight_posteriors import WEIGHT_POSTERIORS
from fastgmm.parameters import MixtureParameters, Parameters
from fastgmm.saved.checks import check_parameters, is_bounds, is_diagnostics

_KINDS = (
    RunState,
    EMResult,
    Accelerated,
    MixtureParameters,
    VariationalParameters,
    *WEIGHT_POSTERIORS.values(),
)

RECORDS: dict[str, type] = {kind.__name__: kind for kind in _KINDS}
"""Records that a state is made of, by the names that files have for them."""


def finished_state(result: EMResult) -> RunState:
    """The state of a run that is over."""
    return RunState(0, result.parameters, result.lower_bounds, result, finished=True)


# -- another max_iter ------------------------------------------------------------------------------
def obstacle_to_max_iter(max_iter: int, state: RunState, n_starts: int) -> str | None:
    """Why a run with this `max_iter` would not have come to a state; None if it would have."""
    if n_starts > 1 and (state.finished or state.restart > 0):
        return f"of {n_starts} starts, only the best that has ended is kept"
    n_iter = len(state.lower_bounds)
    return f"{n_iter} iterations have been made" if n_iter > max_iter else None


def with_max_iter(state: RunState, before: Any, now: Any) -> RunState:
    """A state under another `max_iter`: no longer the end, if only the former made it that."""
    result = state.best
    if not state.finished or result is None or result.converged:
        return state
    # A listener may have stopped it before, and would again.
    if not result.n_iter == before < now:
        return state
    bounds, records = result.lower_bounds, result.diagnostics
    return RunState(0, result.parameters, bounds, None, diagnostics=records)


# -- checks ----------------------------------------------------------------------------------------
def check_state(state: Any) -> None:
    """Check that something is a state, but for its parameters.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(state, RunState):
        raise ValueError("it has no state")
    if type(state.restart) is not int or state.restart < 0 or type(state.finished) is not bool:
        raise ValueError("its restart has no number")
    best = state.best
    if best is not None and (not isinstance(best, EMResult) or type(best.converged) is not bool):
        raise ValueError("its best result is none")
    if state.finished and best is None:
        raise ValueError("it is finished, but has no result")
    for part in _parts_of(state):
        if not is_diagnostics(part.diagnostics):
            raise ValueError("its diagnostics are no list of records")
        if not is_bounds(part.lower_bounds) or np.isnan(part.lower_bounds).any():
            raise ValueError("its lower bounds are no list of numbers")


def check_state_of_run(
    state: RunState, structure: CovarianceStructure, facts: Mapping[str, Any], n_starts: int
) -> None:
    """Check that a state is one of a run.

    Parameters
    ----------
    state : RunState
        That has passed `check_state`.
    structure : CovarianceStructure
    facts : mapping
        Of the run; see `fastgmm.saved.fingerprints`.
    n_starts : int

    Raises
    ------
    ValueError
        If it is not; for example, if its parameters are no mixture's.
    """
    if not state.finished and state.restart >= n_starts:
        raise ValueError(f"it stands in start {state.restart + 1} of {n_starts}")
    for part in _parts_of(state):
        n_iter, parameters = len(part.lower_bounds), part.parameters
        if isinstance(parameters, Accelerated):
            if facts.get("accelerate") is None:
                raise ValueError("it is that of an accelerated run")
            for mixture in parameters.mixtures:
                _check_parameters(mixture, n_iter, structure, facts)
            noise = facts.get("noise") is not None
            chart = Chart(structure, parameters.parameters, 0.0, with_noise=noise)
            check_accelerated(parameters, chart.n_coordinates)
        else:
            _check_parameters(parameters, n_iter, structure, facts)
    k = facts.get("n_components", np.inf)
    for record in state.diagnostics:
        if record["component"] is not None and not 0 <= record["component"] < k:
            raise ValueError("its diagnostics are of components that there are not")


def _parts_of(state: RunState) -> tuple[RunState | EMResult, ...]:
    """The restart that is under way, and the best of those before it."""
    return (state,) if state.best is None else (state, state.best)


def _check_parameters(
    parameters: Any, n_iter: int, structure: CovarianceStructure, facts: Mapping[str, Any]
) -> None:
    prior_type = facts.get("weight_concentration_prior_type")
    wanted: type[Parameters] = MixtureParameters if prior_type is None else VariationalParameters
    if not isinstance(parameters, wanted):
        raise ValueError("its parameters are those of no such mixture")
    parts = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
    posterior = parts.pop("weight_posterior", None)
    if posterior is not None:
        parts["weight_concentration"] = posterior.concentration
    for name, part in parts.items():
        if not isinstance(part, np.ndarray) or part.dtype != np.float64:
            raise ValueError(f"its {name} is no array of float64")
    if facts.get("noise") is not None:
        parts["noise_weight"] = max(1.0 - np.sum(parts["weights"]), 0.0)
    check_parameters(structure, {**parts, "n_iter": n_iter})
    if prior_type is not None and (
        type(posterior) is not WEIGHT_POSTERIORS[prior_type]
        or posterior.concentration.ndim != posterior.n_dimensions
    ):
        raise ValueError("its weight_concentration is of another weight_concentration_prior_type")
    k, d = parameters.means.shape
    of_run = facts.get("n_components", k), facts.get("features", d)
    pruned = facts.get("on_failure") == "recover" and k < of_run[0]
    if d != of_run[1] or not (k == of_run[0] or pruned):
        raise ValueError(f"its means have the shape {(k, d)}, but the run asks for {of_run}")
