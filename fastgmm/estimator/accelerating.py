"""What `accelerate` and `tol_kind` make of the step of a fit, and of its end."""

from collections.abc import Callable
from typing import Any

from fastgmm.acceleration import Acceleration, method_for
from fastgmm.convergence import aitken
from fastgmm.em import Rule
from fastgmm.em_step import Model, em_step
from fastgmm.families import MaximumLikelihood
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass

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
        If another argument stands against it.
    """
    accelerate = getattr(estimator, "accelerate", None)
    if accelerate is None:
        return
    method_for(accelerate, estimator._structure)
    for name in ("freeze", "noise"):
        if getattr(estimator, name) is not None:
            raise ValueError(
                f"accelerate={accelerate!r} and {name} do not go together: its steps are made for "
                "components that are all estimated. Leave one of them out."
            )
    if estimator.on_failure == "recover":
        raise ValueError(
            f"accelerate={accelerate!r} and on_failure='recover' do not go together: components "
            "that are moved or pruned begin another run. Leave one of them out."
        )


def accelerated(
    estimator: Any, rows: Pass, model: Model, tol: float, step: Step
) -> tuple[Step, Rule | None]:
    """The step of a fit, accelerated if that is asked for, and the rule for its end.

    Parameters
    ----------
    estimator : MixtureEstimator
    rows : Pass
    model : Model
    tol : float
    step : callable
        Of plain EM.
    """
    kind = kind_of_tolerance(estimator)
    if getattr(estimator, "accelerate", None) is None:
        return step, aitken(tol) if kind == "aitken" else None
    family, structure = model.family, model.structure
    if type(family) is not MaximumLikelihood:
        raise ValueError("accelerate goes with plain maximum likelihood alone.")

    def plain(parameters: Parameters) -> tuple[Parameters, float]:
        after, bound = step(parameters, True)
        return after, float(bound)

    def attempt(parameters: Parameters) -> tuple[Parameters, float]:
        iteration = em_step(rows, model, parameters, lambda model, e: family.maximize(e))
        return iteration.parameters, float(iteration.lower_bound)

    method = method_for(estimator.accelerate, structure)
    acceleration = Acceleration(
        plain, attempt, structure, method, model.reg_covar, tol, kind == "change"
    )
    return acceleration, acceleration.has_converged
