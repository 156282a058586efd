"""Fits: EM from new starts, from fitted parameters, or on from a checkpoint."""

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm.acceleration import rate_of, unwrapped
from fastgmm.covariance import CovarianceStructure
from fastgmm.covariance.algebra import covariances_of_factors, precisions
from fastgmm.covariance.estimates import Estimates
from fastgmm.covariance.scales import relative_regularization
from fastgmm.em import EMResult, Listener, RunState, best_of_restarts
from fastgmm.em_start import first_parameters, known_rows, pooled_estimates, refuse_start
from fastgmm.em_step import Model, check_defined
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.accelerating import check_acceleration, steps
from fastgmm.estimator.attributes import are_too_large, check_set_by_hand, too_large
from fastgmm.estimator.missing import allows_missing
from fastgmm.estimator.noise import NOISE_ATTRIBUTES, check_noise_left_rows, noise_to_fit
from fastgmm.estimator.rows import FitRows, check_absent_rows, rows_to_fit
from fastgmm.estimator.small import small_fit
from fastgmm.estimator.spaces import AsGiven, Space, space_of
from fastgmm.estimator.start_rows import rows_to_draw, rows_to_start
from fastgmm.estimator.starting import FoundStart, find_starts
from fastgmm.families.noise import Noise, has_noise
from fastgmm.parameters import Parameters
from fastgmm.passes import Pass, open_pass
from fastgmm.sklearn_interface import (
    checked_copy,
    knows_start,
    left_to_sklearn,
    random_state_of,
    underflow_is_zero,
)
from fastgmm.sources.base import RowGrid
from fastgmm.starts import Start

_NOT_CONVERGED = (
    "Best performing initialization did not converge. "
    "Try different init parameters, or increase max_iter, "
    "tol, or check for degenerate data."
)

_NO_NUMBER = (
    "The lower bound is not a number: rows or weights are too large, or differ by too many orders "
    "of magnitude. Scale them."
)


def fit_left_to_sklearn(estimator: Any, sample_weight: Any, labels: Any, checkpoint: Any) -> bool:
    """Whether scikit-learn has to fit, and knows what it is asked for."""
    if not left_to_sklearn(estimator):
        return False
    ours = {"sample_weight": sample_weight, "labels": labels, "checkpoint": checkpoint}
    if isinstance(estimator.reg_covar, str):
        ours["reg_covar='scale'"] = True
    if estimator.on_failure != "raise":
        ours["on_failure='recover'"] = True
    if isinstance(start := estimator.init_params, str) and not knows_start(
        estimator._sklearn_class, start
    ):
        ours[f"init_params={start!r}"] = True
    for name in ("freeze", "noise", "accelerate", "tol_kind"):
        ours[name] = getattr(estimator, name, None)
    if allows_missing(estimator):
        ours["missing_values='em'"] = True
    return left_to_sklearn(estimator, **ours)


@underflow_is_zero
def fit(
    estimator: Any,
    X: Any,
    sample_weight: Any,
    labels: Any,
    checkpoint: Any,
    checkpoint_every: float,
    listener_for: Callable[..., Listener],
    *,
    predicted: bool = False,
) -> FitRows:
    """Fit to data as the caller gives them.

    Parameters
    ----------
    estimator : MixtureEstimator
    X, sample_weight, labels, checkpoint, checkpoint_every
        See `fastgmm.GaussianMixture.fit`.
    listener_for : callable
        Makes a listener from a function that makes fitted attributes from an `EMResult`.
    predicted : bool, optional
        Whether all rows are to get labels afterwards, those of weight 0 too.

    Returns
    -------
    rows : FitRows
        The data, checked.
    """
    data = rows_to_fit(estimator, X, sample_weight, labels)
    if predicted:
        check_absent_rows(data.given)
    fit_rows(estimator, data, checkpoint, checkpoint_every, listener_for)
    return data


