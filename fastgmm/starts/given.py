"""Labels and responsibilities that a caller gives."""

import numpy as np
from sklearn.utils.validation import check_array

from fastgmm.starts.records import GivenResponsibilities, LabelledRows


def given_start(
    given, n_rows: int, n_components: int, name: str = "The array init_params"
) -> LabelledRows | GivenResponsibilities:
    """Check labels or responsibilities that a caller gives.

    Parameters
    ----------
    given : array-like of shape (n_rows,) or (n_rows, n_components)
    n_rows, n_components : int
    name : str, optional
        What to call them in errors.

    Raises
    ------
    ValueError
        If they do not fit the data.
    """
    if np.ndim(given) in (1, 2):  # else it has a wrong shape, which is said below
        given = check_array(given, ensure_2d=False, dtype=None, input_name="init_params")
    if np.ndim(given) == 1:
        return _given_labels(given, n_rows, n_components, name)
    if np.shape(given) != (n_rows, n_components):
        raise ValueError(
            f"{name} should have the shape of {(n_rows, n_components)} (responsibilities) or "
            f"{(n_rows,)} (labels), but got {np.shape(given)}."
        )
    if given.dtype.kind not in "iufb":
        raise ValueError(f"{name} should hold numbers, but got dtype {given.dtype}.")
    given = given.astype(np.float64)
    sums = given.sum(axis=1)
    wrong = np.flatnonzero((given < 0).any(axis=1) | (np.abs(sums - 1.0) > 1e-6))
    if len(wrong):
        raise ValueError(
            f"{name} should be non-negative and sum to 1 in every row, but row {wrong[0]} sums to "
            f"{sums[wrong[0]]:.6g} with minimum {given[wrong[0]].min():.6g}."
        )
    return GivenResponsibilities(given)


def _given_labels(given, n_rows, n_components, name) -> LabelledRows:
    if given.shape != (n_rows,):
        raise ValueError(f"{name} should hold {n_rows} labels, but got {len(given)}.")
    with np.errstate(invalid="ignore"):
        labels = given.astype(np.int64) if given.dtype.kind in "iufb" else None
    if labels is None or not np.array_equal(labels, given):
        raise ValueError(f"{name} should hold integer labels, but got dtype {given.dtype}.")
    outside = np.flatnonzero((labels < 0) | (labels >= n_components))
    if len(outside):
        raise ValueError(
            f"{name} should hold labels from 0 to {n_components - 1}, but row {outside[0]} has "
            f"{labels[outside[0]]}."
        )
    return LabelledRows(labels, n_components)
