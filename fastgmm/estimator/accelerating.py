"""What `accelerate` and `tol_kind` make of the step of a fit, and of its end."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.convergence import aitken
from fastgmm.em import Rule
from fastgmm.em_step import Iteration, Model, em_step, maximize
from fastgmm.families import MaximumLikelihood
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass

if TYPE_CHECKING:
    from fastgmm.acceleration.acceleration import Advance
    from fastgmm.recovery import Recovery

Step = Callable[[Any, Any], tuple[Any, Any]]


def kind_of_tolerance(estimator: Any) -> str:
    """What the tolerance is of, see `fastgmm.GaussianMixture`."""
    kind = getattr(estimator, "tol_kind", None)
    if kind is not None:
        return str(kind)
    return "change" if getattr(estimator, "accelerate", None) is None else "aitken"


def check_acceleration(estimator: Any) -> None:
    """Check that an accelerated fit is one that there is.

    Raises
    ------
    ValueError
        If the structure has no coordinates for the method.
    """
    accelerate = getattr(estimator, "accelerate", None)
    if accelerate is not None:
        from fastgmm.acceleration.acceleration import method_for  # few fits are accelerated

        method_for(accelerate, estimator._structure)


def steps(
    estimator: Any, rows: Pass, model: Model, tol: float, recovery: "Recovery | None"
) -> tuple[Step, Rule | None]:
    """The step of a fit, accelerated if that is asked for, and the rule for its end.

    Parameters
    ----------
    estimator : MixtureEstimator
    rows : Pass
    model : Model
    tol : float
    recovery : Recovery or None
        If what fails is to be mended.
    """
    iterate = partial(em_step, rows, model) if recovery is None else recovery.step
    kind = kind_of_tolerance(estimator)
    if getattr(estimator, "accelerate", None) is None:

        def step(parameters: Parameters, running: Any) -> tuple[Parameters, Any]:
            iteration = iterate(parameters)
            return iteration.parameters, iteration.lower_bound

        return step, aitken(tol) if kind == "aitken" else None
    from fastgmm.acceleration.acceleration import Acceleration, method_for
    from fastgmm.acceleration.chart import Chart
    from fastgmm.acceleration.posteriors import PosteriorChart
    from fastgmm.families.variational_bayes import VariationalBayes

    family, structure = model.family, model.structure

    def plain(parameters: Parameters) -> "Advance":
        records = 0 if recovery is None else len(recovery.records)
        advance = _advance(iterate(parameters))
        if recovery is None:
            return advance
        return advance._replace(mended=len(recovery.records) > records)

    def attempt(parameters: Parameters) -> "Advance":
        if recovery is not None:
            return _advance(recovery.attempt(parameters))
        return _advance(em_step(rows, model, parameters, maximize))

    def chart(reference: Any, shares: np.ndarray) -> Chart | PosteriorChart:
        if isinstance(family, VariationalBayes):
            return PosteriorChart(family, reference)
        assert isinstance(family, MaximumLikelihood)
        reg_covar = model.reg_covar if recovery is None else recovery.model.reg_covar
        has_noise = family.noise is not None
        return Chart(structure, reference, reg_covar, shares, family.frozen, has_noise)

    method = "squarem"
    if not isinstance(family, VariationalBayes):
        method = method_for(estimator.accelerate, structure)
    acceleration = Acceleration(plain, attempt, chart, structure, method, tol, kind == "change")
    return acceleration, acceleration.has_converged


def _advance(iteration: Iteration) -> "Advance":
    from fastgmm.acceleration.acceleration import Advance

    statistics = iteration.statistics
    shares = statistics.weight / statistics.total_weight
    return Advance(iteration.parameters, float(iteration.lower_bound), shares)
