"""Checks of numbers that a caller gives, with errors that name them and say where."""

from typing import Any

import numpy as np

_ASYMMETRY = 1e-8
"""Share of the largest entry that a matrix may differ by from its transpose."""


def as_numbers(name: str, value: Any) -> np.ndarray:
    """An array of float64.

    Raises
    ------
    ValueError
        If it holds anything but real numbers, or entries that are masked or None.
    """
    if np.ma.is_masked(value):
        raise ValueError(f"{name} holds masked entries, but numbers are needed.")
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" and array.dtype != object:
            raise ValueError
        if array.dtype == object and any(entry is None for entry in array.flat):
            raise TypeError
        return array.astype(np.float64)
    except OverflowError:
        raise ValueError(f"{name} holds a number beyond those of float64.") from None
    except (ValueError, TypeError):
        raise ValueError(f"{name} should hold real numbers, in rows of one length.") from None


def check_finite(name: str, array: np.ndarray) -> None:
    """Raise an error that says where the first number is that is not finite."""
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity, first at {place_of(~np.isfinite(array))}.")


def check_symmetric(name: str, matrices: np.ndarray) -> None:
    """Raise an error if a matrix (..., d, d) differs from its transpose."""
    largest = np.abs(matrices).max(axis=(-2, -1), keepdims=True)
    if (np.abs(matrices - matrices.swapaxes(-1, -2)) > _ASYMMETRY * largest).any():
        raise ValueError(f"{name} should be symmetric.")


def place_of(mask: np.ndarray) -> tuple[int, ...]:
    """Where a mask is first true, counted from 0."""
    return tuple(int(i) for i in np.argwhere(mask)[0])
