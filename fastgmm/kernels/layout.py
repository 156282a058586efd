"""The numbers and layouts that kernels and the code above them agree on; free of Numba."""

from typing import Any, NamedTuple

import numpy as np

DENSITY_FORMS = ("cholesky", "shared_cholesky", "diagonal", "isotropic", "centred_diagonal")
"""How a structure's log-density is computed: see `fastgmm.kernels.log_density`."""


class Forms(NamedTuple):
    """The two choices that name the kernels of a covariance structure.

    Parameters
    ----------
    density : str
        One of `DENSITY_FORMS`.
    moments : str
        The value of a `fastgmm.statistics.MomentForm`: see `fastgmm.kernels.moments`.
    """

    density: str
    moments: str


FORMS = (
    Forms("cholesky", "outer"),
    Forms("shared_cholesky", "none"),
    Forms("diagonal", "diagonal"),
    Forms("isotropic", "trace"),
    Forms("centred_diagonal", "diagonal"),
    Forms("shared_cholesky", "pooled"),
)
"""The pairs that there are kernels for, a file each in `fastgmm.kernels.forms`."""


def check_forms(density: str, moments: str) -> Forms:
    """The pair, if there are kernels for it.

    Raises
    ------
    ValueError
        If there are none.
    """
    forms = Forms(density, moments)
    if forms not in FORMS:
        pairs = ", ".join(f"({pair.density}, {pair.moments})" for pair in FORMS)
        raise ValueError(
            f"No kernel takes densities in the form {density!r} together with moments in the form "
            f"{moments!r}. The pairs of forms that there are: {pairs}. The first is right for "
            "every covariance structure."
        )
    return forms


RUN = 256
"""Rows of which one feature after another is summed: they stay in a cache meanwhile."""

SIDE_BY_SIDE = 4
"""Sums that rows are added to in turn, for every addition waits for the one before."""

NEGLIGIBLE = -70.0
"""Responsibilities below exp of this change no sum in its last digit; statistics skip them."""

OUTPUTS = ("log_likelihoods", "responsibilities", "labels", "certainties", "log_densities")
"""What can be written for every row; the last two have passes of their own."""

HEADER = 3
"""Sums before the components' blocks: log-likelihood, total weight, number of rows."""

BLOCK = 4
"""Rows and columns of the blocks of outer moments, and columns of a panel of precision factors."""

EPS = np.finfo(np.float64).eps

SINGULAR = 2.0
"""A covariance is singular to rounding if a feature keeps no more than this times d times eps.

That is: no more of its variance when all other features are known. Sums and the factorization
leave every covariance in doubt by some d eps (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., theorem 10.7, of a matrix whose diagonal is scaled to 1), so of what is less
there are no digits.
"""

MOST_SIDE_BY_SIDE = 16
"""Rows of a matrix up to which some are factorized side by side, for so many stay in a cache."""

START, STEP, REFRESH = range(3)
"""What an iteration of small fits does: begin, iterate, or make operands alone."""

BEGIN, FROM_SEEDS, GO_ON, DECIDED, SEEDS, LABELS, LEFT = range(7)
"""Phases of k-means of small data sets: what is to be done, and what rounding decides."""

_FEW = 16
"""Features up to which panels are filled one after the other."""

_BAND = 64
"""Rows of larger factors that are put into panels at a time: a multiple of `BLOCK`."""


def outer_blocks(n_features: int) -> int:
    """Rows of blocks that cover the outer moments, ``n_features + 1`` rows."""
    return -(-(n_features + 1) // BLOCK)


def outer_size(n_features: int) -> int:
    """Numbers of a component's outer moments: the blocks on and below the diagonal, row by row."""
    n = outer_blocks(n_features)
    return n * (n + 1) // 2 * BLOCK * BLOCK


def outer_place(row, column):
    """Where the product of two rows, row >= column, stands among a component's outer moments.

    Parameters
    ----------
    row, column : int or ndarray of int
    """
    block = row // BLOCK * (row // BLOCK + 1) // 2 + column // BLOCK
    return (block * BLOCK + row % BLOCK) * BLOCK + column % BLOCK


def to_panels(factors: np.ndarray, dtype: Any = None) -> np.ndarray:
    """Upper triangles (..., d, d) as kernels read precision factors: in panels of some columns.

    A panel's rows lie side by side, and so does what is read together; in whole rows, the columns
    of a matrix with 512 features would meet in a few sets of the cache.

    Parameters
    ----------
    factors : ndarray of shape (..., d, d)
    dtype : dtype, optional
        Of the panels; that of the factors if it is not given.

    Returns
    -------
    ndarray of shape (..., panels * d, BLOCK)
        The last panel is filled up with zeros.
    """
    *leading, d, _ = factors.shape
    n_panels = -(-d // BLOCK)
    panels = np.zeros((*leading, n_panels, d, BLOCK), dtype or factors.dtype)
    if d <= _FEW:
        for i in range(n_panels):
            columns = factors[..., i * BLOCK : (i + 1) * BLOCK]
            panels[..., i, :, : columns.shape[-1]] = columns
        return panels.reshape(*leading, -1, BLOCK)
    # A column of every panel at once, in bands of rows that stay in the cache meanwhile.
    for row in range(0, d, _BAND):
        rows = slice(row, row + _BAND)
        for column in range(row, min(row + BLOCK, d)):
            taken = factors[..., rows, column::BLOCK].swapaxes(-1, -2)
            first = row // BLOCK
            last = first + taken.shape[-2]
            panels[..., first:last, rows, column - row] = taken
    return panels.reshape(*leading, -1, BLOCK)


def from_panels(panels: np.ndarray, n_features: int) -> np.ndarray:
    """The matrices (..., d, d) that `to_panels` was given."""
    *leading, _, _ = panels.shape
    by_panel = panels.reshape(*leading, -1, n_features, BLOCK).swapaxes(-3, -2)
    return by_panel.reshape(*leading, n_features, -1)[..., :n_features]