def fit_rows(
    estimator: Any,
    data: FitRows,
    checkpoint: Any,
    checkpoint_every: float,
    listener_for: Callable[..., Listener],
    found: Iterable[FoundStart] | None = None,
    resume: RunState | None = None,
) -> EMResult:
    """Fit to rows that have been checked.

    Parameters
    ----------
    estimator : MixtureEstimator
    data : FitRows
    checkpoint, checkpoint_every, listener_for
        See `fit`.
    found : iterable of FoundStart, optional
        The starts, if they have been made already: what `find_starts` makes.
    resume : RunState, optional
        Where an earlier run from the only start ended, to go on from.

    Returns
    -------
    result : EMResult
        To go on from.
    """
    check_acceleration(estimator)
    if checkpoint is None and found is None and resume is None:
        small, found = small_fit(estimator, data)
        if small is not None:
            return _finish(estimator, *small)
    structure, engine = estimator._structure, ThreadEngine(estimator.n_jobs)
    k = estimator.n_components
    rows = open_pass(data.source, structure.forms, engine, k, data.labels, data.tally)
    noise = noise_to_fit(estimator, data)
    model = model_to_fit(estimator, structure, rows, data.given.dtype, noise)
    random_state = random_state_of(estimator.random_state)
    kept, recovery = _components_to_keep(model, data, estimator.n_components), None
    space: Space = AsGiven(rows)
    mended: list[dict[str, Any]] = []
    if checkpoint is None:
        space = space_of(estimator, data, rows, model, engine, mended)
    if estimator.on_failure == "recover":
        from fastgmm.recovery import Recovery

        to_draw = space.drawn(rows_to_draw(data))
        recovery = Recovery(space.rows, to_draw, model, random_state, kept, mended)
    warm, bound, n_starts = None, -np.inf, estimator.n_init
    if estimator.warm_start and hasattr(estimator, "lower_bound_"):
        warm, bound, n_starts = (
            _warm_parameters(estimator, rows, kept, noise),
            estimator.lower_bound_,
            1,
        )
        starts: Iterator[Any] = iter([warm])
    elif resume is not None:
        starts = iter(())
    else:
        with_noise = noise is not None
        placed = _placed_starts(estimator, data, rows, engine, random_state, with_noise, found)
        m_step = refuse_start if recovery is None else recovery.start
        starts = space.starts(first_parameters(model, space.placed(placed), k, n_starts, m_step))
    tolerance = model.family.tolerance(estimator, rows.total_weight)
    em: Callable[..., EMResult] = partial(
        best_of_restarts,
        tol=tolerance,
        max_iter=estimator.max_iter,
        lower_bound=float(bound),
        listener=listener_for(lambda result: fitted_attributes(model, space.whole(result))),
        resume=resume,
    )
    step, rule = steps(estimator, space.rows, model, tolerance, recovery)
    em = partial(em, space.step(step), rule=rule)
    if recovery is not None:
        em = partial(recovery.run, em)
    if checkpoint is None:
        result = em(starts)
    else:  # which knows where to go on from
        file = checkpoint, random_state, checkpoint_every
        result = _keeper(estimator, data, warm, *file).run(em, starts, n_starts, structure)
    whole = space.whole(result)
    rows.close()
    _check_result(model, noise, whole)
    _finish(estimator, model, whole)
    return result


def _placed_starts(
    estimator: Any,
    data: FitRows,
    rows: Pass,
    engine: ThreadEngine,
    random_state: np.random.RandomState,
    with_noise: bool,
    found: Iterable[FoundStart] | None,
) -> Iterator[tuple[Pass, Start]]:
    """The starts, each with the rows that it is about."""
    forms, k = estimator._structure.forms, estimator.n_components
    starting, about = rows_to_start(data, rows, forms, engine, k)
    if found is None:
        known = None if data.labels is None else known_rows(rows, data.labels, k)
        found = find_starts(starting, k, random_state, engine, known, with_noise)
    return (
        (about if drawn is None else open_pass(drawn, forms, engine, k), start)
        for drawn, start in found
    )


def _keeper(
    estimator: Any,
    data: FitRows,
    warm: Parameters | None,
    path: Any,
    random_state: np.random.RandomState,
    every_seconds: float,
) -> Any:
    """The checkpoint of a fit, which goes on from fitted parameters if there are any."""
    from fastgmm.saved.checkpoints import Checkpoint
    from fastgmm.saved.fingerprints import fingerprint_of

    source = data.source
    grid = RowGrid.of(source.n_rows, source.n_features, estimator.n_components)
    fingerprint = fingerprint_of(estimator, source, grid, warm, data.labels)
    return Checkpoint(path, fingerprint, random_state, every_seconds)


def _finish(estimator: Any, model: Model, result: EMResult) -> EMResult:
    """Set the attributes of a fit that has come to its end."""
    if not result.converged and estimator.max_iter > 0:
        warnings.warn(_NOT_CONVERGED, ConvergenceWarning, stacklevel=7)
    keep(estimator, fitted_attributes(model, result))
    return result


def _check_result(model: Model, noise: Noise | None, result: EMResult) -> None:
    """Raise where the end of a run is no mixture."""
    if np.isnan(result.lower_bound):
        raise ValueError(_NO_NUMBER)
    parameters = unwrapped(result.parameters)
    check_noise_left_rows(noise, parameters.weights)
    check_defined(model, parameters)  # without an iteration, it may be a bad start


