"""The place of rows on a cluster: which worker sums which chunks, and what comes home."""

import math
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgmm.distributed.client import (
    ClusterError,
    check_open,
    completed,
    counted,
    distributed,
    failures,
    result_of,
    scheduler_errors,
)
from fastgmm.distributed.held import (
    Bundled,
    Common,
    Failed,
    Partitions,
    Piece,
    arrived_source,
    bundled,
    joined,
    sums_of_leaves,
    tree_of,
)
from fastgmm.distributed.workers import check_workers, facts_here
from fastgmm.sources.base import Chunk, RowGrid, RowSource
from fastgmm.sources.cache import Block
from fastgmm.sources.elsewhere import Place
from fastgmm.sources.reader import readers_below
from fastgmm.sources.selected import SelectedRows

_ASKED_EVERY = 1.0
"""Seconds for which the scheduler's answer which workers there are is taken for true."""

_PATIENCE = 60
"""Seconds to wait for a first worker; one that is started again takes some."""


@dataclass(eq=False)
class Bundle:
    """Chunks that one task sums.

    Parameters
    ----------
    worker : str
        Where the task should run.
    leaves : list of int
        Numbers of the chunks.
    places : list of (int, int)
        The pieces of partitions that they need...
    rows : Future
        ...and these, made once.
    """

    worker: str
    leaves: list[int]
    places: list[Piece] = field(default_factory=list)
    rows: Any = field(default_factory=lambda: Bundled({}))


@dataclass(eq=False)
class _Job:
    """A source that is worked on: as workers get it, and how its chunks are bundled.

    Parameters
    ----------
    stored : Future
        The source, pickled.
    sources : dict of Future
        What a worker makes of it, by address: one on each, that holds its rows as long as this is
        kept.
    workers : dict
        Threads of every worker, by its address, that chunks are bundled for.
    bundles : dict
        By grid.
    """

    stored: Any
    sources: dict[str, Any] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)
    bundles: dict[RowGrid, list[Bundle]] = field(default_factory=dict)


