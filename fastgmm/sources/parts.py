"""Several readers as one."""

from collections.abc import Iterator

import numpy as np

from fastgmm.sources.reader import RowReader


class PartsReader(RowReader):
    """The rows of several readers, one after the other.

    Parameters
    ----------
    parts : list of RowReader

    Raises
    ------
    ValueError
        If there is none, or they have different features, or only some have weights.
    """

    def __init__(self, parts: list[RowReader]):
        if not parts:
            raise ValueError("An empty list has no rows.")
        first = parts[0]
        for part in parts:
            _check_alike(first, part)
        named = [part for part in parts if part.feature_names is not None]
        for part in named[1:]:
            _check_names(named[0], part)
        self._parts = parts
        self._starts = np.concatenate([[0], np.cumsum([part.n_rows for part in parts])])
        self.name = first.name if len(parts) == 1 else f"The list of {len(parts)} parts"
        self.n_rows, self.n_features = int(self._starts[-1]), first.n_features
        single = all(part.dtype == np.float32 for part in parts)
        self.dtype = np.dtype(np.float32 if single else np.float64)
        self.feature_names = named[0].feature_names if named else None
        self.columns = first.columns
        self.weighted = first.weighted
        self.read_ahead_rows = max(part.read_ahead_rows for part in parts)
        self.read_ahead_step = min(part.read_ahead_step for part in parts)

    def read(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        pieces = [part.read(begin, end) for part, begin, end in self._pieces(start, stop)]
        if not pieces:
            return self._parts[0].read(0, 0)
        if len(pieces) == 1:
            return pieces[0]
        with np.errstate(over="ignore"):
            rows = np.concatenate([rows for rows, _ in pieces], dtype=self.dtype)
        return rows, np.concatenate([weights for _, weights in pieces])

    def weights(self) -> Iterator[np.ndarray]:
        for part in self._parts:
            yield from part.weights()

    def locate(self, row: int) -> tuple[str, int]:
        ((part, begin, _),) = self._pieces(row, row + 1)
        return part.locate(begin)

    def prefetch(self, start: int, stop: int) -> None:
        for part, begin, end in self._pieces(start, stop):
            if part.read_ahead_rows:
                part.prefetch(begin, end)

    def check_unchanged(self) -> None:
        for part in self._parts:
            part.check_unchanged()

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[RowReader, int, int]]:
        """(part, its first row, the row after its last) of rows start to stop."""
        number = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop:
            first, end = int(self._starts[number]), min(stop, int(self._starts[number + 1]))
            if start < end:
                yield self._parts[number], start - first, end - first
            start, number = end, number + 1


def _check_alike(first: RowReader, other: RowReader) -> None:
    if first.n_features != other.n_features:
        raise ValueError(
            f"{other.name} has {other.n_features} features, but {first.name} has "
            f"{first.n_features}."
        )
    if first.weighted != other.weighted:
        raise ValueError("Either all parts of a list should have weights, or none.")


def _check_names(first: RowReader, other: RowReader) -> None:
    if other.feature_names != first.feature_names:
        raise ValueError(
            f"{other.name} has the features {other.feature_names}, but {first.name} has "
            f"{first.feature_names}. Choose them by columns=[...]."
        )
