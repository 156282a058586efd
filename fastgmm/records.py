"""Records of many mixtures at once: of some of them, of the one or the other, with some replaced.

A record is a dataclass or a named tuple of arrays, and of such records; all arrays have an axis of
the mixtures in front. What is neither an array nor a record is the same for all mixtures.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def taken(record: Any, chosen: Any) -> Any:
    """The record of those mixtures that a mask or an index chooses."""
    return _mapped(lambda array: array[chosen], record)


def selected(chosen: np.ndarray, one: Any, other: Any) -> Any:
    """The one record for mixtures that a mask chooses, the other for the rest.

    Parameters
    ----------
    chosen : ndarray of bool
        Of the axes in front; of a single mixture, of no dimension.
    one, other : record
    """

    def select(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(chosen.reshape(chosen.shape + (1,) * (a.ndim - chosen.ndim)), a, b)

    return _mapped(select, one, other)


def entered(record: Any, chosen: np.ndarray, part: Any) -> Any:
    """A record in which those mixtures that a mask chooses come from another one of just these."""

    def enter(array: np.ndarray, values: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[chosen] = values
        return array

    return _mapped(enter, record, part)


def _mapped(function: Callable[..., Any], *records: Any) -> Any:
    """The record whose arrays are ``function`` of the arrays of records of one kind.

    What one of them has not is not in it either.
    """
    first, kind = records[0], type(records[0])
    if isinstance(first, np.ndarray):
        return function(*records)
    if any(record is None for record in records):
        return None
    if isinstance(first, tuple):
        return kind(*(_mapped(function, *parts) for parts in zip(*records, strict=True)))
    if not is_dataclass(kind):
        return first
    names = [field.name for field in fields(kind)]
    arrays = (_mapped(function, *(getattr(r, name) for r in records)) for name in names)
    return kind(**dict(zip(names, arrays, strict=True)))