class ClusterPlace(Place):
    """Rows that the workers of a cluster hold, or read for themselves.

    Parameters
    ----------
    client : Client
    partitions : Partitions, optional
        None for rows in files, which every worker can read.
    blocks : list of Future, optional
        The rows of the partitions.
    """

    whole_chunks = True

    def __init__(
        self,
        client: Any,
        partitions: Partitions | None = None,
        blocks: Sequence[Any] = (),
    ):
        self.client, self.partitions, self.blocks = client, partitions, list(blocks)
        self._jobs: weakref.WeakKeyDictionary[RowSource, _Job] = weakref.WeakKeyDictionary()
        self._checked: set[str] = set()
        self._workers: dict[str, int] = {}
        self._asked = -math.inf

    def __reduce__(self) -> tuple:
        return type(None), ()  # a worker works where it is

    def workers(self) -> dict[str, int]:
        """Threads of every worker by its address; new workers are looked at first.

        Raises
        ------
        ClusterError
            If the cluster is gone, or a worker has other versions of packages.
        """
        check_open(self.client)
        if time.monotonic() < self._asked + _ASKED_EVERY:
            return self._workers
        with scheduler_errors():
            workers: dict[str, int] = self.client.nthreads()
            if not workers:
                workers = _wait_for_workers(self.client)
        if new := workers.keys() - self._checked:
            check_workers(self.client, new, facts_here())
            self._checked |= new
        self._workers, self._asked = workers, time.monotonic()
        return workers

    def merge(self, function: Callable[[Chunk], Any], source: RowSource, grid: RowGrid) -> Any:
        workers, job = self.workers(), self._job(source)
        if job.workers != workers:  # some have died, or come
            job.workers, job.bundles = workers, {}
            job.sources = {address: self._source(job, address) for address in workers}
        if grid not in job.bundles:
            job.bundles[grid] = self._bundles(source, grid, workers)
        bundles = job.bundles[grid]
        tasks = self._tasks(function, grid, job, bundles)
        tree, unsound = tree_of(function, grid), []
        for future in completed(list(tasks)):
            bundle = tasks[future]
            words = "" if future.status == "finished" else self._words(bundle)
            nodes = result_of(self.client, future, words)
            if isinstance(nodes, Failed):
                unsound.append(nodes)
                continue
            for (level, index), record in nodes:
                tree.add(index, _own(record), level)
            if source.on_read is not None:
                source.on_read(sum(stop - start for start, stop in _bounds(grid, bundle)))
        if unsound:
            raise min(unsound, key=lambda failed: failed.leaf).error
        return tree.total

    def _tasks(
        self, function: Callable, grid: RowGrid, job: _Job, bundles: list[Bundle]
    ) -> dict[Any, Bundle]:
        """A task for every bundle."""
        pickle = distributed().protocol.pickle.dumps
        narrowed = getattr(function, "of_chunks", None)
        pickled = pickle(function) if narrowed is None else b""
        tasks = {}
        for bundle in bundles:
            of_bundle = pickled
            if narrowed is not None:
                of_bundle = pickle(narrowed(_bounds(grid, bundle)))
            token = "" if self.partitions is None else self.partitions.token
            future = self.client.submit(
                sums_of_leaves,
                token,
                job.sources[bundle.worker],
                of_bundle,
                grid,
                bundle.leaves,
                bundle.rows,
                key=f"fastgmm-sums-{uuid.uuid4().hex}",
                workers=[bundle.worker],
                allow_other_workers=True,
            )
            tasks[future] = bundle
        return tasks

    def _job(self, source: RowSource) -> _Job:
        if source not in self._jobs:
            stored = distributed().protocol.pickle.dumps(source.to_send())
            # A task, unlike data that is scattered, is done again when its worker has died.
            future = self.client.submit(_same, stored, key=f"fastgmm-stored-{uuid.uuid4().hex}")
            self._jobs[source] = _Job(future)
        return self._jobs[source]

    def _source(self, job: _Job, address: str) -> Any:
        """Future of the source on a worker; Dask drops what is on several of them."""
        return job.sources.get(address) or self.client.submit(
            Common,
            job.stored,
            arrived_source,
            key=f"fastgmm-source-{uuid.uuid4().hex}",
            workers=[address],
            allow_other_workers=True,
        )

    # -- who sums what -----------------------------------------------------------------------------
    def _bundles(self, source: RowSource, grid: RowGrid, workers: dict[str, int]) -> list[Bundle]:
        if self.partitions is None:
            return _neighbours(grid, workers)
        parts = [
            list(self.partitions.parts(*_stored_span(source, *grid.bounds(leaf))))
            for leaf in range(len(grid))
        ]
        with scheduler_errors():
            holders = self.client.who_has(self.blocks)
        at = [set(holders.get(block.key, ())) for block in self.blocks]
        bundles = _by_place(parts, at, workers)
        for bundle in bundles:
            blocks = self._pieces(bundle, parts, at)
            bundle.places = [place for place, _ in blocks]
            bundle.rows = self.client.submit(
                bundled,
                bundle.places,
                [block for _, block in blocks],
                key=f"fastgmm-rows-{uuid.uuid4().hex}",
                workers=[bundle.worker],
                allow_other_workers=True,
            )
        return bundles

    def _pieces(
        self, bundle: Bundle, parts: list[list[tuple[int, int, int]]], at: list[set[str]]
    ) -> list[tuple[Piece, Any]]:
        """The pieces of partitions that the chunks of a bundle need, on its worker.

        A chunk that lies in several partitions gets a piece of its own, or its rows would be joined
        anew in every iteration.
        """
        pieces: list[tuple[Piece, Any]] = []
        needed: dict[int, tuple[int, int]] = {}
        for leaf in bundle.leaves:
            if len(parts[leaf]) > 1:
                block = self._piece(bundle.worker, parts[leaf])
                before = 0
                for number, start, stop in parts[leaf]:
                    pieces.append(((number, start - before), block))
                    before += stop - start
                continue
            for number, start, stop in parts[leaf]:
                first, end = needed.get(number, (start, stop))
                needed[number] = min(first, start), max(end, stop)
        for number, (start, stop) in sorted(needed.items()):
            held = bundle.worker in at[number]
            block = self.blocks[number]
            if not held:
                block = self._piece(bundle.worker, [(number, start, stop)])
            pieces.append(((number, 0 if held else start), block))
        return pieces

    def _piece(self, worker: str, parts: list[tuple[int, int, int]]) -> Any:
        """Future of rows of some partitions, copied for a worker."""
        assert self.partitions is not None
        return self.client.submit(
            _piece,
            [self.blocks[number] for number, _, _ in parts],
            [slice(start, stop) for _, start, stop in parts],
            len(self.partitions.columns),
            self.partitions.dtype,
            key=f"fastgmm-piece-{uuid.uuid4().hex}",
            workers=[worker],
            allow_other_workers=True,
        )

    def _words(self, bundle: Bundle) -> str:
        """What a bundle is about: the partitions that are known to fail, or all of them."""
        if self.partitions is None:
            return f"Chunk {bundle.leaves[0]} to chunk {bundle.leaves[-1]}"
        failed = failures(self.client, self.blocks)
        return counted(failed or [number for number, _ in bundle.places])


