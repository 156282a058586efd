"""What a start says: which rows, or shares of rows, the components begin with."""

from dataclasses import dataclass

import numpy as np


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
    """Responsibilities given as an array (n, k)."""

    responsibilities: np.ndarray
    in_order = False

    def take(self, present: np.ndarray) -> "GivenResponsibilities":
        """Start for the rows that a mask chooses."""
        return GivenResponsibilities(self.responsibilities[present])

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the rows start to stop."""
        return self.responsibilities[start:stop]


@dataclass(frozen=True, eq=False, slots=True)
class RandomResponsibilities:
    """Uniform random shares, drawn as chunks are asked for: once, and in order.

    An array for all rows would be the largest of the whole fit.
    """

    random_state: np.random.RandomState
    n_components: int
    dtype: np.dtype
    in_order = True

    def chunk(self, start: int, stop: int) -> np.ndarray:
        """Responsibilities (rows, k) of the next rows."""
        shares = self.random_state.uniform(size=(stop - start, self.n_components))
        shares = shares.astype(self.dtype, copy=False)
        shares /= shares.sum(axis=1)[:, np.newaxis]
        return shares.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False, slots=True)
class SingleRows:
    """Every component begins with one row, and the other rows with none."""

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


Shares = LabelledRows | GivenResponsibilities | RandomResponsibilities | KnownShares | WithoutRows
"""Starts that share out all rows."""

Start = Shares | SingleRows
