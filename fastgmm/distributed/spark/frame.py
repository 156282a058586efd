"""The columns of a Spark frame that are fitted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fastgmm.sources.checks import check_distinct

NAME = "The Spark frame"


class SparkRows(NamedTuple):
    """What is asked of a frame.

    Parameters
    ----------
    frame : DataFrame
        Of numbers of one type, and weights after them.
    columns : list of str
        Of the features; a single one may hold arrays.
    of_arrays : bool
        Whether it does.
    single : bool
        Whether numbers are float32.
    weighted : bool
    """

    frame: Any
    columns: list[str]
    of_arrays: bool
    single: bool
    weighted: bool


def chosen_columns(frame: Any, columns: Any, weight: str | None) -> SparkRows:
    """Choose and convert columns.

    Raises
    ------
    ValueError
        If a column is not there, or holds no numbers.
    TypeError
        If the frame is none of Spark's, or is one of Spark Connect.
    """
    _check_frame(frame)
    there = list(frame.columns)
    names = _names(columns, weight, there)
    from pyspark.sql import functions, types

    def column(name: str) -> Any:
        return functions.col("`" + name.replace("`", "``") + "`")

    kinds = [frame.schema[name].dataType for name in names]
    of_arrays = len(names) == 1 and not isinstance(kinds[0], types.NumericType | types.BooleanType)
    if of_arrays:
        values, element = _of_arrays(column(names[0]), kinds[0], names[0])
        single = element == types.FloatType()
        chosen = [values.cast(types.ArrayType(types.FloatType() if single else types.DoubleType()))]
    else:
        for name, kind in zip(names, kinds, strict=True):
            _check_number(kind, name)
        single = all(kind == types.FloatType() for kind in kinds)
        chosen = [column(name).cast("float" if single else "double") for name in names]
    fitted = [values.alias(f"f{place}") for place, values in enumerate(chosen)]
    if weight is not None:
        _check_number(frame.schema[weight].dataType, weight)
        weights = column(weight).cast("double")
        # A row of weight 0 is as good as absent.
        frame = frame.where(weights.isNull() | (weights != 0.0))
        fitted.append(weights.alias("weight"))
    return SparkRows(frame.select(fitted), names, of_arrays, single, weight is not None)


def _check_frame(frame: Any) -> None:
    module = type(frame).__module__
    if not module.startswith("pyspark.sql"):
        raise TypeError(f"A Spark frame is needed, but got a {type(frame).__name__}.")
    if "connect" in module:
        raise TypeError(
            "The frame is one of Spark Connect, which has no RDDs to merge statistics by. Use a "
            "session of classic Spark."
        )


def _names(columns: Any, weight: str | None, there: list[str]) -> list[str]:
    if isinstance(columns, str):
        columns = [columns]
    if columns is None:
        columns = [name for name in there if name != weight]
    if not isinstance(columns, Sequence) or not len(columns):
        raise ValueError(f"columns should be names of columns, but got {columns!r}.")
    check_distinct(list(columns), NAME)
    for name in [*columns, *([] if weight is None else [weight])]:
        if name not in there:
            raise ValueError(f"{NAME} has no column {name!r}; it has {there}.")
        if there.count(name) > 1:
            raise ValueError(f"{NAME} has {there.count(name)} columns {name!r}.")
    return list(columns)


def _check_number(kind: Any, name: str) -> None:
    from pyspark.sql import types

    if not isinstance(kind, types.NumericType | types.BooleanType):
        raise ValueError(
            f"{NAME}: column {name!r} holds {kind.simpleString()}, but numbers are needed."
        )


def _of_arrays(values: Any, kind: Any, name: str) -> tuple[Any, Any]:
    """A column of arrays, and the type of what they hold; vectors of Spark's ML become such."""
    from pyspark.sql import types

    if type(kind).__name__ == "VectorUDT":
        from pyspark.ml.functions import vector_to_array

        return vector_to_array(values), types.DoubleType()
    if not isinstance(kind, types.ArrayType):
        _check_number(kind, name)
    _check_number(kind.elementType, name)
    return values, kind.elementType
