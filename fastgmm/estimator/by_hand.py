"""EM by hand and EM on streams: statistics that merge, and the M-step from them."""

import copy
import math
from typing import Any

import numpy as np
from sklearn.utils.validation import _is_fitted, check_is_fitted

from fastgmm.convergence import aitken
from fastgmm.covariance.estimates import estimate, scatter_within
from fastgmm.covariance.scales import relative_regularization
from fastgmm.em import EMResult
from fastgmm.em_step import Model, refuse
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.accelerating import kind_of_tolerance
from fastgmm.estimator.attributes import check_features, check_set_by_hand, working_dtype
from fastgmm.estimator.conversion import copy_fitted
from fastgmm.estimator.fitting import fitted_attributes, keep
from fastgmm.estimator.missing import allows_missing
from fastgmm.estimator.rows import rows_to_accumulate
from fastgmm.families.noise import has_noise
from fastgmm.parameters import Operands, Parameters
from fastgmm.passes import open_pass
from fastgmm.passes.kernel_operands import kernels_for
from fastgmm.sklearn_interface import underflow_is_zero
from fastgmm.statistics import MomentForm, SufficientStatistics

STEP_DECAY = 0.7
"""By which power the steps of `partial_fit` shrink: between 1/2 and 1 for EM to converge."""

STEP_DELAY = 2.0
"""Batches by which that is put off, so that the first few count about alike."""

_NO_PRIORS = (
    "This %(name)s instance has not all of the priors that an M-step needs "
    "(weight_concentration_prior_, mean_prior_ and so on). Set them by fit with max_iter=0, or by "
    "hand."
)

_NO_PARAMETERS = (
    "This %(name)s instance has no parameters yet to take an E-step with. Start from a sample of "
    "the rows by fit with max_iter=0, or call fit or load."
)


@underflow_is_zero
def accumulate(estimator: Any, X: Any, sample_weight: Any) -> SufficientStatistics:
    """See `MixtureEstimator.accumulate`.

    It is always careful: nobody can look at these rows again when it turns out that digits count.
    """
    check_is_fitted(estimator, msg=_NO_PARAMETERS)
    source, tally = rows_to_accumulate(estimator, X, sample_weight)
    structure, family = estimator._structure, estimator._family
    parameters = family.parameters_of(estimator)
    check_set_by_hand(structure, parameters)
    k, d = parameters.means.shape
    check_features(estimator, source, d)
    source = source.astype(family.fit_dtype or working_dtype(estimator, source.dtype))
    rows = open_pass(source, structure.forms, ThreadEngine(estimator.n_jobs), k, tally=tally)
    operands = _with_background(estimator, structure.operands(parameters))
    statistics = rows.statistics(operands, careful=True)
    if not np.isfinite(statistics.sums).all():
        raise ValueError(
            "The statistics overflow: some rows are too far from all components. Are they on "
            "the scale of the data that the model was fitted to?"
        )
    return statistics.scaled(rows.weight_scale)


@underflow_is_zero
def update(estimator: Any, statistics: SufficientStatistics) -> Any:
    """See `MixtureEstimator.update`."""
    check_is_fitted(estimator, msg=_NO_PARAMETERS)
    model, parameters, bound = _m_step(estimator, statistics, statistics)
    bounds = list(getattr(estimator, "lower_bounds_", []))
    change = bound - (bounds[-1] if bounds else -np.inf)
    tolerance = estimator._family.tolerance(estimator, statistics.total_weight)
    converged = abs(change) < tolerance
    if kind_of_tolerance(estimator) == "aitken":
        converged = aitken(tolerance)(parameters, [*bounds, bound])
    result = EMResult(parameters, [*bounds, bound], bool(converged))
    keep(estimator, fitted_attributes(model, result))
    return estimator


@underflow_is_zero
def partial_fit(estimator: Any, X: Any, sample_weight: Any) -> Any:
    """See `MixtureEstimator.partial_fit`."""
    if not _is_fitted(estimator):
        start = copy.copy(estimator).set_params(max_iter=0, n_init=1, warm_start=False)
        copy_fitted(estimator, start.fit(X, sample_weight=sample_weight))
    batch = accumulate(estimator, X, sample_weight)
    n_batches = getattr(estimator, "n_batches_", 0)
    running = batch
    if n_batches:
        step_size = (n_batches + STEP_DELAY) ** -STEP_DECAY
        seen: SufficientStatistics = estimator.running_statistics_
        running = _moved(_with_own_moments(seen).about(batch), batch, step_size)
    total = batch.scaled(running.total_weight / batch.total_weight)
    model, parameters, bound = _m_step(estimator, running, total)
    keep(estimator, fitted_attributes(model, EMResult(parameters, [bound], False)))
    estimator.n_iter_ = estimator.n_batches_ = n_batches + 1
    estimator.running_statistics_ = running
    return estimator


