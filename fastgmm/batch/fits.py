"""Fits of data sets: in lockstep or one by one, wherever that is, and what comes of them."""

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgmm.batch.datasets import DataSetList
from fastgmm.batch.lockstep import fit_in_lockstep
from fastgmm.batch.starts import ManyStarts
from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.covariance.algebra import ill_defined
from fastgmm.estimator import predicting
from fastgmm.estimator.attributes import are_too_large, too_large
from fastgmm.estimator.fitting import fitted_attributes
from fastgmm.estimator.progress import Messages
from fastgmm.estimator.spaces import goes_alone
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.passes.many import ManyPass
from fastgmm.sklearn_interface import checked_copy
from fastgmm.sources.base import RowGrid
from fastgmm.sources.kinds import holds_rows


class Outcome(NamedTuple):
    """What came of the fits of some data sets.

    Parameters
    ----------
    numbers : ndarray of int
        Of the data sets.
    errors : dict
        Exceptions, by the number of a data set.
    entries : tuple
        Of the others: what `FitReport.put` takes. Empty if there are none.
    feature_names : sequence of str, optional
        That a fit has found in its data set.
    """

    numbers: np.ndarray
    errors: dict[int, Exception]
    entries: tuple = ()
    feature_names: Sequence | None = None


class Fits:
    """The fits of data sets. They pickle, and so can be done elsewhere.

    Parameters
    ----------
    items : DataSetList
    make : callable
        From a seed to an unfitted estimator.
    seeds : ndarray of int, shape (sets,)
    n_features : int, optional
        Of all data sets; by default, that of most arrays.
    """

    def __init__(
        self,
        items: DataSetList,
        make: Callable[[int], Any],
        seeds: np.ndarray,
        n_features: int | None = None,
    ):
        self._items, self._make, self._seeds = items, make, seeds
        self._model = make(0)
        self._types: dict[tuple, np.dtype | None] = {}
        if n_features is None:
            widths = Counter(X.shape[1] for X in items.data if _is_matrix(X))
            n_features = widths.most_common(1)[0][0] if widths else None
        self.n_features = n_features
        self._in_lockstep = is_plain(self._model) and self._given_parameters_fit()

    def __reduce__(self) -> tuple:
        return Fits, (self._items, self._make, self._seeds, self.n_features)

    def __len__(self) -> int:
        """Number of data sets."""
        return len(self._items.data)

    def take(self, numbers: list[int]) -> "Fits":
        """The fits of some of the data sets, which are counted anew."""
        parts: Iterator[Any] = (
            None if entries is None else [entries[i] for i in numbers] for entries in self._items
        )
        return Fits(DataSetList(*parts), self._make, self._seeds[numbers], self.n_features)

    @property
    def _besides(self) -> tuple[list | None, list | None]:
        """What data sets have beside their rows."""
        return self._items.weights, self._items.labels

    def lockstep_type(self, i: int) -> np.dtype | None:
        """Type to fit a data set in if it is plain and small; all else is left to `fit`."""
        X = self._items.data[i]
        if not (self._in_lockstep and _is_matrix(X)):
            return None
        if any(given is not None and given[i] is not None for given in self._besides):
            return None
        kind = X.shape, X.dtype
        if kind not in self._types:
            (n, d), k = X.shape, self._model.n_components
            fits = d == self.n_features and n >= max(k, 2) and len(RowGrid.of(n, d, k)) == 1
            fits = fits and not goes_alone(self._model, n, d)
            self._types[kind] = _real_dtype(X) if fits else None
        return self._types[kind]

    def _given_parameters_fit(self) -> bool:
        """Whether there are none, or they are right; else every fit says what is wrong."""
        if getattr(self._model, "means_init", None) is None or self.n_features is None:
            return True
        try:
            checked_copy(self._model, self._model._structure, self.n_features)
        except ValueError:
            return False
        return True

    # -- fits --------------------------------------------------------------------------------------
    def outcomes(self, numbers: Sequence[int], stop: threading.Event) -> Iterator[Outcome]:
        """Fit data sets that run together, or one by one, until an event is set.

        Parameters
        ----------
        numbers : sequence of int
            Of data sets that have the same `lockstep_type`.
        stop : Event
        """
        dtype = self.lockstep_type(numbers[0])
        if dtype is None:
            yield from (self._of_one(i, stop) for i in numbers)
            return
        arrays = [np.asarray(self._items.data[i], dtype) for i in numbers]
        rows = np.concatenate(arrays)
        if not np.isfinite(rows).all():
            finite = [bool(np.isfinite(X).all()) for X in arrays]
            for i in itertools.compress(numbers, np.logical_not(finite)):
                yield self._of_one(i, stop)  # which says what is wrong
            numbers = list(itertools.compress(numbers, finite))
            arrays = list(itertools.compress(arrays, finite))
            if not numbers:
                return
            rows = np.concatenate(arrays)
        with np.errstate(all="ignore"):  # failed fits go on as NaN for an iteration
            outcome = self._of_lockstep(np.array(numbers), arrays, rows, stop)
        yield outcome

    def _of_lockstep(
        self,
        numbers: np.ndarray,
        arrays: list[np.ndarray],
        rows: np.ndarray,
        stop: threading.Event,
    ) -> Outcome:
        estimator = self._make(0)
        offsets = np.concatenate([[0], np.cumsum([len(X) for X in arrays])])
        structure, dtype = estimator._structure, rows.dtype
        working = np.asarray(rows, estimator._family.fit_dtype or dtype)
        many = ManyPass(working, offsets, structure.forms)
        starts = ManyStarts(
            arrays,
            rows,
            offsets,
            self._seeds[numbers],
            estimator.n_components,
            estimator.init_params,
        )
        restarts = starts.restarts(estimator.n_init)
        fit = fit_in_lockstep(estimator, many, dtype, restarts, stop)
        with np.errstate(over="ignore"):  # of those that are too large
            fitted = fitted_attributes(fit.model, fit.result)
        fitted["lower_bounds_"] = _of_each(fit.result.lower_bounds, len(numbers))
        fitted["diagnostics_"] = [()] * len(numbers)
        log_likelihoods = fit.log_likelihoods
        large = are_too_large(structure, fit.result.parameters, dtype)
        errors = (
            dict.fromkeys(np.flatnonzero(large).tolist(), too_large(dtype))
            | dict.fromkeys(np.flatnonzero(fit.failed).tolist(), ill_defined(dtype))
            | starts.errors
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
        entries = attributes, lists, n_rows[good], log_likelihoods[good], bics[good]
        return Outcome(numbers, {int(numbers[i]): error for i, error in errors.items()}, entries)

    def _of_one(self, i: int, stop: threading.Event) -> Outcome:
        """An ordinary fit, on this thread."""
        X = self._items.data[i]
        weights, labels = (None if given is None else given[i] for given in self._besides)
        model = self._make(int(self._seeds[i]))
        model.n_jobs = 1
        model._listener = _UntilStopped(model, stop)
        numbers = np.array([i])
        try:
            model.fit(X, sample_weight=weights, labels=labels)
            score, weight = predicting.score(model, X, weights)
        except Exception as error:
            return Outcome(numbers, {i: error})
        total = np.array([weight])
        k, d = model.means_.shape
        fitted = _fitted(model)
        lists = {name: [value] for name, value in fitted.items() if isinstance(value, list)}
        attributes = {name: _of_one(value) for name, value in fitted.items() if name not in lists}
        bics = self._criteria(k, d, score * total, total)
        entries = attributes, lists, np.array([_n_rows(X)]), score * total, bics
        return Outcome(numbers, {}, entries, getattr(model, "feature_names_in_", None))

    def _criteria(
        self, k: int, d: int, log_likelihoods: np.ndarray, total_weights: np.ndarray
    ) -> np.ndarray:
        """Bayesian information criteria; NaN where the estimator has none."""
        if not hasattr(self._model, "bic"):
            return np.full(len(log_likelihoods), np.nan)
        return self._model._count_parameters(k, d) * np.log(total_weights) - 2 * log_likelihoods


class _UntilStopped(Messages):
    """Ends a fit when nobody waits for it any more."""

    def __init__(self, model: Any, stop: threading.Event):
        super().__init__(model)
        self._stop = stop

    def iteration_ends(self, result, change):
        super().iteration_ends(result, change)
        return self._stop.is_set()


def is_plain(model: Any) -> bool:
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
        from fastgmm.distributed import open_source

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
