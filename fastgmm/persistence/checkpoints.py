"""Checkpoints: the state of a run of EM on disk, from which it goes on with the same bits."""

import copy
import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.em import EMResult, RunState
from fastgmm.parameters import MixtureParameters
from fastgmm.persistence.atomic import check_writable
from fastgmm.persistence.checks import check_mixture
from fastgmm.persistence.codec import Decoder, Encoder
from fastgmm.persistence.container import Contents, ModelFileError, read_file, write_file
from fastgmm.sources.base import RowGrid, RowSource

DEFAULT_SECONDS = 30.0
"""Between two writes."""

_DIGESTED_BYTES = 1 << 27
"""Rows up to this size are told apart by all of their values; that takes a tenth of a second."""

_DIGESTED_ROWS = 1024
"""Of larger data: those at the beginning, and those at the end."""

_CHANGES_NOTHING = ("n_jobs", "verbose", "verbose_interval")
"""Arguments of an estimator that its result does not depend on."""


_DIAGNOSTIC: dict[str, tuple[type, ...]] = {
    "restart": (int,),
    "iteration": (int,),
    "component": (int, type(None)),
    "action": (str,),
    "detail": (str,),
    "reason": (str,),
}


class Checkpoint:
    """Keeps the state of a run in a file, from time to time.

    Parameters
    ----------
    path : path
    fingerprint : dict
        What the run depends on, of what JSON has; see `fingerprint_of`. Another run's file is not
        taken up.
    random_state : RandomState
        That starts are drawn from; its state is kept and restored, too.
    every_seconds : float, optional
        Least time between two writes. The first state is written at once.

    Raises
    ------
    ValueError
        If `every_seconds` is no such time.
    OSError
        If the file cannot be written there.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fingerprint: dict[str, Any],
        random_state: np.random.RandomState,
        every_seconds: float = DEFAULT_SECONDS,
    ):
        if (
            not isinstance(every_seconds, (int, float, np.integer, np.floating))
            or not every_seconds >= 0
        ):
            raise ValueError(
                "The time between two writes of a checkpoint should be a number of seconds, not "
                f"negative, but got {every_seconds!r}."
            )
        check_writable(path)
        self.path = path
        self.every_seconds = every_seconds
        self._fingerprint = fingerprint
        self._random_state = random_state
        self._last_write = -np.inf
        self._unwritten: tuple[RunState, np.random.RandomState] | None = None

    def run(
        self,
        em: Callable[..., EMResult],
        starts: Iterator[Any],
        n_starts: int,
        structure: CovarianceStructure,
    ) -> EMResult:
        """Run EM, or what is left of it, and keep its state; an interruption is written, too.

        Parameters
        ----------
        em : callable
            ``em(starts, resume=state, observe=function)``, as `fastgmm.em.best_of_restarts`.
        starts : iterator
            All of the run, not begun yet.
        n_starts : int
            How many they are.
        structure : CovarianceStructure

        Raises
        ------
        ModelFileError, ValueError
            See `resume`.
        OSError
            If the state cannot be written; the file then holds what it held before.
        """
        state = self.resume(structure, n_starts)
        if state is not None:
            if state.finished:
                assert state.best is not None
                return state.best
            starts = itertools.islice(starts, n_starts - state.restart - 1)
        try:
            result = em(starts, resume=state, observe=self.update)
        except KeyboardInterrupt:
            self.flush()
            raise
        self.finish(result)
        return result

    def resume(self, structure: CovarianceStructure, n_starts: int = 1) -> RunState | None:
        """The state in the file, or None if there is no file; the random state is set to it.

        The `max_iter` of the file may be another, if with this one, too, the run would have come to
        that state. A run that nothing else has ended then goes on.

        Parameters
        ----------
        structure : CovarianceStructure
            Of the mixture.
        n_starts : int, optional
            Of the run.

        Raises
        ------
        ModelFileError
            If the file is damaged.
        ValueError
            If it belongs to another run; the text says what differs.
        """
        try:
            fingerprint, random_state, state = read_checkpoint(self.path)
        except FileNotFoundError:
            return None
        self._check_same_run(fingerprint, state, n_starts)
        state = _with_max_iter(
            state, fingerprint.get("max_iter"), self._fingerprint.get("max_iter")
        )
        try:
            _check_parameters(state, structure)
        except Exception as error:
            raise _unusable(self.path, error) from error
        self._random_state.set_state(random_state.get_state())
        return state

    def update(self, state: RunState) -> None:
        """Take note of a state, and write it if it is time to.

        Raises
        ------
        OSError
            If it cannot be written; the file then holds what it held before.
        """
        # The next start may draw before the state is written.
        self._unwritten = state, copy.deepcopy(self._random_state)
        if time.monotonic() - self._last_write >= self.every_seconds:
            self.flush()

    def finish(self, result: EMResult) -> None:
        """Write that the run is over, and its result: the same call again then ends at once."""
        bounds = result.lower_bounds
        state = RunState(0, result.parameters, bounds, result, finished=True)
        self._unwritten = state, self._random_state
        self.flush()

    def flush(self) -> None:
        """Write the last state, if it has not been written; for the end, and for interruptions.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        if self._unwritten is None:
            return
        state, random_state = self._unwritten
        encoder = Encoder()
        header = {
            "fingerprint": encoder.encode(self._fingerprint, "fingerprint"),
            "random_state": encoder.encode(random_state, "random_state"),
            "state": encoder.encode(state, "state"),
        }
        write_file(self.path, Contents("checkpoint", header, encoder.arrays))
        self._unwritten = None
        self._last_write = time.monotonic()

    def _check_same_run(self, other: dict[str, Any], state: RunState, n_starts: int) -> None:
        own = self._fingerprint
        different = {
            name: f"{name} was {other.get(name)!r} and is {own.get(name)!r}"
            for name in sorted({*own, *other})
            if own.get(name) != other.get(name)
        }
        if "max_iter" in different:
            obstacle = _obstacle_to_max_iter(own["max_iter"], state, n_starts)
            if obstacle is None:
                del different["max_iter"]
            else:
                different["max_iter"] += f", but {obstacle}"
        if different:
            raise ValueError(
                f"{os.fspath(self.path)} is the checkpoint of another run: "
                f"{'; '.join(different.values())}. "
                "Give another path, or delete the file to begin anew."
            )


