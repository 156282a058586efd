"""Checkpoints: the state of a run of EM on disk, from which it goes on with the same bits."""

import copy
import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgmm.covariance import CovarianceStructure
from fastgmm.em import EMResult, RunState
from fastgmm.files.atomic import check_writable
from fastgmm.files.container import Contents, read_file, write_file
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.saved.codec import Arrays, decode, encode
from fastgmm.saved.fingerprints import Fingerprint
from fastgmm.saved.models import unusable
from fastgmm.saved.states import (
    RECORDS,
    check_state,
    check_state_of_run,
    finished_state,
    obstacle_to_max_iter,
    with_max_iter,
)


class Checkpoint:
    """Keeps the state of a run in a file, from time to time.

    Parameters
    ----------
    path : path
    fingerprint : Fingerprint
        Another run's file is not taken up.
    random_state : RandomState
        That starts are drawn from; its state is kept and restored, too.
    every_seconds : float, optional
        Least time between two writes. The first state is written at once.

    Raises
    ------
    TypeError
        If `path` is none.
    ValueError
        If `every_seconds` is no such time.
    OSError
        If the file cannot be written there.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        fingerprint: Fingerprint,
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
        check_path(path)
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
        except (KeyboardInterrupt, OSError):  # and rows that cannot be reached any more
            self.flush()
            raise
        self.finish(result)
        return result

    def resume(self, structure: CovarianceStructure, n_starts: int = 1) -> RunState | None:
        """The state in the file, or None if there is none yet; the random state is set to it.

        A file without a byte, as ``mktemp`` makes them, is none yet.

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
        if not has_begun(self.path):
            return None
        facts, random_state, state = read_checkpoint(self.path)
        self._check_same_run(facts, state, n_starts)
        own = self._fingerprint.facts
        state = with_max_iter(state, facts.get("max_iter"), own.get("max_iter"))
        try:
            check_state_of_run(state, structure, own, n_starts)
        except Exception as error:
            raise unusable(self.path, "checkpoint", error) from error
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
        self._unwritten = finished_state(result), self._random_state
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
        arrays: Arrays = {}
        header = {
            "fingerprint": encode(self._fingerprint.facts, "fingerprint", arrays),
            "random_state": encode(random_state, "random_state", arrays),
            "state": encode(state, "state", arrays, RECORDS),
        }
        write_file(self.path, Contents("checkpoint", header, arrays))
        self._unwritten = None
        self._last_write = time.monotonic()

    def _check_same_run(self, facts: dict[str, Any], state: RunState, n_starts: int) -> None:
        different = self._fingerprint.differences(facts)
        if "max_iter" in different:
            obstacle = obstacle_to_max_iter(self._fingerprint.facts["max_iter"], state, n_starts)
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


def check_path(path: Any) -> None:
    """Raise an error if a checkpoint is no path.

    Raises
    ------
    TypeError
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"checkpoint should be the path of a file, but got {path!r}.")


def has_begun(path: str | os.PathLike) -> bool:
    """Whether a file of a checkpoint is there, and something in it."""
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False


class SavedRun(NamedTuple):
    """What a checkpoint holds: the facts of a `Fingerprint`, and where the run stands."""

    facts: dict[str, Any]
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
    _, header, arrays = read_file(path, ("checkpoint",))
    try:
        saved = SavedRun(
            decode(header["fingerprint"], arrays),
            decode(header["random_state"], arrays),
            decode(header["state"], arrays, RECORDS),
        )
        check_state(saved.state)
        if not isinstance(saved.random_state, np.random.RandomState):
            raise ValueError("it has no state of a random generator")
        if not isinstance(saved.facts, dict) or not all(map(_is_plain, saved.facts.values())):
            raise ValueError("it does not say of which run")
    except MemoryError:
        raise
    except Exception as error:
        raise unusable(path, "checkpoint", error) from error
    return saved


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
