"""Rows that have to be decoded: in blocks, of which a bounded number stays in memory."""

import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Generator, Iterator

import numpy as np

from fastgmm.sources.cache import Block, BlockCache
from fastgmm.sources.reader import RowReader
from fastgmm.sources.weights import NO_WEIGHTS

_LARGEST_BLOCK_BYTES = 1 << 23
_BLOCKS_IN_CACHE = 32
_MOST_BLOCK_ROWS = 1 << 17
_MOST_BYTES_AHEAD = 1 << 26
_OPEN_STREAMS = 4
"""Groups that may stand open at once, each with its buffers."""


def decoded_row_bytes(n_features: int, dtype: np.dtype, weighted: bool) -> int:
    """Memory of a decoded row."""
    return n_features * dtype.itemsize + 8 * weighted


def rows_per_block(row_bytes: int, memory_limit: int) -> int:
    """Rows that make a block of a handy size."""
    n_bytes = min(_LARGEST_BLOCK_BYTES, memory_limit // _BLOCKS_IN_CACHE)
    return max(min(n_bytes // row_bytes, _MOST_BLOCK_ROWS), 1)


class BlockReader(RowReader):
    """Rows stored in groups, each decoded from its beginning, block by block.

    A subclass sets `n_features`, `dtype` and `weighted` before it calls ``__init__``.

    Parameters
    ----------
    group_rows : list of int
        Rows of every group, none zero.
    rows_per_block : int
        Rows of every block but the last of a group.
    cache : BlockCache
        May be shared with other readers.
    """

    def __init__(self, group_rows: list[int], rows_per_block: int, cache: BlockCache):
        self._group_rows = group_rows
        self._rows_per_block = rows_per_block
        self._cache = cache
        self._starts = np.concatenate([[0], np.cumsum(group_rows, dtype=np.int64)])
        self.n_rows = int(self._starts[-1])
        ahead = min(cache.n_bytes // 8, _MOST_BYTES_AHEAD)
        self.read_ahead_rows = max(ahead // self._row_bytes, rows_per_block)
        self._streams: OrderedDict[int, _Stream] = OrderedDict()
        self._lock = threading.Lock()
        self._kept_groups: dict[int, bool] = {}

    @property
    def _row_bytes(self) -> int:
        return decoded_row_bytes(self.n_features, self.dtype, self.weighted)

    @abstractmethod
    def decode(self, group: int) -> Generator[Block, None, None]:
        """Blocks of a group, in order, each of `rows_per_block` rows but the last."""

    # -- reading -----------------------------------------------------------------------------------
    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if start == stop:
            return np.empty((0, self.n_features), self.dtype), NO_WEIGHTS
        pieces = list(self._pieces(start, stop))
        keys = [(id(self), group, number) for group, number, _, _ in pieces]
        with self._cache.wanting(keys):
            blocks = [self._block(group, number) for group, number, _, _ in pieces]
        parts = []
        for key, block, (_, _, begin, end) in zip(keys, blocks, pieces, strict=True):
            parts.append(Block(block.rows[begin:end], block.weights[begin:end]))
            self._cache.mark_read(key, end - begin)
        if len(parts) == 1:
            return parts[0].rows, parts[0].weights
        return (
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )

    def prefetch(self, start: int, stop: int) -> None:
        for group, number, _, _ in self._pieces(start, stop):
            if self._cache.get((id(self), group, number)) is None:
                stream = self._stream(group)
                with stream.lock:
                    # What has been decoded and dropped already is not begun again for this.
                    ahead = stream.blocks is None or stream.position <= number
                    block_bytes = self._rows_per_block * self._row_bytes
                    n_bytes = block_bytes * (number + 1 - stream.position)
                    if not (ahead and (stream.kept or self._cache.make_room(n_bytes))):
                        return
                    self._advance(stream, number)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
        """(group, block in it, first row in that, row after the last) of rows start to stop."""
        group = int(np.searchsorted(self._starts, start, side="right")) - 1
        size = self._rows_per_block
        while start < stop:
            first = int(self._starts[group])
            end = min(stop, int(self._starts[group + 1]))
            for number in range((start - first) // size, (end - first - 1) // size + 1):
                begin = first + number * size
                yield group, number, max(start - begin, 0), min(end - begin, size)
            start, group = end, group + 1

    # -- decoding ----------------------------------------------------------------------------------
    def _block(self, group: int, number: int) -> Block:
        key = (id(self), group, number)
        block = self._cache.get(key)
        if block is not None:
            return block
        stream = self._stream(group)
        with stream.lock:
            # Another thread may have decoded it while this one waited.
            block = self._cache.get(key)
            return block if block is not None else self._advance(stream, number)

    def _advance(self, stream: "_Stream", number: int) -> Block:
        """Decode a group up to a block, and store what comes on the way."""
        if stream.blocks is None or stream.position > number:
            stream.close()
            stream.blocks = self.decode(stream.group)
        store = self._cache.keep if stream.kept else self._cache.put
        try:
            while True:
                block = next(stream.blocks)
                key = (id(self), stream.group, stream.position)
                stream.position += 1
                store(key, block)
                if key[2] == number:
                    break
        except BaseException:
            stream.close()
            raise
        if stream.position == stream.n_blocks:
            stream.close()
        return block

    def _stream(self, group: int) -> "_Stream":
        with self._lock:
            stream = self._streams.get(group)
            if stream is None:
                n_rows = self._group_rows[group]
                n_blocks = -(-n_rows // self._rows_per_block)
                stream = _Stream(group, n_blocks, self._keeps(group))
                self._streams[group] = stream
            self._streams.move_to_end(group)
            for old in list(self._streams)[:-_OPEN_STREAMS]:
                # One that is in use is left alone; it is dropped some other time.
                if self._streams[old].lock.acquire(blocking=False):
                    dropped = self._streams.pop(old)
                    dropped.close()
                    dropped.lock.release()
            return stream

    def _keeps(self, group: int) -> bool:
        """Whether the blocks of a group are kept for good."""
        if group not in self._kept_groups:
            n_bytes = self._group_rows[group] * self._row_bytes
            self._kept_groups[group] = self._cache.reserve(n_bytes)
        return self._kept_groups[group]


class _Stream:
    """A group being decoded; whoever uses it holds its lock."""

    def __init__(self, group: int, n_blocks: int, kept: bool):
        self.group = group
        self.n_blocks = n_blocks
        self.kept = kept
        self.lock = threading.Lock()
        self.blocks: Generator[Block, None, None] | None = None
        self.position = 0

    def close(self) -> None:
        """Give up what is open; the next block is again the first."""
        if self.blocks is not None:
            self.blocks.close()
        self.blocks, self.position = None, 0
