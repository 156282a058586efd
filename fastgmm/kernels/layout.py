"""The numbers that kernels and the code above them agree on; free of Numba."""

DENSITY_FORMS = ("cholesky", "shared_cholesky", "diagonal", "isotropic")
"""How a structure's log-density is computed; a kernel knows a form by its place here."""

OUTPUTS = ("log_likelihoods", "responsibilities", "labels", "log_densities")
"""What a prediction pass can write; likewise."""

HEADER = 3
"""Sums before the components' blocks: log-likelihood, total weight, number of rows."""
