"""Predictions and scores from the public attributes alone, because people assign those by hand."""

import copy
import os
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.attributes import check_features, kernels_set_by_hand, working_dtype
from fastgmm.estimator.few_rows import log_densities_of_few
from fastgmm.estimator.remembered import Memory
from fastgmm.estimator.rows import FitRows, rows_to_predict
from fastgmm.outputs import open_output, overwrites
from fastgmm.parameters import Parameters
from fastgmm.passes.kernel_operands import KernelChoice
from fastgmm.passes.marginal_predictions import MarginalPredictions, mean_seen_log_likelihood
from fastgmm.passes.predictions import (
    Columns,
    classified_log_likelihood,
    mean_log_likelihood,
    predict_rows,
)
from fastgmm.passes.shares import shared_out_of
from fastgmm.sklearn_interface import underflow_is_zero
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.kinds import files_of, is_collection

_kernels = Memory()

_marginals = Memory()


@underflow_is_zero
def score(estimator: Any, X: Any, sample_weight: Any) -> tuple[float, float]:
    """Mean log-likelihood per row, and the number of rows that it is the mean of.

    Rows without any value are not counted.
    """
    return score_source(estimator, rows_to_predict(estimator, X, sample_weight).present())


def score_source(estimator: Any, source: RowSource) -> tuple[float, float]:
    """The same for the rows of a source, none of which weighs 0."""
    source, choice = prepared(estimator, source)
    engine = ThreadEngine(estimator.n_jobs)
    if source.missing:
        by_marginals = marginal_predictions(estimator, choice)
        return mean_seen_log_likelihood(source, choice, by_marginals, engine)
    return mean_log_likelihood(source, choice, engine), source.total_weight


def classified(estimator: Any, source: RowSource) -> tuple[float, float, float]:
    """Score and number of rows, as `score_source`, and the log-likelihood with classes.

    See `fastgmm.passes.predictions.classified_log_likelihood`.
    """
    source, choice = prepared(estimator, source)
    by_marginals = marginal_predictions(estimator, choice) if source.missing else None
    engine = ThreadEngine(estimator.n_jobs)
    return classified_log_likelihood(source, choice, engine, by_marginals)


def predict(estimator: Any, X: Any, output: str, out: Any) -> np.ndarray | None:
    """Predictions for rows that a user gives.

    Parameters
    ----------
    estimator : MixtureEstimator
    X : array-like, path or source
    output : str
        One of `fastgmm.kernels.layout.OUTPUTS`.
    out : path or None

    Raises
    ------
    ValueError
        If `out` is one of the files that rows are read from.
    """
    if isinstance(out, (str, os.PathLike)) and overwrites(out, files_of(X)):
        raise ValueError(f"out={os.fspath(out)!r} is among the files that rows are read from.")
    if out is None and is_collection(X):
        return predict_later(estimator, X, output)
    return predict_source(estimator, rows_to_predict(estimator, X), output, out=out)


def predict_later(estimator: Any, X: Any, output: str) -> Any:
    """Predictions that are made when they are asked for, by the model as it is now.

    Parameters
    ----------
    estimator : MixtureEstimator
    X : dask array or dataframe
    output : str
    """
    from fastgmm.distributed import mapped

    check_is_fitted(estimator)
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead.")
    k, d = np.shape(estimator.means_)
    names = getattr(X, "columns", None)
    if names is not None:
        _check_feature_names(estimator, X._meta, reset=False)
    n_features = X.shape[1] if names is None else len(names)
    if n_features != d:
        raise ValueError(
            f"X has {n_features} features, but the model is expecting {d} features as input."
        )
    types = [X.dtype] if names is None else list(X.dtypes)
    # What else pandas calls float32 becomes float64, as in a frame in memory.
    single = all(dtype == np.float32 and isinstance(dtype, np.dtype) for dtype in types)
    dtype = working_dtype(estimator, np.dtype(np.float32 if single else np.float64))
    noisy = estimator._family.background_of(estimator) is not None
    columns = Columns.of(output, k, noisy, dtype)
    model = copy.copy(estimator)
    model._listener, model.n_jobs = None, 1  # Dask has threads of its own
    function = partial(_predict_part, model=model, output=output, columns=columns)
    return mapped(X, function, columns.width, columns.dtype)


