"""The rows that an estimator is given: arrays in memory, or whatever a source opens."""

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.missing import (
    allows_missing,
    check_features_seen,
    fitted_mask,
    has_missing,
    tally_of,
)
from fastgmm.sklearn_interface import checked_weights
from fastgmm.sources.array import array_source
from fastgmm.sources.base import Chunk, RowSource, survey
from fastgmm.sources.kinds import holds_rows
from fastgmm.starts import GivenResponsibilities, LabelledRows, given_start
from fastgmm.starts.known import check_unlabelled, checked_labels

if TYPE_CHECKING:
    from fastgmm.sources.missing import MissingTally

_LARGE = 1 << 18
"""Numbers of an array that a thread searches for NaN at a time."""


class FitRows(NamedTuple):
    """Rows to fit, checked.

    Parameters
    ----------
    given : RowSource
        All of them, in their own type, for predictions after the fit.
    source : RowSource
        Those whose weight is not zero, and that have a value, in the type to fit them in.
    start : str, callable, LabelledRows or GivenResponsibilities
        `init_params`; arrays are checked, and hold the rows of `source` only.
    arrays : tuple of (ndarray, ndarray or None), or None
        The rows of `source` and their weights, if they are in memory.
    labels : ndarray of int32, shape (n,), or None
        Of the rows of `source`, -1 where unknown; None if none is known.
    given_labels : ndarray of int32, or None
        Of the rows of `given`.
    tally : MissingTally or None
        Of `source`, if values are missing in it.
    noise : ndarray of bool, shape (n,), or None
        Which rows of `source` the caller takes for noise.
    """

    given: RowSource
    source: RowSource
    start: str | Callable | LabelledRows | GivenResponsibilities
    arrays: tuple[np.ndarray, np.ndarray | None] | None
    labels: np.ndarray | None = None
    given_labels: np.ndarray | None = None
    tally: "MissingTally | None" = None
    noise: np.ndarray | None = None


def rows_to_fit(estimator, X, sample_weight, labels=None, n_components=None) -> FitRows:
    """Check rows to fit, and set what the estimator remembers of them: features and their names.

    Parameters
    ----------
    estimator : MixtureEstimator
    X, sample_weight, labels
        See `fit`.
    n_components : int, optional
        The most that labels may be of, if not the estimator's own.

    Raises
    ------
    ValueError
        If rows, weights or labels are out of range, or there are too few.
    """
    X, sample_weight, labels = without_labels(estimator, X, sample_weight, labels)
    rows = _opened_rows if holds_rows(X) else _rows_in_memory
    data = rows(estimator, X, sample_weight)
    noise_init = getattr(estimator, "noise_init", None)
    if noise_init is not None:
        if estimator.noise is None:
            raise ValueError("noise_init says which rows are noise, but noise=None asks for none.")
        from fastgmm.starts.noise import checked_noise

        fitted = _fitted_rows(data.given, data.source)
        data = data._replace(noise=checked_noise(noise_init, data.given.n_rows, fitted))
    if labels is None:
        return data
    most = estimator.n_components if n_components is None else n_components
    labels = checked_labels(labels, data.given.n_rows, most)
    of_source = labels[_fitted_rows(data.given, data.source)]
    check_unlabelled(of_source, estimator.n_components)
    return data._replace(labels=known_labels(of_source), given_labels=labels)


def known_labels(labels: np.ndarray) -> np.ndarray | None:
    """The labels; None if no row has one."""
    return None if (labels < 0).all() else labels


