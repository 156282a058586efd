"""Reports as tables of Arrow: a row for each mixture, with its parameters in columns of lists."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastgmm.sources.optional import import_optional

_STATUS = ("seed", "n_rows", "converged", "n_iter", "log_likelihood", "bic", "error")
_IN_STATUS = ("converged_", "n_iter_")
_BOUNDS, _RECORDS = "lower_bounds_", "diagnostics_"

_OF_BETA = "weight_concentration_"
"""Of a Dirichlet process, a pair of arrays."""


def table_of(report: Any, positions: Any) -> tuple[Any, list[str]]:
    """A pyarrow Table of some mixtures of a report, and its columns of keys.

    Its columns are the position, the key, in a column for each part of it, how the fit went, the
    names of the features, and the fitted attributes, which are null where a fit failed.

    Parameters
    ----------
    report : FitReport
    positions : sequence of int

    Raises
    ------
    ValueError
        If the keys are of no one type.
    """
    arrow = import_optional("pyarrow", "A report in a file")
    positions = [int(i) for i in positions]
    columns: dict[str, Any] = {"position": arrow.array(positions, arrow.int64())}
    status = [report.status(i) for i in positions]
    kinds = (arrow.uint32(), arrow.int64(), arrow.bool_(), arrow.int64(), *[arrow.float64()] * 2)
    for name, kind in zip(_STATUS, (*kinds, arrow.string()), strict=True):
        columns[name] = arrow.array([getattr(one, name) for one in status], kind)
    names = [report._feature_names[i] for i in positions]
    names = [None if some is None else list(map(str, some)) for some in names]
    columns["features"] = arrow.array(names, arrow.list_(arrow.string()))
    models = [None if report.errors[i] is not None else report[i] for i in positions]
    for name in [*report._stacks, *report._lists]:
        if name not in _IN_STATUS:
            values = [None if model is None else getattr(model, name) for model in models]
            columns[name.rstrip("_")] = _column(arrow, name, values)
    keys = _columns_of_keys(arrow, report, positions, columns)
    return arrow.table({**keys, **columns}), list(keys)


def _columns_of_keys(
    arrow: Any, report: Any, positions: list[int], others: Mapping[str, Any]
) -> dict[str, Any]:
    """The parts of the keys, by names that no other column has."""
    columns = {}
    for number, name in enumerate(report.key_names):
        keys = [report.keys[i] for i in positions]
        keys = [key[number] for key in keys] if len(report.key_names) > 1 else keys
        while name in others:
            name = f"by_{name}"
        try:
            columns[name] = arrow.array(keys)
        except (arrow.ArrowInvalid, arrow.ArrowTypeError) as error:
            raise ValueError(f"The keys of a report in a file need one type, but {error}") from None
    return columns


def _column(arrow: Any, name: str, values: list) -> Any:
    """Values of an attribute as lists in lists, or as text if they are records."""
    if name == _RECORDS:
        return arrow.array([None if v is None else json.dumps(v) for v in values], arrow.string())
    if name == _BOUNDS:
        return arrow.array(values, arrow.list_(arrow.float64()))
    arrays = [None if value is None else np.asarray(value) for value in values]
    there = [array for array in arrays if array is not None]
    if not there:
        return arrow.array(values, arrow.float64())
    kind = arrow.from_numpy_dtype(np.result_type(*there))
    for _ in range(there[0].ndim):
        kind = arrow.list_(kind)
    return arrow.array([None if array is None else array.tolist() for array in arrays], kind)


def fill(
    report: Any, table: Any, keys: list[str], check: Callable[[dict[str, Any]], None]
) -> np.ndarray:
    """Enter the mixtures of a table into a report; any exception means that it is no use.

    Parameters
    ----------
    report : FitReport
        With the keys and seeds of all data sets.
    table : pyarrow.Table
        As `table_of` makes it.
    keys : list of str
        Its columns of keys.
    check : callable
        Raises an exception if fitted attributes, by name, are no mixture's.

    Returns
    -------
    positions : ndarray of int
        Of the mixtures that were entered.
    """
    positions = np.asarray(table["position"], dtype=np.int64)
    if (
        len(set(positions.tolist())) < len(positions)
        or not ((positions >= 0) & (positions < len(report))).all()
    ):
        raise ValueError("its rows have no positions")
    given = table.to_pydict()
    others = {"position", "features", *keys, *_STATUS}
    names = [name for name in table.column_names if name not in others]
    types = {name: _number_type(table.schema.field(name).type) for name in names}
    for row, i in enumerate(positions.tolist()):
        report.errors[i] = given["error"][row]
        report.name_features(i, given["features"][row])
        if report.errors[i] is not None:
            continue
        values = {
            f"{name}_": _value(f"{name}_", given[name][row], types[name])
            for name in names
            if given[name][row] is not None
        }
        values["converged_"], values["n_iter_"] = given["converged"][row], given["n_iter"][row]
        check(values)
        lists = {name: [values.pop(name)] for name in (_BOUNDS, _RECORDS) if name in values}
        attributes = {
            name: tuple(part[np.newaxis] for part in value)
            if isinstance(value, tuple)
            else np.asarray(value)[np.newaxis]
            for name, value in values.items()
        }
        at = np.array([i])
        counts = np.array([given["n_rows"][row]])
        criteria = (np.array([given[name][row]]) for name in ("log_likelihood", "bic"))
        report.put(at, attributes, lists, counts, *criteria)
    return positions


def _number_type(kind: Any) -> Any:
    """NumPy's type of the numbers in lists."""
    while hasattr(kind, "value_type"):
        kind = kind.value_type
    return None if str(kind) == "string" else kind.to_pandas_dtype()


def _value(name: str, value: Any, dtype: Any) -> Any:
    if name == _RECORDS:
        return json.loads(value)
    if name == _BOUNDS:
        return value
    array = np.asarray(value, dtype=dtype)
    return tuple(array) if name == _OF_BETA and array.ndim == 2 else array
