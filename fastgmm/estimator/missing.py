"""Values that are missing: whether an estimator takes them, and what it asks of rows then."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.sources.base import RowSource, survey

if TYPE_CHECKING:
    from fastgmm.sources.missing import MissingTally


def allows_missing(estimator: Any) -> bool:
    """Whether NaN means a value that is missing at random."""
    return getattr(estimator, "missing_values", "error") == "em"


def has_missing(X: np.ndarray) -> bool:
    """Whether an array holds NaN."""
    if X.dtype.kind != "f":
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(X.sum()) and np.isnan(X).any())


def tally_of(source: RowSource) -> "tuple[RowSource, MissingTally | None]":
    """The rows that have any value, and what is missing of them; None if nothing is.

    Parameters
    ----------
    source : RowSource
        That allows missing values.

    Raises
    ------
    ValueError
        If there is no value at all.
    """
    from fastgmm.sources.missing import MissingTally, seen_rows

    tally = MissingTally.of(source)
    if not tally.n_seen:
        raise ValueError(f"{source.name} has no values: all are missing (NaN).")
    if tally.n_seen < source.n_rows:
        source = seen_rows(source, tally)
        tally = MissingTally.of(source)
    if tally.n_complete == source.n_rows:
        return source.allowing_missing(False), None
    return source, tally


def check_features_seen(tally: "MissingTally | None", names: Iterable, what: str) -> None:
    """Check that every feature has a value in some row.

    Parameters
    ----------
    tally : MissingTally or None
        None if nothing is missing.
    names : iterable
        Of the features.
    what : str
        What to call the rows.

    Raises
    ------
    ValueError
    """
    if tally is None:
        return
    counts = zip(names, tally.weight.tolist(), strict=True)
    empty = [repr(str(name)) for name, weight in counts if weight == 0]
    if empty:
        columns = "column" if len(empty) == 1 else "columns"
        raise ValueError(
            f"{what} has no value in {columns} {', '.join(empty)}: all are missing (NaN), so that "
            "nothing can be learned of it. Leave it out."
        )


def fitted_mask(source: RowSource) -> np.ndarray:
    """Which rows (n,) of a source have a value and another weight than 0."""
    mask = source.present_mask()
    if source.missing:
        from fastgmm.sources.missing import has_value

        mask &= np.concatenate(list(survey(has_value, source)))
    return mask