def without_labels(estimator, X, sample_weight, labels) -> tuple:
    """Rows without the column that labels stand in, if they do, their weights, and the labels.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if labels is None or not (isinstance(labels, str) or np.ndim(labels) == 0):
        return X, sample_weight, labels
    if holds_rows(X):
        from fastgmm.distributed import open_with_labels

        missing_values = "em" if allows_missing(estimator) else "error"
        options = {"weight": sample_weight, "missing_values": missing_values}
        source, of_rows = open_with_labels(X, labels, **options)
        return source, None, of_rows
    if not (hasattr(X, "columns") and hasattr(X, "to_numpy")):
        raise ValueError(
            f"labels={labels!r} is the name of a column, as frames, files and tables have them; "
            "with arrays, give the labels themselves."
        )
    names = list(X.columns)
    if labels not in names:
        raise ValueError(f"X has no column {labels!r} of labels; it has {names}.")
    return X[[name for name in names if name != labels]], sample_weight, X[labels].to_numpy()


def _rows_in_memory(estimator, X, sample_weight) -> FitRows:
    missing = allows_missing(estimator)
    types = [np.float64, np.float32]
    X, weights = _validated(estimator, X, sample_weight, missing, dtype=types, ensure_min_samples=2)
    missing = missing and has_missing(X)
    present = None if weights is None else weights > 0
    if missing:
        seen = ~np.isnan(X).all(axis=1)
        if not seen.any():
            raise ValueError("X has no values: all are missing (NaN).")
        present = seen if present is None else present & seen
    n_present = len(X) if present is None else int(np.count_nonzero(present))
    check_enough(n_present, estimator.n_components)
    start = _checked_start(estimator, len(X))
    rows, source = X, array_source(X, weights)
    given = source
    if present is not None and n_present < len(X):
        rows, start = X[present], start.take(present) if hasattr(start, "take") else start
        weights = None if weights is None else weights[present]
        source = array_source(rows, weights)
    if estimator._family.fit_dtype is not None:
        source = source.astype(estimator._family.fit_dtype)
    if not missing:
        return FitRows(given, source, start, (rows, weights))
    source, tally = tally_of(source.allowing_missing())
    check_features_seen(tally, getattr(estimator, "feature_names_in_", range(X.shape[1])), "X")
    return FitRows(given.allowing_missing(), source, start, (rows, weights), tally=tally)


def _opened_rows(estimator, X, sample_weight) -> FitRows:
    from fastgmm.distributed import open_source  # which takes its time, and arrays need it not

    missing = allows_missing(estimator)
    given = open_source(X, weight=sample_weight, missing_values="em" if missing else "error")
    if given.n_rows < 2:
        raise ValueError(
            f"{given.name} has 1 row, while a minimum of 2 is required by "
            f"{type(estimator).__name__}."
        )
    source, tally = given.present(), None
    if missing:
        source, tally = tally_of(source)
        check_features_seen(tally, source.feature_names or range(source.n_features), source.name)
    check_enough(source.n_rows, estimator.n_components)
    start = _checked_start(estimator, given.n_rows)
    if hasattr(start, "take"):
        start = start.take(_fitted_rows(given, source))
    estimator.n_features_in_ = source.n_features
    if source.feature_names is not None:
        estimator.feature_names_in_ = np.array(source.feature_names, dtype=object)
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    if estimator._family.fit_dtype is not None:
        source = source.astype(estimator._family.fit_dtype)
    return FitRows(given, source, start, None, tally=tally)


def rows_to_predict(estimator, X, sample_weight=None, *, missing=None) -> RowSource:
    """Check rows to predict, and their weights.

    Parameters
    ----------
    estimator : MixtureEstimator
        Fitted.
    X, sample_weight
        See `score`.
    missing : bool, optional
        Whether values may be missing; the estimator says so by default.

    Raises
    ------
    ValueError
        If rows or weights are out of range, or have not the features of the model.
    sklearn.exceptions.NotFittedError
    """
    check_is_fitted(estimator)
    missing = allows_missing(estimator) if missing is None else missing
    if holds_rows(X):
        names = getattr(estimator, "feature_names_in_", None)
        n_features = np.shape(estimator.means_)[1]
        names = None if names is None else list(names)
        missing_values = "em" if missing else "error"
        from fastgmm.distributed import open_for_model

        return open_for_model(
            X, names, n_features, weight=sample_weight, missing_values=missing_values
        )
    # None is a missing value, too, once a list or a frame becomes an array of numbers.
    types = [np.float64, np.float32] if missing else "numeric"
    X, weights = _validated(estimator, X, sample_weight, missing, reset=False, dtype=types)
    source = array_source(_as_numbers(X), weights)
    return source.allowing_missing() if missing and has_missing(X) else source


def rows_to_accumulate(estimator, X, sample_weight) -> "tuple[RowSource, MissingTally | None]":
    """Check rows and weights as `rows_to_predict` does, and look for missing values.

    Rows of weight 0, and those that have no value, are left out.

    Parameters
    ----------
    estimator : MixtureEstimator
        Fitted.
    X, sample_weight
        See `accumulate`.
    """
    source = rows_to_predict(estimator, X, sample_weight).present()
    if not source.missing:
        return source, None
    return tally_of(source)


def check_absent_rows(source: RowSource) -> None:
    """Check that rows of weight 0, which fits are not about, could get a label.

    Raises
    ------
    ValueError
        If one holds NaN or infinity.
    """
    if source.n_absent == 0:
        return
    for row in survey(partial(_first_infinite, missing=source.missing), source):
        if row is not None:
            raise ValueError(
                f"Row {row}, counted from 0, weighs 0 and holds NaN or infinity, so that it can be "
                "left out of a fit, but gets no label. Use fit, and predict the others."
            )


def _first_infinite(chunk: Chunk, missing: bool) -> int | None:
    """Number of the first row of a chunk that holds infinity or, if none may be missing, NaN."""
    good = ~np.isinf(chunk.rows) if missing else np.isfinite(chunk.rows)
    bad = np.flatnonzero(~good.all(axis=1))
    return chunk.start + int(bad[0]) if len(bad) else None


def _validated(
    estimator, X, sample_weight, missing, **checks
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows and weights after scikit-learn's checks; rows of weight 0 may hold any number.

    scikit-learn looks for NaN on one thread, and takes long for few rows; plain arrays are searched
    on all threads, and left to it only if there may be one.
    """
    if sample_weight is None:
        framed = None if checks.get("reset", True) else _numbers_of_frame(estimator, X)
        plain = X if framed is None else framed
        if _is_plain(plain) and _sums_are_finite(plain, ThreadEngine(estimator.n_jobs)):
            if framed is not None or _is_as_expected(estimator, X, **checks):
                return plain, None
            checks["ensure_all_finite"] = False
        elif missing:
            checks["ensure_all_finite"] = "allow-nan"
        return validate_data(estimator, X, **checks), None
    X = validate_data(estimator, X, ensure_all_finite=False, **checks)
    weights = checked_weights(sample_weight, X)
    assert weights is not None
    present = weights > 0
    counting = X if present.all() else X[present]
    if not (_is_plain(counting) and _sums_are_finite(counting, ThreadEngine(estimator.n_jobs))):
        name = type(estimator).__name__
        assert_all_finite(counting, allow_nan=missing, input_name="X", estimator_name=name)
    return X, weights


