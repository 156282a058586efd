"""`fit_many`: which data sets run in lockstep, which by themselves, and on which threads."""

import functools
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastgmm.batch.datasets import DataSetList, check_weights_of_sets, data_sets
from fastgmm.batch.lockstep import DataSets, LockstepFit
from fastgmm.batch.progress import Progress
from fastgmm.batch.report import FitReport
from fastgmm.batch.starts import ManyStarts
from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.base import MixtureEstimator
from fastgmm.fitting import FitOptions
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.sources.base import RowGrid
from fastgmm.sources.opening import holds_rows, open_source

_MOST_SETS = 1024
"""Data sets that run in lockstep; the more, the less each costs beside its kernels..."""

_LEAST_SETS = 64

_MOST_BYTES = 1 << 23
"""...but their rows should stay in a cache."""

_GROUPS_PER_THREAD = 4
"""So that threads end at about the same time."""


def fit_many(
    datasets: Any,
    n_components: int = 1,
    n_jobs: int | None = None,
    on_error: str = "record",
    progress: bool = False,
    estimator: Any = GaussianMixture,
    *,
    by: Any = None,
    columns: Any = None,
    random_state: Any = None,
    sample_weight: Sequence | None = None,
    **parameters: Any,
) -> FitReport:
    """Fit a mixture to each of many data sets.

    The result for a data set is that of a fit of its own. Small ones run in lockstep, hundreds to
    a thread; large ones one by one, each on one thread.

    Parameters
    ----------
    datasets : list, dict, ndarray of shape (sets, rows, features), or DataFrame
        Data sets of any lengths, each whatever `fit` takes; all need the same number of features.
        For a DataFrame of pandas or polars see `by` and `columns`.
    n_components : int, default=1
    n_jobs : int or None, default=None
        Threads, as for the estimators. No result depends on it.
    on_error : {'record', 'raise'}, default='record'
        What to do if a fit fails: note it in the report and go on, or raise.
    progress : bool, default=False
        Show on standard error how far it is: a bar if rich is installed, else lines.
    estimator : type, default=GaussianMixture
        GaussianMixture, BayesianGaussianMixture or a subclass.
    by : str or list of str, optional
        Column or columns of a DataFrame: one mixture per group of rows that agree in them. Rows
        without a value there are left out. The features are the other columns, or `columns`.
    columns : 'each' or list, optional
        Of a DataFrame or an array (rows, columns): one mixture per column, each of one feature.
    random_state : int, RandomState or None, default=None
        Data set i is fitted with entry i of ``SeedSequence(random_state).generate_state(sets)`` (of
        `numpy.random`) as its `random_state`, which depends on neither the others nor their number;
        see `FitReport.seeds`. From a RandomState one number is drawn; None is a new seed each time.
    sample_weight : sequence of (array-like or None), optional
        Weights of the rows of every data set.
    **parameters
        All other arguments of the estimator.

    Returns
    -------
    report : FitReport

    Raises
    ------
    ValueError
        If an argument is out of range, or, with ``on_error='raise'``, a fit fails.
    TypeError
        If there is no such argument, or `datasets` holds no data sets.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import fit_many
    >>> sets = np.random.default_rng(0).normal(size=(100, 50, 2))
    >>> report = fit_many(sets, n_components=2, random_state=0)
    >>> report
    <FitReport: 100 mixtures fitted, 0 failed>
    >>> report.means_.shape
    (100, 2, 2)
    >>> report[7].predict(sets[7]).shape
    (50,)
    """
    if on_error not in ("record", "raise"):
        raise ValueError(f"on_error should be 'record' or 'raise', but got {on_error!r}.")
    if not (isinstance(estimator, type) and issubclass(estimator, MixtureEstimator)):
        raise TypeError(
            "estimator should be fastgmm.GaussianMixture or fastgmm.BayesianGaussianMixture, but "
            f"got {estimator!r}."
        )
    make = functools.partial(_make, estimator, n_components, parameters)
    make(0)._validate_params()
    estimator(n_jobs=n_jobs)._validate_params()
    items = data_sets(datasets, by, columns)
    if sample_weight is not None:
        check_weights_of_sets(sample_weight, len(items.data))
    seeds = item_seeds(random_state, len(items.data))
    report = FitReport(make, items.keys, seeds, items.feature_names)
    with Progress(len(report), progress) as bar, warnings.catch_warnings():
        # What they say is in the report; the filter holds for all threads.
        warnings.simplefilter("ignore", ConvergenceWarning)
        run = _Run(items, sample_weight, report, bar, on_error == "raise")
        engine = ThreadEngine(n_jobs)
        groups = run.groups(engine.n_threads)
        engine.for_each(lambda g: run.fit_group(groups[g]), len(groups))
    return report


