"""Chunks on a pool of threads of this process; kernels release the GIL.

No Numba threading layer: one aborts the process when two threads enter it, another kills forked
children. The pool is made on first use, anew in a forked child.
"""

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import joblib

from fastgmm.caching import cached_property
from fastgmm.engines.base import MergeTree, stretches_of

_THREAD_LIMITS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
"""Variables that bound the default; joblib sets both in its workers, against oversubscription."""

_in_worker = threading.local()


class _Pool:
    """The process's threads."""

    def __init__(self):
        self.forget()

    def forget(self) -> None:
        """Start anew; after a fork the child has no thread but its own."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._size = 0

    def submit(self, function: Callable[[], None], copies: int, size: int) -> list[Future]:
        """Run `copies` of a function on a pool of at least `size` threads."""
        with self._lock:
            if self._executor is None or self._size < size:
                if self._executor is not None:
                    self._executor.shutdown(wait=False)
                self._executor = ThreadPoolExecutor(size, thread_name_prefix="fastgmm")
                self._size = size
            return [self._executor.submit(function) for _ in range(copies)]


_pool = _Pool()


def _forget_parent() -> None:
    """In a forked child: no thread is left of the pool, and this one works for nobody."""
    _pool.forget()
    _in_worker.flag = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def usable_cores() -> int:
    """Cores that this process may use: its affinity, its cgroup's quota, and thread limits."""
    limits = []
    for name in _THREAD_LIMITS:
        # OMP_NUM_THREADS may hold a list, one number per nesting level.
        value = os.environ.get(name, "").split(",")[0].strip()
        if value.isdigit() and int(value) > 0:
            limits.append(int(value))
    # Who may use one core need not count them, which takes half a millisecond.
    return 1 if 1 in limits else min([joblib.cpu_count(), *limits])


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Number of threads for `n_jobs`: None is all usable cores, -1 likewise, -2 all but one."""
    if n_jobs is None:
        return usable_cores()
    if n_jobs < 0:
        return max(usable_cores() + 1 + n_jobs, 1)
    return n_jobs


class ThreadEngine:
    """Runs chunks on up to `n_threads` threads, the caller's among them.

    Within a thread of the pool all runs in-line, so nested use neither deadlocks nor multiplies.

    Parameters
    ----------
    n_jobs : int or None, optional
        See `resolve_n_jobs`.
    submit : callable, optional
        ``submit(function, copies, size)`` runs copies of a function on other threads than those of
        the process's pool, and returns their futures.
    """

    def __init__(
        self, n_jobs: int | None = None, submit: Callable[..., list[Future]] | None = None
    ):
        self._n_jobs = n_jobs
        self._submit = _pool.submit if submit is None else submit

    @cached_property
    def n_threads(self) -> int:
        """Number of threads; counting cores takes longer than a small fit's iteration."""
        return resolve_n_jobs(self._n_jobs)

    def reduce(self, function: Callable[[int], Any], n_chunks: int) -> Any:
        """Merge of ``function(i)`` for every chunk, by ``+`` along a fixed tree."""
        return self.reduce_stretches(lambda chunks: function(chunks.start), n_chunks, 1)

    def reduce_stretches(
        self, function: Callable[[range], Any], n_chunks: int, longest: int
    ) -> Any:
        """The same, of a function of stretches of chunks; see `Engine`."""
        if n_chunks == 1:  # as in a small fit, which merges nothing
            return function(range(1))
        stretches = stretches_of(n_chunks, longest, self._threads_for(n_chunks))
        if len(stretches) == 1:
            return function(stretches[0])
        tree = MergeTree(n_chunks)
        self.for_each(
            lambda i: tree.add_stretch(stretches[i], function(stretches[i])), len(stretches)
        )
        return tree.total

    def _threads_for(self, n_chunks: int) -> int:
        """How many threads work on so many chunks."""
        inline = n_chunks == 1 or getattr(_in_worker, "flag", False)
        return 1 if inline else min(self.n_threads, n_chunks)

    def for_each(self, function: Callable[[int], None], n_chunks: int) -> None:
        """Call ``function(i)`` for every chunk, in order when there is one thread.

        Raises
        ------
        Exception
            The first that a call raises; chunks not yet begun are then left out.
        """
        n_threads = self._threads_for(n_chunks)
        if n_threads == 1:
            for i in range(n_chunks):
                function(i)
            return
        numbers = itertools.count()
        stopped = threading.Event()

        def work() -> None:
            was_worker = getattr(_in_worker, "flag", False)
            _in_worker.flag = True
            try:
                while not stopped.is_set() and (i := next(numbers)) < n_chunks:
                    function(i)
            except BaseException:
                stopped.set()
                raise
            finally:
                _in_worker.flag = was_worker

        futures = self._submit(work, n_threads - 1, self.n_threads - 1)
        try:
            work()
        finally:
            # Threads still at work read the caller's arrays: wait for them whatever happened. A
            # copy that has not begun has nothing left to do.
            for future in futures:
                if not future.cancel():
                    future.exception()
        for future in futures:
            if not future.cancelled():
                future.result()
