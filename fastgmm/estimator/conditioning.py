"""What a fitted mixture says of some features: alone, given others, and where they are missing."""

import copy
from collections.abc import Iterable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import assert_all_finite, check_array, check_is_fitted

from fastgmm.covariance.algebra import covariances_of_factors, precisions
from fastgmm.covariance.conditioning import Gaussians, conditionals
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.attributes import check_set_by_hand
from fastgmm.estimator.predicting import marginal_predictions, prepared
from fastgmm.estimator.rows import rows_to_predict
from fastgmm.families.noise import Noise
from fastgmm.passes.imputation import Imputation, expected_values
from fastgmm.sklearn_interface import underflow_is_zero
from fastgmm.sources.array import array_source
from fastgmm.sources.base import Chunk, RowGrid, scan
from fastgmm.sources.kinds import holds_rows
from fastgmm.sources.weights import NO_WEIGHTS


class ConditionalMixture(NamedTuple):
    """Mixtures of q features given the others, one for each of n rows.

    Parameters
    ----------
    weights : ndarray of shape (n, k)
        Responsibilities of the components, given the features that are known. Noise, if the model
        has any, is one more component, the last; here and in what follows.
    means : ndarray of shape (n, k, q)
        Of noise, the middle of its box.
    covariances : ndarray of shape (k, q, q)
        They do not depend on what is known. Those of noise are of a uniform distribution.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(n, q): the regression of the q features on the others."""
        return (self.weights[..., np.newaxis] * self.means).sum(axis=1)

    @property
    def covariance(self) -> np.ndarray:
        """(n, q, q): how the q features vary about that, within and between components."""
        shifts = self.means - self.mean[:, np.newaxis]
        between = np.einsum("nk,nki,nkj->nij", self.weights, shifts, shifts)
        return between + np.einsum("nk,kij->nij", self.weights, self.covariances)


@underflow_is_zero
def impute(estimator: Any, X: Any, draws: Any, random_state: Any) -> np.ndarray:
    """See `GaussianMixture.impute`."""
    if draws is not None and (isinstance(draws, bool) or not isinstance(draws, Integral)):
        raise TypeError(f"draws should be a number of draws or None, but got {draws!r}.")
    if draws is not None and draws < 1:
        raise ValueError(f"draws should be at least 1, but got {draws}.")
    generator = check_random_state(estimator.random_state if random_state is None else random_state)
    source, choice = prepared(estimator, rows_to_predict(estimator, X, missing=True))
    given_type, source = source.dtype, source.astype(choice.dtype)  # which care may widen
    gaussians = _gaussians(estimator)
    noise = Noise.of_fitted(estimator)
    ends = None if noise is None else noise.ends
    imputation = Imputation(gaussians, marginal_predictions(estimator, choice), ends)
    n, d = source.n_rows, source.n_features
    grid = RowGrid.of(n, d, len(gaussians.means))
    out = np.empty((n, d) if draws is None else (int(draws), n, d), given_type)

    def fill(index: int) -> None:
        chunk = source.read(*grid.bounds(index))
        out[chunk.start : chunk.stop] = imputation.means(chunk)

    if draws is None:
        ThreadEngine(estimator.n_jobs).for_each(fill, len(grid))
        return out
    for index in range(len(grid)):  # in order, as numbers are drawn
        chunk = source.read(*grid.bounds(index))
        out[:, chunk.start : chunk.stop] = imputation.draws(chunk, int(draws), generator)
    return out


def marginal(estimator: Any, features: Any) -> Any:
    """See `GaussianMixture.marginal`."""
    check_is_fitted(estimator)
    chosen = numbers_of(estimator, features)
    structure = estimator._structure
    parameters = estimator._family.parameters_of(estimator)
    check_set_by_hand(structure, parameters)
    k, d = np.shape(estimator.means_)
    of_each = structure.holds_matrices and structure.component_axis is not None
    model = copy.copy(estimator)
    for name in list(vars(model)):
        if name.endswith("_") and not name.startswith("_"):
            delattr(model, name)
    model.set_params(weights_init=None, means_init=None, precisions_init=None)
    if not isinstance(model.init_params, str):
        model.init_params = "kmeans"
    model.covariance_type = "full" if of_each else estimator.covariance_type
    model.weights_ = np.array(estimator.weights_)
    model.means_ = np.asarray(estimator.means_)[:, chosen]
    # Of the factors, which is what predictions read, too.
    covariances = covariances_of_factors(structure, parameters.precisions_cholesky)
    for axis in np.flatnonzero(np.not_equal(structure.shape(k, d), structure.shape(k, d + 1))):
        covariances = covariances.take(chosen, axis=axis)
    factors = np.asarray(model._structure.factor(covariances))
    dtype = model.means_.dtype
    model.covariances_ = np.asarray(covariances, dtype)
    model.precisions_cholesky_ = np.asarray(factors, dtype)
    model.precisions_ = np.asarray(precisions(model._structure, factors), dtype)
    noise = Noise.of_fitted(estimator)
    if noise is not None:
        noise = noise.of_some(chosen)
        model.noise_weight_ = estimator.noise_weight_
        model.noise_volume_, model.noise_box_ = noise.volume, noise.box
    model.n_features_in_ = len(chosen)
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        model.feature_names_in_ = np.asarray(names, dtype=object)[chosen]
    return model


