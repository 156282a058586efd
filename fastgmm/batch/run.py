"""The fits of a call of `fit_many`: which run in lockstep, which alone, and what they leave."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgmm.batch.datasets import DataSetList
from fastgmm.batch.lockstep import fit_in_lockstep
from fastgmm.batch.progress import Progress
from fastgmm.batch.report import FitReport
from fastgmm.batch.starts import ManyStarts
from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.covariance.algebra import ill_defined
from fastgmm.estimator import predicting
from fastgmm.estimator.fitting import fitted_attributes
from fastgmm.estimator.progress import Messages
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.passes.many import ManyPass
from fastgmm.sklearn_interface import checked_copy
from fastgmm.sources.base import RowGrid
from fastgmm.sources.opening import holds_rows, open_source

_MOST_SETS = 1024
"""Data sets that run in lockstep; the more, the less each costs beside its kernels..."""

_LEAST_SETS = 64

_MOST_BYTES = 1 << 23
"""...but their rows should stay in a cache."""

_GROUPS_PER_THREAD = 4
"""So that threads end at about the same time."""


class Run:
    """The fits of one call.

    Parameters
    ----------
    items : DataSetList
    report : FitReport
        To be filled.
    bar : Progress
    raises : bool
        Whether the first error ends it all.
    done : ndarray of bool, shape (sets,)
        Which fits are done; those of the run are entered.
    keep : callable, optional
        Called with `report` and `done` after some more fits are done.
    """

    def __init__(
        self,
        items: DataSetList,
        report: FitReport,
        bar: Progress,
        raises: bool,
        done: np.ndarray,
        keep: Callable[[FitReport, np.ndarray], None] | None = None,
    ):
        self._done, self._keep = done, keep
        self._items = items
        self._report, self._bar, self._raises = report, bar, raises
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._model = report._make(0)
        self._types: dict[tuple, np.dtype | None] = {}
        widths = Counter(X.shape[1] for X in items.data if _is_matrix(X))
        self._n_features = widths.most_common(1)[0][0] if widths else None
        self._in_lockstep = _plain(self._model) and self._given_parameters_fit()

    @property
    def _besides(self) -> tuple[list | None, list | None]:
        """What data sets have beside their rows."""
        return self._items.weights, self._items.labels

    # -- which run together ------------------------------------------------------------------------
    def groups(self, n_threads: int) -> list[list[int]]:
        """Numbers of data sets that run together: the large first, each by itself."""
        together: dict[np.dtype, list[int]] = {}
        alone = []
        for i in np.flatnonzero(~self._done).tolist():
            dtype = self._lockstep_type(i)
            if dtype is None:
                alone.append(i)
            else:
                together.setdefault(dtype, []).append(i)
        groups = [[i] for i in alone]
        for numbers in together.values():
            share = -(-len(numbers) // (n_threads * _GROUPS_PER_THREAD))
            most = min(max(share, _LEAST_SETS), _MOST_SETS)
            groups.extend(self._cut(numbers, most))
        return groups

    def _cut(self, numbers: list[int], most: int) -> list[list[int]]:
        groups: list[list[int]] = []
        n_bytes = 0
        for i in numbers:
            size = 8 * self._items.data[i].size
            if not groups or len(groups[-1]) == most or n_bytes + size > _MOST_BYTES:
                groups.append([])
                n_bytes = 0
            groups[-1].append(i)
            n_bytes += size
        return groups

    def _lockstep_type(self, i: int) -> np.dtype | None:
        """Type to fit a data set in if it is plain and small; all else is left to `fit`."""
        X = self._items.data[i]
        if not (self._in_lockstep and _is_matrix(X)):
            return None
        if any(given is not None and given[i] is not None for given in self._besides):
            return None
        kind = X.shape, X.dtype
        if kind not in self._types:
            (n, d), k = X.shape, self._model.n_components
            fits = d == self._n_features and n >= max(k, 2) and len(RowGrid.of(n, d, k)) == 1
            self._types[kind] = _real_dtype(X) if fits else None
        return self._types[kind]

    def _given_parameters_fit(self) -> bool:
        """Whether there are none, or they are right; else every fit says what is wrong."""
        if getattr(self._model, "means_init", None) is None or self._n_features is None:
            return True
        try:
            checked_copy(self._model, self._model._structure, self._n_features)
        except ValueError:
            return False
        return True

    # -- fits --------------------------------------------------------------------------------------
    def fit_group(self, numbers: list[int]) -> None:
        """Fit data sets that run together; if that is interrupted, those of other threads end."""
        try:
            self._fit_group(numbers)
        except BaseException:
            self._stop.set()
            raise

    def _fit_group(self, numbers: list[int]) -> None:
        dtype = self._lockstep_type(numbers[0])
        if dtype is None:
            for i in numbers:
                self._fit_alone(i)
            return
        arrays = [np.asarray(self._items.data[i], dtype) for i in numbers]
        rows = np.concatenate(arrays)
        if not np.isfinite(rows).all():
            finite = [bool(np.isfinite(X).all()) for X in arrays]
            for i in itertools.compress(numbers, np.logical_not(finite)):
                self._fit_alone(i)  # which says what is wrong
            numbers = list(itertools.compress(numbers, finite))
            arrays = list(itertools.compress(arrays, finite))
            if not numbers:
                return
            rows = np.concatenate(arrays)
        with np.errstate(all="ignore"):  # failed fits go on as NaN for an iteration
            self._fit_lockstep(np.array(numbers), arrays, rows)

    def _fit_lockstep(
        self, numbers: np.ndarray, arrays: list[np.ndarray], rows: np.ndarray
    ) -> None:
        report = self._report
        estimator = report._make(0)
        offsets = np.concatenate([[0], np.cumsum([len(X) for X in arrays])])
        structure, dtype = estimator._structure, rows.dtype
        working = np.asarray(rows, estimator._family.fit_dtype or dtype)
        many = ManyPass(working, offsets, structure.forms)
        starts = ManyStarts(
            arrays,
            rows,
            offsets,
            report.seeds[numbers],
            estimator.n_components,
            estimator.init_params,
        )
        restarts = starts.restarts(estimator.n_init)
        fit = fit_in_lockstep(estimator, many, dtype, restarts, self._stop)
        fitted = fitted_attributes(fit.model, fit.result)
        fitted["lower_bounds_"] = _of_each(fit.result.lower_bounds, len(numbers))
        fitted["diagnostics_"] = [()] * len(numbers)
        log_likelihoods = fit.log_likelihoods
        errors = (
            dict.fromkeys(np.flatnonzero(fit.failed).tolist(), ill_defined(dtype)) | starts.errors
        )
        good = np.ones(len(numbers), dtype=bool)
        good[list(errors)] = False
        lists = {
            name: [entry for entry, is_good in zip(value, good, strict=True) if is_good]
            for name, value in fitted.items()
            if isinstance(value, list)
        }
        attributes = {
            name: _of_all(value, len(numbers), good)
            for name, value in fitted.items()
            if name not in lists
        }
        n_rows = many.n_rows
        bics = self._criteria(estimator.n_components, rows.shape[1], log_likelihoods, n_rows)
        with self._lock:
            report.put(
                numbers[good], attributes, lists, n_rows[good], log_likelihoods[good], bics[good]
            )
        for i, error in errors.items():
            self._record(int(numbers[i]), error)
        self._finish(numbers, len(errors))

    def _fit_alone(self, i: int) -> None:
        """An ordinary fit, on this thread."""
        X = self._items.data[i]
        weights, labels = (None if given is None else given[i] for given in self._besides)
        model = self._report._make(int(self._report.seeds[i]))
        model.n_jobs = 1
        model._listener = _UntilStopped(model, self._stop)
        try:
            model.fit(X, sample_weight=weights, labels=labels)
            score, weight = predicting.score(model, X, weights)
            self._check_features(model.n_features_in_)
        except Exception as error:
            self._record(i, error)
            self._finish(np.array([i]), 1)
            return
        n_rows = np.array([_n_rows(X)])
        total = np.array([weight])
        k, d = model.means_.shape
        fitted = _fitted(model)
        lists = {name: [value] for name, value in fitted.items() if isinstance(value, list)}
        attributes = {name: _of_one(value) for name, value in fitted.items() if name not in lists}
        bics = self._criteria(k, d, score * total, total)
        with self._lock:
            self._report.put(np.array([i]), attributes, lists, n_rows, score * total, bics)
            self._report.name_features(i, getattr(model, "feature_names_in_", None))
        self._finish(np.array([i]), 0)

    def _finish(self, numbers: np.ndarray, n_failed: int) -> None:
        """Take note that some more fits are done."""
        with self._lock:
            self._done[numbers] = True
            if self._keep is not None:
                self._keep(self._report, self._done)
        self._bar.advance(len(numbers), n_failed)

    def _criteria(
        self, k: int, d: int, log_likelihoods: np.ndarray, total_weights: np.ndarray
    ) -> np.ndarray:
        """Bayesian information criteria; NaN where the estimator has none."""
        if not hasattr(self._model, "bic"):
            return np.full(len(log_likelihoods), np.nan)
        return self._model._count_parameters(k, d) * np.log(total_weights) - 2 * log_likelihoods

    def _check_features(self, n_features: int) -> None:
        """All need the same number of features, for their parameters are stacked."""
        with self._lock:
            if self._n_features is None:
                self._n_features = n_features
        if n_features != self._n_features:
            raise ValueError(
                f"It has {n_features} features, but the other data sets have {self._n_features}."
            )

    def _record(self, i: int, error: Exception) -> None:
        if self._raises:
            raise ValueError(
                f"The fit of data set {self._items.keys[i]!r} failed: {error}"
            ) from error
        self._report.errors[i] = str(error) or type(error).__name__


class _UntilStopped(Messages):
    """Ends a fit when nobody waits for it any more."""

    def __init__(self, model: Any, stop: threading.Event):
        super().__init__(model)
        self._stop = stop

    def iteration_ends(self, result, change):
        super().iteration_ends(result, change)
        return self._stop.is_set()


def _plain(model: Any) -> bool:
    """Whether nothing is asked for that only ordinary fits can do."""
    given = ("weights_init", "means_init", "precisions_init")
    return (
        type(model) in (GaussianMixture, BayesianGaussianMixture)
        and (isinstance(model.init_params, str) or callable(model.init_params))
        and not isinstance(model.reg_covar, str)
        and model.on_failure == "raise"
        and all(getattr(model, name, None) is None for name in ("freeze", "noise", "accelerate"))
        and getattr(model, "tol_kind", None) != "aitken"
        and not model.verbose
        and len({getattr(model, name, None) is None for name in given}) == 1
    )


def _is_matrix(X: Any) -> bool:
    return type(X) is np.ndarray and X.ndim == 2 and X.shape[1] > 0


def _real_dtype(X: np.ndarray) -> np.dtype | None:
    """Type to fit an array in; None if scikit-learn has to say what it thinks of it."""
    if X.dtype in (np.float64, np.float32) and X.dtype.isnative:
        return X.dtype
    return np.dtype(np.float64) if X.dtype.kind in "iu" else None


def _n_rows(X: Any) -> int:
    if holds_rows(X):
        return open_source(X, missing_values="em").n_rows
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _fitted(model: Any) -> dict[str, Any]:
    """Fitted attributes: arrays, tuples of arrays, numbers, and lists that are as they are."""
    left_out = ("n_features_in_", "feature_names_in_")
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_") and name not in left_out
    }


def _of_each(bounds: list[np.ndarray], n_sets: int) -> list[np.ndarray]:
    """Lower bounds of each data set alone, from arrays of all that end in what is no number."""
    flat = np.array(bounds).reshape(len(bounds), n_sets).T
    made = ~np.isnan(flat)
    n_iter = made.sum(axis=1)
    ends = np.cumsum(n_iter)
    flat = flat[made]
    return [flat[end - n : end] for end, n in zip(ends.tolist(), n_iter.tolist(), strict=True)]


def _of_all(value: Any, n: int, good: np.ndarray) -> Any:
    """Values of the good ones among n data sets; a number holds for all."""
    if isinstance(value, tuple):
        return tuple(part[good] for part in value)
    return np.broadcast_to(value, n)[good] if np.ndim(value) == 0 else value[good]


def _of_one(value: Any) -> Any:
    """Value of one data set, with an axis in front."""
    if isinstance(value, tuple):
        return tuple(part[np.newaxis] for part in value)
    return np.asarray(value)[np.newaxis]
