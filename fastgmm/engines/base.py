"""What an engine does: run a function over chunk numbers, and merge what it returns."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np


class Engine(Protocol):
    """Runs functions of a chunk number."""

    def reduce(self, function: Callable[[int], Any], n_chunks: int) -> Any:
        """Merge of ``function(i)`` for every chunk, by ``+`` along a fixed tree."""
        ...

    def reduce_stretches(
        self, function: Callable[[range], Any], n_chunks: int, longest: int
    ) -> Any:
        """The same, of a function of stretches of chunks that merges them as the tree would.

        Parameters
        ----------
        function : callable
        n_chunks : int
        longest : int
            Chunks of a stretch at most, a power of two.
        """
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

    def add_stretch(self, leaves: range, record: Any) -> None:
        """Enter the merge of a stretch of leaves; see `stretches_of`."""
        level = (len(leaves) - 1).bit_length()
        self.add(leaves.start >> level, record, level)

    @property
    def nodes(self) -> dict[tuple[int, int], Any]:
        """What has been merged so far: records by level and index, to be added to another tree."""
        return dict(self._waiting)

    @property
    def total(self) -> Any:
        """The merge of all leaves."""
        return self._waiting[len(self._widths) - 1, 0]


def stretches_of(n_leaves: int, longest: int, n_threads: int) -> list[range]:
    """Cut leaves into stretches that are nodes of a `MergeTree`, to be handed out in order.

    Of several threads, each gets half of its share of what is left, or less, so that all end
    together.

    Parameters
    ----------
    n_leaves : int
    longest : int
        A power of two.
    n_threads : int
    """
    stretches, first = [], 0
    while first < n_leaves:
        most = longest if n_threads == 1 else -(-(n_leaves - first) // (2 * n_threads))
        length = longest
        while first % length or length > most:
            length //= 2
        stretches.append(range(first, min(first + length, n_leaves)))
        first += length
    return stretches


def merged_leaves(records: np.ndarray) -> np.ndarray:
    """Sum of the arrays (leaves, ...) of a stretch, by the additions of a `MergeTree`."""
    while len(records) > 1:
        even = len(records) // 2 * 2
        pairs = records[:even:2] + records[1:even:2]
        records = pairs if even == len(records) else np.concatenate([pairs, records[even:]])
    return records[0]