def model_to_fit(
    estimator: Any,
    structure: CovarianceStructure,
    rows: Pass,
    dtype: np.dtype,
    noise: Noise | None = None,
) -> Model:
    """The model that an estimator's arguments ask for.

    Parameters
    ----------
    estimator : MixtureEstimator
    structure : CovarianceStructure
    rows : Pass
        To fit it to.
    dtype : dtype
        That they are stored in.
    noise : Noise, optional
    """
    checked = checked_copy(estimator, structure, rows.n_features)
    pooled: Callable[[], Estimates] = functools.cache(partial(pooled_estimates, rows, structure))
    family = estimator._family.of_rows(
        checked,
        structure,
        rows.n_features,
        rows.n_rows,
        rows.total_weight,
        rows.weight_scale,
        pooled,
    )
    if noise is not None:
        family = family.with_noise(noise)
    reg_covar = estimator.reg_covar
    if isinstance(reg_covar, str):
        reg_covar = relative_regularization(structure, pooled())
    return Model(structure, family, reg_covar, np.dtype(dtype))


def _components_to_keep(model: Model, data: FitRows, n_components: int) -> np.ndarray | None:
    """Components (k,) that are told by their numbers: frozen ones, and those of labels."""
    frozen = model.family.frozen_components()
    if data.labels is None:
        return frozen
    of_labels = np.isin(np.arange(n_components), data.labels)
    return of_labels if frozen is None else of_labels | frozen


def _warm_parameters(
    estimator: Any, rows: Pass, kept: np.ndarray | None, noise: Noise | None
) -> Parameters:
    """The fitted parameters, to go on from; all of them, if some components have to be kept."""
    k, d = estimator.n_components, rows.n_features
    n_fitted, n_features_fitted = np.shape(estimator.means_)
    pruned = estimator.on_failure == "recover" and n_fitted < k and kept is None
    if n_features_fitted != d or not (n_fitted == k or pruned):
        raise ValueError(
            f"warm_start=True goes on from means of shape {np.shape(estimator.means_)}, but "
            f"n_components and X ask for {(k, d)}. Set warm_start=False to start anew."
        )
    parameters: Parameters = estimator._family.parameters_of(estimator)
    check_set_by_hand(estimator._structure, parameters)
    if not parameters.covariances.size:  # of a model set up by hand
        covariances = covariances_of_factors(estimator._structure, parameters.precisions_cholesky)
        parameters = replace(parameters, covariances=covariances)
    if (noise is None) == has_noise(estimator):  # the model had it, or had it not
        left = 1.0 if noise is None else 1.0 - noise.share
        shares = parameters.weights / parameters.weights.sum()
        parameters = replace(parameters, weights=left * shares)
    return parameters


def keep(estimator: Any, attributes: dict[str, Any]) -> None:
    """Set fitted attributes, in the place of those of a stream."""
    for name in ("n_batches_", "running_statistics_", *NOISE_ATTRIBUTES):
        estimator.__dict__.pop(name, None)
    for name, value in attributes.items():
        setattr(estimator, name, value)


def fitted_attributes(
    model: Model, result: EMResult, dtype: np.dtype | None = None
) -> dict[str, Any]:
    """The fitted attributes, in the type of the data unless another is given.

    Raises
    ------
    ValueError
        If the covariances of a mixture are too large for that type.
    """
    dtype = model.dtype if dtype is None else dtype
    parameters = unwrapped(result.parameters)
    if parameters.means.ndim == 2 and are_too_large(model.structure, parameters, dtype):
        raise too_large(dtype)
    factors = np.asarray(parameters.precisions_cholesky)
    arrays = {
        "weights_": parameters.weights,
        "means_": parameters.means,
        "covariances_": parameters.covariances,
        "precisions_cholesky_": factors,
    }
    products = precisions(model.structure, factors)  # which nobody else holds
    return {
        # [()] makes a number of an array of no dimension.
        **{name: array.astype(dtype)[()] for name, array in arrays.items()},
        "precisions_": products.astype(dtype, copy=False)[()],
        "converged_": result.converged,
        "n_iter_": result.n_iter,
        "lower_bound_": result.lower_bound,
        "lower_bounds_": result.lower_bounds,
        "diagnostics_": result.diagnostics,
        "convergence_rate_": rate_of(result.parameters, result.lower_bounds),
        **model.family.attributes(parameters, dtype),
    }