def _predict_part(X: Any, model: Any, output: str, columns: Columns) -> np.ndarray:
    """Predictions for a part of the rows, which may be empty."""
    if not len(X):
        return np.empty((0,) if columns.width is None else (0, columns.width), columns.dtype)
    predictions = predict_source(model, rows_to_predict(model, X), output)
    assert predictions is not None
    return predictions.astype(columns.dtype, copy=False)


@underflow_is_zero
def predict_source(
    estimator: Any,
    source: RowSource,
    output: str,
    parameters: Parameters | None = None,
    out: Any = None,
) -> np.ndarray | None:
    """Predictions for all rows of a source, returned, or written to a file."""
    if out is None and parameters is None:
        predictions = predict_few_rows(estimator, source, output)
        if predictions is not None:
            return predictions
    source, choice = prepared(estimator, source, parameters)
    engine = ThreadEngine(estimator.n_jobs)
    by_marginals = marginal_predictions(estimator, choice, parameters) if source.missing else None
    if out is None:
        return predict_rows(source, choice, engine, output, predict=by_marginals)
    operands = choice.operands
    columns = Columns.of(output, len(operands.means), operands.noisy, source.dtype)
    with open_output(out, source.n_rows, columns.names, columns.dtype) as file:
        predict_rows(source, choice, engine, output, file, by_marginals)
    return None


def labels_of_fit(estimator: Any, X: Any, data: FitRows) -> np.ndarray:
    """Labels of all rows of a fit; those that were given stay as they are."""
    if is_collection(X) and data.given_labels is None:
        return predict_later(estimator, X, "labels")
    labels = predict_source(estimator, data.given, "labels")
    assert labels is not None
    if data.given_labels is not None:
        labels = np.where(data.given_labels >= 0, data.given_labels, labels)
    return labels


def predict_few_rows(estimator: Any, source: RowSource, output: str) -> np.ndarray | None:
    """Predictions for few rows under a large mixture; None if it takes a pass."""
    if output not in ("labels", "log_densities", "log_likelihoods", "responsibilities"):
        return None
    log_densities = log_densities_of_few(estimator, source)
    if log_densities is None:
        return None
    if output == "labels":
        return log_densities.argmax(axis=1)
    if output != "log_densities":
        log_likelihoods, log_densities = shared_out_of(log_densities)
        if output == "log_likelihoods":
            log_densities = log_likelihoods
    return log_densities.astype(working_dtype(estimator, source.dtype), copy=False)


def prepared(
    estimator: Any, source: RowSource, parameters: Parameters | None = None
) -> tuple[RowSource, KernelChoice]:
    """Source and kernels for a pass: in float32 if rows and parameters are."""
    family, structure = estimator._family, estimator._structure
    dtype = working_dtype(estimator, source.dtype)

    def make() -> KernelChoice:
        made_of = parameters or family.parameters_of(estimator)
        return kernels_set_by_hand(structure, made_of, dtype, background)

    attributes = [getattr(estimator, name) for name in family.density_attributes]
    background = family.background_of(estimator)
    purpose = dtype, estimator.covariance_type, parameters is None, background
    choice = _kernels.get(estimator, purpose, attributes, make)
    check_features(estimator, source, choice.operands.means.shape[1])
    return source.astype(dtype), choice


def marginal_predictions(
    estimator: Any, choice: KernelChoice, parameters: Parameters | None = None
) -> MarginalPredictions:
    """Predictions for chunks of rows in which values are missing.

    Parameters
    ----------
    estimator : MixtureEstimator
    choice : KernelChoice
        For complete rows.
    parameters : Parameters, optional
        That `choice` was made of, if not of the attributes.
    """
    family, structure = estimator._family, estimator._structure

    def make() -> MarginalPredictions:
        made_of = parameters or family.parameters_of(estimator)
        operands = structure.operands(made_of)._replace(background=background)
        return MarginalPredictions(operands, structure.forms.density, choice)

    attributes = [getattr(estimator, name) for name in family.density_attributes]
    background = family.background_of(estimator)
    purpose = choice.dtype, estimator.covariance_type, parameters is None, background
    return _marginals.get(estimator, purpose, attributes, make)


def predict_unchecked(
    estimator: Any, X: Any, output: str, parameters: Parameters | None = None
) -> np.ndarray:
    """Predictions for rows that are not checked, as scikit-learn's private methods ask for."""
    predictions = predict_source(estimator, array_source(np.asarray(X)), output, parameters)
    assert predictions is not None
    return predictions
