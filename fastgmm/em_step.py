"""One iteration of EM: the only one there is.

It knows rows through a pass, covariances through a structure, and priors through a family.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import (
    are_defined,
    ill_defined,
    is_nearly_singular,
    variances,
)
from fastgmm.covariance.estimates import Estimates, estimate
from fastgmm.families import Family
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.passes import Pass
from fastgmm.statistics import MomentForm, SufficientStatistics

_FARTHEST_JUMP = {np.dtype(np.float64): 100.0, np.dtype(np.float32): 10.0}
"""How far a mean may move in one M-step, in standard deviations that the component then has.

Moments are about the old mean: eps times the square of this is what the new variance loses.
"""


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

    def estimate(
        self, statistics: SufficientStatistics, previous: MixtureParameters | None = None
    ) -> Estimates:
        """Weights, means and covariances of largest likelihood."""
        return estimate(
            statistics, self.structure, self.reg_covar, previous=previous, dtype=self.dtype
        )


class Iteration(NamedTuple):
    """What an iteration comes to.

    Parameters
    ----------
    statistics : SufficientStatistics
        Of the E-step.
    parameters : MixtureParameters
        Of the M-step; without precision factors where a covariance is singular to rounding.
    lower_bound : float
    """

    statistics: SufficientStatistics
    parameters: MixtureParameters
    lower_bound: Any


def refuse(model: Model, estimates: Estimates) -> MixtureParameters:
    """M-step that raises if a covariance is singular to rounding.

    Raises
    ------
    ValueError
        In scikit-learn's words.
    """
    parameters = model.family.maximize(estimates)
    check_defined(model, parameters)
    return parameters


def check_defined(model: Model, parameters: MixtureParameters) -> None:
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
    parameters: MixtureParameters,
    mend: Callable[[Model, Estimates], MixtureParameters] = refuse,
) -> Iteration:
    """E-step and M-step.

    If digits may count that the fastest kernels do not keep, the E-step is made again with care.
    Whether they do is asked of what comes out, so the answer is the same whatever `mend` is.

    Parameters
    ----------
    rows : Pass
    model : Model
    parameters : MixtureParameters
    mend : callable, optional
        The M-step, where a covariance is singular to rounding.

    Raises
    ------
    ValueError
        What `mend` raises.
    """
    operands = model.structure.operands(parameters)
    for careful in (False, True):
        statistics, estimates, new = attempt(rows, model, parameters, operands, careful)
        if not is_doubtful(rows, model, statistics, estimates, new).any():
            break
    else:
        if not are_defined(model.structure, new.precisions_cholesky).all():
            new = mend(model, estimates)
    bound = model.family.lower_bound(statistics, operands, new)
    return Iteration(statistics, new, bound)


def attempt(
    rows: Pass,
    model: Model,
    parameters: MixtureParameters,
    operands: Operands,
    careful: bool,
) -> tuple[SufficientStatistics, Estimates, MixtureParameters]:
    """Statistics, estimates from them, and parameters from these.

    With care, moments are taken again about the new means if these are far from the old ones.
    """
    statistics = rows.statistics(operands, careful=careful)
    estimates = model.estimate(statistics, parameters)
    if careful and _jumps(model, statistics, estimates, rows.dtype).any():
        statistics = rows.statistics(operands, about=estimates.means, careful=True)
        estimates = model.estimate(statistics, parameters)
    return statistics, estimates, model.family.maximize(estimates)


def is_doubtful(
    rows: Pass,
    model: Model,
    statistics: SufficientStatistics,
    estimates: Estimates,
    parameters: MixtureParameters,
) -> np.ndarray:
    """Whether digits may count that the fastest kernels do not keep: of the axes in front."""
    singular = is_nearly_singular(
        model.structure, parameters.covariances, parameters.precisions_cholesky, rows.dtype
    )
    return singular | _jumps(model, statistics, estimates, rows.dtype)


def _jumps(
    model: Model, statistics: SufficientStatistics, estimates: Estimates, dtype: np.dtype
) -> np.ndarray:
    """Whether the mean of a component is far from the point that its moments are about."""
    if statistics.form is MomentForm.NONE:  # whose second moments are about no mean
        return np.zeros(estimates.means.shape[:-2], dtype=bool)
    squares = (estimates.means - statistics.reference) ** 2
    far = squares > _FARTHEST_JUMP[dtype] ** 2 * variances(model.structure, estimates.covariances)
    return far.any(axis=(-2, -1))