def item_seeds(random_state: Any, n: int) -> np.ndarray:
    """Seeds of n data sets; each depends on `random_state` and its own place alone.

    Raises
    ------
    ValueError
        If `random_state` is neither None, a RandomState nor an integer from 0.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = int(random_state.randint(2**31 - 1))
    elif isinstance(random_state, bool) or not (
        random_state is None
        or (isinstance(random_state, (int, np.integer)) and 0 <= random_state < 2**32)
    ):
        raise ValueError(
            "random_state should be None, a RandomState or an integer from 0 to 2**32 - 1, but got "
            f"{random_state!r}."
        )
    return np.random.SeedSequence(random_state).generate_state(n)


def _make(estimator: Any, n_components: int, parameters: dict, seed: int) -> Any:
    return estimator(n_components=n_components, random_state=seed, **parameters)


class _Run:
    """The fits of one call.

    Parameters
    ----------
    items : DataSetList
    weights : sequence or None
    report : FitReport
        To be filled.
    bar : Progress
    raises : bool
        Whether the first error ends it all.
    """

    def __init__(
        self,
        items: DataSetList,
        weights: Sequence | None,
        report: FitReport,
        bar: Progress,
        raises: bool,
    ):
        self._items, self._weights = items, weights
        self._report, self._bar, self._raises = report, bar, raises
        self._lock = threading.Lock()
        self._model = report._make(0)
        self._in_lockstep = _plain(self._model)
        widths = Counter(X.shape[1] for X in items.data if _is_matrix(X))
        self._n_features = widths.most_common(1)[0][0] if widths else None

    # -- which run together ------------------------------------------------------------------------
    def groups(self, n_threads: int) -> list[list[int]]:
        """Numbers of data sets that run together: the large first, each by itself."""
        together: dict[Any, list[int]] = {}
        alone = []
        for i, X in enumerate(self._items.data):
            if self._fits_in_lockstep(i):
                together.setdefault(_real_dtype(X), []).append(i)
            else:
                alone.append(i)
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

    def _fits_in_lockstep(self, i: int) -> bool:
        """Whether a data set is plain and small; all else is left to `fit`, errors too."""
        X, k = self._items.data[i], self._model.n_components
        return (
            self._in_lockstep
            and (self._weights is None or self._weights[i] is None)
            and _is_matrix(X)
            and _real_dtype(X) is not None
            and X.shape[1] == self._n_features
            and len(X) >= max(k, 2)
            and _is_one_chunk(len(X), X.shape[1], k)
        )

    # -- fits --------------------------------------------------------------------------------------
    def fit_group(self, numbers: list[int]) -> None:
        """Fit data sets that run together."""
        alone = numbers
        if self._fits_in_lockstep(numbers[0]):
            arrays = [
                np.asarray(self._items.data[i], _real_dtype(self._items.data[i])) for i in numbers
            ]
            finite = [bool(np.isfinite(X).all()) for X in arrays]
            good = [i for i, is_finite in zip(numbers, finite, strict=True) if is_finite]
            alone = [i for i, is_finite in zip(numbers, finite, strict=True) if not is_finite]
            if good:
                chosen = [X for X, is_finite in zip(arrays, finite, strict=True) if is_finite]
                with np.errstate(all="ignore"):  # failed fits go on as NaN for an iteration
                    self._fit_lockstep(np.array(good), chosen)
        for i in alone:
            self._fit_alone(i)

    def _fit_lockstep(self, numbers: np.ndarray, arrays: list[np.ndarray]) -> None:
        report = self._report
        model = report._make(0)
        rows = np.concatenate(arrays)
        offsets = np.concatenate([[0], np.cumsum([len(X) for X in arrays])])
        source = DataSets(np.asarray(rows, model._fit_dtype or rows.dtype), offsets)
        tol = model._tolerance(source.total_weight)
        options = FitOptions(model.n_components, tol, model.reg_covar, model.max_iter)
        fit = LockstepFit(source, model._structure, options)
        mixture = model._model(model._checked_copy(rows.shape[1]), fit)
        seeds = report.seeds[numbers]
        starts = ManyStarts(arrays, rows, offsets, seeds, model.n_components, model.init_params)
        result = fit.run_all(mixture, starts.restarts(model.n_init), model.n_init)
        log_likelihoods = fit.log_likelihoods(result.parameters)
        fitted = model._fitted_attributes(result, mixture, rows.dtype)
        errors = dict.fromkeys(np.flatnonzero(fit.failed).tolist(), fit.error()) | starts.errors
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
        n_rows = source.n_rows
        bics = self._criteria(model.n_components, rows.shape[1], log_likelihoods, n_rows)
        with self._lock:
            report.put(
                numbers[good], attributes, lists, n_rows[good], log_likelihoods[good], bics[good]
            )
        for i, error in errors.items():
            self._record(int(numbers[i]), error)
        self._bar.advance(len(numbers), len(errors))

    def _fit_alone(self, i: int) -> None:
        """An ordinary fit, on this thread."""
        X = self._items.data[i]
        weights = None if self._weights is None else self._weights[i]
        model = self._report._make(int(self._report.seeds[i]))
        model.n_jobs = 1
        try:
            model.fit(X, sample_weight=weights)
            score, weight = model._score(X, weights)
            self._check_features(model.n_features_in_)
        except Exception as error:
            self._record(i, error)
            self._bar.advance(1, 1)
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
        self._bar.advance(1, 0)

    def _criteria(
        self, k: int, d: int, log_likelihoods: np.ndarray, total_weights: np.ndarray
    ) -> np.ndarray:
        """Bayesian information criteria; NaN where the estimator has none."""
        if not hasattr(self._model, "bic"):
            return np.full(len(log_likelihoods), np.nan)
        n_parameters = self._model._structure.n_free_parameters(k, d) + k * d + k - 1
        return n_parameters * np.log(total_weights) - 2 * log_likelihoods

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


def _plain(model: Any) -> bool:
    """Whether nothing is asked for that only ordinary fits can do."""
    given = ("weights_init", "means_init", "precisions_init")
    return (
        type(model) in (GaussianMixture, BayesianGaussianMixture)
        and (isinstance(model.init_params, str) or callable(model.init_params))
        and not isinstance(model.reg_covar, str)
        and model.on_failure == "raise"
        and not model.verbose
        and all(getattr(model, name, None) is None for name in given)
    )


@functools.lru_cache(maxsize=4096)
def _is_one_chunk(n_rows: int, n_features: int, n_components: int) -> bool:
    """Whether a fit takes the rows in one piece, as lockstep does."""
    return len(RowGrid.of(n_rows, n_features, n_components)) == 1


def _is_matrix(X: Any) -> bool:
    return type(X) is np.ndarray and X.ndim == 2 and X.shape[1] > 0


def _real_dtype(X: np.ndarray) -> np.dtype | None:
    """Type to fit an array in; None if scikit-learn has to say what it thinks of it."""
    if X.dtype in (np.float64, np.float32) and X.dtype.isnative:
        return X.dtype
    return np.dtype(np.float64) if X.dtype.kind in "iu" else None


def _n_rows(X: Any) -> int:
    if holds_rows(X):
        return open_source(X).n_rows
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def _fitted(model: Any) -> dict[str, Any]:
    """Fitted attributes: arrays, tuples of arrays, numbers, and lists that are as they are."""
    left_out = ("n_features_in_", "feature_names_in_")
    return {
        name: value
        for name, value in vars(model).items()
        if name.endswith("_") and not name.startswith("_") and name not in left_out
    }


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
