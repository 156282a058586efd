"""Functions of a chunk whose responsibilities are given, or whose rows are known in part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm.passes.chunks import chunk_predictions, weighted_sum
from fastgmm.passes.kernel_operands import KernelChoice
from fastgmm.sources.base import Chunk

if TYPE_CHECKING:
    from fastgmm.passes.dense import SumsOfChunks

Bounds = list[tuple[int, int]]
"""First row of chunks, and the row after the last."""


class RowsOfChunks:
    """What is known of the rows of some chunks; shares of a start, or labels.

    Parameters
    ----------
    pieces : dict
        By the first row of a chunk: an array, or the one value that all rows have and their number.
    """

    in_order = False

    def __init__(self, pieces: dict[int, Any]):
        self._pieces = pieces

    @classmethod
    def of(cls, make: Callable[[int, int], np.ndarray], bounds: Bounds) -> "RowsOfChunks":
        """What a function of the first row and the end of a chunk gives for some chunks."""
        return cls({start: _brief(make(start, stop)) for start, stop in bounds})

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """What is known of the rows start to stop, which are a chunk."""
        piece = self._pieces[start]
        return np.repeat(*piece) if isinstance(piece, tuple) else piece


def shares_of_chunks(shares: Any, bounds: Bounds) -> Any:
    """Shares of all rows, without those of the rows of other chunks."""
    of_chunks = getattr(shares, "of_chunks", None)
    return RowsOfChunks.of(shares.chunk, bounds) if of_chunks is None else of_chunks(bounds)


def _brief(array: np.ndarray) -> Any:
    """An array, or its one value and its length."""
    if array.ndim == 1 and len(array) and (array == array[0]).all():
        return array[:1].copy(), len(array)
    return array


@dataclass(frozen=True, eq=False, slots=True)
class SumsOfGiven:
    """Sums of a chunk under given shares.

    Parameters
    ----------
    sums : SumsOfChunks
    shares : Shares
    """

    sums: "SumsOfChunks"
    shares: Any

    def __call__(self, chunk: Chunk) -> np.ndarray:
        return self.sums(chunk, self.shares.chunk(chunk.start, chunk.stop))

    def of_stretch(self, chunk: Chunk, rows_per_chunk: int) -> np.ndarray:
        """The merge of the sums of neighbouring chunks."""
        shares = self.shares.chunk(chunk.start, chunk.stop)
        return self.sums.of_stretch(chunk, rows_per_chunk, shares)

    def of_chunks(self, bounds: Bounds) -> "SumsOfGiven":
        """The same with the shares of some chunks only."""
        return replace(self, shares=shares_of_chunks(self.shares, bounds))


@dataclass(frozen=True, eq=False, slots=True)
class LabelledEStep:
    """Sums of a chunk under a mixture's responsibilities, where components of rows are known.

    Parameters
    ----------
    sums : SumsOfChunks
    labels : ndarray of int32, shape (n,), or RowsOfChunks
        What is known of rows.
    """

    sums: "SumsOfChunks"
    labels: Any

    def __call__(self, chunk: Chunk) -> np.ndarray:
        labels = known_labels(self.labels, chunk)
        if labels is None:
            return self.sums(chunk)
        known = labels >= 0
        inside, its_labels = part_of(chunk, known), labels[known]
        total = self.sums(inside, its_labels)
        densities = _log_densities(inside, self.sums.choice)
        of_its_own = densities[np.arange(len(its_labels)), its_labels]
        total[0] = weighted_sum(of_its_own, inside.weights)
        return total if known.all() else total + self.sums(part_of(chunk, ~known))

    def of_chunks(self, bounds: Bounds) -> "LabelledEStep":
        """The same with the labels of some chunks only."""
        return replace(self, labels=labels_of_chunks(self.labels, bounds))


@dataclass(frozen=True, eq=False, slots=True)
class EStepAbout:
    """Sums of a chunk about other points than a mixture's means, under its responsibilities.

    Parameters
    ----------
    sums : SumsOfChunks
        About these points, in float64.
    choice : KernelChoice
        Of the mixture.
    labels : ndarray of int32, shape (n,), RowsOfChunks or None
        What is known of rows.
    """

    sums: "SumsOfChunks"
    choice: KernelChoice
    labels: Any

    def __call__(self, chunk: Chunk) -> np.ndarray:
        log_likelihoods, responsibilities = shared_out(
            chunk, self.choice, known_labels(self.labels, chunk)
        )
        total = self.sums(chunk, responsibilities)
        total[0] = weighted_sum(log_likelihoods, chunk.weights)
        return total

    def of_chunks(self, bounds: Bounds) -> "EStepAbout":
        """The same with the labels of some chunks only."""
        return replace(self, labels=labels_of_chunks(self.labels, bounds))


def labels_of_chunks(labels: Any, bounds: Bounds) -> RowsOfChunks | None:
    """What is known of the rows of some chunks."""
    if labels is None:
        return None
    return RowsOfChunks.of(lambda start, stop: labels[start:stop], bounds)


def known_labels(labels: Any, chunk: Chunk) -> np.ndarray | None:
    """Labels of a chunk; None if it has none."""
    if labels is None:
        return None
    if isinstance(labels, RowsOfChunks):
        labels = labels.chunk(chunk.start, chunk.stop)
    else:
        labels = labels[chunk.start : chunk.stop]
    return labels if (labels >= 0).any() else None


def part_of(chunk: Chunk, chosen: np.ndarray) -> Chunk:
    """Those rows of a chunk that a mask chooses."""
    weights = chunk.weights[chosen] if len(chunk.weights) else chunk.weights
    return chunk._replace(rows=chunk.rows[chosen], weights=weights)


def _log_densities(chunk: Chunk, choice: KernelChoice) -> np.ndarray:
    """Weighted log-densities (rows, k) in float64."""
    densities = np.empty((len(chunk.rows), len(choice.operands.means)), choice.dtype)
    rows = chunk._replace(rows=chunk.rows.astype(choice.dtype, copy=False))
    chunk_predictions(rows, choice.forms, choice.operands, "log_densities", densities)
    return densities.astype(np.float64, copy=False)


def shared_out(
    chunk: Chunk, choice: KernelChoice, labels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods (rows,) and responsibilities (rows, k) in float64."""
    densities = _log_densities(chunk, choice)
    noise = -np.inf if choice.operands.background is None else choice.operands.background
    if labels is None:
        return shared_out_of(densities, noise)
    known = labels[:, np.newaxis] >= 0
    densities[known & (labels[:, np.newaxis] != np.arange(densities.shape[1]))] = -np.inf
    return shared_out_of(densities, np.where(known, -np.inf, noise))


def shared_out_of(
    log_densities: np.ndarray, of_noise: Any = -np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods (n,) and responsibilities (n, k) that follow from log-densities.

    Parameters
    ----------
    log_densities : ndarray of shape (n, k)
        Of the components, with their weights.
    of_noise : float, or ndarray of shape (n, 1), optional
        Of noise.
    """
    largest = np.maximum(log_densities.max(axis=1, keepdims=True), of_noise)
    responsibilities = np.exp(log_densities - largest)
    totals = responsibilities.sum(axis=1, keepdims=True) + np.exp(of_noise - largest)
    responsibilities /= totals
    return (largest + np.log(totals))[:, 0], responsibilities
