"""What a picture shows of a model and its rows: features by name, marginals, rows thinned."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sklearn.mixture
from sklearn.utils.validation import check_is_fitted

from fastgmm.bayesian_mixture import BayesianGaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.estimator.rows import rows_to_predict
from fastgmm.gaussian_mixture import GaussianMixture
from fastgmm.sources.kinds import holds_rows
from fastgmm.sources.sampling import sample_rows

MOST_ROWS = 10_000
"""Rows that are drawn; of more, so many are chosen at random, with a fixed seed."""

_OURS: dict[type, Any] = {
    sklearn.mixture.GaussianMixture: GaussianMixture,
    sklearn.mixture.BayesianGaussianMixture: BayesianGaussianMixture,
}

_FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_")
"""What pictures and predictions need of a model."""


class Marginal(NamedTuple):
    """A mixture in some of its features.

    Parameters
    ----------
    names : list of str
        Of the m features.
    weights : ndarray of shape (k,)
    means : ndarray of shape (k, m)
    covariances : ndarray of shape (k, m, m)
        The blocks of the covariances that belong to these features: what is not shown is
        integrated out (Bishop 2006, eq. 2.98).
    """

    names: list[str]
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


class View:
    """A fitted mixture and rows, as pictures show them.

    Parameters
    ----------
    model : GaussianMixture or BayesianGaussianMixture
        Fitted; scikit-learn's own, too.
    X : array-like, path or source, or None
        What `predict` takes. None shows the model alone.

    Attributes
    ----------
    model : GaussianMixture or BayesianGaussianMixture
        A copy, for rows without names.
    names : list of str
        Of all features.
    rows : ndarray of shape (n_shown, d)
        None of them of weight 0.
    row_weights : ndarray of shape (n_shown,), or None
        None if rows have no weights.
    n_rows : int
        Of X, all but those of weight 0.

    Raises
    ------
    TypeError
        If `model` is no mixture.
    sklearn.exceptions.NotFittedError
    ValueError
        If the rows are not what the model was fitted to.
    """

    def __init__(self, model: Any, X: Any = None):
        if not isinstance(model, tuple(_OURS)):
            raise TypeError(
                "A picture is of a GaussianMixture or BayesianGaussianMixture, not of "
                f"{type(model).__name__}."
            )
        check_is_fitted(model, _FITTED)
        if not isinstance(model, tuple(_OURS.values())):
            ours = next(ours for theirs, ours in _OURS.items() if isinstance(model, theirs))
            model = ours.from_sklearn(model)
        d = np.shape(model.means_)[1]
        named = getattr(model, "feature_names_in_", None)
        self.n_rows, self.rows, self.row_weights = 0, np.empty((0, d)), None
        if X is not None:
            # A lazy frame, which is read as files are, would warn when asked for its columns.
            columns = None if holds_rows(X) else getattr(X, "columns", None)
            if named is None and columns is not None:
                X = np.asarray(X)  # scikit-learn would warn of names that the model lacks
            source = rows_to_predict(model, X).present()
            self.n_rows = source.n_rows
            sample = sample_rows(source, MOST_ROWS, np.random.RandomState(0))
            self.rows, self.row_weights = sample.rows, sample.weights
            if named is None:
                named = source.feature_names or columns
        # Predictions are asked for rows without names.
        self.model = copy.copy(model)
        self.model.__dict__.pop("feature_names_in_", None)
        self.names = [f"x{j}" for j in range(d)] if named is None else [str(n) for n in named]

    def numbers(self, features: Any) -> list[int]:
        """Numbers of features that are given by number or by name.

        Raises
        ------
        ValueError
            If there is no such feature, or one is given twice.
        """
        if isinstance(features, str) or not np.iterable(features):
            features = [features]
        numbers = [self._number(feature) for feature in features]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"features={features!r} names a feature twice.")
        return numbers

    def _number(self, feature: Any) -> int:
        d = len(self.names)
        if isinstance(feature, str):
            if feature not in self.names:
                raise ValueError(
                    f"There is no feature {feature!r}; there are {', '.join(self.names[:20])}"
                    f"{', ...' if d > 20 else ''}."
                )
            return self.names.index(feature)
        if not isinstance(feature, (int, np.integer)) or isinstance(feature, bool):
            raise ValueError(f"A feature is a number or a name, but {feature!r} is neither.")
        if not -d <= feature < d:
            raise ValueError(f"There is no feature {feature}; there are {d}, counted from 0.")
        return int(feature) % d

    def shown(self, features: Any, most: int = 2) -> list[int]:
        """Numbers of one or two features; of a model with a single one, that.

        Raises
        ------
        ValueError
            See `numbers`.
        """
        if len(self.names) == 1 and np.array_equal(features, (0, 1)):
            return [0]
        numbers = self.numbers(features)
        if not 1 <= len(numbers) <= most:
            raise ValueError(f"features should name 1 to {most} features, not {len(numbers)}.")
        return numbers

    def marginal(self, numbers: Sequence[int]) -> Marginal:
        """The mixture in these features."""
        model = self.model
        weights, means = (np.asarray(a, dtype=np.float64) for a in (model.weights_, model.means_))
        covariances = STRUCTURES[model.covariance_type].as_matrices(
            np.asarray(model.covariances_, dtype=np.float64), *means.shape
        )
        block = np.ix_(range(len(means)), numbers, numbers)
        names = [self.names[j] for j in numbers]
        return Marginal(names, weights, means[:, numbers], covariances[block])

    def check_rows(self) -> None:
        """Raise an error if there are no rows to show."""
        if not self.n_rows:
            raise ValueError("X should hold the rows to show, but is None.")

    @property
    def thinning(self) -> str:
        """What a legend says if not all rows are shown; else nothing."""
        if self.n_rows <= len(self.rows):
            return ""
        return f"{len(self.rows):,} of {self.n_rows:,} rows, chosen at random"


def checked_levels(levels: Any) -> list[float]:
    """Probabilities in ascending order.

    Raises
    ------
    ValueError
        If one is not between 0 and 1.
    """
    try:
        found = sorted({float(level) for level in np.atleast_1d(levels)})
    except (TypeError, ValueError):
        found = [np.nan]
    if not found or not all(0 < level < 1 for level in found):
        raise ValueError(
            f"levels are probabilities between 0 and 1, as in (0.5, 0.95), not {levels!r}."
        )
    return found
