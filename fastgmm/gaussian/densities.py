"""Densities of normal distributions, of one or of many variables."""

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from fastgmm.covariance.linalg import cholesky_in_two
from fastgmm.gaussian.checks import as_numbers, check_finite, check_symmetric, place_of
from fastgmm.sklearn_interface import underflow_is_zero

_LOG_TWO_PI = np.log(2.0 * np.pi)


@underflow_is_zero
def pdf(x, mean, *, scale=None, precision=None, covariance=None, precision_cholesky=None):
    r"""Density of a normal distribution, of one or of many variables.

    Parameters
    ----------
    x, mean, scale, precision, covariance, precision_cholesky
        See `logpdf`.

    Returns
    -------
    density : float or ndarray
        In one over the units of x, to the power of the number of variables.

    Raises
    ------
    TypeError, ValueError
        See `logpdf`.

    Examples
    --------
    >>> from fastgmm import gaussian
    >>> print(gaussian.pdf(0.0, mean=0.0, scale=1.0).round(6))
    0.398942
    """
    spread = {"scale": scale, "precision": precision}
    spread |= {"covariance": covariance, "precision_cholesky": precision_cholesky}
    return np.exp(logpdf(x, mean, **spread))


@underflow_is_zero
def logpdf(x, mean, *, scale=None, precision=None, covariance=None, precision_cholesky=None):
    r"""Logarithm of the density of a normal distribution, of one or of many variables.

    Of one variable, by the standard deviation :math:`\sigma` (`scale`) or the precision
    :math:`\beta = 1 / \sigma^2` (Bishop 2006, eq. 1.46; Murphy 2012, eq. 2.20):

    .. math:: \log p(x) = -\tfrac12 \left(\log 2\pi - \log\beta + \beta (x - \mu)^2\right)

    Of d variables, by the covariance :math:`\Sigma`, the precision :math:`\Lambda = \Sigma^{-1}`,
    or its upper Cholesky factor U with :math:`U U^T = \Lambda` (Bishop 2006, eq. 2.43; Murphy 2012,
    eq. 4.1):

    .. math:: \log p(x) = -\tfrac12 \left(d \log 2\pi + \log|\Sigma|
              + (x - \mu)^T \Sigma^{-1} (x - \mu)\right)

    Exactly one of the four is given. Also at a condition of 1e10, the logarithm has ten digits.

    Parameters
    ----------
    x : array-like
        Of one variable of any shape; of d variables (..., d), of which a single point is (d,).
        Infinity has the density 0.
    mean : array-like
        Of one variable any shape that x broadcasts with; of d variables (d,).
    scale : array-like, optional
        Standard deviation, in the units of x.
    precision : array-like, optional
        Of one variable, one over the variance. A matrix (d, d) is of d variables.
    covariance : array-like of shape (d, d), optional
        With a mean that is a number, also a number: the variance.
    precision_cholesky : array-like of shape (d, d), optional
        As the attribute ``precisions_cholesky_`` of an estimator holds one for each component.

    Returns
    -------
    log_density : float or ndarray
        In nats.

    Raises
    ------
    TypeError
        If not exactly one of the four is given.
    ValueError
        If x holds NaN, shapes do not belong together, a scale or precision is not positive, or a
        matrix is not symmetric and positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import gaussian
    >>> print(gaussian.logpdf(1.0, mean=0.0, scale=2.0).round(6))
    -1.737086
    >>> print(gaussian.logpdf(1.0, mean=0.0, precision=0.25).round(6))
    -1.737086
    >>> gaussian.logpdf([[0.0, 0.0], [1.0, 1.0]], mean=[0, 0], covariance=np.eye(2)).round(6)
    array([-1.837877, -2.837877])
    """
    spread = {
        "scale": scale,
        "precision": precision,
        "covariance": covariance,
        "precision_cholesky": precision_cholesky,
    }
    given = [name for name, value in spread.items() if value is not None]
    if len(given) != 1:
        raise TypeError(
            f"Exactly one of {', '.join(spread)} says how wide the distribution is, but got "
            f"{' and '.join(given) if given else 'none of them'}."
        )
    name = given[0]
    x, mean, width = (
        as_numbers(what, value) for what, value in (("x", x), ("mean", mean), (name, spread[name]))
    )
    check_finite("mean", mean)
    check_finite(name, width)
    if np.isnan(x).any():
        raise ValueError(f"x holds NaN, first at {place_of(np.isnan(x))}.")
    if name == "scale" or (name == "precision" and width.ndim != 2):
        return _univariate(x, mean, name, width)
    return _multivariate(x, mean, name, width)


