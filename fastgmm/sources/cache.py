"""Decoded blocks of rows, kept within a limit of memory."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np


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
    """Blocks by key; of half the memory for good, of a quarter as long as there is room.

    Rows are gone through in order, again and again. A cache that drops what was used longest ago
    would then never hit unless all fits; so what comes first stays, and only the rest is read anew
    in every pass. The last quarter of the memory is for decoding.

    Parameters
    ----------
    n_bytes : int
        Memory in all.
    """

    def __init__(self, n_bytes: int):
        self.n_bytes = n_bytes
        self._lock = threading.Lock()
        self._kept: dict[Hashable, Block] = {}
        self._free_for_good = n_bytes // 2
        self._passing: OrderedDict[Hashable, Block] = OrderedDict()
        self._free_for_passing = n_bytes // 4
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
            if block is None:
                block = self._passing.get(key)
                if block is not None:
                    self._passing.move_to_end(key)
            return block

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
            self._free_for_passing -= block.n_bytes
            # What a thread waits for stays whatever the room: it is about to hold it anyway.
            for old in [key for key in self._passing if not self._wanted[key]]:
                if self._free_for_passing >= 0:
                    break
                self._free_for_passing += self._passing.pop(old).n_bytes

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
