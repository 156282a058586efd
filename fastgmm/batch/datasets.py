"""What `fit_many` is given, taken apart: data sets with names."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgmm.sources.arrow import to_numbers
from fastgmm.sources.checks import check_distinct
from fastgmm.sources.kinds import holds_rows, package_of
from fastgmm.sources.optional import import_optional
from fastgmm.sources.tables import read_table


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
    weights, labels : list or None
        What `fit` takes as `sample_weight` and as `labels`, for every data set.
    """

    keys: list
    data: list
    feature_names: list | None
    weights: list | None = None
    labels: list | None = None


def data_sets(
    datasets: Any, by: Any, columns: Any, sample_weight: Any = None, labels: Any = None
) -> DataSetList:
    """Take apart what `fit_many` is given; see there.

    Raises
    ------
    ValueError, TypeError
        If it is nothing that holds data sets; the text says what would be.
    """
    if "GroupBy" in type(datasets).__name__:
        raise TypeError(
            f"fit_many groups rows itself: in the place of a {type(datasets).__name__} give it the "
            "frame, and by='name of a column'."
        )
    is_path = isinstance(datasets, (str, os.PathLike))
    is_whole = is_path and by is None and columns is None  # of which no data sets are asked for
    table = None if is_whole or isinstance(datasets, (list, tuple)) else read_table(datasets)
    frame = datasets if table is None else table
    if table is not None or _is_frame(frame):
        found = _of_frame(frame, by, columns, {"sample_weight": sample_weight, "labels": labels})
    elif by is not None:
        raise TypeError(
            f"by={by!r} needs a DataFrame, a table of Arrow, or a file with names of columns, but "
            f"got a {type(datasets).__name__}."
        )
    elif columns is not None:
        found = _of_array_columns(datasets, columns)
    elif isinstance(datasets, Mapping):
        found = DataSetList(list(datasets), list(datasets.values()), None)
    else:
        data = _listed(datasets)
        found = DataSetList(list(range(len(data))), data, None)
    if not found.data:
        raise ValueError("There is no data set to fit.")
    if sample_weight is not None and found.weights is None:
        found = found._replace(weights=_of_sets(sample_weight, "sample_weight", columns, found))
    if labels is not None and found.labels is None:
        found = found._replace(labels=_of_sets(labels, "labels", columns, found))
        if isinstance(labels, str):
            found = _with_columns_of_labels(found, labels)
    return found


def _with_columns_of_labels(found: DataSetList, column: str) -> DataSetList:
    """Data sets of which frames lack the column of labels, which is no feature.

    Files keep it, as features are chosen from them by name.
    """
    data, labels = list(found.data), [column] * len(found.data)
    for i, X in enumerate(data):
        if _is_frame(X) and column in list(X.columns):  # else fit says that there is none
            data[i] = X[[name for name in X.columns if name != column]]
            labels[i] = X[column].to_numpy()
    return found._replace(data=data, labels=labels)


def _of_sets(given: Any, name: str, columns: Any, found: DataSetList) -> list:
    """What is given beside the rows of every data set, in their order; `fit` checks it.

    Parameters
    ----------
    given, name
        An argument.
    columns
        See `fit_many`.
    found : DataSetList

    Raises
    ------
    ValueError
        If there is none for a data set.
    """
    if columns is not None and _is_per_row(given):
        return [given] * len(found.data)
    if isinstance(given, str):
        takes_frames = name == "labels"
        for key, data in zip(found.keys, found.data, strict=True):
            if not (holds_rows(data) or (takes_frames and _is_frame(data))):
                raise ValueError(
                    f"{name}={given!r} would be the name of a column, but data set {key!r} is a "
                    f"{type(data).__name__}, whose columns are not chosen by name."
                )
        return [given] * len(found.keys)
    return _of_each_set(given, name, found.keys)


def _of_each_set(given: Any, name: str, keys: list) -> list:
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


def _is_column(given: Any) -> bool:
    """Whether an argument is the name of a column."""
    return given is not None and np.ndim(given) == 0 and not isinstance(given, Mapping)


def _is_per_row(given: Any) -> bool:
    """Whether an argument is about rows, not a collection with an entry for every data set."""
    if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__len__"):
        return False
    entries = getattr(given, "to_numpy", lambda: given)()
    return len(entries) > 0 and entries[0] is not None and np.ndim(entries[0]) == 0


def _is_frame(thing: Any) -> bool:
    """Whether something is a frame of pandas or polars, or one with their interface."""
    return all(hasattr(thing, name) for name in ("columns", "to_numpy", "__getitem__"))


def _is_arrow(frame: Any) -> bool:
    return package_of(frame) == "pyarrow"


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
    data = list(datasets)
    if data and all(map(_is_named, data)):
        raise TypeError(
            "fit_many takes data sets with names as a dict, but got pairs of a name and rows: "
            "dict(pairs) makes one."
        )
    return data


def _is_named(entry: Any) -> bool:
    """Whether something is a name and an array or frame, and not a list of a file and that."""
    if not (isinstance(entry, tuple) and len(entry) == 2):
        return False
    name, rows = entry
    is_file = isinstance(name, (str, os.PathLike)) and os.path.exists(name)
    return np.ndim(name) < 2 and not is_file and len(getattr(rows, "shape", ())) == 2


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


