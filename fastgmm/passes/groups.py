"""Sums of rows in which values are missing: chunk by chunk, in groups of equal patterns."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgmm.caching import cached_property
from fastgmm.engines.base import MergeTree
from fastgmm.passes.marginal_e_step import BatchKernels, MarginalEStep
from fastgmm.passes.patterns import Batch, Group, KnownPatterns, batches_of, groups_of, patterns_of
from fastgmm.passes.remembered import remembered
from fastgmm.passes.shares import Bounds, known_labels, labels_of_chunks, part_of
from fastgmm.sources.base import Chunk

Grouped = tuple[list[Batch], list[tuple[Group, ...]]]
"""Batches, and the rows of a chunk by batch: pieces of those without labels, and of those with."""


class Groups:
    """The groups of chunks, which may be kept from pass to pass.

    Another process keeps its own, of the chunks that it works on.

    Parameters
    ----------
    token : str
        Tells them from others.
    name : str
        What to call the rows.
    patterns : ndarray of bool, shape (patterns, d), or None
        Of all rows, if these are few: what is made of them is then made once a pass, and not once a
        chunk.
    n_components : int
    """

    def __init__(self, token: str, name: str, patterns: np.ndarray | None, n_components: int):
        self._arguments = token, name, patterns, n_components
        self._name, self._n_components = name, n_components
        self.batches = None if patterns is None else batches_of(patterns, n_components)
        self._known = None if patterns is None else KnownPatterns(patterns)
        self._kept: dict[tuple[int, int], Grouped] = {}

    def __reduce__(self) -> tuple:
        token, *rest = self._arguments
        return remembered, (token, Groups, *rest)

    def of_rows(
        self,
        bounds: tuple[int, int],
        read: Callable[[int, int], Chunk],
        labels: Any,
        keeps: bool,
    ) -> Grouped:
        """Groups of some rows, which are read only if their groups have not been kept."""
        found = self._kept.get(bounds)
        if found is None:
            chunk = read(*bounds)
            found = self._made(chunk, known_labels(labels, chunk))
            if keeps:
                self._kept[bounds] = found
        return found

    def _made(self, chunk: Chunk, labels: np.ndarray | None) -> Grouped:
        batches = self.batches
        if batches is None or self._known is None:
            patterns, numbers = patterns_of(chunk.rows)
            batches = batches_of(patterns, self._n_components)
        else:
            numbers = self._known.numbers(chunk.rows)
            if (numbers < 0).any():
                raise ValueError(f"{self._name} has changed since it was opened.")
        if labels is None:
            parts = [groups_of(chunk, numbers, batches)]
        else:
            free, known = labels < 0, labels >= 0
            parts = [groups_of(part_of(chunk, free), numbers[free], batches)]
            of_known = part_of(chunk, known), numbers[known], batches, labels[known]
            parts.append(groups_of(*of_known))
        pieces = [
            tuple(itertools.chain.from_iterable(group.in_pieces() for group in groups))
            for groups in zip(*parts, strict=True)
        ]
        return batches, pieces


@dataclass(frozen=True, eq=False)
class SumsOfGroups:
    """Sums of a chunk: of each pattern over its own features, or expanded to all features.

    They are those of the patterns where these are few, and `expanded` follows once for all chunks.
    It pickles.

    Parameters
    ----------
    e_step : MarginalEStep
    groups : Groups
    labels : ndarray of int32, shape (n,), RowsOfChunks or None
        What is known of rows.
    keeps : bool
        Whether groups are kept.
    """

    e_step: MarginalEStep
    groups: Groups
    labels: Any
    keeps: bool

    def __reduce__(self) -> tuple:
        return SumsOfGroups, (self.e_step, self.groups, self.labels, self.keeps)

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return self.of_rows((chunk.start, chunk.stop), lambda start, stop: chunk)

    def of_chunks(self, bounds: Bounds) -> "SumsOfGroups":
        """The same with the labels of some chunks only."""
        return replace(self, labels=labels_of_chunks(self.labels, bounds))

    def of_rows(self, bounds: tuple[int, int], read: Callable[[int, int], Chunk]) -> np.ndarray:
        """Sums of some rows, which are read if they have to be."""
        batches, groups = self.groups.of_rows(bounds, read, self.labels, self.keeps)
        if self.groups.batches is not None:
            return self._by_pattern(groups)
        # Every chunk for itself, a batch at a time: all of them may be larger than the rows.
        total = np.zeros(self.e_step.form.n_sums(*self.e_step.reference.shape))
        for batch, of_batch in zip(batches, groups, strict=True):
            made = self.e_step.kernels(batch)
            total += self.e_step.expanded(made, sums_of(self.e_step, made, of_batch))
        return total

    def expanded(self, sums: np.ndarray) -> np.ndarray:
        """Sums over all features, of those of all chunks."""
        if self.groups.batches is None:
            return sums
        sizes = [made.n_sums * len(made.batch.observed) for made in self.made]
        parts = np.split(sums, np.cumsum(sizes)[:-1])
        pairs = zip(self.made, parts, strict=True)
        return np.sum([self.e_step.expanded(*pair) for pair in pairs], axis=0)

    @cached_property
    def made(self) -> list[BatchKernels]:
        """What the E-step needs of each batch, where patterns are few."""
        return [self.e_step.kernels(batch) for batch in self.groups.batches or []]

    def _by_pattern(self, groups: list[tuple[Group, ...]]) -> np.ndarray:
        pairs = zip(self.made, groups, strict=True)
        return np.concatenate([sums_of(self.e_step, *pair) for pair in pairs])


def sums_of(e_step: MarginalEStep, made: BatchKernels, groups: tuple[Group, ...]) -> np.ndarray:
    """Sums of rows that are in groups of a batch, of each of its patterns."""
    return e_step.together(made, groups, [e_step.sums(made, group) for group in groups])


class SumsOfBatch:
    """Sums over all features, of a batch's rows in all chunks, which threads add in any order.

    Whoever comes first makes what the batch needs, and who comes last expands its sums: meanwhile
    other threads go on with other batches.

    Parameters
    ----------
    e_step : MarginalEStep
    batch : Batch
    groups : list of tuple of Group
        Of every chunk.
    """

    def __init__(self, e_step: MarginalEStep, batch: Batch, groups: list[tuple[Group, ...]]):
        self._e_step, self._batch, self._groups = e_step, batch, groups
        self._made: BatchKernels | None = None
        self._found: list[dict[int, np.ndarray]] = [{} for _ in groups]
        self._tree, self._n_left = MergeTree(len(groups)), len(groups)
        self._lock = threading.Lock()
        self.expanded = np.empty(0)

    def add(self, chunk: int, number: int) -> None:
        """Add the rows of a group of a chunk."""
        with self._lock:
            if self._made is None:
                self._made = self._e_step.kernels(self._batch)
        groups, found = self._groups[chunk], self._found[chunk]
        sums = self._e_step.sums(self._made, groups[number])
        with self._lock:
            found[number] = sums
            ends_chunk = len(found) == len(groups)
        if not ends_chunk:
            return
        in_order = [found.pop(i) for i in range(len(groups))]
        self._tree.add(chunk, self._e_step.together(self._made, groups, in_order))
        with self._lock:
            self._n_left -= 1
            is_last = self._n_left == 0
        if is_last:
            self.expanded = self._e_step.expanded(self._made, self._tree.total)
