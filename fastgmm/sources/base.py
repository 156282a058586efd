"""Rows that are read chunk by chunk: the source, its chunks, and the grid that fixes them."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgmm.engines.base import Engine
from fastgmm.sources.checks import describe_bad_value, find_bad_value
from fastgmm.sources.present import PresentCounts, PresentRows, WeightTally, sum_of_weights
from fastgmm.sources.read_ahead import ReadAhead
from fastgmm.sources.reader import RowReader, readers_below, rows_per_scan
from fastgmm.sources.weights import SUMMED_ROWS, divided

_CHUNKS = 64
"""Chunks that rows are cut into, while that makes neither too small nor too large ones."""

_LEAST_WORK = 1 << 23
"""Multiply-adds of a chunk, about: below, handing it to a thread costs more than its share."""

_LEAST_ROWS = 1024
_FEW_CHUNKS = 16
_MOST_BYTES = 1 << 24
"""Of the rows of a chunk, or of a stretch of them, or of their responsibilities."""

_ROWS_MULTIPLE = 32

_MOST_STRETCHED_WORK = 1 << 29
"""Multiply-adds of a stretch of chunks, about: some 50 ms, which an interrupt waits for."""

_REMEMBERED_ROWS = 256
"""Rows of a read from which on it is remembered that they are in order."""


class RowGrid(NamedTuple):
    """Cuts rows into chunks.

    Sums are merged chunk by chunk in a fixed order, so the grid decides the last bits of a result;
    it depends on the size of the problem alone, never on threads, workers or the source.

    Parameters
    ----------
    n_rows : int
    rows_per_chunk : int
    longest_stretch : int, optional
        Neighbouring chunks, a power of two, that may be worked on in one call. What surrounds a
        call takes as long as a tenth of a small chunk, as nothing of it is in a cache by then.
    """

    n_rows: int
    rows_per_chunk: int
    longest_stretch: int = 1

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
        rows = -(-min(rows, most) // _ROWS_MULTIPLE) * _ROWS_MULTIPLE
        bytes_per_row = 8 * max(n_features, int(n_components))
        together = min(_MOST_STRETCHED_WORK // work_per_row, _MOST_BYTES // bytes_per_row)
        return cls(n_rows, rows, 1 << max((together // rows).bit_length() - 1, 0))

    def __len__(self) -> int:
        """Number of chunks."""
        return -(-self.n_rows // self.rows_per_chunk)

    def stretch(self, chunks: range) -> tuple[int, int]:
        """First row of neighbouring chunks, and the row after the last."""
        return self.bounds(chunks[0])[0], self.bounds(chunks[-1])[1]

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


class RowSource:
    """Rows of any kind of storage, which can be read again and again, from several threads.

    They are converted to one type, and checked for NaN and infinity when they are first read.
    A row of weight 0 is as good as absent: its values are not checked, and `present` leaves it out.
    Where the storage can use it, the rows that follow are read ahead in the background.

    Parameters
    ----------
    reader : RowReader
    dtype : dtype, optional
        float64 or float32; the reader's own by default.
    checked : bool, optional
        Whether rows and weights are known to be in order.

    Attributes
    ----------
    reader : RowReader
    name : str
        What to call the rows in errors.
    n_rows, n_features : int
    dtype : dtype
    weighted : bool
        Whether rows have weights.
    total_weight : float
        Sum of the weights, or the number of rows.
    weight_scale : float
        What weights and their sum are divided by: 1, but for `scaled`.
    n_absent : int
        Rows of weight 0.
    feature_names : list of str or None
    missing : bool
        Whether NaN is in order, and stands for a value that is missing; see `allowing_missing`.
    on_read : callable or None
        Called with the number of rows of every read, from any thread.
    place : object or None
        Where the rows are worked on, if not in this process: see `fastgmm.distributed`.

    Raises
    ------
    ValueError
        If there is no row, or weights are out of range.
    """

    def __init__(self, reader: RowReader, dtype: np.dtype | None = None, *, checked: bool = False):
        if reader.n_rows == 0:
            raise ValueError(f"{reader.name} has no rows.")
        self.dtype = reader.dtype if dtype is None else np.dtype(dtype)
        self.n_features, self.feature_names = reader.n_features, reader.feature_names
        self.name, self.weighted = reader.name, reader.weighted
        self.total_weight, self.weight_scale, self.n_absent = float(reader.n_rows), 1.0, 0
        self.missing = False
        self.on_read: Callable[[int], None] | None = None
        *_, stored = readers_below(reader)
        self.place, self._partial = stored.place, False
        self._exponent = 0
        self._unchecked = not checked
        self._take(reader)
        if reader.weighted:
            self._tally = WeightTally.of(reader) if self.place is None else self._tally_there()
            self.n_absent = reader.n_rows - self._tally.n_present
            self.total_weight = math.ldexp(self._tally.scale.total, self._tally.scale.exponent)

    def _take(self, reader: RowReader) -> None:
        self.reader, self.n_rows = reader, reader.n_rows
        self._in_order: set[tuple[int, int]] = set()
        self._ahead: ReadAhead | None = None
        if reader.read_ahead_rows:
            self._ahead = ReadAhead(
                reader.prefetch, self.n_rows, reader.read_ahead_rows, reader.read_ahead_step
            )

    def _tally_there(self) -> WeightTally:
        """Tally of the weights by two looks at them, where the rows are."""
        stored = copy.copy(self)
        stored._unchecked = False
        counts = PresentCounts.together(survey(PresentCounts.of, stored), self.reader)
        if counts.sum() < self.n_rows:
            stored = copy.copy(stored)
            stored._take(PresentRows(self.reader, np.cumsum(counts)))
        return WeightTally.of_sums(counts, survey(sum_of_weights, stored, SUMMED_ROWS))

    def __repr__(self) -> str:
        weighted = ", weighted" if self.weighted else ""
        return f"<rows of {self.name}: {self.n_rows} x {self.n_features}, {self.dtype}{weighted}>"

    def read(self, start: int, stop: int) -> Chunk:
        """Rows start to stop.

        Raises
        ------
        ValueError
            If a value is NaN, null or infinite, and its row does not weigh 0; the text says where
            the first such value stands. Or if the storage has changed since it was opened.
        """
        if start == 0:  # a pass begins
            self.reader.check_unchanged()
        if self._ahead is not None:
            self._ahead.announce(start, stop)
        rows, weights = self.reader.read(start, stop)
        rows = self._converted(rows)
        if self._unchecked and (start, stop) not in self._in_order:
            found = find_bad_value(rows, weights, self.missing)
            if found is not None and self._partial:
                raise self._bad_value(rows, start, found)
            if found is not None:
                self._raise_first_bad_value()
            if stop - start >= _REMEMBERED_ROWS:
                self._in_order.add((start, stop))
        if self.on_read is not None:
            self.on_read(stop - start)
        return Chunk(start, stop, rows, divided(weights, self._exponent))

    @property
    def is_at_hand(self) -> bool:
        """Whether reading makes views of rows in memory, so that many are as good as few."""
        return self.reader.is_at_hand and self.dtype == self.reader.dtype

    def astype(self, dtype: np.dtype) -> "RowSource":
        """The same rows in float64 or float32."""
        if self.dtype == dtype:
            return self
        other = copy.copy(self)
        other.dtype, other._in_order = np.dtype(dtype), set()
        return other

    def allowing_missing(self, missing: bool = True) -> "RowSource":
        """The same rows, where NaN stands for a value that is missing; infinity is an error.

        Parameters
        ----------
        missing : bool, optional
            False is the way back: NaN is an error again.
        """
        if self.missing == missing:
            return self
        other = copy.copy(self)
        other.missing, other._in_order = missing, set()
        return other

    def to_send(self) -> "RowSource":
        """The same rows for another process, which may have only some of them: it pickles.

        There, `arrived` makes it ready.
        """
        other = copy.copy(self)
        other.place = other.on_read = other._ahead = None
        other._in_order, other._partial = set(), True
        return other

    def arrived(self) -> "RowSource":
        """A source that was sent, ready to be read."""
        self._take(self.reader)
        return self

    def with_reader(self, reader: RowReader, *, missing: bool) -> "RowSource":
        """Rows of a reader that makes them of this source's own.

        Parameters
        ----------
        reader : RowReader
        missing : bool
            Whether values are missing in them.
        """
        other = RowSource(reader, self.dtype, checked=not self._unchecked)
        other.missing, other.on_read, other.place = missing, self.on_read, self.place
        return other

    def present(self) -> "RowSource":
        """The same source without its rows of weight 0.

        The grid of chunks, and so the bits of a result, are then those of the data without them.
        """
        if self.n_absent == 0:
            return self
        other = copy.copy(self)
        other._take(PresentRows(self.reader, self._tally.ends))
        other.n_absent = 0
        return other

    def present_mask(self) -> np.ndarray:
        """Which rows have another weight than 0."""
        if self.n_absent == 0:
            return np.ones(self.n_rows, dtype=bool)
        return np.concatenate([weights != 0 for weights in self.reader.weights()])

    def scaled(self) -> "RowSource":
        """The same source with its weights, and their sum, divided by `weight_scale`.

        That is a power of two near the mean weight, so that sums of weights are numbers near those
        of rows, and no digit changes.
        """
        if not self.weighted:
            return self
        other = copy.copy(self)
        scale = self._tally.scale
        other._exponent, other.weight_scale = scale.exponent, scale.divisor
        other.total_weight = scale.total
        return other

    def _converted(self, rows: np.ndarray) -> np.ndarray:
        if rows.dtype != self.dtype:
            # A number too large for float32 becomes infinite, which the check then finds.
            with np.errstate(over="ignore"):
                rows = rows.astype(self.dtype)
        # Kernels are compiled for plain, aligned arrays.
        return rows if rows.flags.aligned else rows.copy()

    def _raise_first_bad_value(self) -> None:
        """Look for the first bad value from row 0 on, so that the error is always the same."""
        step = rows_per_scan(self.n_features)
        for start in range(0, self.n_rows, step):
            rows, weights = self.reader.read(start, min(start + step, self.n_rows))
            rows = self._converted(rows)
            found = find_bad_value(rows, weights, self.missing)
            if found is not None:
                raise self._bad_value(rows, start, found)

    def _bad_value(self, rows: np.ndarray, start: int, found: tuple[int, int]) -> ValueError:
        """The error that says where a bad value stands."""
        value, column = rows[found], self.reader.columns[found[1]]
        return ValueError(describe_bad_value(value, column, *self.reader.locate(start + found[0])))


def scan(source: RowSource) -> Iterator[Chunk]:
    """All rows of a source, in order, in pieces of a few megabytes, brought to this process."""
    for start, stop in _pieces(source):
        yield source.read(start, stop)


def survey(
    function: Callable[[Chunk], Any], source: RowSource, rows_per_piece: int | None = None
) -> Iterator[Any]:
    """What a function gives for all rows of a source, piece by piece in order, where they are.

    Parameters
    ----------
    function : callable
        It pickles, if the rows may be elsewhere.
    source : RowSource
    rows_per_piece : int, optional
        Makes a few megabytes by default.
    """
    if source.place is None:
        for start, stop in _pieces(source, rows_per_piece):
            yield function(source.read(start, stop))
    else:
        grid = RowGrid(source.n_rows, rows_per_piece or rows_per_scan(source.n_features))
        yield from source.place.merge(_Listed(function), source, grid)


class _Listed(NamedTuple):
    """A function of a chunk whose results add by following one another."""

    function: Callable[[Chunk], Any]

    def __call__(self, chunk: Chunk) -> list[Any]:
        return [self.function(chunk)]


def _pieces(source: RowSource, rows: int | None = None) -> Iterator[tuple[int, int]]:
    step = rows or rows_per_scan(source.n_features)
    for start in range(0, source.n_rows, step):
        yield start, min(start + step, source.n_rows)


def merge_chunks(
    function: Callable[[Chunk], Any], source: RowSource, grid: RowGrid, engine: Engine
) -> Any:
    """Merge of a function of every chunk, by ``+`` along a fixed tree.

    The bits are the same wherever the rows are.

    Parameters
    ----------
    function : callable
        It pickles, if the rows may be elsewhere. Then it may also have a method
        ``of_chunks(bounds)``, which makes the same function of some chunks only, without what it
        knows of the rows of others. And, for a place of whole chunks, it may have ``leaves``: see
        `fastgmm.distributed.held.tree_of`. For rows at hand it may have
        ``of_stretch(chunk, rows_per_chunk)``, which makes the merge of neighbouring chunks in one
        call.
    source : RowSource
    grid : RowGrid
    engine : Engine
        Of this process.
    """
    if source.place is not None:
        return source.place.merge(function, source, grid)
    of_stretch = getattr(function, "of_stretch", None)

    def of(chunks: range) -> Any:
        rows = source.read(*grid.stretch(chunks))
        if of_stretch is None or len(chunks) == 1:
            return function(rows)
        return of_stretch(rows, grid.rows_per_chunk)

    longest = grid.longest_stretch if source.is_at_hand and of_stretch is not None else 1
    return engine.reduce_stretches(of, len(grid), longest)