def _of_frame(frame: Any, by: Any, columns: Any, besides: dict[str, Any]) -> DataSetList:
    if by is None and columns is None:
        raise ValueError(
            "Of a DataFrame, by='name of a column' fits one mixture per group of rows, and "
            "columns='each' one per column: give one of them."
        )
    names = list(frame.column_names if _is_arrow(frame) else frame.columns)
    group_names = [] if by is None else [by] if np.ndim(by) == 0 else list(by)
    if by is not None and not group_names:
        raise ValueError("by should name at least one column.")
    of_rows = {name: given for name, given in besides.items() if _is_column(given)}
    others = [*group_names, *of_rows.values()]
    asked = None if columns is None or _each(columns) else list(columns)
    missing = [name for name in [*others, *(asked or [])] if name not in names]
    if missing:
        raise ValueError(f"There is no column {missing[0]!r}; the columns are {names}.")
    features = [name for name in names if name not in others] if asked is None else asked
    counts = Counter(names)
    for name in (*others, *features):
        if counts[name] > 1:
            raise ValueError(f"There are {counts[name]} columns of name {name!r}.")
    arguments = ["by"] * len(group_names) + list(of_rows)
    _check_asked_once([*others, *features], [*arguments, *["columns"] * len(features)])
    if not features:
        raise ValueError("The DataFrame has no column but those of by, sample_weight and labels.")
    values = [_beside(frame, name, given) for name, given in besides.items()]
    if by is not None:
        if columns is not None and _each(columns):
            raise ValueError("by and columns='each' exclude each other.")
        return _groups(frame, by if np.ndim(by) == 0 else group_names, features, values)
    data = [_values(frame, name)[:, np.newaxis] for name in features]
    of_sets = (None if each is None else [each] * len(data) for each in values)
    return DataSetList(features, data, [[name] for name in features], *of_sets)


def _beside(frame: Any, name: str, given: Any) -> np.ndarray | None:
    """What an argument says of all rows of a table; None if it is by data set, or nothing.

    Raises
    ------
    ValueError
        If it has another length.
    """
    if _is_column(given):
        return _values(frame, given) if name == "labels" else _numbers(frame, given)
    if not _is_per_row(given):
        return None
    values = np.asarray(given)
    if len(values) != len(frame):
        raise ValueError(f"{name} has {len(values)} numbers, for {len(frame)} rows.")
    return values


def _check_asked_once(columns: list, arguments: list[str]) -> None:
    """Refuse a column that two arguments name, or one argument twice."""
    asked: dict[Any, str] = {}
    for column, argument in zip(columns, arguments, strict=True):
        if column in asked:
            both = dict.fromkeys([asked[column], argument])
            raise ValueError(
                f"fit_many: column {column!r} is asked for twice, in {' and in '.join(both)}."
            )
        asked[column] = argument


def _groups(
    frame: Any, by: str | list, features: list, besides: list[np.ndarray | None]
) -> DataSetList:
    """One data set per group, in the order of sorted keys; rows without a key are left out."""
    values = np.column_stack([_numbers(frame, name) for name in features])
    if _is_arrow(frame):
        groups = _groups_of_arrow(frame, by)
    elif hasattr(frame, "groupby"):
        groups = dict(frame.groupby(by, sort=True, observed=True).indices.items())
    else:
        groups = _groups_of_polars(frame, by)
    places = list(groups.values())
    of_sets = (None if each is None else [each[where] for where in places] for each in besides)
    names = [features] * len(places)
    return DataSetList(list(groups), [values[where] for where in places], names, *of_sets)


def _groups_of_polars(frame: Any, by: str | list) -> dict:
    """Numbers of the rows of every group."""
    numbered = frame.select(by).with_row_index("fastgmm row").drop_nulls()
    numbered = numbered.sort(by, maintain_order=True)
    parts = numbered.partition_by(by, as_dict=True, maintain_order=True)
    return {
        key[0] if isinstance(by, str) else key: part["fastgmm row"].to_numpy()
        for key, part in parts.items()
    }


def _groups_of_arrow(table: Any, by: str | list) -> dict:
    """Numbers of the rows of every group."""
    arrow = import_optional("pyarrow", "Groups of a table")
    names = [by] if isinstance(by, str) else by
    keys = [f"key {number}" for number in range(len(names))]
    rows = arrow.array(np.arange(len(table)))
    columns = [_decoded(column) for column in table.select(names).columns]
    numbered = arrow.table([*columns, rows], names=[*keys, "row"]).drop_null()
    groups = numbered.group_by(keys, use_threads=False).aggregate([("row", "list")])
    found = zip(*(groups[key].to_pylist() for key in keys), strict=True)
    places = (np.asarray(numbers.values) for numbers in groups["row_list"])
    pairs = sorted(zip(found, places, strict=True), key=lambda pair: pair[0])
    return {key[0] if isinstance(by, str) else key: where for key, where in pairs}


def _decoded(column: Any) -> Any:
    """A column of Arrow with the values that numbers stand for in a dictionary."""
    kind = column.type
    return column.cast(kind.value_type) if hasattr(kind, "value_type") else column


def _values(frame: Any, name: Any) -> np.ndarray:
    """Values of a column, of whatever type."""
    column = frame[name]
    if _is_arrow(frame):
        return np.asarray(to_numbers(column.combine_chunks()))
    return np.asarray(column.to_numpy())


def _numbers(frame: Any, name: Any) -> np.ndarray:
    """Values of a column, float32 if they are, else float64."""
    values = _values(frame, name)
    if values.dtype == np.float32:
        return values
    try:
        if values.dtype.kind in "mMc":
            raise TypeError(f"it is of type {values.dtype}")
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name!r} holds something that is no number: {error}. Leave it out by "
            f"columns=, or on the command line by --exclude {name}."
        ) from None


def _each(columns: str | Sequence) -> bool:
    if np.ndim(columns) == 0:
        if columns != "each":
            raise ValueError(f"columns should be 'each' or a list of names, but got {columns!r}.")
        return True
    return False
