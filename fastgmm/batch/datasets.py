"""What `fit_many` is given, taken apart: data sets with names."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgmm.sources.checks import check_distinct


class DataSetList(NamedTuple):
    """Data sets to fit, each for itself.

    Parameters
    ----------
    keys : list
        What to call them: positions, groups or columns.
    data : list
        Whatever `fit` of an estimator takes.
    feature_names : list of list of str, or None
        Of every data set, if it comes from a frame.
    """

    keys: list
    data: list
    feature_names: list | None


def data_sets(datasets: Any, by: Any, columns: Any) -> DataSetList:
    """Take apart what `fit_many` is given; see there.

    Raises
    ------
    ValueError, TypeError
        If it is nothing that holds data sets; the text says what would be.
    """
    if _is_frame(datasets):
        found = _of_frame(datasets, by, columns)
    elif by is not None:
        raise TypeError(f"by={by!r} needs a DataFrame, but got a {type(datasets).__name__}.")
    elif columns is not None:
        found = _of_array_columns(datasets, columns)
    elif isinstance(datasets, Mapping):
        found = DataSetList(list(datasets), list(datasets.values()), None)
    else:
        data = _listed(datasets)
        found = DataSetList(list(range(len(data))), data, None)
    if not found.data:
        raise ValueError("There is no data set to fit.")
    return found


def of_each_set(given: Any, name: str, keys: list) -> list:
    """An entry for every data set, in their order; the entries are checked by `fit`.

    Parameters
    ----------
    given : sequence or mapping
        By position, or by key.
    name : str
        Of the argument.
    keys : list
        Of the data sets.

    Raises
    ------
    ValueError
        If there is not an entry for every data set.
    """
    what = f"{name} should hold an array, or None, for each of {len(keys)} data sets, but"
    if isinstance(given, Mapping):
        known = set(keys)
        missing = [key for key in keys if key not in given]
        unknown = [key for key in given if key not in known]
        if missing:
            raise ValueError(f"{what} has none for {missing[0]!r}.")
        if unknown:
            raise ValueError(f"{what} has one for {unknown[0]!r}, which is none of them.")
        return [given[key] for key in keys]
    try:
        entries = [] if isinstance(given, str) else list(given)
    except TypeError:
        raise ValueError(f"{what} got a {type(given).__name__}.") from None
    if len(entries) != len(keys):
        raise ValueError(f"{what} has {len(entries)} entries.")
    return entries


def _is_frame(thing: Any) -> bool:
    """Whether something is a frame of pandas or polars, or one with their interface."""
    return all(hasattr(thing, name) for name in ("columns", "to_numpy", "__getitem__"))


def _listed(datasets: Any) -> list:
    if isinstance(datasets, np.ndarray):
        if datasets.ndim == 3 or datasets.dtype == object:
            return list(datasets)
        raise ValueError(
            "fit_many takes a list of data sets, an array of shape (sets, rows, features), or one "
            f"of shape (rows, columns) with columns='each'; but got an array of shape "
            f"{datasets.shape}."
        )
    if isinstance(datasets, (str, bytes)) or not isinstance(datasets, Iterable):
        raise TypeError(
            "fit_many takes a list of data sets, a three-dimensional array or a DataFrame, but got "
            f"a {type(datasets).__name__}."
        )
    return list(datasets)


def _of_array_columns(datasets: Any, columns: Any) -> DataSetList:
    if not isinstance(datasets, np.ndarray) or datasets.ndim != 2:
        raise TypeError("columns needs a DataFrame or a two-dimensional array.")
    n_columns = datasets.shape[1]
    numbers = list(range(n_columns)) if _each(columns) else list(columns)
    for number in numbers:
        is_number = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not is_number or not 0 <= number < n_columns:
            raise ValueError(f"columns has {number!r}, but the array has {n_columns} columns.")
    check_distinct(numbers, "fit_many")
    return DataSetList(numbers, [datasets[:, [number]] for number in numbers], None)


def _of_frame(frame: Any, by: Any, columns: Any) -> DataSetList:
    if by is None and columns is None:
        raise ValueError(
            "Of a DataFrame, by='name of a column' fits one mixture per group of rows, and "
            "columns='each' one per column: give one of them."
        )
    names = list(frame.columns)
    group_names = [] if by is None else [by] if np.ndim(by) == 0 else list(by)
    asked = None if columns is None or _each(columns) else list(columns)
    missing = [name for name in [*group_names, *(asked or [])] if name not in names]
    if missing:
        raise ValueError(f"The DataFrame has no column {missing[0]!r}; it has {names}.")
    features = [name for name in names if name not in group_names] if asked is None else asked
    counts = Counter(names)
    for name in (*group_names, *features):
        if counts[name] > 1:
            raise ValueError(f"The DataFrame has {counts[name]} columns of name {name!r}.")
    check_distinct([*group_names, *features], "fit_many")
    if by is not None:
        if columns is not None and _each(columns):
            raise ValueError("by and columns='each' exclude each other.")
        return _groups(frame, by if np.ndim(by) == 0 else group_names, features)
    data = [np.asarray(frame[name].to_numpy())[:, np.newaxis] for name in features]
    return DataSetList(features, data, [[name] for name in features])


def _groups(frame: Any, by: str | list, features: list) -> DataSetList:
    """One data set per group, in the order of sorted keys; rows without a key are left out."""
    if not features:
        raise ValueError("The DataFrame has no column but those of by.")
    columns = [_numbers(frame[name], name) for name in features]
    values = np.column_stack(columns)
    keys, places = [], []
    if hasattr(frame, "groupby"):  # pandas
        for key, where in frame.groupby(by, sort=True, observed=True).indices.items():
            keys.append(key)
            places.append(where)
    else:  # polars
        numbered = frame.select(by).with_row_index("fastgmm row").drop_nulls()
        numbered = numbered.sort(by, maintain_order=True)
        parts = numbered.partition_by(by, as_dict=True, maintain_order=True)
        for key, part in parts.items():
            keys.append(key[0] if isinstance(by, str) else key)
            places.append(part["fastgmm row"].to_numpy())
    return DataSetList(keys, [values[where] for where in places], [features] * len(keys))


def _numbers(column: Any, name: Any) -> np.ndarray:
    """Values of a column, float32 if they are, else float64."""
    values = np.asarray(column.to_numpy())
    if values.dtype == np.float32:
        return values
    try:
        if values.dtype.kind in "mMc":
            raise TypeError(f"it is of type {values.dtype}")
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name!r} holds something that is no number: {error}. Leave it out by columns=."
        ) from None


def _each(columns: str | Sequence) -> bool:
    if np.ndim(columns) == 0:
        if columns != "each":
            raise ValueError(f"columns should be 'each' or a list of names, but got {columns!r}.")
        return True
    return False
