"""What a kind of storage supplies."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

SCAN_BYTES = 1 << 23
"""Size of the pieces that all rows are read in, outside of a fit."""


class RowReader(ABC):
    """Reads rows, and weights as they stand, from one kind of storage.

    Every method but `__init__` may be called from several threads at once.

    Attributes
    ----------
    name : str
        What to call the storage in errors.
    n_rows, n_features : int
    dtype : dtype
        Of the rows, float64 or float32.
    columns : sequence of str or int
        What the columns of the features are called, or their numbers.
    feature_names : list of str or None
    weighted : bool
    read_ahead_rows : int
        How many rows to call `prefetch` for, beyond those that are read; 0 for never.
    read_ahead_step : int
        By how many rows reading should have moved on before it is called again.
    is_at_hand : bool
        Whether rows are in memory and reading makes views of them, so that many are as good as few.
    wrapped : RowReader or None
        The one whose rows these are, or some of these.
    place : object or None
        Where the rows are worked on, if not in this process: see `fastgmm.distributed`.
    """

    name: str
    n_rows: int
    n_features: int
    dtype: np.dtype
    columns: Sequence[str] | Sequence[int]
    feature_names: list[str] | None = None
    weighted: bool = False
    read_ahead_rows: int = 0
    read_ahead_step: int = 0
    is_at_hand: bool = False
    wrapped: "RowReader | None" = None
    place: Any = None

    def _resemble(self, reader: "RowReader") -> None:
        """Have the attributes of a reader whose rows these are."""
        self.name, self.n_rows, self.dtype = reader.name, reader.n_rows, reader.dtype
        self.n_features, self.columns = reader.n_features, reader.columns
        self.feature_names, self.weighted = reader.feature_names, reader.weighted
        self.read_ahead_rows = reader.read_ahead_rows
        self.read_ahead_step = reader.read_ahead_step

    @abstractmethod
    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows start to stop, perhaps none, of any number type; their weights or `NO_WEIGHTS`."""

    @abstractmethod
    def weights(self) -> Iterator[np.ndarray]:
        """Weights of all rows as float64, in pieces."""

    @abstractmethod
    def locate(self, row: int) -> tuple[str, int]:
        """The file that holds a row, and the row's number in it."""

    @abstractmethod
    def prefetch(self, start: int, stop: int) -> None:
        """Make that rows start to stop will be read fast; called in the background."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raise ValueError if what is stored is no longer what was opened."""


def readers_below(reader: RowReader) -> Iterator[RowReader]:
    """A reader, and those that it wraps, down to the one that looks at what is stored."""
    below: RowReader | None = reader
    while below is not None:
        yield below
        below = below.wrapped


def rows_per_scan(n_features: int) -> int:
    """Rows to read at a time when all are gone through once."""
    return max(SCAN_BYTES // (8 * n_features), 1)
