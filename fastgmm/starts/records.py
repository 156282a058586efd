"""What a start says: which rows, or shares of rows, the components begin with."""

import copy
from dataclasses import dataclass

import numpy as np

_STEP = 1 << 14
"""Rows whose random numbers are drawn again, at most, to find those of a row among them."""


@dataclass(frozen=True, eq=False, slots=True)
class LabelledRows:
    """Every row belongs to one component.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    n_components : int
    """

    labels: np.ndarray
    n_components: int
    in_order = False

    def take(self, present: np.ndarray) -> "LabelledRows":
        """Start for the rows that a mask chooses."""
        return LabelledRows(self.labels[present], self.n_components)

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Labels (rows,) of the rows start to stop."""
        return self.labels[start:stop]


@dataclass(frozen=True, eq=False, slots=True)
class GivenResponsibilities:
    """Responsibilities given as an array (n, k).

    Parameters
    ----------
    responsibilities : ndarray of shape (n, k)
    in_order : bool, optional
        Whether to take them as such that are drawn while chunks are asked for.
    """

    responsibilities: np.ndarray
    in_order: bool = False

    def take(self, present: np.ndarray) -> "GivenResponsibilities":
        """Start for the rows that a mask chooses."""
        return GivenResponsibilities(self.responsibilities[present], self.in_order)

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the rows start to stop."""
        return self.responsibilities[start:stop]


class RandomResponsibilities:
    """Uniform random shares, drawn as chunks are asked for: once, and in order.

    An array for all rows would be the largest of the whole fit.

    Parameters
    ----------
    random_state : RandomState
    n_components : int
    dtype : dtype
    """

    in_order = True

    def __init__(self, random_state: np.random.RandomState, n_components: int, dtype: np.dtype):
        self._random_state, self._n_components, self._dtype = random_state, n_components, dtype
        self._states: list[np.random.RandomState] = []
        self._n_drawn = 0

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the next rows."""
        shares = self._random_state.uniform(size=(stop - start, self._n_components))
        shares = shares.astype(self._dtype, copy=False)
        shares /= shares.sum(axis=1)[:, np.newaxis]
        return shares.astype(np.float64, copy=False)

    def of_chunks(self, bounds: list[tuple[int, int]]) -> "DrawnElsewhere":
        """The same for some chunks, in any order, to be drawn in another process.

        That all numbers are drawn here, too, tells where those of a chunk begin.
        """
        self._draw(max(stop for _, stop in bounds))
        return DrawnElsewhere({start: self._at(start) for start, _ in bounds})

    def _draw(self, stop: int) -> None:
        """Draw the numbers of the rows up to one, remembering states on the way."""
        while self._n_drawn < stop:
            if self._n_drawn % _STEP == 0:
                self._states.append(copy.deepcopy(self._random_state))
            n_rows = min(_STEP - self._n_drawn % _STEP, stop - self._n_drawn)
            self._random_state.uniform(size=(n_rows, self._n_components))
            self._n_drawn += n_rows

    def _at(self, row: int) -> "RandomResponsibilities":
        """The same, of which the next row is this one."""
        number, further = divmod(row, _STEP)
        state = copy.deepcopy(self._states[number])
        state.uniform(size=(further, self._n_components))
        return RandomResponsibilities(state, self._n_components, self._dtype)


class DrawnElsewhere:
    """Random shares of some chunks, by their first rows."""

    def __init__(self, chunks: dict[int, RandomResponsibilities]):
        self._chunks = chunks

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the rows start to stop, which are a chunk."""
        return copy.deepcopy(self._chunks[start]).chunk(start, stop)


@dataclass(frozen=True, eq=False, slots=True)
class SingleRows:
    """Every component begins with one row, and the other rows with none: their values (k, d)."""

    rows: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class KnownShares:
    """Responsibilities of one for the component of a labelled row; those of a start for the rest.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    n_components : int
    others : Shares or None
        None leaves out the rows that have no label.
    """

    labels: np.ndarray
    n_components: int
    others: "Shares | None" = None

    @property
    def in_order(self) -> bool:
        """As of the other rows."""
        return self.others is not None and self.others.in_order

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k), or labels (rows,), of the rows start to stop."""
        labels = self.labels[start:stop]
        known = labels >= 0
        if self.others is None:
            shares = np.zeros((len(labels), self.n_components))
        else:
            shares = self.others.chunk(start, stop)
            if shares.ndim == 1:
                return np.where(known, labels, shares)
            shares = np.where(known[:, np.newaxis], 0.0, shares)
        shares[known, labels[known]] = 1.0
        return shares


@dataclass(frozen=True, eq=False, slots=True)
class WithoutRows:
    """Shares of a start, none of which goes to some of the rows.

    Parameters
    ----------
    shares : Shares
    left_out : ndarray of bool, shape (n,)
    n_components : int
    """

    shares: "Shares"
    left_out: np.ndarray
    n_components: int

    @property
    def in_order(self) -> bool:
        """As of the rows that stay."""
        return self.shares.in_order

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the rows start to stop."""
        shares = self.shares.chunk(start, stop)
        if shares.ndim == 1:
            shares = (shares[:, np.newaxis] == np.arange(self.n_components)).astype(np.float64)
        return np.where(self.left_out[start:stop, np.newaxis], 0.0, shares)


@dataclass(frozen=True, eq=False, slots=True)
class AboutMeans:
    """Shares whose means (k, d) are known, but for rounding."""

    shares: "Shares"
    means: np.ndarray
    in_order = False

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k), or labels (rows,), of the rows start to stop."""
        return self.shares.chunk(start, stop)


Shares = (
    LabelledRows
    | GivenResponsibilities
    | RandomResponsibilities
    | KnownShares
    | WithoutRows
    | AboutMeans
)
"""Starts that share out all rows."""

Start = Shares | SingleRows
