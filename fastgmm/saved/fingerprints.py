"""What tells one run of EM from others: the arguments, the rows, and how they are cut."""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastgmm.parameters import Parameters
from fastgmm.saved.codec import Arrays, encode
from fastgmm.saved.states import RECORDS
from fastgmm.sources.base import RowGrid, RowSource

_DIGESTED_BYTES = 1 << 27
"""Rows up to this size are told apart by all of their values; that takes a tenth of a second."""

_DIGESTED_ROWS = 1024
"""Of larger data: those at the beginning, and those at the end."""

_CHANGES_NOTHING = ("n_jobs", "verbose", "verbose_interval")
"""Arguments of an estimator that its result does not depend on."""


class Fingerprint(NamedTuple):
    """Of a run.

    Parameters
    ----------
    facts : dict
        What the run depends on, by names to tell people; made of what JSON has.
    defaults : dict
        Facts that are taken for granted of a file that does not name them: an argument that is
        younger than the file had its default value.
    """

    facts: dict[str, Any]
    defaults: Mapping[str, Any]

    def differences(self, others: Mapping[str, Any]) -> dict[str, str]:
        """What is different in the facts of another run, and how, by name."""
        before = {**self.defaults, **others}
        return {
            name: f"{name} was {before.get(name)!r} and is {self.facts.get(name)!r}"
            for name in sorted({*self.facts, *before})
            if self.facts.get(name) != before.get(name)
        }


def fingerprint_of(
    estimator: Any,
    source: RowSource,
    grid: RowGrid,
    warm: Parameters | None = None,
    labels: np.ndarray | None = None,
) -> Fingerprint:
    """The fingerprint of a fit.

    Of rows larger than 128 MiB only the first and the last are looked at, so that it takes no pass
    over files.

    Parameters
    ----------
    estimator : estimator
    source : RowSource
    grid : RowGrid
    warm : Parameters, optional
        That a warm start goes on from.
    labels : ndarray, optional
        What is known of the rows.
    """
    facts = {
        **facts_of(estimator),
        "rows": source.n_rows,
        "features": source.n_features,
        "dtype": str(source.dtype),
        "rows per chunk": grid.rows_per_chunk,
        "sum of weights": source.total_weight,
        "the digest of the rows": _digest_of_rows(source.scaled(), grid),
        "the labels": None if labels is None else _digest(labels),
        "the model to go on from": None if warm is None else _digest_of_parameters(warm),
    }
    arguments = inspect.signature(type(estimator)).parameters.values()
    defaults = {argument.name: argument.default for argument in arguments}
    return Fingerprint(facts, _brief_arguments(defaults))


def facts_of(estimator: Any) -> dict[str, Any]:
    """The class and the arguments of an estimator, as far as its results depend on them."""
    arguments = _brief_arguments(estimator.get_params(deep=False))
    return {"class": type(estimator).__name__, **arguments}


def _brief_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _brief(value) for name, value in arguments.items() if name not in _CHANGES_NOTHING
    }


def _brief(value: Any) -> Any:
    """A value itself where it is short, else a digest of it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState):
        _, key, *rest = value.get_state(legacy=True)
        return f"random state {_digest(np.asarray(key), repr(rest).encode())}"
    if callable(value):
        return f"function {getattr(value, '__qualname__', type(value).__name__)}"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_brief(value[key])}" for key in sorted(value, key=str))
    array = np.asarray(value)
    if array.dtype == object:  # bytes of these are addresses
        array = array.astype(str)
    return f"array of shape {array.shape} {_digest(array)}"


def _digest_of_rows(source: RowSource, grid: RowGrid) -> str:
    n_rows = source.n_rows
    bounds = [(0, min(_DIGESTED_ROWS, n_rows)), (max(n_rows - _DIGESTED_ROWS, 0), n_rows)]
    if n_rows * source.n_features * source.dtype.itemsize <= _DIGESTED_BYTES:
        bounds = [grid.bounds(index) for index in range(len(grid))]
    chunks = (source.read(*pair) for pair in bounds)
    return _digest(*(part for chunk in chunks for part in (chunk.rows, chunk.weights)))


def _digest_of_parameters(parameters: Parameters) -> str:
    arrays: Arrays = {}
    encode(parameters, "parameters", arrays, RECORDS)
    return _digest(*arrays.values())


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.asarray(part, order="C").tobytes())
    return digest.hexdigest()[:16]
