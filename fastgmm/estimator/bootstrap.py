"""The bootstrap of a fitted mixture: how uncertain its parameters are."""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.utils.validation import _check_feature_names, check_is_fitted

from fastgmm.em import Listener
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.fitting import fit_rows
from fastgmm.estimator.missing import allows_missing, tally_of
from fastgmm.estimator.predicting import score
from fastgmm.estimator.rows import FitRows, rows_to_fit
from fastgmm.families.noise import has_noise, weight_left
from fastgmm.sklearn_interface import entropy_of, left_to_sklearn, underflow_is_zero
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.kinds import holds_rows
from fastgmm.sources.sampling import all_weights
from fastgmm.sources.weighted import WithWeights

_MOST_SIDE_BY_SIDE = 1 << 20
"""Numbers in the rows up to which every fit runs on one thread, beside others."""


class MixtureParts(NamedTuple):
    """Something about each parameter of a mixture; arrays are shaped like the attributes."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


@dataclass(frozen=True, eq=False)
class BootstrapResult:
    """Parameters of fits to reweighted rows.

    Parameters
    ----------
    distribution : MixtureParts
        With an axis in front, for the fits.
    n_failed : int
        Fits that failed, and are not among them.
    noise_weight : ndarray of shape (fits,), or None
        Of noise, if the mixture has it.
    """

    distribution: MixtureParts
    n_failed: int
    noise_weight: np.ndarray | None = None

    @property
    def standard_error(self) -> MixtureParts:
        """Standard deviations over the fits."""
        return MixtureParts(*(part.std(axis=0, ddof=1) for part in self.distribution))

    def interval(self, level: float = 0.95) -> tuple[MixtureParts, MixtureParts]:
        """Ends of percentile intervals.

        Parameters
        ----------
        level : float, default=0.95
            Share of the fits between the ends.

        Returns
        -------
        low, high : MixtureParts

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level should be between 0 and 1, but got {level!r}.")
        ends = (1 - level) / 2, (1 + level) / 2
        low, high = (
            MixtureParts(*(np.quantile(part, end, axis=0) for part in self.distribution))
            for end in ends
        )
        return low, high

    def __repr__(self) -> str:
        return f"<BootstrapResult: {len(self.distribution.weights)} fits, {self.n_failed} failed>"


@underflow_is_zero
def bootstrap(
    estimator: Any, X: Any, n: int, sample_weight: Any, random_state: Any
) -> BootstrapResult:
    """See `fastgmm.GaussianMixture.bootstrap`."""
    check_is_fitted(estimator, "means_")
    left_to_sklearn(estimator, **{"bootstrap": True})
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 2:
        raise ValueError(f"n should be an integer from 2, but got {n!r}.")
    seeds = np.random.SeedSequence(entropy_of(random_state)).spawn(int(n))
    check_resampled(estimator, X)
    blank = _blank(estimator)
    data = rows_to_fit(blank, X, sample_weight)
    d = np.shape(estimator.means_)[1]
    if data.source.n_features != d:
        raise ValueError(
            f"X has {data.source.n_features} features, but {type(estimator).__name__} is expecting "
            f"{d} features as input."
        )
    warn_of_other_rows(estimator, X, sample_weight, stacklevel=5)
    counts = data.arrays[1] if data.arrays is not None else all_weights(data.source)
    fitted: list[Any] = [None] * int(n)
    errors: list[Exception] = []

    def fit(number: int) -> None:
        draws = np.random.default_rng(seeds[number])
        # Rows that count several times share in as many exponential draws: a gamma draw.
        n_rows = data.source.n_rows
        drawn = draws.exponential(size=n_rows) if counts is None else draws.gamma(counts)
        model = _blank(estimator)
        try:
            fit_rows(model, _weighing(data, drawn), None, 0.0, lambda attributes: Listener())
            fitted[number] = _matched(estimator, model)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            errors.append(error)

    engine = ThreadEngine(estimator.n_jobs)
    if data.arrays is not None and data.arrays[0].size <= _MOST_SIDE_BY_SIDE:
        engine.for_each(fit, len(fitted))
    else:
        for number in range(len(fitted)):
            fit(number)
    good = [parts for parts in fitted if parts is not None]
    if len(good) < 2:
        raise ValueError(f"Only {len(good)} of {n} fits succeeded: {errors[0]}") from errors[0]
    distribution = MixtureParts(*map(np.stack, zip(*good, strict=True)))
    of_noise = None
    if has_noise(estimator):
        of_noise = np.array([weight_left(weights) for weights in distribution.weights])
    return BootstrapResult(distribution, len(errors), of_noise)


