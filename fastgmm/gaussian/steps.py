"""The covariance of rows, the two steps of EM and what they raise, as plain functions."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

from fastgmm.covariance import STRUCTURES, CovarianceStructure
from fastgmm.covariance.algebra import are_defined
from fastgmm.covariance.estimates import Estimates
from fastgmm.em_start import first_parameters
from fastgmm.em_step import Model, refuse
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.attributes import kernels_set_by_hand
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.gaussian.checks import as_numbers, check_finite, check_symmetric, place_of
from fastgmm.parameters import MixtureParameters, Parameters
from fastgmm.passes import open_pass
from fastgmm.passes.predictions import mean_log_likelihood, predict_rows
from fastgmm.sklearn_interface import checked_weights, underflow_is_zero
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.kinds import holds_rows
from fastgmm.starts import given_start

_FARTHEST_SUM = 1e-5
"""By how much weights may miss a sum of one: those of float32 are rounded."""


@underflow_is_zero
def covariance_matrix(X, sample_weight=None):
    r"""Covariance matrix of largest likelihood: it divides by n, not by n - 1.

    With weights :math:`w_t` and the weighted mean :math:`\bar x`,
    :math:`\sum_t w_t (x_t - \bar x)(x_t - \bar x)^T / \sum_t w_t` (Bishop 2006, eq. 2.122; Murphy
    2012, eq. 4.7).

    Parameters
    ----------
    X : array-like of shape (n, d), path or source
        As for the `fit` of an estimator.
    sample_weight : array-like of shape (n,), str or int, optional
        How often each row counts.

    Returns
    -------
    covariance : ndarray of shape (d, d)
        In the squared units of X.

    Raises
    ------
    ValueError
        If rows or weights are out of range, or the covariance is beyond all numbers.

    Examples
    --------
    >>> from fastgmm import gaussian
    >>> gaussian.covariance_matrix([[0.0, 0.0], [2.0, 4.0]])
    array([[1., 2.],
           [2., 4.]])
    """
    source, structure = _opened(X, sample_weight).present(), STRUCTURES["full"]
    rows = open_pass(source, structure.forms, ThreadEngine(None), 1)
    with np.errstate(over="ignore", invalid="ignore"):
        about_mean = rows.scatter(rows.centre()).pooled()
        covariance = about_mean.second[0] / about_mean.weight[0]
    _check_overflow(covariance)
    return covariance


@underflow_is_zero
def e_step(X, weights, means, covariances, *, covariance_type="full"):
    r"""E-step: the responsibility of every component for every row.

    .. math:: r_{tc} = \frac{\pi_c \mathcal N(x_t \mid \mu_c, \Sigma_c)}
              {\sum_j \pi_j \mathcal N(x_t \mid \mu_j, \Sigma_j)}

    (Bishop 2006, eq. 9.23; Murphy 2012, eq. 11.27.)

    Parameters
    ----------
    X : array-like of shape (n, d), path or source
        As for the `predict_proba` of an estimator.
    weights : array-like of shape (k,)
        The components' shares of the mixture, which sum to one.
    means : array-like of shape (k, d)
    covariances : array-like
        (k, d, d), or as the structure has them: (d, d) for ``"tied"``, (k, d) for ``"diag"``, (k,)
        for ``"spherical"``.
    covariance_type : str, optional
        The covariance structure, as an estimator takes it.

    Returns
    -------
    responsibilities : ndarray of shape (n, k)
        Every row sums to one.

    Raises
    ------
    ValueError
        If the parameters are no mixture's, or the rows have not as many features, or hold NaN or
        infinity.
    """
    parameters, structure = _mixture(weights, means, covariances, covariance_type)
    source = _of_features(_opened(X), parameters)
    choice = kernels_set_by_hand(structure, parameters, source.dtype)
    return predict_rows(source, choice, ThreadEngine(None), "responsibilities")


@underflow_is_zero
def m_step(X, responsibilities, reg_covar=0.0, *, covariance_type="full", sample_weight=None):
    r"""M-step: weights, means and covariances of largest likelihood, given the responsibilities.

    .. math::
        N_c = \sum_t w_t r_{tc}, \quad \pi_c = N_c / \sum_j N_j, \quad
        \mu_c = \sum_t w_t r_{tc} x_t / N_c, \quad
        \Sigma_c = \sum_t w_t r_{tc} (x_t - \mu_c)(x_t - \mu_c)^T / N_c + \epsilon I

    (Bishop 2006, eq. 9.24 to 9.27; Murphy 2012, eq. 11.28 to 11.32; as written for the structure
    ``"full"``.)

    Parameters
    ----------
    X : array-like of shape (n, d), path or source
        As for the `fit` of an estimator.
    responsibilities : array-like of shape (n, k)
        Not negative; every row sums to one.
    reg_covar : float, optional
        Added to every variance, in the squared units of X. An estimator's default is 1e-6.
    covariance_type : str, optional
        The covariance structure, as an estimator takes it. One whose M-step is iterative begins it
        anew, and so agrees with an estimator's up to the tolerance of that iteration.
    sample_weight : array-like of shape (n,), str or int, optional
        How often each row counts.

    Returns
    -------
    weights : ndarray of shape (k,)
    means : ndarray of shape (k, d)
    covariances : ndarray
        (k, d, d), or in the structure's shape.

    Raises
    ------
    ValueError
        If rows, weights or responsibilities are out of range, or a covariance is singular to
        rounding or beyond all numbers.
    """
    structure = _structure(covariance_type)
    if not (isinstance(reg_covar, Real) and 0.0 <= float(reg_covar) < np.inf):
        raise ValueError(f"reg_covar should be a number, at least 0, but is {reg_covar!r}.")
    shares = as_numbers("responsibilities", responsibilities)
    check_finite("responsibilities", shares)
    source = _opened(X, sample_weight)
    _check_structure(structure, "X has", source.n_features)
    if shares.ndim != 2 or len(shares) != source.n_rows or shares.shape[1] == 0:
        raise ValueError(
            f"responsibilities should have the shape of ({source.n_rows}, k), a row for each of "
            f"X, but have {shares.shape}."
        )
    k = shares.shape[1]
    start = given_start(shares, source.n_rows, k, name="The array responsibilities")
    present = source.present()
    if present is not source:
        start = start.take(source.present_mask())
    rows = open_pass(present, structure.forms, ThreadEngine(None), k)
    family = MaximumLikelihood(structure, GivenParameters())
    model = Model(structure, family, float(reg_covar), rows.dtype)

    def maximized(model: Model, estimates: Estimates, total_weight: Any) -> Parameters:
        _check_overflow(estimates.covariances)
        return refuse(model, estimates)

    # Moments under given responsibilities are those that EM starts from.
    with np.errstate(over="ignore", invalid="ignore"):
        new = next(first_parameters(model, iter([(rows, start)]), k, 1, maximized))
    return new.weights, new.means, new.covariances


@underflow_is_zero
def log_likelihood(X, weights, means, covariances, *, covariance_type="full", sample_weight=None):
    r"""Log-likelihood of a mixture: the sum over rows, which EM never lowers.

    .. math:: \sum_t w_t \log \sum_c \pi_c \mathcal N(x_t \mid \mu_c, \Sigma_c)

    (Bishop 2006, eq. 9.14.) The `score` of an estimator is its mean per row.

    Parameters
    ----------
    X, weights, means, covariances, covariance_type
        See `e_step`.
    sample_weight : array-like of shape (n,), str or int, optional
        How often each row counts.

    Returns
    -------
    log_likelihood : float
        In nats.

    Raises
    ------
    ValueError
        See `e_step`.
    """
    parameters, structure = _mixture(weights, means, covariances, covariance_type)
    source = _of_features(_opened(X, sample_weight).present(), parameters)
    choice = kernels_set_by_hand(structure, parameters, source.dtype)
    return mean_log_likelihood(source, choice, ThreadEngine(None)) * source.total_weight


def _opened(X: Any, sample_weight: Any = None) -> RowSource:
    """Rows as they are given, in float64."""
    if holds_rows(X):
        from fastgmm.distributed import open_source

        return open_source(X, weight=sample_weight).astype(np.dtype(np.float64))
    X = check_array(X, dtype=np.float64, input_name="X")
    return array_source(X, checked_weights(sample_weight, X))


def _of_features(source: RowSource, parameters: Parameters) -> RowSource:
    d = parameters.means.shape[1]
    if source.n_features != d:
        raise ValueError(f"X has {source.n_features} features, but the means have {d}.")
    return source


def _structure(covariance_type: Any) -> CovarianceStructure:
    known = isinstance(covariance_type, str)
    structure = STRUCTURES.get(covariance_type) if known else None
    if structure is None:
        raise ValueError(
            f"covariance_type should be one of {', '.join(STRUCTURES)}, but is {covariance_type!r}."
        )
    return structure


def _check_structure(structure: CovarianceStructure, whose: str, n_features: int) -> None:
    most = structure.most_features
    if most is not None and n_features > most:
        raise ValueError(
            f"covariance_type={structure.name!r} is for {most} feature, but {whose} {n_features}."
        )


def _check_overflow(covariances: np.ndarray) -> None:
    if not np.isfinite(covariances).all():
        raise ValueError("X holds numbers so large that the covariance overflows; scale X.")


def _mixture(
    weights: Any, means: Any, covariances: Any, covariance_type: Any
) -> tuple[Parameters, CovarianceStructure]:
    """Parameters as they are given, checked, and their structure."""
    structure = _structure(covariance_type)
    weights, means, covariances = (
        as_numbers(name, value)
        for name, value in (("weights", weights), ("means", means), ("covariances", covariances))
    )
    if means.ndim != 2 or 0 in means.shape:
        raise ValueError(f"means should have the shape of (k, d), but have {means.shape}.")
    k, d = means.shape
    _check_structure(structure, "the means have", d)
    shapes = {"weights": (weights, (k,)), "means": (means, (k, d))}
    shapes["covariances"] = (covariances, structure.shape(k, d))
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise ValueError(
                f"{name} should have the shape of {shape}, as {k} means of {d} features ask for "
                f"with covariance_type={covariance_type!r}, but have {array.shape}."
            )
        check_finite(name, array)
    if (weights < 0).any() or abs(weights.sum() - 1.0) > _FARTHEST_SUM:
        raise ValueError(
            f"weights should not be negative, and sum to one, but sum to {weights.sum():.6g} with "
            f"minimum {weights.min():.6g}."
        )
    if structure.holds_matrices:
        check_symmetric("covariances", covariances)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.asarray(structure.factor(covariances))
    if not are_defined(structure, factors):
        raise ValueError(
            "covariances should be positive definite, but are not, or are singular to rounding, "
            f"first at {place_of(~np.isfinite(factors))[: 1 if factors.ndim > 2 else None]}."
        )
    return MixtureParameters(weights, means, covariances, factors), structure