def _m_step(
    estimator: Any, statistics: SufficientStatistics, of_bound: SufficientStatistics
) -> tuple[Model, Parameters, float]:
    """M-step from statistics, and the bound from those of a pass with the present parameters.

    Both have the same weight.
    """
    structure = estimator._structure
    present = estimator._family.parameters_of(estimator)
    operands = _operands_of(estimator, statistics, present)
    # Weights near one, as in a fit: the guard against empty components is absolute.
    scale = math.ldexp(0.5, math.frexp(statistics.total_weight / statistics.n_rows)[1])
    statistics, of_bound = statistics.scaled(1.0 / scale), of_bound.scaled(1.0 / scale)
    family_class = estimator._family
    check_is_fitted(estimator, family_class.needed_attributes, msg=_NO_PRIORS)
    reg_covar = estimator.reg_covar
    if isinstance(reg_covar, str):
        pooled = estimate(statistics.pooled(), structure, 0.0)
        reg_covar = relative_regularization(structure, pooled)
    family = family_class.of_fitted(estimator, structure, scale)
    dtype = np.float32 if np.asarray(estimator.means_).dtype == np.float32 else np.float64
    model = Model(structure, family, reg_covar, np.dtype(dtype))
    parameters = refuse(model, model.estimate(statistics, present))
    bound = family.lower_bound(of_bound, operands, parameters)
    return model, parameters, float(bound)


def _operands_of(
    estimator: Any, statistics: SufficientStatistics, parameters: Parameters
) -> Operands:
    """The operands that statistics were accumulated with.

    Raises
    ------
    TypeError, ValueError
        If they are no statistics, or those of other parameters.
    """
    if not isinstance(statistics, SufficientStatistics):
        raise TypeError(
            "update takes the statistics that accumulate returns, but got "
            f"{type(statistics).__name__}."
        )
    operands = _with_background(estimator, estimator._structure.operands(parameters))
    if not _fits(estimator, statistics):
        raise ValueError(
            f"The statistics hold {statistics.form.value} moments, which are not those of "
            f"covariance_type={estimator.covariance_type!r}."
        )
    if not statistics.total_weight > 0:
        raise ValueError("The statistics are those of no rows.")
    references = [operands.means]
    for dtype in (np.float64, np.float32):
        references.append(
            kernels_for(operands, estimator._structure.forms, np.dtype(dtype)).operands.reference
        )
    if not any(np.array_equal(statistics.reference, reference) for reference in references):
        raise ValueError(
            "The statistics were not accumulated with the present parameters. Every update needs "
            "an accumulate of all rows after the update before."
        )
    return operands


def _fits(estimator: Any, statistics: SufficientStatistics) -> bool:
    """Whether statistics hold the moments that the estimator's structure needs.

    Where components share a covariance, those are the components' own, or, as files of former
    versions have it, without noise and missing values, the scatter of all rows.
    """
    form = estimator._structure.forms.moments
    if form is not MomentForm.NONE:
        return statistics.form is form and statistics.scatter is None
    if statistics.form is MomentForm.OUTER:
        return statistics.scatter is None
    own = allows_missing(estimator) or estimator._family.background_of(estimator) is not None
    return statistics.form is form and statistics.scatter is not None and not own


def _with_own_moments(statistics: SufficientStatistics) -> SufficientStatistics:
    """Statistics of former versions, with the scatter of all rows, as those of today.

    Only the sum over components counts of these second moments; the first one has all of it.
    """
    if statistics.form is not MomentForm.NONE:
        return statistics
    k, d = statistics.reference.shape
    second = np.zeros((k, d, d))
    second[0] = scatter_within(statistics, np.zeros((k, d)))
    return statistics.with_second(MomentForm.OUTER, second)


def _with_background(estimator: Any, operands: Operands) -> Operands:
    """Operands with the noise that the model was fitted with.

    Raises
    ------
    ValueError
        If it has none, but is asked for it, or the other way round.
    """
    fitted = has_noise(estimator)
    if (getattr(estimator, "noise", None) is not None) != fitted:
        raise ValueError(
            f"noise={estimator.noise!r}, but the model was fitted "
            f"{'with' if fitted else 'without'} noise. Fit it again."
        )
    return operands._replace(background=estimator._family.background_of(estimator))


def _moved(
    running: SufficientStatistics, batch: SufficientStatistics, step_size: float
) -> SufficientStatistics:
    """Mean of two statistics per row, for the weight of all rows seen."""
    weight = running.total_weight + batch.total_weight
    return running.scaled((1.0 - step_size) * weight / running.total_weight) + batch.scaled(
        step_size * weight / batch.total_weight
    )
