"""Work of one kind that is spread over the workers of a cluster, piece by piece."""

import itertools
import pickle
import threading
import uuid
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from fastgmm.distributed.client import (
    WorkersDied,
    check_open,
    current_client,
    distributed,
    let_go,
    needed_client,
    result_of,
    scheduler_errors,
)
from fastgmm.distributed.held import Common
from fastgmm.distributed.place import ClusterPlace
from fastgmm.sources.base import RowSource
from fastgmm.sources.kinds import is_collection

_AHEAD = 2
"""Pieces that every thread of a worker has, so that none waits for the next."""


class Cluster:
    """The workers of Dask's current client.

    Raises
    ------
    ClusterError
        If there is no client, or no cluster, or its workers have other versions of packages.
    """

    def __init__(self) -> None:
        distributed()
        self._client = needed_client()
        self.n_threads = sum(ClusterPlace(self._client).workers().values())

    def spread(
        self,
        function: Callable[..., Any],
        pieces: Iterable[Any],
        words: Callable[[int], str],
        common: Any = None,
        one_by_one: bool = False,
    ) -> Generator[tuple[int, Any], None, None]:
        """Call a function of every piece on the workers; as they end, the number and what it gave.

        A piece whose worker dies is done again. If the iterator is closed, what has not begun is
        cancelled.

        Parameters
        ----------
        function : callable
            ``function(piece)``, or ``function(piece, common)``.
        pieces : iterable
        words : callable
            What a piece is about, by its number, as the subject of a sentence.
        common : object, optional
            What all pieces need. It travels to a worker once.
        one_by_one : bool, optional
            Whether a piece has the cluster for itself. A worker that dies may take along what else
            waits for it, and Dask then suspects all of that.

        Yields
        ------
        number : int
        result : object
            `WorkersDied` if every worker that took it up died.

        Raises
        ------
        ClusterError
            If the function raises, or the cluster is gone.
        """
        client, numbers = self._client, {}
        check_open(client)
        # A task, unlike data that is scattered, is done again when its worker has died.
        stored = [] if common is None else [self._submit(Common, _dumped(common))]
        waiting = distributed().as_completed()
        rest = enumerate(pieces)

        def begin(most: int) -> None:
            for number, piece in itertools.islice(rest, most):
                future = self._submit(_done, function, _dumped(piece), *stored)
                numbers[future] = number
                waiting.add(future)

        try:
            begin(1 if one_by_one else _AHEAD * self.n_threads)
            for future in waiting:
                number = numbers.pop(future)
                try:
                    # In one piece of memory that is this process's own, arrays can be written to.
                    result = pickle.loads(result_of(client, future, words(number)))
                except WorkersDied as error:
                    result = error
                begin(1)
                yield number, result
        finally:
            let_go(numbers)

    def _submit(self, function: Callable, *arguments: Any) -> Any:
        import dask

        key = f"fastgmm-{function.__name__.strip('_').lower()}-{uuid.uuid4().hex}"
        # Rows go with the tasks on purpose, which Dask would warn of.
        with (
            scheduler_errors(),
            dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}),
        ):
            return self._client.submit(function, *arguments, key=key)


def cluster_of(engine: Any) -> Cluster | None:
    """The cluster that an argument `engine` asks for; None for this process.

    Raises
    ------
    ValueError
        If there is no such engine.
    ClusterError
    """
    if engine is None:
        return None
    if not (isinstance(engine, str) and engine == "dask"):
        raise ValueError(f"engine should be None or 'dask', but got {engine!r}.")
    return Cluster()


def engine_here() -> str | None:
    """The engine that collections are for: 'dask' if there is a client."""
    return None if current_client() is None else "dask"


def stays_here(X: Any) -> bool:
    """Whether fits of rows begin in this process: a collection, or a source, which is open."""
    return is_collection(X) or isinstance(X, RowSource)


def _dumped(thing: Any) -> bytes:
    try:
        dumped: bytes = distributed().protocol.pickle.dumps(thing)
    except Exception as error:
        raise TypeError(
            f"It cannot be sent to the workers of a cluster, as it does not pickle: {error}"
        ) from error
    return dumped


def _done(function: Callable, piece: bytes, *common: Common) -> bytes:
    with _silence():
        return _dumped(function(pickle.loads(piece), *(each.get() for each in common)))


class _SilentThreads(threading.local):
    """Of each thread, whether nothing shall be shown of warnings: what they say is in results."""

    silent = False


_threads, _installing = _SilentThreads(), threading.Lock()


@contextmanager
def _silence() -> Iterator[None]:
    """Show no warnings of this thread.

    `warnings.catch_warnings` is of all threads at once, and those of a worker would undo what the
    others have done.
    """
    with _installing:
        if not isinstance(warnings.showwarning, _Showing):
            warnings.showwarning = _Showing(warnings.showwarning)
    _threads.silent = True
    try:
        yield
    finally:
        _threads.silent = False


class _Showing:
    """Shows warnings as before, but of no thread that is silent."""

    def __init__(self, show: Callable[..., None]):
        self._show = show

    def __call__(self, *arguments: Any, **named: Any) -> None:
        if not _threads.silent:
            self._show(*arguments, **named)
