"""What comes out of `fit_many`: the parameters of all mixtures, and how every fit went."""

import os
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
    set, ``report["name"]`` that of a group or column; integers are positions, also where keys are
    integers.

    Parameters
    ----------
    make : callable
        From a seed to an unfitted estimator.
    keys : sequence
    seeds : ndarray of int, shape (sets,)
    feature_names : sequence of list of str, optional
    key_names : sequence of str, optional
        What the keys are called in tables; several if they are tuples.

    Attributes
    ----------
    keys : list
    key_names : list of str
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
        key_names: Sequence[str] = ("key",),
    ):
        n = len(keys)
        self.keys, self.seeds = list(keys), seeds
        self.key_names = list(key_names)
        self.errors: list[str | None] = [None] * n
        self.n_rows_ = np.zeros(n, dtype=np.int64)
        self.log_likelihood_ = np.full(n, np.nan)
        self.bic_ = np.full(n, np.nan)
        # Of any sequences: lists by the thousand would set off the garbage collector.
        self._lists: dict[str, list[Sequence]] = {"lower_bounds_": [()] * n}
        self._make = make
        self._feature_names = [None] * n if feature_names is None else list(feature_names)
        self._stacks: dict[str, Any] = {
            "converged_": np.zeros(n, dtype=bool),
            "n_iter_": np.zeros(n, dtype=np.int64),
            "lower_bound_": np.full(n, np.nan),
        }
        self._singles: dict[str, np.ndarray] = {}  # which values of a stack were float32
        self._shapes: dict[int, dict[str, tuple]] = {}  # of what is smaller than its stack
        self._n_features = 0

    def __len__(self) -> int:
        """Number of data sets."""
        return len(self.keys)

    def __repr__(self) -> str:
        failed = len(self.failed)
        return f"<FitReport: {len(self) - failed} mixtures fitted, {failed} failed>"

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("_stacks", {}):
            return self._stacks[name]
        if name in self.__dict__.get("_lists", {}):
            return [_as_list(entry) for entry in self._lists[name]]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._stacks, *self._lists]

    def __getitem__(self, item: Any) -> Any:
        """The fitted estimator of a data set, by its position or its key.

        A slice gives a list of them, None where a fit failed.

        Equal to what ``estimator(n_components, random_state=report.seeds[i], ...).fit`` gives for
        the data set alone.

        Raises
        ------
        ValueError
            If its fit failed.
        IndexError, KeyError
            If there is no such data set.
        """
        if isinstance(item, slice):
            return [self._of_position(i) for i in range(len(self))[item]]
        i = self._position(item)
        if self.errors[i] is not None:
            raise ValueError(f"The fit of data set {self.keys[i]!r} failed: {self.errors[i]}")
        model = self._make(int(self.seeds[i]))
        for name, stack in self._stacks.items():
            parts = [self._value(name, part, i) for part in _parts(stack)]
            setattr(model, name, tuple(parts) if isinstance(stack, tuple) else parts[0])
        for name, lists in self._lists.items():
            setattr(model, name, _as_list(lists[i]))
        model.n_features_in_ = self._n_features
        names = self._feature_names[i]
        if names is not None and all(isinstance(name, str) for name in names):
            model.feature_names_in_ = np.array(names, dtype=object)
        return model

    def __iter__(self) -> Iterator[Any]:
        """The fitted estimators in order; None where a fit failed."""
        return map(self._of_position, range(len(self)))

    def __contains__(self, item: Any) -> bool:
        """Whether there is a data set of this position or key, as for ``report[item]``."""
        try:
            self._position(item)
        except LookupError:
            return False
        return True

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

    def plot(
        self,
        item: Any,
        X: Any = None,
        *,
        features: Any = (0, 1),
        levels: Any = (0.5, 0.95),
        ax: Any = None,
    ) -> Any:
        """Picture of the mixture of a data set: `fastgmm.plotting.components`.

        Parameters
        ----------
        item : object
            Position or key of the data set.
        X : array-like of shape (n_samples, n_features), optional
            Its rows, which the report does not keep; without them, the ellipses alone.
        features, levels, ax
            See `fastgmm.plotting.components`.

        Returns
        -------
        ax : matplotlib.axes.Axes

        Raises
        ------
        ValueError, IndexError, KeyError
            If its fit failed, or there is no such data set.
        TypeError
            If it is a slice, which stands for several.
        ImportError
            If matplotlib is not installed.
        """
        from fastgmm.plotting import components

        if isinstance(item, slice):
            raise TypeError(
                f"plot draws one mixture, but {item!r} stands for several: call it for each, with "
                "an ax of its own."
            )
        return components(self[item], X, features=features, levels=levels, ax=ax)

    def save(self, path: str | os.PathLike) -> None:
        """Write all mixtures to one file, which `fastgmm.load` reads.

        It is a Parquet file that any other program reads, too: a row for each data set, with its
        key, how the fit went, and the fitted attributes as lists. The key stands in the column of
        `by`, or in ``key``. Nothing in it is ever run.

        Parameters
        ----------
        path : path

        Raises
        ------
        ValueError
            If an argument of the estimator is a function, or the keys are of no one type.
        OSError
            If the file cannot be written. What was there before is then still there.
        ImportError
            If pyarrow is not installed.
        """
        from fastgmm.batch.files import save_report  # which reads reports, too

        save_report(self, path)

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

    def _of_position(self, i: int) -> Any:
        return None if self.errors[i] is not None else self[i]

    def _position(self, item: Any) -> int:
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            if not -len(self) <= item < len(self):
                hint = ""
                if item in self.keys:
                    hint = f" Integers are positions; the key {item} is at {self.keys.index(item)}."
                raise IndexError(f"There is no data set {item}; there are {len(self)}.{hint}")
            return int(item) % len(self)
        if item not in self.keys:
            raise KeyError(f"There is no data set {item!r}.")
        return self.keys.index(item)

    def _value(self, name: str, stack: np.ndarray, i: int) -> Any:
        """What an estimator of its own would hold."""
        value = stack[i]
        for axis, length in enumerate(self._shapes.get(i, {}).get(name, ())):
            value = value.take(range(length), axis=axis)
        if value.dtype.kind in "bi":
            return value.item()
        return value.astype(np.float32 if self._singles[name][i] else np.float64)[()]

    # -- filling -----------------------------------------------------------------------------------
    def put(
        self,
        numbers: np.ndarray,
        attributes: dict[str, Any],
        lists: dict[str, list],
        n_rows: np.ndarray,
        log_likelihoods: np.ndarray,
        bics: np.ndarray | float,
    ) -> None:
        """Enter fitted attributes of the data sets `numbers`: arrays with an axis in front, lists.

        A mixture may have fewer components than the others: NaN fills up its place.
        """
        for name, values in attributes.items():
            parts = _parts(values)
            stacks = _parts(self._stacks[name]) if name in self._stacks else [None] * len(parts)
            filled = tuple(
                _filled(stack, len(self), numbers, part)
                for stack, part in zip(stacks, parts, strict=True)
            )
            self._stacks[name] = filled if isinstance(values, tuple) else filled[0]
            singles = self._singles.setdefault(name, np.zeros(len(self), dtype=bool))
            singles[numbers] = parts[0].dtype == np.float32
        self._n_features = attributes["means_"].shape[-1]
        self.n_rows_[numbers] = n_rows
        self.log_likelihood_[numbers] = log_likelihoods
        self.bic_[numbers] = bics
        if attributes["means_"].shape[1] < self._make(0).n_components:
            shapes = {name: _parts(values)[0].shape[1:] for name, values in attributes.items()}
            self._shapes |= dict.fromkeys(numbers.tolist(), shapes)
        for name, values in lists.items():
            if name not in self._lists:
                self._lists[name] = [()] * len(self)
            entries = self._lists[name]
            for i, value in zip(numbers.tolist(), values, strict=True):
                entries[i] = value

    def name_features(self, i: int, names: Sequence | None) -> None:
        """Enter the names that a fit has found in its data set, if there are any."""
        if names is not None:
            self._feature_names[i] = names


def _as_list(entry: Sequence | np.ndarray) -> list:
    """Numbers of an array as such of Python, as a fit of its own leaves them."""
    return entry.tolist() if isinstance(entry, np.ndarray) else list(entry)


def _parts(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _filled(stack: np.ndarray | None, n: int, numbers: np.ndarray, values: Any) -> np.ndarray:
    """A stack of n values with some entered; it grows, in type and in shape, to hold them all."""
    old = values[:0] if stack is None else stack
    shape = (n, *(max(pair) for pair in zip(old.shape[1:], values.shape[1:], strict=True)))
    dtype = np.result_type(old, values)
    if old.shape != shape or old.dtype != dtype:
        stack = np.full(shape, np.nan if dtype.kind == "f" else 0, dtype=dtype)
        stack[tuple(slice(length) for length in old.shape)] = old
    assert stack is not None
    place: Any = (numbers, *(slice(length) for length in values.shape[1:]))
    stack[place] = values
    return stack