def _univariate(x: np.ndarray, mean: np.ndarray, name: str, width: np.ndarray) -> Any:
    if not (width > 0).all():
        raise ValueError(f"{name} should be positive, but is {width[~(width > 0)].flat[0]:g}.")
    try:
        np.broadcast_shapes(x.shape, mean.shape, width.shape)
    except ValueError:
        raise ValueError(
            f"x, mean and {name} have the shapes {x.shape}, {mean.shape} and {width.shape}, which "
            "do not broadcast."
        ) from None
    with np.errstate(over="ignore"):
        if name == "scale":
            return -0.5 * _LOG_TWO_PI - np.log(width) - 0.5 * ((x - mean) / width) ** 2
        distances = np.sqrt(width) * (x - mean)
        return -0.5 * _LOG_TWO_PI + 0.5 * np.log(width) - 0.5 * distances**2


def _multivariate(x: np.ndarray, mean: np.ndarray, name: str, matrix: np.ndarray) -> Any:
    if mean.ndim == 0:  # of one variable
        x, mean = x[..., np.newaxis], mean[np.newaxis]
    matrix = np.atleast_2d(matrix)
    d = mean.shape[-1]
    if d == 0:
        raise ValueError("mean should be of one variable or more, but is empty.")
    if mean.ndim != 1 or matrix.shape != (d, d):
        raise ValueError(
            f"mean should have the shape of (d,) and {name} of (d, d), but they have {mean.shape} "
            f"and {matrix.shape}."
        )
    if x.shape[-1:] != (d,):
        raise ValueError(
            f"x should have the shape of (..., {d}), as the mean has {d} variables, but has "
            f"{x.shape}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        offsets = x - mean
        infinite = np.isinf(offsets).any(axis=-1)
        rows = np.where(infinite[..., np.newaxis], 0.0, offsets).reshape(-1, d)
        whitened, log_determinant = _whitened(rows.T, name, matrix)
        squares = (whitened**2).sum(axis=0).reshape(x.shape[:-1])
    # Of finite offsets that are so large that differences of infinities come in between.
    infinite = infinite | np.isnan(squares)
    log_density = -0.5 * (d * _LOG_TWO_PI + squares) + log_determinant
    return np.where(infinite, -np.inf, log_density)[()]


def _whitened(offsets: np.ndarray, name: str, matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Offsets (d, n) in units of deviation, and half the logarithm of the precision's determinant.

    Raises
    ------
    ValueError
        If the matrix is not what its name says.
    """
    if name == "precision_cholesky":
        if np.tril(matrix, -1).any() or not (np.diagonal(matrix) > 0).all():
            raise ValueError(
                "precision_cholesky should be upper triangular with a positive diagonal."
            )
        return matrix.T @ offsets, np.log(np.diagonal(matrix)).sum()
    check_symmetric(name, matrix)
    try:
        factor, rest = cholesky_in_two(matrix)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"{name} should be positive definite, but is not, or is singular to rounding."
        ) from None
    logarithms = np.log(np.diagonal(factor)).sum() + np.log(np.diagonal(rest)).sum()
    if name == "precision":
        return rest.T @ (factor.T @ offsets), logarithms
    halfway = solve_triangular(factor, offsets, lower=True, check_finite=False)
    return solve_triangular(rest, halfway, lower=True, check_finite=False), -logarithms
