"""Decoded blocks of rows, kept within a limit of memory."""

import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

_FOR_DECODING = 1 << 26
"""Memory for what the decoders hold, and for what the allocator does not give back at once."""

_CHUNK_BYTES = 1 << 24
"""Largest chunk of rows that is asked for at a time."""

_CHUNKS_AHEAD = 4


class Block(NamedTuple):
    """Consecutive rows.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
    weights : ndarray of shape (n,) or (0,)
    """

    rows: np.ndarray
    weights: np.ndarray

    @property
    def n_bytes(self) -> int:
        """Memory that the block takes."""
        return self.rows.nbytes + self.weights.nbytes


class BlockCache:
    """Blocks by key; the first for good, the others as long as there is room.

    Rows are gone through in order, again and again. A cache that drops what was used longest ago
    would then never hit unless all fits; so what comes first stays, and only the rest is read anew
    in every pass. Of the rest, blocks that have been read to the end go first.

    Parameters
    ----------
    n_bytes : int
        Memory in all, with what decoding itself takes.
    """

    def __init__(self, n_bytes: int):
        self.n_bytes = n_bytes
        room = n_bytes - min(_FOR_DECODING, n_bytes // 2)
        # Every thread may be at a chunk of its own; what one decodes on its way stays for another.
        passing = min(_CHUNK_BYTES * (_n_cores() + _CHUNKS_AHEAD), room // 4 * 3)
        self._free_for_good = room - passing
        self._free_for_passing = passing
        self._lock = threading.Lock()
        self._kept: dict[Hashable, Block] = {}
        self._passing: OrderedDict[Hashable, Block] = OrderedDict()
        self._unread: dict[Hashable, int] = {}
        self._wanted: Counter[Hashable] = Counter()

    def reserve(self, n_bytes: int) -> bool:
        """Whether there is room to keep this much for good; if so, it is taken."""
        with self._lock:
            if n_bytes > self._free_for_good:
                return False
            self._free_for_good -= n_bytes
            return True

    def get(self, key: Hashable) -> Block | None:
        """The block of this key, or None."""
        with self._lock:
            block = self._kept.get(key)
            return self._passing.get(key) if block is None else block

    def keep(self, key: Hashable, block: Block) -> None:
        """Store a block for good; `reserve` has made room."""
        with self._lock:
            self._kept[key] = block

    def put(self, key: Hashable, block: Block) -> None:
        """Store a block for a while."""
        with self._lock:
            if key in self._passing:
                return
            self._passing[key] = block
            self._unread[key] = len(block.rows)
            self._free_for_passing -= block.n_bytes
            self._make_room(0, drop_unread=True)

    def make_room(self, n_bytes: int) -> bool:
        """Whether this much can be stored without dropping what has not been read."""
        with self._lock:
            return self._make_room(n_bytes, drop_unread=False)

    def mark_read(self, key: Hashable, n_rows: int) -> None:
        """Note that so many rows of a block have been read."""
        with self._lock:
            if key in self._unread:
                self._unread[key] -= n_rows

    @contextmanager
    def wanting(self, keys: Sequence[Hashable]) -> Iterator[None]:
        """Keep the blocks of these keys, once they are there, until the end of the context."""
        with self._lock:
            self._wanted.update(keys)
        try:
            yield
        finally:
            with self._lock:
                self._wanted.subtract(keys)
                self._wanted += Counter()

    def _make_room(self, n_bytes: int, drop_unread: bool) -> bool:
        for unread in (False, True) if drop_unread else (False,):
            # What a thread waits for stays whatever the room: it is about to hold it anyway.
            for key in [key for key in self._passing if not self._wanted[key]]:
                if self._free_for_passing >= n_bytes:
                    return True
                if (self._unread[key] > 0) == unread:
                    self._free_for_passing += self._passing.pop(key).n_bytes
                    del self._unread[key]
        return self._free_for_passing >= n_bytes


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
