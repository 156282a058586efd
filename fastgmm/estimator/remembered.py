"""What is made of a model's attributes, kept until they change or the model is gone."""

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

_MOST_BYTES = 1 << 28
"""Bytes that copies of attributes take in a process; beyond, what was made first is forgotten."""


class _Copy(NamedTuple):
    """An array as it was."""

    dtype: np.dtype
    shape: tuple[int, ...]
    contents: bytearray

    def is_of(self, array: np.ndarray) -> bool:
        """Whether an array holds the same bytes: at the speed of memory, by memcmp."""
        return (
            self.shape == array.shape and self.dtype == array.dtype and self.contents == array.data
        )


class _Made(NamedTuple):
    model: weakref.ref
    copies: list[_Copy]
    value: Any
    n_bytes: int


class Memory:
    """What was made of models, by model and by purpose.

    Attributes can be changed in place at any time. So their bytes are copied, and compared whenever
    the value is asked for.

    Parameters
    ----------
    most_bytes : int, optional
        Bytes of all copies together.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES):
        self._most_bytes = most_bytes
        self._made: dict[tuple[int, Hashable], _Made] = {}
        self._n_bytes = 0
        # Models are collected at any time, in this thread while it holds the lock, too.
        self._lock = threading.RLock()

    def get(self, model: Any, purpose: Hashable, attributes: list, make: Callable[[], Any]) -> Any:
        """What `make` returns, now or when it was called last for this model and purpose.

        Parameters
        ----------
        model : object
        purpose : hashable
            Distinguishes values that are made of the same model.
        attributes : list of array-like or of tuple of array-like
            All that the value depends on.
        make : callable
        """
        arrays = list(_arrays(attributes))
        key = id(model), purpose
        made = self._made.get(key)
        if (
            made is not None
            and made.model() is model
            and len(made.copies) == len(arrays)
            and all(copy.is_of(array) for copy, array in zip(made.copies, arrays, strict=True))
        ):
            return made.value
        # Copied before they are read: what changes in between is then noticed next time.
        n_bytes = sum(array.nbytes for array in arrays)
        remember = n_bytes <= self._most_bytes and not any(a.dtype.hasobject for a in arrays)
        copies = [_Copy(a.dtype, a.shape, bytearray(a.data)) for a in arrays] if remember else []
        value = make()
        self._forget(key)
        if remember:
            gone = weakref.ref(model, lambda _: self._forget(key))
            self._keep(key, _Made(gone, copies, value, n_bytes))
        return value

    def _keep(self, key: tuple[int, Hashable], made: _Made) -> None:
        with self._lock:
            self._forget(key)
            self._made[key] = made
            self._n_bytes += made.n_bytes
            while self._n_bytes > self._most_bytes:
                self._forget(next(iter(self._made)))

    def _forget(self, key: tuple[int, Hashable]) -> None:
        with self._lock:
            made = self._made.pop(key, None)
            self._n_bytes -= 0 if made is None else made.n_bytes


def _arrays(attributes):
    """The arrays among attributes, of which some are tuples of arrays, in one piece each."""
    for attribute in attributes:
        for part in attribute if isinstance(attribute, tuple) else (attribute,):
            array = np.asarray(part)
            yield array if array.flags.c_contiguous else array.copy(order="C")