def _numbers_of_frame(estimator, X: Any) -> np.ndarray | None:
    """The numbers of a pandas frame of NumPy's types that has the model's columns; None of others.

    For a few rows, scikit-learn's look at every column takes longer than the predictions.
    """
    pandas, names = sys.modules.get("pandas"), vars(estimator).get("feature_names_in_")
    if pandas is None or names is None or type(X) is not pandas.DataFrame:
        return None
    if not np.array_equal(X.columns.to_numpy(), names):
        return None
    if not all(isinstance(dtype, np.dtype) for dtype in X.dtypes.unique()):
        return None
    numbers: np.ndarray = X.to_numpy()
    return numbers


def _is_plain(X: Any) -> bool:
    """Whether X is an array of which scikit-learn would check the numbers alone."""
    is_matrix = type(X) is np.ndarray and X.ndim == 2 and X.size > 0
    return is_matrix and X.dtype in (np.float64, np.float32)


def _is_as_expected(estimator, X, reset=True, ensure_min_samples=1, dtype=None) -> bool:
    """Whether plain X has rows and features as scikit-learn's check asks for.

    What the estimator remembers of them is then set, as by that check. Whatever it would warn of,
    or raise, is left to it.
    """
    known = vars(estimator)
    if len(X) < ensure_min_samples:
        return False
    if not reset:
        n_features = known.get("n_features_in_", X.shape[1])
        return "feature_names_in_" not in known and n_features == X.shape[1]
    if "feature_names_in_" in known:
        del estimator.feature_names_in_
    estimator.n_features_in_ = X.shape[1]
    return True


def _sums_are_finite(X: np.ndarray, engine: ThreadEngine) -> bool:
    """Whether all numbers are finite; False also if they are merely so large that sums overflow."""
    if X.size <= _LARGE:
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(X.sum()))
    step = max(_LARGE // X.shape[1], 1)
    n_chunks = -(-len(X) // step)
    finite = np.zeros(n_chunks, dtype=bool)

    def look(index: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            finite[index] = np.isfinite(X[index * step : (index + 1) * step].sum())

    engine.for_each(look, n_chunks)
    return bool(finite.all())


def _as_numbers(X: np.ndarray) -> np.ndarray:
    """Rows that scikit-learn's checks let pass, in a type of numbers.

    For predictions these look at neither lists of objects nor dates. scikit-learn then refuses in
    its first product what cannot be multiplied; so does this, in the same words.
    """
    if X.dtype.kind not in "fiub":
        X @ np.ones(X.shape[1])
        X = X.astype(np.float64)
        assert_all_finite(X, input_name="X")
    return X


def with_start(data: FitRows, estimator) -> FitRows:
    """The same rows, with the start that another estimator asks for.

    Parameters
    ----------
    data : FitRows
    estimator : MixtureEstimator

    Raises
    ------
    ValueError
        If there are fewer rows than components, or the start or the labels do not fit them.
    """
    check_enough(data.source.n_rows, estimator.n_components)
    if data.labels is not None:
        if data.given_labels is not None:
            checked_labels(data.given_labels, data.given.n_rows, estimator.n_components)
        check_unlabelled(data.labels, estimator.n_components)
    start = _checked_start(estimator, data.given.n_rows)
    if hasattr(start, "take"):
        start = start.take(_fitted_rows(data.given, data.source))
    return data._replace(start=start)


def check_enough(n_rows: int, n_components: int) -> None:
    """Raise scikit-learn's error if there are fewer rows than components.

    Raises
    ------
    ValueError
    """
    if n_rows < n_components:
        raise ValueError(
            "Expected n_samples >= n_components "
            f"but got n_components = {n_components}, "
            f"n_samples = {n_rows}"
        )


def _checked_start(estimator, n_rows: int):
    """`init_params`, with arrays checked."""
    start = estimator.init_params
    if isinstance(start, str) or callable(start):
        return start
    return given_start(start, n_rows, estimator.n_components)


def _fitted_rows(given: RowSource, source: RowSource) -> np.ndarray | slice:
    """Which of the rows that were given are those of the source that is fitted."""
    return slice(None) if source.n_rows == given.n_rows else fitted_mask(given)
