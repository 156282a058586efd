"""What comes out of `fit_many`: the parameters of all mixtures, and how every fit went."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgmm.sources.optional import import_optional


class ItemStatus(NamedTuple):
    """How the fit of one data set went.

    Parameters
    ----------
    key : object
        Position, group or column.
    seed : int
        Its `random_state`.
    n_rows : int
        0 if that is not known.
    converged : bool
    n_iter : int
    log_likelihood : float
        Of all rows under the fitted parameters, in nats; NaN if the fit failed.
    bic : float
        The lower the better; NaN if the fit failed, and for BayesianGaussianMixture, which has a
        bound of its own.
    error : str or None
    """

    key: Any
    seed: int
    n_rows: int
    converged: bool
    n_iter: int
    log_likelihood: float
    bic: float
    error: str | None


class FitReport:
    """Mixtures of many data sets, in the order of these.

    Attributes of the estimator are here with an axis in front, for the data sets: ``weights_`` of
    shape (sets, k), ``means_`` of shape (sets, k, d), ``converged_`` of shape (sets,), and so on.
    Where a fit failed, they hold NaN, 0 or False. ``report[i]`` is the fitted estimator of one data
    set, ``report["name"]`` that of a group or column.

    Parameters
    ----------
    make : callable
        From a seed to an unfitted estimator.
    keys : sequence
    seeds : ndarray of int, shape (sets,)
    feature_names : sequence of list of str, optional

    Attributes
    ----------
    keys : list
    seeds : ndarray of int, shape (sets,)
        ``random_state`` of every fit.
    errors : list of (str or None)
    failed : ndarray of int
        Positions of the data sets whose fit failed.
    n_rows_ : ndarray of int, shape (sets,)
    log_likelihood_, bic_ : ndarray of shape (sets,)
        See `ItemStatus`.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        keys: Sequence,
        seeds: np.ndarray,
        feature_names: Sequence | None = None,
    ):
        n = len(keys)
        self.keys, self.seeds = list(keys), seeds
        self.errors: list[str | None] = [None] * n
        self.n_rows_ = np.zeros(n, dtype=np.int64)
        self.log_likelihood_ = np.full(n, np.nan)
        self.bic_ = np.full(n, np.nan)
        self.lower_bounds_: list[list[float]] = [[] for _ in range(n)]
        self._make, self._feature_names = make, feature_names
        self._stacks: dict[str, Any] = {
            "converged_": np.zeros(n, dtype=bool),
            "n_iter_": np.zeros(n, dtype=np.int64),
            "lower_bound_": np.full(n, np.nan),
        }
        self._singles: dict[str, np.ndarray] = {}  # which values of a stack were float32
        self._n_features = 0

    def __len__(self) -> int:
        """Number of data sets."""
        return len(self.keys)

    def __repr__(self) -> str:
        failed = len(self.failed)
        return f"<FitReport: {len(self) - failed} mixtures fitted, {failed} failed>"

    def __getattr__(self, name: str) -> Any:
        stacks = self.__dict__.get("_stacks", {})
        if name in stacks:
            return stacks[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._stacks]

    def __getitem__(self, item: Any) -> Any:
        """The fitted estimator of a data set, by its position or its key.

        Equal to what ``estimator(n_components, random_state=report.seeds[i], ...).fit`` gives for
        the data set alone.

        Raises
        ------
        ValueError
            If its fit failed.
        IndexError, KeyError
            If there is no such data set.
        """
        i = self._position(item)
        if self.errors[i] is not None:
            raise ValueError(f"The fit of data set {self.keys[i]!r} failed: {self.errors[i]}")
        model = self._make(int(self.seeds[i]))
        for name, stack in self._stacks.items():
            parts = [self._value(name, part, i) for part in _parts(stack)]
            setattr(model, name, tuple(parts) if isinstance(stack, tuple) else parts[0])
        model.lower_bounds_ = list(self.lower_bounds_[i])
        model.n_features_in_ = self._n_features
        if self._feature_names is not None:
            names = self._feature_names[i]
            if all(isinstance(name, str) for name in names):
                model.feature_names_in_ = np.array(names, dtype=object)
        return model

    def __iter__(self) -> Iterator[Any]:
        """The fitted estimators in order; None where a fit failed."""
        for i in range(len(self)):
            yield None if self.errors[i] is not None else self[i]

    @property
    def failed(self) -> np.ndarray:
        """Positions of the data sets whose fit failed."""
        return np.flatnonzero([error is not None for error in self.errors])

    def status(self, item: Any) -> ItemStatus:
        """How the fit of a data set went, by its position or its key."""
        i = self._position(item)
        return ItemStatus(
            self.keys[i],
            int(self.seeds[i]),
            int(self.n_rows_[i]),
            bool(self.converged_[i]),
            int(self.n_iter_[i]),
            float(self.log_likelihood_[i]),
            float(self.bic_[i]),
            self.errors[i],
        )

    def to_frame(self) -> Any:
        """A pandas DataFrame of `ItemStatus`, a row per data set.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_optional("pandas", "FitReport.to_frame")
        rows = [self.status(i) for i in range(len(self))]
        return pandas.DataFrame.from_records(rows, columns=ItemStatus._fields)

    def _position(self, item: Any) -> int:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            if not -len(self) <= item < len(self):
                raise IndexError(f"There is no data set {item}; there are {len(self)}.")
            return int(item) % len(self)
        if item not in self.keys:
            raise KeyError(f"There is no data set {item!r}.")
        return self.keys.index(item)

    def _value(self, name: str, stack: np.ndarray, i: int) -> Any:
        """What an estimator of its own would hold."""
        value = stack[i]
        if value.dtype.kind in "bi":
            return value.item()
        return value.astype(np.float32 if self._singles[name][i] else np.float64)[()]

    # -- filling -----------------------------------------------------------------------------------
    def put(
        self,
        numbers: np.ndarray,
        attributes: dict[str, Any],
        lower_bounds: list[list[float]],
        n_rows: np.ndarray,
        log_likelihoods: np.ndarray,
    ) -> None:
        """Enter fitted attributes, with an axis in front, of the data sets `numbers`."""
        for name, values in attributes.items():
            stack = self._stacks.get(name)
            if stack is None:
                stack = tuple(_empty(part, len(self)) for part in _parts(values))
            filled = tuple(
                _filled(old, numbers, new)
                for old, new in zip(_parts(stack), _parts(values), strict=True)
            )
            self._stacks[name] = filled if isinstance(values, tuple) else filled[0]
            singles = self._singles.setdefault(name, np.zeros(len(self), dtype=bool))
            singles[numbers] = _parts(values)[0].dtype == np.float32
        self._n_features = attributes["means_"].shape[-1]
        self.n_rows_[numbers] = n_rows
        self.log_likelihood_[numbers] = log_likelihoods
        for i, bounds in zip(numbers, lower_bounds, strict=True):
            self.lower_bounds_[i] = bounds

    def put_bic(self, n_parameters: int) -> None:
        """Bayesian information criteria of mixtures with so many free parameters."""
        with np.errstate(divide="ignore"):
            penalty = n_parameters * np.log(self.n_rows_)
        self.bic_ = np.where(
            np.isnan(self.log_likelihood_), math.nan, penalty - 2 * self.log_likelihood_
        )


def _parts(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _empty(values: np.ndarray, n: int) -> np.ndarray:
    """Room for n of such values, filled with NaN, 0 or False."""
    missing = np.nan if values.dtype.kind == "f" else 0
    return np.full((n, *values.shape[1:]), missing, dtype=values.dtype)


def _filled(stack: np.ndarray, numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The stack with values entered, in a type that holds both."""
    stack = stack.astype(np.result_type(stack, values), copy=False)
    stack[numbers] = values
    return stack
