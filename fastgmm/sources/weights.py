"""The scale of weights, the same for every source."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

NO_WEIGHTS = np.empty(0)
"""Weights of a chunk whose rows all weigh 1."""

SUMMED_ROWS = 1 << 16
"""Weights whose sum is taken first, before all sums are added exactly."""


class WeightScale(NamedTuple):
    """What weights are divided by, and what they then sum to.

    A power of two near their mean: dividing by it changes no digit, and keeps tiny weights above
    the guard against empty components. The sum has the same bits however the weights arrive,
    because it is taken over blocks of a fixed length first, and exactly over those.

    Parameters
    ----------
    exponent : int
        Of the power of two.
    total : float
        Sum of the weights divided by it.
    """

    exponent: int
    total: float

    @classmethod
    def of(cls, weights: Iterable[np.ndarray]) -> "WeightScale | None":
        """Scale of weights that come in pieces of any length; None if there are none.

        Parameters
        ----------
        weights : iterable of ndarray of float64
            Positive.

        Raises
        ------
        ValueError
            If their sum is too large for a float.
        """
        n_rows, sums = 0, []
        for block in _blocks(weights):
            n_rows += len(block)
            sums.append(sum_of(block))
        return cls.of_sums(n_rows, sums)

    @classmethod
    def of_sums(cls, n_rows: int, sums: Iterable[float]) -> "WeightScale | None":
        """The same of the sums of `SUMMED_ROWS` neighbours each."""
        try:
            total = math.fsum(sums)
        except OverflowError:
            total = math.inf
        if math.isinf(total):
            raise ValueError("The weights are too large: their sum overflows. Scale them down.")
        if not n_rows:
            return None
        # The mean then lies in [1, 2): weights that are all 1 stay what they are.
        exponent = math.frexp(total / n_rows)[1] - 1
        return cls(exponent, math.ldexp(total, -exponent))

    @property
    def divisor(self) -> float:
        """The power of two."""
        return math.ldexp(1.0, self.exponent)


def sum_of(weights: np.ndarray) -> float:
    """Sum of weights, which may be infinite."""
    with np.errstate(over="ignore"):
        return float(weights.sum())


def divided(weights: np.ndarray, exponent: int) -> np.ndarray:
    """Weights divided by 2 to the power of `exponent`."""
    if exponent == 0 or not len(weights):
        return weights
    if abs(exponent) < 1000:  # the factor is a number, and multiplying is the faster way
        return weights * math.ldexp(1.0, -exponent)
    return np.ldexp(weights, -exponent)


def _blocks(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same numbers in blocks of one length, but for the last."""
    waiting: list[np.ndarray] = []
    n_waiting = 0
    for piece in pieces:
        start = 0
        while len(piece) - start >= SUMMED_ROWS - n_waiting:
            stop = start + SUMMED_ROWS - n_waiting
            yield np.concatenate([*waiting, piece[start:stop]])
            waiting, n_waiting, start = [], 0, stop
        if start < len(piece):
            waiting.append(piece[start:].copy())
            n_waiting += len(piece) - start
    if waiting:
        yield np.concatenate(waiting)