def _wait_for_workers(client: Any) -> dict[str, int]:
    """Threads of workers that come within a while.

    Raises
    ------
    ClusterError
        If none does.
    """
    # An adaptive cluster starts workers when there is something to do, and not before.
    something = client.submit(int, key=f"fastgmm-wake-{uuid.uuid4().hex}")
    try:
        distributed().wait(something, timeout=_PATIENCE)
    except TimeoutError:
        raise ClusterError(
            f"The Dask cluster has no workers, and none came within {_PATIENCE} seconds."
        ) from None
    workers: dict[str, int] = client.nthreads()
    return workers


def _same(stored: bytes) -> bytes:
    return stored


def _piece(blocks: list[Block], cuts: list[slice], n_features: int, dtype: np.dtype) -> Block:
    """Some rows of partitions that follow one another, for a worker of their own."""
    parts = [Block(b.rows[cut], b.weights[cut]) for b, cut in zip(blocks, cuts, strict=True)]
    return Block(*map(np.array, joined(parts, n_features, dtype)))


def _own(record: Any) -> Any:
    """A record that may be written to; what came in a message may not."""
    if isinstance(record, np.ndarray) and not record.flags.writeable:
        return record.copy()
    return record


def _bounds(grid: RowGrid, bundle: Bundle) -> list[tuple[int, int]]:
    return [grid.bounds(leaf) for leaf in bundle.leaves]


def _stored_span(source: RowSource, start: int, stop: int) -> tuple[int, int]:
    """The stored rows that rows start to stop of a source are among."""
    for reader in readers_below(source.reader):
        if isinstance(reader, SelectedRows):
            start, stop, _ = reader.span(start, stop)
    return start, stop


def _neighbours(grid: RowGrid, workers: dict[str, int]) -> list[Bundle]:
    """Chunks that follow one another for every worker, as many as it has threads for."""
    addresses = sorted(workers)
    ends = np.cumsum([workers[address] for address in addresses])
    ends = np.round(ends * (len(grid) / ends[-1])).astype(int)
    starts = [0, *ends[:-1].tolist()]
    return [
        Bundle(address, list(range(start, end)))
        for address, start, end in zip(addresses, starts, ends.tolist(), strict=True)
        if start < end
    ]


def _by_place(
    parts: list[list[tuple[int, int, int]]], at: list[set[str]], workers: dict[str, int]
) -> list[Bundle]:
    """Chunks for the workers that hold most of their rows, as long as no one has too many.

    Parameters
    ----------
    parts : list of list of (int, int, int)
        For every chunk: partitions, first rows and ends in them.
    at : list of set of str
        Who holds every partition.
    workers : dict
        Threads of every worker.
    """
    n_rows = [sum(stop - start for _, start, stop in pieces) for pieces in parts]
    share = sum(n_rows) / sum(workers.values())
    taken = dict.fromkeys(sorted(workers), 0)
    leaves: dict[str, list[int]] = {address: [] for address in taken}
    left = []

    def take(address: str, leaf: int) -> None:
        leaves[address].append(leaf)
        taken[address] += n_rows[leaf]

    for leaf, pieces in enumerate(parts):
        held = dict.fromkeys(taken, 0)
        for number, start, stop in pieces:
            for address in at[number] & held.keys():
                held[address] += stop - start
        best = max(taken, key=lambda address: (held[address], -taken[address] / workers[address]))
        if held[best] and taken[best] + n_rows[leaf] / 2 <= share * workers[best]:
            take(best, leaf)
        else:
            left.append(leaf)
    for leaf in left:
        take(min(taken, key=lambda address: taken[address] / workers[address]), leaf)
    return [Bundle(address, sorted(numbers)) for address, numbers in leaves.items() if numbers]
