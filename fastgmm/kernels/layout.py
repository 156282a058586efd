"""The numbers that kernels and the code above them agree on; free of Numba."""

DENSITY_FORMS = ("cholesky", "shared_cholesky", "diagonal", "isotropic")
"""How a structure's log-density is computed; a kernel knows a form by its place here."""

OUTPUTS = ("log_likelihoods", "responsibilities", "labels", "log_densities")
"""What can be written for every row; likewise, but for log-densities, which have their own pass."""

HEADER = 3
"""Sums before the components' blocks: log-likelihood, total weight, number of rows."""

BLOCK = 4
"""Rows and columns of the blocks that outer moments are kept in."""


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
