"""Rows in files that all workers can read: every worker reads those that it sums."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from fastgmm.distributed.client import current_worker, distributed, needed_client
from fastgmm.distributed.place import ClusterPlace
from fastgmm.sources.reader import RowReader

_SHARE = 0.6
"""Of a worker's memory, for rows and all else; from 80 % on Dask gives it nothing more to do."""


class ReopenedReader(RowReader):
    """The rows of a reader that workers open for themselves.

    Parameters
    ----------
    opens : callable
        Makes the reader, of which rows in memory take ``at_most`` so many bytes; it pickles.
    place : ClusterPlace or None
        None on a worker.
    n_rows : int, optional
        That there have to be.

    Raises
    ------
    ValueError
        If what is opened has another number of rows.
    """

    def __init__(
        self, opens: Callable[..., RowReader], place: ClusterPlace | None, n_rows: int | None = None
    ):
        self._reader = reader = opens(at_most=_room() if place is None else math.inf)
        self._opens, self.place = opens, place
        if n_rows is not None and reader.n_rows != n_rows:
            raise ValueError(
                f"{reader.name} has {reader.n_rows} rows on a worker, but had {n_rows} when it was "
                "opened."
            )
        self._resemble(reader)

    def __reduce__(self) -> tuple:
        return ReopenedReader, (self._opens, None, self.n_rows)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return self._reader.read(start, stop)

    def weights(self) -> Iterator[np.ndarray]:
        return self._reader.weights()

    def locate(self, row: int) -> tuple[str, int]:
        return self._reader.locate(row)

    def prefetch(self, start: int, stop: int) -> None:
        self._reader.prefetch(start, stop)

    def check_unchanged(self) -> None:
        self._reader.check_unchanged()


def _room() -> float:
    """Bytes of rows that fit into the memory of this worker, before Dask holds it or kills it."""
    worker = current_worker()
    limit = None if worker is None else worker.memory_manager.memory_limit
    return _SHARE * limit - worker.monitor.get_process_memory() if limit else math.inf


def on_cluster(opens: Callable[..., RowReader]) -> RowReader:
    """A reader of files whose rows are worked on by the workers of the current client.

    Parameters
    ----------
    opens : callable
        Makes the reader, here and on every worker.

    Raises
    ------
    ClusterError
        If there is no client.
    """
    distributed()
    return ReopenedReader(opens, ClusterPlace(needed_client()))
