"""What a worker does: sums over the chunks whose rows it holds.

Rows come as the arguments of a task and are let go with it, so that Dask knows of all memory that
they take, and of all that a worker which dies takes along.
"""

import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastgmm.distributed.client import current_worker
from fastgmm.engines.base import MergeTree
from fastgmm.engines.threads import ThreadEngine
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.cache import Block
from fastgmm.sources.reader import RowReader

Piece = tuple[int, int]
"""Number of a partition, and the first of its rows that is meant.

What is joined of several partitions is a piece of each: it may begin before the partition, by
negative numbers, and end after it.
"""


class Partitions(NamedTuple):
    """Rows in partitions, as far as they are known where they are not.

    Parameters
    ----------
    token : str
        Tells them from others.
    name : str
        What to call them.
    starts : ndarray of int, shape (partitions + 1,)
        First row of every partition, and the number of all rows.
    dtype : dtype
    columns : sequence of str or int
        Of the features.
    feature_names : list of str or None
    weighted : bool
    """

    token: str
    name: str
    starts: np.ndarray
    dtype: np.dtype
    columns: Any
    feature_names: list[str] | None
    weighted: bool

    def parts(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """(partition, its first row, the row after its last) of rows start to stop."""
        number = int(np.searchsorted(self.starts, start, side="right")) - 1
        while start < stop:
            first, end = int(self.starts[number]), min(stop, int(self.starts[number + 1]))
            if start < end:
                yield number, start - first, end - first
            start, number = end, number + 1

    def locate(self, row: int) -> tuple[str, int]:
        """The partition of a row in words, and the row's number in it."""
        ((number, begin, _),) = self.parts(row, row + 1)
        return f"Partition {number}", begin


class _Held:
    """Pieces of partitions that tasks of this process hold at present."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: dict[tuple[str, int], dict[int, tuple[Block, int]]] = {}

    @contextmanager
    def lending(self, token: str, pieces: dict[Piece, Block]) -> Iterator[None]:
        """Hold pieces while a task is at work; another may hold the same."""
        with self._lock:
            for (number, first), block in pieces.items():
                of_partition = self._pieces.setdefault((token, number), {})
                known, n_tasks = of_partition.get(first, (block, 0))
                longest = max(known, block, key=lambda piece: len(piece.rows))
                of_partition[first] = longest, n_tasks + 1
        try:
            yield
        finally:
            with self._lock:
                for number, first in pieces:
                    of_partition = self._pieces[token, number]
                    block, n_tasks = of_partition.pop(first)
                    if n_tasks > 1:
                        of_partition[first] = block, n_tasks - 1
                    if not of_partition:
                        del self._pieces[token, number]

    def rows(self, token: str, number: int, start: int, stop: int) -> Block:
        """Rows start to stop of a partition, and of those that follow, or the first of them.

        As many as one piece has; the one that has most.

        Raises
        ------
        LookupError
            If no task holds the first.
        """
        with self._lock:
            pieces = self._pieces.get((token, number), {})
            found = [
                Block(
                    block.rows[start - first : stop - first],
                    block.weights[start - first : stop - first],
                )
                for first, (block, _) in pieces.items()
                if first <= start < first + len(block.rows)
            ]
        if not found:
            raise LookupError(f"Rows {start} to {stop} of partition {number} are not at hand.")
        return max(found, key=lambda block: len(block.rows))


HELD = _Held()
"""Of this process."""


class PartitionedRows(RowReader):
    """Rows in partitions, wherever these are.

    Another process gets `HeldReader` in the place of any such reader.

    Parameters
    ----------
    partitions : Partitions
    """

    def __init__(self, partitions: Partitions):
        self._partitions = partitions
        self.name, self.n_rows = partitions.name, int(partitions.starts[-1])
        self.dtype, self.weighted = partitions.dtype, partitions.weighted
        self.columns, self.feature_names = partitions.columns, partitions.feature_names
        self.n_features = len(partitions.columns)

    def __reduce__(self) -> tuple:
        return HeldReader, (self._partitions,)

    def locate(self, row: int) -> tuple[str, int]:
        return self._partitions.locate(row)

    def prefetch(self, start: int, stop: int) -> None:
        pass

    def check_unchanged(self) -> None:
        pass


class HeldReader(PartitionedRows):
    """Rows of partitions, on a worker that holds those that are asked for."""

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        blocks = []
        while start < stop:
            number, begin, _ = next(self._partitions.parts(start, stop))
            blocks.append(HELD.rows(self._partitions.token, number, begin, begin + stop - start))
            start += len(blocks[-1].rows)
        return joined(blocks, self.n_features, self.dtype)

    def weights(self) -> Iterator[np.ndarray]:
        yield self.read(0, self.n_rows)[1]


def joined(blocks: list[Block], n_features: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Rows and weights of blocks that follow one another."""
    if len(blocks) == 1:
        return blocks[0].rows, blocks[0].weights
    if not blocks:
        return np.empty((0, n_features), dtype), np.empty(0)
    with np.errstate(over="ignore"):
        rows = np.concatenate([block.rows for block in blocks], dtype=dtype, casting="unsafe")
    return rows, np.concatenate([block.weights for block in blocks])


class Failed(NamedTuple):
    """What is wrong with the rows of a chunk: no fault of the worker.

    Parameters
    ----------
    leaf : int
    error : ValueError
    """

    leaf: int
    error: ValueError


@dataclass(frozen=True, eq=False, slots=True)
class Bundled:
    """Pieces that a task needs, as one thing: Dask takes its time for each that a task depends on.

    To Dask it is as small as it looks, since the rows in it are known to it already.

    Parameters
    ----------
    pieces : dict of Block
    """

    pieces: dict[Piece, Block]


def bundled(places: list[Piece], blocks: list[Block]) -> Bundled:
    """Pieces of partitions, which blocks are."""
    return Bundled(dict(zip(places, blocks, strict=True)))


class Common:
    """What tasks have in common: a worker makes it when the first of them asks.

    It is there as long as Dask keeps this for somebody.

    Parameters
    ----------
    stored : bytes
        That is what travels.
    make : callable, optional
        Of the bytes.
    """

    def __init__(self, stored: bytes, make: Callable[[bytes], Any] = pickle.loads):
        self._stored, self._make, self._lock, self._thing = stored, make, threading.Lock(), None

    def __reduce__(self) -> tuple:
        return type(self), (self._stored, self._make)

    def get(self) -> Any:
        """The thing itself."""
        with self._lock:
            if self._thing is None:
                self._thing = self._make(self._stored)
        return self._thing


def arrived_source(stored: bytes) -> RowSource:
    """A source, which remembers that its rows are in order, and has blocks of files in memory."""
    return pickle.loads(stored).arrived()


def sums_of_leaves(
    of_rows: str,
    common: Common,
    function: bytes,
    grid: RowGrid,
    leaves: list[int],
    rows: Bundled,
) -> list[tuple[tuple[int, int], Any]] | Failed:
    """The nodes of the merge tree that follow from some of its leaves.

    Parameters
    ----------
    of_rows : str
        Token of the partitions.
    common : Common
        Of an `arrived_source`.
    function : bytes
        Of a chunk, pickled.
    grid : RowGrid
    leaves : list of int
        Numbers of chunks.
    rows : Bundled

    Returns
    -------
    nodes : list of ((level, index), record)
        Or what is wrong with the rows.
    """
    source, of_chunk = common.get(), pickle.loads(function)
    tree = tree_of(of_chunk, grid)

    def work(number: int) -> None:
        chunk = leaves[number]
        _enter(tree, of_chunk, chunk, of_chunk(source.read(*grid.bounds(chunk))))

    with HELD.lending(of_rows, rows.pieces):
        try:
            _engine().for_each(work, len(leaves))
        except ValueError as error:
            return _first_failure(error, source, of_chunk, grid, leaves)
    return list(tree.nodes.items())


def tree_of(function: Callable[[Chunk], Any], grid: RowGrid) -> MergeTree:
    """The tree along which what a function gives for every chunk is merged.

    Usually every chunk is a leaf. But a function may have an attribute ``leaves``, the numbers of
    the first leaf of every chunk and of all leaves, and give a list of what belongs to these.
    """
    leaves = getattr(function, "leaves", None)
    return MergeTree(len(grid) if leaves is None else int(leaves[-1]))


def _enter(tree: MergeTree, function: Callable[[Chunk], Any], index: int, made: Any) -> None:
    """Enter what a function gave for a chunk."""
    leaves = getattr(function, "leaves", None)
    if leaves is None:
        tree.add(index, made)
        return
    for leaf, record in enumerate(made, int(leaves[index])):
        tree.add(leaf, record)


def _first_failure(
    error: ValueError, source: RowSource, of_chunk: Any, grid: RowGrid, leaves: list[int]
) -> Failed:
    """The first chunk that cannot be worked on, whatever thread was the first to find one."""
    for leaf in leaves:
        try:
            of_chunk(source.read(*grid.bounds(leaf)))
        except ValueError as first:
            return Failed(leaf, first)
    return Failed(leaves[0], error)


def _engine() -> ThreadEngine:
    """The threads that Dask gives this worker, the present one among them."""
    worker = current_worker()
    if worker is None:
        return ThreadEngine(1)
    executor = worker.executors["default"]

    def submit(function: Any, copies: int, size: int) -> list[Future]:
        return [executor.submit(function) for _ in range(copies)]

    return ThreadEngine(worker.state.nthreads, submit)
