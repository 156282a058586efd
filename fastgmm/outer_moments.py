"""Outer moments as kernels sum them, in blocks, and as matrices."""

import functools
from collections.abc import Iterator

import numpy as np

from fastgmm.kernels.layout import BLOCK, outer_place, outer_size

_LINE = np.dtype((np.void, 8 * BLOCK))
"""A row of a block."""

_BAND = 128
"""Rows of a matrix that are mirrored at a time."""

_LARGE = 512
"""Features beyond which a matrix is larger than a usual L2 cache."""


@functools.lru_cache(maxsize=4)
def first_places(d: int) -> np.ndarray:
    """Where the first moments (d,) stand among a component's outer moments."""
    return outer_place(d, np.arange(d))


@functools.lru_cache(maxsize=16)
def second_places(d: int) -> np.ndarray:
    """The same of the second moments (d, d)."""
    features = np.arange(d)
    columns = features[:, np.newaxis]
    return outer_place(np.maximum(features, columns), np.minimum(features, columns))


def second_moments(blocks: np.ndarray, d: int) -> np.ndarray:
    """Second moments (k, d, d) from all outer moments (k, blocks)."""
    if d <= _LARGE:
        return blocks.take(second_places(d), axis=-1)
    # A table would be as large as the result, and take longer to make than the result.
    leading = blocks.shape[:-1]
    second = np.empty((*leading, d, d + -d % BLOCK))
    stored, places = blocks.view(_LINE), second.view(_LINE)
    for row, first in _block_rows(d):
        last = min(row + BLOCK, d)
        lines = stored[..., first : first + row + BLOCK].reshape(*leading, -1, BLOCK)
        lines = lines.swapaxes(-1, -2)[..., : last - row, :]
        places[..., row:last, : row // BLOCK + 1] = lines
    # What is above the diagonal mirrors what is below it, which a block's upper half may not hold.
    for begin in range(0, d, _BAND):
        band = slice(begin, min(begin + _BAND, d))
        second[..., :begin, band] = second[..., band, :begin].swapaxes(-1, -2)
        corner = second[..., band, band]
        corner[...] = np.tril(corner) + np.tril(corner, -1).swapaxes(-1, -2)
    return second[..., :d]


def outer_moments(moments: np.ndarray, d: int) -> np.ndarray:
    """All outer moments (blocks,) of a component, from a matrix that holds them.

    Parameters
    ----------
    moments : ndarray of shape (n, n)
        Of which rows and columns up to d are read, in whole blocks, below the diagonal.
    d : int
    """
    blocks = np.empty(outer_size(d))
    stored, places = blocks.view(_LINE), moments.view(_LINE)
    for row, first in _block_rows(d + 1):
        lines = places[row : row + BLOCK, : row // BLOCK + 1]
        stored[first : first + row + BLOCK].reshape(-1, BLOCK)[...] = lines.T
    return blocks


def _block_rows(n: int) -> Iterator[tuple[int, int]]:
    """The first row of every row of blocks, and where its first line stands among all lines."""
    return ((row, outer_place(row, 0) // BLOCK) for row in range(0, n, BLOCK))


def blocks_of_outer(weight: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Lower triangles (k, blocks) of all outer moments, in blocks."""
    d = first.shape[-1]
    lower = np.tril_indices(d)
    blocks = np.zeros((*weight.shape, outer_size(d)))
    blocks[..., outer_place(d, d)] = weight
    blocks[..., first_places(d)] = first
    blocks[..., outer_place(*lower)] = second[..., *lower]
    return blocks
