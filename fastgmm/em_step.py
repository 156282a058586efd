"""One iteration of EM: the only one there is.

It knows rows through a pass, covariances through a structure, and priors through a family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import (
    NEARLY_SINGULAR,
    are_defined,
    ill_defined,
    of_features,
)
from fastgmm.covariance.estimates import Estimates, estimate
from fastgmm.covariance.linalg import sum_of_squares
from fastgmm.families import Family
from fastgmm.parameters import Operands, Parameters
from fastgmm.passes import Pass
from fastgmm.passes.kernel_operands import are_far, needs_care
from fastgmm.records import selected
from fastgmm.statistics import MomentForm, SufficientStatistics

_LEAST_JUMP = 4.0
"""Standard deviations that a mean has to move by in one M-step to be thought of as jumping."""

_FARTHEST_JUMP = {np.dtype(np.float64): 1e3, np.dtype(np.float32): 30.0}
"""How far it may move then, in deviations that the features have when those before are known.

Moments are about the old mean: eps times the square of this is the share of the new variance that
rounding takes.
"""

_TINY = np.finfo(np.float64).tiny

_LEAST_WEIGHT = 1e-6
"""Rows that a component stands for, below which its mean moves by the guard of its weight."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is fitted, beside rows and parameters.

    Parameters
    ----------
    structure : CovarianceStructure
    family : Family
    reg_covar : float or ndarray of shape (d,)
        Added to every variance.
    dtype : dtype
        That the rows are stored in, by which it is known what of them is rounding.
    """

    structure: CovarianceStructure
    family: Family
    reg_covar: float | np.ndarray
    dtype: np.dtype

    def operands(self, parameters: Parameters) -> Operands:
        """What an E-step reads."""
        operands = self.structure.operands(parameters)
        background = self.family.background(parameters)
        return operands if background is None else operands._replace(background=background)

    def estimate(
        self, statistics: SufficientStatistics, previous: Parameters | None = None
    ) -> Estimates:
        """Weights, means and covariances of largest likelihood.

        In a start, which has no parameters before it, no mean is fixed.
        """
        return estimate(
            statistics,
            self.structure,
            self.reg_covar,
            previous=previous,
            dtype=self.dtype,
            fixed=None if previous is None else self.family.fixed_means(),
        )


class Iteration(NamedTuple):
    """What an iteration comes to.

    Parameters
    ----------
    statistics : SufficientStatistics
        Of the E-step.
    parameters : Parameters
        Of the M-step; without precision factors where a covariance is singular to rounding.
    lower_bound : float
    """

    statistics: SufficientStatistics
    parameters: Parameters
    lower_bound: Any


def refuse(model: Model, estimates: Estimates) -> Parameters:
    """M-step that raises if a covariance is singular to rounding.

    Raises
    ------
    ValueError
        In scikit-learn's words.
    """
    parameters = maximize(model, estimates)
    check_defined(model, parameters)
    return parameters


def maximize(model: Model, estimates: Estimates) -> Parameters:
    """M-step that lets covariances pass that are singular to rounding, without factors."""
    return model.family.maximize(estimates)


def check_defined(model: Model, parameters: Parameters) -> None:
    """Raise scikit-learn's error if a covariance is singular to rounding.

    Raises
    ------
    ValueError
    """
    if not are_defined(model.structure, parameters.precisions_cholesky).all():
        raise ill_defined(model.dtype)


def em_step(
    rows: Pass,
    model: Model,
    parameters: Parameters,
    mend: Callable[[Model, Estimates], Parameters] = refuse,
) -> Iteration:
    """E-step and M-step.

    If digits count that the fastest kernels do not keep, the E-step is made with care. Of some
    parameters that is known beforehand. Else it is asked of what comes out, and the E-step is made
    again; the answer is the same whatever `mend` is.

    Parameters
    ----------
    rows : Pass
    model : Model
    parameters : Parameters
    mend : callable, optional
        The M-step, where a covariance is singular to rounding.

    Raises
    ------
    ValueError
        What `mend` raises.
    """
    operands = model.operands(parameters)
    known = is_known_to_need_care(model, parameters, operands, rows.dtype).any()
    for careful in (True,) if known else (False, True):
        statistics, estimates, new = attempt(rows, model, parameters, operands, careful)
        made = statistics, estimates, new
        if not careful and not is_doubtful(rows, model, operands.origin, *made).any():
            break
    else:
        if not are_defined(model.structure, new.precisions_cholesky).all():
            new = mend(model, estimates)
    bound = model.family.lower_bound(statistics, operands, new)
    return Iteration(statistics, new, bound)


def attempt(
    rows: Pass,
    model: Model,
    parameters: Parameters,
    operands: Operands,
    careful: bool,
) -> tuple[SufficientStatistics, Estimates, Parameters]:
    """Statistics about the mixture's means, estimates, and parameters from these.

    With care, estimates are made again from moments about the new means, under the same
    responsibilities, if these means are far from the old ones.
    """
    statistics = rows.statistics(operands, careful=careful)
    estimates = model.estimate(statistics, parameters)
    new = model.family.maximize(estimates)
    if careful:
        jumped = _have_jumped(model.structure, statistics, estimates, new, rows.dtype)
        if jumped.any():
            about_new = rows.statistics(operands, about=estimates.means, careful=True)
            again = model.estimate(about_new, parameters)
            estimates = selected(jumped, again, estimates)
            new = model.family.maximize(estimates)
    return statistics, estimates, new


@np.errstate(over="ignore", invalid="ignore")
def is_known_to_need_care(
    model: Model, parameters: Parameters, operands: Operands, dtype: np.dtype
) -> np.ndarray:
    """Whether digits count of an E-step, by its parameters alone: of the axes in front.

    Components lie far apart, or are nearly singular, as are those that come of the same rows then.

    Parameters
    ----------
    model : Model
    parameters : Parameters
    operands : Operands
        Of these.
    dtype : dtype
        That kernels work in.
    """
    structure = model.structure
    far = needs_care(operands, structure.forms, dtype)
    return far | _are_nearly_singular(structure, parameters, dtype)


@np.errstate(over="ignore", invalid="ignore")
def _have_jumped(
    structure: CovarianceStructure,
    statistics: SufficientStatistics,
    estimates: Estimates,
    parameters: Parameters,
    dtype: np.dtype,
) -> np.ndarray:
    """Whether the mean of a component is so far from the old one that digits count.

    Parameters
    ----------
    structure : CovarianceStructure
    statistics : SufficientStatistics
    estimates : Estimates
    parameters : Parameters
        That were made of these.
    dtype : dtype
        That kernels worked in.
    """
    shift = estimates.means - statistics.reference
    own = estimates.deviations
    if own is not None:
        moves = shift / own
    elif structure.holds_matrices:
        moves = shift / np.maximum(_deviations(structure, estimates.covariances), _TINY)
    else:
        moves = shift * _roots(structure, parameters)  # which are one over the deviations
    # As nearly always, and soon told.
    if sum_of_squares(moves) < _LEAST_JUMP**2 or np.abs(moves).max() <= _LEAST_JUMP:
        return np.zeros(shift.shape[:-2], dtype=bool)
    # A component of no rows moves by the guard of its weight.
    jumping = ~(np.abs(moves) <= _LEAST_JUMP) & (estimates.weight[..., np.newaxis] > _LEAST_WEIGHT)
    # In deviations that features have when those before are known; also where there is no factor.
    roots = _roots(structure, parameters)
    if own is not None:
        roots = np.maximum(roots, 1.0 / own)
    far = ~(np.abs(shift * roots) < _FARTHEST_JUMP[dtype])
    return (jumping & far).any(axis=(-2, -1))


@np.errstate(over="ignore", invalid="ignore")
def is_doubtful(
    rows: Pass,
    model: Model,
    origin: np.ndarray,
    statistics: SufficientStatistics,
    estimates: Estimates,
    parameters: Parameters,
) -> np.ndarray:
    """Whether digits may count that the fastest kernels do not keep: of the axes in front.

    Parameters
    ----------
    rows : Pass
    model : Model
    origin : ndarray of shape (d,)
        That kernels counted coordinates from.
    statistics : SufficientStatistics
    estimates : Estimates
    parameters : Parameters
        That were made of these.
    """
    structure, dtype = model.structure, rows.dtype
    doubtful = _are_nearly_singular(structure, parameters, dtype)
    if estimates.deviations is not None:
        apart = statistics.reference - origin[..., np.newaxis, :]
        doubtful |= are_far(apart / estimates.deviations, dtype)
    if statistics.form is MomentForm.NONE:  # whose second moments are about no mean
        return doubtful
    return doubtful | _have_jumped(structure, statistics, estimates, parameters, dtype)


def _are_nearly_singular(
    structure: CovarianceStructure, parameters: Parameters, dtype: np.dtype
) -> np.ndarray:
    """Whether the features before it leave too little of a feature's variance to be exact."""
    if not structure.holds_matrices:  # they leave all of it
        return ~are_defined(structure, parameters.precisions_cholesky)
    deviations = _deviations(structure, parameters.covariances)
    # One over the share of its deviation that they leave.
    shares = _roots(structure, parameters) * deviations
    return _exceeds(shares, NEARLY_SINGULAR[dtype] ** -0.5)


def _deviations(structure: CovarianceStructure, covariances: np.ndarray) -> np.ndarray:
    """Standard deviations of the features in all components."""
    return np.sqrt(np.abs(of_features(structure, covariances)))


def _roots(structure: CovarianceStructure, parameters: Parameters) -> np.ndarray:
    """One over the deviations of the features when those before them are known."""
    return of_features(structure, parameters.precisions_cholesky)


def _exceeds(values: np.ndarray, limit: float) -> np.ndarray:
    """Whether any of the values (k, d) of a mixture is beyond a limit, or is no number."""
    if sum_of_squares(values) < limit**2:  # as nearly always, and soon told
        return np.zeros(values.shape[:-2], dtype=bool)
    return ~(np.abs(values) < limit).all(axis=(-2, -1))