@underflow_is_zero
def conditional(estimator: Any, X: Any, features: Any) -> ConditionalMixture:
    """See `GaussianMixture.conditional`."""
    check_is_fitted(estimator)
    known = numbers_of(estimator, features)
    X = _values_of(estimator, X, known)
    d = np.shape(estimator.means_)[1]
    others = np.setdiff1d(np.arange(d), known)
    if not len(others):
        raise ValueError("All features are given, so that none is left.")
    rows = np.full((len(X), d), np.nan)
    rows[:, known] = X
    choice = prepared(estimator, array_source(rows).allowing_missing())[1]
    gaussians = _gaussians(estimator)
    chunk = Chunk(0, len(X), rows, NO_WEIGHTS)
    weights = marginal_predictions(estimator, choice).responsibilities(chunk)
    given = conditionals(gaussians, known[np.newaxis], others[np.newaxis])
    means = expected_values(gaussians, given, rows, known, others)
    covariances = given.covariances[0]
    if not gaussians.correlated:
        covariances = covariances[:, :, np.newaxis] * np.eye(len(others))
    noise = Noise.of_fitted(estimator)
    if noise is not None:
        low, high = noise.ends[:, others]
        middle = np.broadcast_to(0.5 * (low + high), (len(X), 1, len(others)))
        means = np.concatenate([means, middle], axis=1)
        covariances = np.concatenate([covariances, [np.diag((high - low) ** 2 / 12.0)]])
    return ConditionalMixture(weights, np.array(means), np.array(covariances))


def numbers_of(estimator: Any, features: Any) -> np.ndarray:
    """Numbers (p,) of features that are given by number or by name.

    Parameters
    ----------
    estimator : MixtureEstimator
        Fitted.
    features : int, str, sequence of these, or a mask: a sequence of bool for all features

    Raises
    ------
    ValueError
        If there is no such feature, one is given twice, or none is given.
    TypeError
        If something is neither a number nor a name.
    """
    d = np.shape(estimator.means_)[1]
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    single = isinstance(features, str) or not isinstance(features, Iterable)
    features = [features] if single else list(features)
    if (
        features
        and not single
        and all(isinstance(feature, (bool, np.bool)) for feature in features)
    ):
        if len(features) != d:
            raise ValueError(f"A mask of features has {len(features)} values, but there are {d}.")
        features = np.flatnonzero(features)
    numbers = []
    for feature in features:
        if isinstance(feature, str):
            if feature not in names:
                known = f"it has {', '.join(map(repr, names))}" if names else "it has no names"
                raise ValueError(f"The model has no feature {feature!r}; {known}.")
            numbers.append(names.index(feature))
        elif isinstance(feature, (int, np.integer)) and not isinstance(feature, bool):
            if not -d <= feature < d:
                raise ValueError(
                    f"The model has no feature {feature}; they have the numbers 0 to {d - 1}."
                )
            numbers.append(int(feature) % d)
        else:
            raise TypeError(f"Features are given by their numbers or names, not by {feature!r}.")
    if not numbers:
        raise ValueError("No feature is given.")
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise ValueError(f"Feature {names[twice] if names else twice!r} is given twice.")
    return np.array(numbers)


def _values_of(estimator: Any, X: Any, known: np.ndarray) -> np.ndarray:
    """Values (n, p) of features: the columns of X, or those of them among the columns of X."""
    d = np.shape(estimator.means_)[1]
    names = getattr(estimator, "feature_names_in_", None)
    wanted = None if names is None else [str(names[number]) for number in known]
    if holds_rows(X):
        from fastgmm.distributed import open_for_model, open_source

        if wanted is None:
            source = open_source(X, missing_values="em")
        else:
            source = open_for_model(X, wanted, len(known), missing_values="em")
        X = np.concatenate([chunk.rows for chunk in scan(source)])
    elif wanted is not None and hasattr(X, "columns"):
        lacking = [name for name in wanted if name not in list(X.columns)]
        if lacking:
            raise ValueError(f"X has no column {lacking[0]!r}; it has {list(X.columns)}.")
        X = X[wanted]
    X = check_array(X, dtype=np.float64, input_name="X", ensure_all_finite=False)
    if X.shape[1] == d:
        X = X[:, known]
    if X.shape[1] != len(known):
        raise ValueError(
            f"X has {X.shape[1]} columns, but {len(known)} features are given; it may also have "
            f"all {d}."
        )
    assert_all_finite(X, input_name="X")
    return X


def _gaussians(estimator: Any) -> Gaussians:
    """The components of the attributes as they stand."""
    structure = estimator._structure
    operands = structure.operands(estimator._family.parameters_of(estimator))
    return Gaussians.of(operands, structure.forms.density)
