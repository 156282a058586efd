"""Chunks of rows: the grid that fixes them, and what a source of rows supplies."""

from typing import NamedTuple, Protocol

import numpy as np

_CHUNKS = 64
"""Chunks that rows are cut into, while that makes neither too small nor too large ones."""

_LEAST_WORK = 1 << 23
"""Multiply-adds of a chunk, about: below, handing it to a thread costs more than its share."""

_LEAST_ROWS = 1024
_FEW_CHUNKS = 16
_MOST_BYTES = 1 << 24
_ROWS_MULTIPLE = 32


class RowGrid(NamedTuple):
    """Cuts rows into chunks.

    Sums are merged chunk by chunk in a fixed order, so the grid decides the last bits of a result;
    it depends on the size of the problem alone, never on threads, workers or the source.

    Parameters
    ----------
    n_rows : int
    rows_per_chunk : int
    """

    n_rows: int
    rows_per_chunk: int

    @classmethod
    def of(cls, n_rows: int, n_features: int, n_components: int) -> "RowGrid":
        """Grid for a problem of this size."""
        # int, because an estimator's number may be of a type as small as uint8.
        work_per_row = int(n_components) * n_features * (n_features + 16)
        least = max(min(_LEAST_WORK // work_per_row, 1 << 16), _LEAST_ROWS)
        most = max(_MOST_BYTES // (8 * n_features), _ROWS_MULTIPLE)
        rows = max(-(-n_rows // _CHUNKS), least)
        n_chunks = -(-n_rows // rows)
        if n_chunks < _FEW_CHUNKS:
            # As much for each of 2, 4 or 8 threads: of 5 chunks one would get 3, another 2. Not of
            # little work, where threads that end together wait for each other's bookkeeping.
            share = -(-n_rows // (1 << (n_chunks - 1).bit_length()))
            rows = share if share * work_per_row >= _LEAST_WORK else rows
        rows = min(rows, most)
        return cls(n_rows, -(-rows // _ROWS_MULTIPLE) * _ROWS_MULTIPLE)

    def __len__(self) -> int:
        """Number of chunks."""
        return -(-self.n_rows // self.rows_per_chunk)

    def bounds(self, index: int) -> tuple[int, int]:
        """First row of chunk `index`, and the row after its last."""
        start = index * self.rows_per_chunk
        return start, min(start + self.rows_per_chunk, self.n_rows)


class Chunk(NamedTuple):
    """Rows of a source.

    Parameters
    ----------
    start, stop : int
        Their place in the source.
    rows : ndarray of shape (stop - start, d)
    weights : ndarray of shape (stop - start,), or (0,) when every row weighs 1
    """

    start: int
    stop: int
    rows: np.ndarray
    weights: np.ndarray


class RowSource(Protocol):
    """Rows that can be read again and again, chunk by chunk."""

    n_rows: int
    n_features: int
    dtype: np.dtype
    total_weight: float
    weight_scale: float
    """What the weights were divided by, the total among them."""

    def read(self, start: int, stop: int) -> Chunk:
        """Rows start to stop."""
        ...

    def astype(self, dtype: np.dtype) -> "RowSource":
        """The same rows in float64 or float32."""
        ...
