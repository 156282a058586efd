"""Labels of rows that stand in one of their columns."""

from typing import Any

import numpy as np

from fastgmm.sources.base import RowSource, scan
from fastgmm.sources.checks import NoNumber
from fastgmm.sources.opening import open_source

_AS_NUMBERS = {"dtype": np.float64, "missing_values": "em"}
"""How a column of labels is read: those that are missing get an error of their own."""


def open_with_labels(
    thing: Any,
    labels: Any,
    *,
    columns: Any = None,
    exclude: Any = (),
    weight: Any = None,
    **options: Any,
) -> tuple[RowSource, np.ndarray]:
    """Rows, and the labels that one of their columns holds, which is then no feature.

    Parameters
    ----------
    thing, columns, exclude, weight, **options
        See `fastgmm.open_source`.
    labels : str or int
        A column, as of weights.

    Returns
    -------
    source : RowSource
    labels : ndarray of int64, shape (n,)

    Raises
    ------
    ValueError
        If there is no such column, or it holds something other than integers.
    """
    if isinstance(thing, RowSource):
        raise ValueError(
            "The source is open already: its columns are its own. Give the labels themselves."
        )
    if columns is None:
        exclude = [*exclude, labels]
    elif labels in list(columns):
        raise ValueError(f"Column {labels!r} is to hold labels, and cannot be a feature as well.")
    asked = {"columns": columns, "exclude": exclude, "weight": weight, **options}
    source = open_source(thing, **asked)
    kept = np.ones(source.n_rows, dtype=bool)
    if options.get("missing_values") == "drop":
        chunks = scan(open_source(thing, **{**asked, "missing_values": "em"}))
        kept = np.concatenate([~np.isnan(chunk.rows).any(axis=1) for chunk in chunks])
    try:
        column = open_source(thing, columns=[labels], **{**options, **_AS_NUMBERS})
    except NoNumber as error:
        raise ValueError(
            f"{error.fact}, while labels should be integers from 0, and -1 where they are unknown."
        ) from error
    return source, _integers(column, labels, kept)[kept]


def _integers(source: RowSource, column: str | int, kept: np.ndarray) -> np.ndarray:
    """The only column of a source, which has to hold integers in the rows that are kept."""
    labels = np.empty(source.n_rows, dtype=np.int64)
    for chunk in scan(source):
        of_chunk = kept[chunk.start : chunk.stop]
        values = np.where(of_chunk, chunk.rows[:, 0], -1.0)
        wrong = np.flatnonzero((values != np.round(values)) | (np.abs(values) >= 2**31))
        if len(wrong):
            file, row = source.reader.locate(chunk.start + int(wrong[0]))
            value = values[wrong[0]]
            held = "nothing (NaN or null)" if np.isnan(value) else f"{value:.6g}"
            raise ValueError(
                f"Labels should be integers, -1 where they are unknown, but column {column!r} of "
                f"{file} holds {held} in row {row}, counted from 0."
            )
        labels[chunk.start : chunk.stop] = values
    return labels