class SavedRun(NamedTuple):
    """What a checkpoint holds.

    Parameters
    ----------
    fingerprint : dict
        See `fingerprint_of`.
    random_state : RandomState
    state : RunState
    """

    fingerprint: dict[str, Any]
    random_state: np.random.RandomState
    state: RunState


def read_checkpoint(path: str | os.PathLike) -> SavedRun:
    """Read a checkpoint, whatever run it belongs to.

    Raises
    ------
    ModelFileError
        If the file is damaged.
    OSError
        If it is not there, or cannot be read.
    """
    contents = read_file(path, ("checkpoint",))
    try:
        decoder = Decoder(contents.arrays)
        saved = SavedRun(*(decoder.decode(contents.header[name]) for name in SavedRun._fields))
        _check_state(saved.state, saved.random_state)
        if not isinstance(saved.fingerprint, dict):
            raise ValueError("it does not say of which run")
    except MemoryError:
        raise
    except Exception as error:
        raise _unusable(path, error) from error
    return saved


def _unusable(path: str | os.PathLike, error: Exception) -> ModelFileError:
    return ModelFileError(f"{os.fspath(path)} holds no usable checkpoint: {error}")


def fingerprint_of(
    estimator: Any, source: RowSource, grid: RowGrid, warm: MixtureParameters | None = None
) -> dict[str, Any]:
    """What tells a run from others: the arguments, the rows, and how they are cut.

    Of rows larger than 128 MiB only the first and the last are looked at, so that it takes no pass
    over files.

    Parameters
    ----------
    estimator : estimator
    source : RowSource
    grid : RowGrid
    warm : MixtureParameters, optional
        That a warm start goes on from.
    """
    arguments = {
        name: _brief(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in _CHANGES_NOTHING
    }
    return {
        "class": type(estimator).__name__,
        **arguments,
        "rows": source.n_rows,
        "features": source.n_features,
        "dtype": str(source.dtype),
        "rows per chunk": grid.rows_per_chunk,
        "sum of weights": float(source.total_weight * source.weight_scale),
        "the digest of the rows": _digest_of_rows(source, grid),
        "the model to go on from": None if warm is None else _digest_of_parameters(warm),
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


def _digest_of_parameters(parameters: MixtureParameters) -> str:
    encoder = Encoder()
    encoder.encode(parameters, "parameters")
    return _digest(*encoder.arrays.values())


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else np.asarray(part, order="C").tobytes())
    return digest.hexdigest()[:16]


# -- another max_iter ------------------------------------------------------------------------------
def _obstacle_to_max_iter(max_iter: int, state: RunState, n_starts: int) -> str | None:
    """Why a run with this `max_iter` would not have come to a state; None if it would have."""
    if n_starts > 1 and (state.finished or state.restart > 0):
        return f"of {n_starts} starts, only the best that has ended is kept"
    n_iter = len(state.lower_bounds)
    return f"{n_iter} iterations have been made" if n_iter > max_iter else None


def _with_max_iter(state: RunState, before: Any, now: Any) -> RunState:
    """A state under another `max_iter`: no longer the end, if only the former made it that."""
    result = state.best
    if not state.finished or result is None or result.converged:
        return state
    # A listener may have stopped it before, and would again.
    if not result.n_iter == before < now:
        return state
    bounds, records = result.lower_bounds, result.diagnostics
    return RunState(0, result.parameters, bounds, None, diagnostics=records)


# -- checks ----------------------------------------------------------------------------------------
def _check_state(state: Any, random_state: Any) -> None:
    if not isinstance(state, RunState) or not isinstance(random_state, np.random.RandomState):
        raise ValueError("it has no state")
    if type(state.restart) is not int or state.restart < 0 or type(state.finished) is not bool:
        raise ValueError("its restart has no number")
    if state.best is not None and not isinstance(state.best, EMResult):
        raise ValueError("its best result is none")
    if state.finished and state.best is None:
        raise ValueError("it is finished, but has no result")
    for diagnostics in (state.diagnostics, [] if state.best is None else state.best.diagnostics):
        if not isinstance(diagnostics, list) or not all(map(_is_diagnostic, diagnostics)):
            raise ValueError("its diagnostics are no list of records")
    for bounds in (state.lower_bounds, [] if state.best is None else state.best.lower_bounds):
        if not isinstance(bounds, list) or not all(type(bound) is float for bound in bounds):
            raise ValueError("its lower bounds are no list of numbers")


def _is_diagnostic(record: Any) -> bool:
    """Whether it is such a record as `fastgmm.recovery` keeps."""
    if not isinstance(record, dict) or record.keys() != _DIAGNOSTIC.keys():
        return False
    return all(type(record[name]) in types for name, types in _DIAGNOSTIC.items())


def _check_parameters(state: RunState, structure: CovarianceStructure) -> None:
    for parameters in (state.parameters, *(() if state.best is None else (state.best.parameters,))):
        if not isinstance(parameters, MixtureParameters):
            raise ValueError("its parameters are those of no mixture")
        parts = {field.name: getattr(parameters, field.name) for field in fields(parameters)}
        posterior = parts.pop("weight_posterior", None)
        if posterior is not None:
            parts["weight_concentration"] = posterior.concentration
        check_mixture(structure, parts)
