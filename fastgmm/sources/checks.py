"""Checks of values, and errors that say where a bad one stands."""

from collections.abc import Callable, Sequence

import numpy as np

Locate = Callable[[int], tuple[str, int]]
"""From a row to its file and its number there."""

WITHOUT_HOLES = (
    "Leave such rows out by open_source(..., missing_values='drop') (--missing drop), or let "
    "missing_values='em' (--missing em) take what is missing for missing at random."
)
"""What to do about a missing value."""


class NoNumber(ValueError):
    """Something else stands where a number should.

    Parameters
    ----------
    fact : str
        What it is, and where it stands.
    advice : str
        What to do, if the column is a feature.
    """

    @property
    def fact(self) -> str:
        """What it is, and where it stands, without a full stop."""
        return self.args[0]

    def __str__(self) -> str:
        return f"{self.fact}. {self.args[1]}"


def is_finite(rows: np.ndarray) -> bool:
    """Whether no value is NaN or infinite."""
    # The sum shows it with no temporary array; but it can also overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        total = rows.sum()
    return bool(np.isfinite(total)) or bool(np.isfinite(rows).all())


def find_bad_value(
    rows: np.ndarray, weights: np.ndarray, missing: bool = False
) -> tuple[int, int] | None:
    """Row and column of the first value that is NaN or infinite; None if there is none.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    weights : ndarray of shape (n,) or (0,)
        Rows that weigh 0 are not looked at.
    missing : bool, optional
        Whether NaN stands for a value that is missing, and only infinity is bad.
    """
    if is_finite(rows):
        return None
    bad = np.isinf(rows) if missing else ~np.isfinite(rows)
    if len(weights):
        bad[weights == 0] = False
    if not bad.any():
        return None
    row, column = divmod(int(np.argmax(bad)), rows.shape[1])
    return row, column


def describe_bad_value(value: np.floating, column: str | int, file: str, row: int) -> str:
    """Text for a value that is NaN or infinite, and for where it stands."""
    what, advice = "a missing value (NaN or null)", WITHOUT_HOLES
    if not np.isnan(value):
        what = f"infinity, or a value too large for {value.dtype},"
        advice = "Leave such rows out, or give them other values, first."
    return f"{file}: column {column!r} has {what} in row {row}, counted from 0. {advice}"


def weights_in_range(weights: np.ndarray) -> np.ndarray:
    """Which weights are finite and not negative."""
    return (weights >= 0) & (weights < np.inf)


def check_weights(weights: np.ndarray, start: int, locate: Locate) -> None:
    """Check that weights are finite and not negative.

    Parameters
    ----------
    weights : ndarray of float64
    start : int
        Number of the first row.
    locate : callable

    Raises
    ------
    ValueError
        Naming the first that is not.
    """
    wrong = ~weights_in_range(weights)
    if wrong.any():
        first = int(np.argmax(wrong))
        file, row = locate(start + first)
        value = weights[first]
        what = "a missing value (NaN or null)" if np.isnan(value) else f"{value:g}"
        raise ValueError(
            f"{file}: the weight of row {row}, counted from 0, is {what}. Weights should be finite "
            "and not negative."
        )


def check_number_type(dtype: np.dtype, name: str) -> np.dtype:
    """Type that rows of a type are read as: float32 stays, all other real numbers become float64.

    Raises
    ------
    ValueError
        If the type does not hold real numbers.
    """
    if dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {dtype}, but numbers are needed.")
    single = dtype.kind == "f" and dtype.itemsize == 4
    return np.dtype(np.float32 if single else np.float64)


def check_distinct(columns: Sequence[object], name: str) -> None:
    """Refuse a column that is asked for twice."""
    seen = set()
    for column in columns:
        if column in seen:
            raise ValueError(f"{name}: column {column!r} is asked for twice.")
        seen.add(column)
