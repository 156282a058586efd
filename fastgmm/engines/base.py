"""What an engine does: run a function over chunk numbers, and merge what it returns."""

import threading
from collections.abc import Callable
from typing import Any, Protocol


class Engine(Protocol):
    """Runs functions of a chunk number."""

    def reduce(self, function: Callable[[int], Any], n_chunks: int) -> Any:
        """Merge of ``function(i)`` for every chunk, by ``+`` along a fixed tree."""
        ...

    def for_each(self, function: Callable[[int], None], n_chunks: int) -> None:
        """Call ``function(i)`` for every chunk."""
        ...


class MergeTree:
    """Sums records along a binary tree over their numbers.

    The same additions are made whatever the order in which records arrive, so the result has the
    same bits for any number of threads. Only about log2(n) records wait at a time when they come
    roughly in order.

    Parameters
    ----------
    n_leaves : int
    """

    def __init__(self, n_leaves: int):
        self._widths = [n_leaves]
        while self._widths[-1] > 1:
            self._widths.append((self._widths[-1] + 1) // 2)
        self._waiting: dict[tuple[int, int], Any] = {}
        self._lock = threading.Lock()

    def add(self, index: int, record: Any, level: int = 0) -> None:
        """Enter the record of a leaf, and merge upwards as far as both sides are there.

        The record is the tree's from then on, which may write to it. That of a node above the
        leaves stands for all leaves below it.
        """
        while level < len(self._widths) - 1:
            sibling = index ^ 1
            if sibling < self._widths[level]:
                with self._lock:
                    other = self._waiting.pop((level, sibling), None)
                    if other is None:
                        self._waiting[level, index] = record
                        return
                first, second = (record, other) if index < sibling else (other, record)
                first += second  # where it is an array, in place
                record = first
            level, index = level + 1, index // 2
        self._waiting[level, 0] = record

    @property
    def nodes(self) -> dict[tuple[int, int], Any]:
        """What has been merged so far: records by level and index, to be added to another tree."""
        return dict(self._waiting)

    @property
    def total(self) -> Any:
        """The merge of all leaves."""
        return self._waiting[len(self._widths) - 1, 0]