def check_resampled(estimator: Any, X: Any) -> None:
    """Check that X has the features of a model that is to be fitted again to resampled rows.

    Raises
    ------
    ValueError
    """
    if not holds_rows(X):
        _check_feature_names(estimator, X, reset=False)


def warn_of_other_rows(estimator: Any, X: Any, sample_weight: Any, stacklevel: int) -> None:
    """Warn if rows are far less likely than those that a model was fitted to.

    Fits would begin far from them, and what they vary by would be no answer.
    """
    bound = getattr(estimator, "lower_bound_", np.nan)
    mean, _ = score(estimator, X, sample_weight)
    if mean < bound - np.shape(estimator.means_)[1]:
        warnings.warn(
            f"The mean log-likelihood of X is {mean:.6g}, far below the {bound:.6g} of the rows "
            "that the model was fitted to. bootstrap resamples those: are these others, or on "
            "another scale?",
            stacklevel=stacklevel,
        )


def _blank(estimator: Any) -> Any:
    """An estimator of the same arguments that starts from the fitted parameters."""
    return type(estimator)(**{**refit_arguments(estimator), "random_state": 0})


def refit_arguments(estimator: Any) -> dict[str, Any]:
    """Arguments of a fit that starts from the parameters of a fitted mixture."""
    weights = np.asarray(estimator.weights_)
    given = {
        "n_components": len(estimator.means_),
        "n_init": 1,
        "warm_start": False,
        "verbose": 0,
        "weights_init": weights / weights.sum(),
        "means_init": np.asarray(estimator.means_),
        "precisions_init": np.asarray(estimator.precisions_),
        "init_params": "kmeans",
    }
    if has_noise(estimator):  # a density that is part of the model, not of a sample
        given |= {"noise": None, "noise_init": None}
        if 0.0 < weights.sum() < 1.0:  # else it has no weight, and EM gives it none
            # Where values are missing, it has to be that of a box.
            noise = "box" if allows_missing(estimator) else float(estimator.noise_volume_)
            given |= {"noise": noise, "weights_init": weights}
    return {**estimator.get_params(deep=False), **given}


def _weighing(data: FitRows, weights: np.ndarray) -> FitRows:
    """The same rows with other weights."""
    arrays, tally = None, None
    if data.arrays is not None:
        arrays = data.arrays[0], weights
        source = array_source(*arrays, data.source.dtype)
    else:
        reader = WithWeights(data.source.reader, weights, replacing=True)
        source = RowSource(reader, data.source.dtype)
    if data.tally is not None:
        source, tally = tally_of(source.allowing_missing())
    return FitRows(source, source, data.start, arrays, tally=tally)


def _matched(estimator: Any, model: Any) -> MixtureParts:
    """The parameters of a model, its components in the order of another's.

    Pairs are those of the least sum of Kullback-Leibler divergences from the other's components.

    Raises
    ------
    ValueError
        If components have been pruned.
    """
    if np.shape(model.means_) != np.shape(estimator.means_):
        raise ValueError("A component was pruned.")
    structure = estimator._structure
    order = linear_sum_assignment(_divergences(estimator, model))[1]
    covariances = np.asarray(model.covariances_)
    if structure.component_axis is not None:
        covariances = covariances.take(order, axis=structure.component_axis)
    return MixtureParts(model.weights_[order], model.means_[order], covariances)


def _divergences(one: Any, other: Any) -> np.ndarray:
    """Divergence of each component of one mixture from each of another (k, k)."""
    structure = one._structure
    k, d = np.shape(one.means_)
    mine, theirs = (
        structure.as_matrices(np.asarray(model.covariances_, dtype=np.float64), k, d)
        for model in (one, other)
    )
    inverses = np.linalg.inv(theirs)
    steps = np.asarray(one.means_)[:, np.newaxis] - np.asarray(other.means_)
    quadratic = np.einsum("ijd,jde,ije->ij", steps, inverses, steps)
    traces = np.einsum("ide,jed->ij", mine, inverses)
    determinants = np.linalg.slogdet(theirs)[1] - np.linalg.slogdet(mine)[1][:, np.newaxis]
    divergences: np.ndarray = (traces + quadratic - d + determinants) / 2
    return divergences
