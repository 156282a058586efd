"""How many components: likelihood ratios of k against k + 1, by parametric bootstrap."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastgmm.batch import fit_many
from fastgmm.estimator import predicting
from fastgmm.estimator.bootstrap import check_resampled, refit_arguments, warn_of_other_rows
from fastgmm.estimator.missing import allows_missing
from fastgmm.estimator.rows import rows_to_predict
from fastgmm.sklearn_interface import entropy_of
from fastgmm.sources.base import RowSource, scan
from fastgmm.sources.optional import import_optional
from fastgmm.sources.sampling import all_weights

LEVEL = 0.05
"""A larger p ends the tests."""

_MOST_BYTES = 1 << 26
"""Of rows that are drawn at a time."""


@dataclass(frozen=True, eq=False)
class LikelihoodRatioTests:
    """Tests of k components against k + 1, for one k after another.

    Parameters
    ----------
    covariance_type : str
    n_components : ndarray of int, shape (tests,)
        The smaller number of each test.
    statistic : ndarray of shape (tests,)
        Twice the difference of the log-likelihoods.
    p_value : ndarray of shape (tests,)
        (1 + number of samples with a statistic as large) / (samples + 1).
    distribution : list of ndarray
        The statistics of the samples, without those whose fits failed.
    """

    covariance_type: str
    n_components: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    distribution: list[np.ndarray]

    @property
    def chosen(self) -> int:
        """First number of components that is not rejected; if all are, one more than the last."""
        kept = self.n_components[self.p_value > LEVEL]
        return int(kept[0]) if len(kept) else int(self.n_components[-1]) + 1

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per test.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_optional("pandas", "LikelihoodRatioTests.to_frame")
        columns = {
            "n_components": self.n_components,
            "against": self.n_components + 1,
            "statistic": self.statistic,
            "p_value": self.p_value,
            "n_samples": [len(part) for part in self.distribution],
        }
        return pandas.DataFrame(columns)

    def __repr__(self) -> str:
        lines = [f"{self.covariance_type}: likelihood ratio of k against k + 1, bootstrap p"]
        for k, statistic, p in zip(self.n_components, self.statistic, self.p_value, strict=True):
            lines.append(f"{k:>4} against {k + 1:<4}{statistic:>12.3f}{p:>10.4f}")
        return "\n".join([*lines, f"{self.chosen} components are not rejected"])


def likelihood_ratio_tests(
    fits: Mapping[tuple[int, str], Any],
    name: str,
    X: Any,
    n: int,
    sample_weight: Any,
    random_state: Any,
) -> LikelihoodRatioTests:
    """See `Selection.bootstrap`.

    Parameters
    ----------
    fits : mapping
        The fitted estimators.
    name : str
        The structure.
    X, n, sample_weight, random_state
        See there.

    Raises
    ------
    ValueError
        If there are no two numbers of components in succession, or all fits of samples fail.
    """
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n should be an integer from 1, but got {n!r}.")
    numbers = sorted(k for k, structure in fits if structure == name)
    pairs = [k for k in numbers if k + 1 in numbers]
    if not pairs:
        raise ValueError(
            f"There are no fits of {name!r} with k and k + 1 components, which the tests compare."
        )
    kind = type(fits[pairs[0], name])
    if not hasattr(kind, "bic"):
        raise ValueError(f"A {kind.__name__} has no likelihood ratio; search by GaussianMixture.")
    check_resampled(fits[pairs[0], name], X)
    first = fits[pairs[0], name]
    warn_of_other_rows(first, X, sample_weight, stacklevel=4)
    holes = None
    if allows_missing(first):
        holes = Holes.of(rows_to_predict(first, X, sample_weight).present())
    seeds = np.random.SeedSequence(entropy_of(random_state)).generate_state(len(pairs))
    tested: list[int] = []
    statistics, p_values, distribution = [], [], []
    for k, seed in zip(pairs, seeds.tolist(), strict=True):
        if tested and k != tested[-1] + 1:
            break  # what is between has no fit
        models = fits[k, name], fits[k + 1, name]
        fitted, n_rows = _on_rows(models, X, sample_weight)
        samples = _of_samples(fitted, n_rows, int(n), seed, holes)
        samples = samples[np.isfinite(samples)]
        if not len(samples):
            raise ValueError(f"All fits of samples from {k} components failed.")
        statistic = 2 * (fitted[1][1] - fitted[0][1])
        tested.append(k)
        statistics.append(statistic)
        distribution.append(samples)
        p_values.append((1 + np.count_nonzero(samples >= statistic)) / (len(samples) + 1))
        if p_values[-1] > LEVEL:
            break
    return LikelihoodRatioTests(
        name, np.array(tested), np.array(statistics), np.array(p_values), distribution
    )


def _on_rows(
    models: tuple[Any, Any], X: Any, sample_weight: Any
) -> tuple[list[tuple[Any, float]], int]:
    """Both models fitted to the rows from where they are, with their log-likelihoods."""
    tol = min(model.tol for model in models)
    fitted, total = [], 0.0
    for model in models:
        refitted = type(model)(**{**refit_arguments(model), "tol": tol})
        refitted.fit(X, sample_weight=sample_weight)
        mean, total = predicting.score(refitted, X, sample_weight)
        fitted.append((refitted, mean * total))
    return fitted, round(total)


class Holes(NamedTuple):
    """Where values are missing in the rows, and so in samples.

    Parameters
    ----------
    masks : ndarray of bool, shape (n, d)
        Of the rows that have a value.
    shares : ndarray of shape (n,), or None
        Of the rows in their weight; None if they have none.
    """

    masks: np.ndarray
    shares: np.ndarray | None

    @classmethod
    def of(cls, source: RowSource) -> "Holes | None":
        """Those of a source; None if no value is missing."""
        masks = np.concatenate([np.isnan(chunk.rows) for chunk in scan(source)])
        weights, seen = all_weights(source), ~masks.all(axis=1)
        if not masks[seen].any():
            return None
        if weights is None:
            return cls(masks[seen], None)
        return cls(masks[seen], weights[seen] / weights[seen].sum())

    def punch(self, sets: np.ndarray, random_state: np.random.RandomState) -> None:
        """Take the same values from samples (sets, n, d), in place; of weighted rows by lot."""
        for rows in sets:
            masks = self.masks
            if self.shares is not None:
                masks = masks[random_state.choice(len(masks), len(rows), p=self.shares)]
            rows[masks] = np.nan


def _of_samples(
    fitted: list[tuple[Any, float]], n_rows: int, n: int, seed: int, holes: Holes | None
) -> np.ndarray:
    """The statistics of samples from the smaller mixture; NaN where a fit failed."""
    smaller = copy.copy(fitted[0][0])
    random_state = np.random.RandomState(seed)
    smaller.random_state = random_state
    d = smaller.means_.shape[1]
    most = max(_MOST_BYTES // (8 * n_rows * d), 1)
    statistics = []
    for start in range(0, n, most):
        n_sets = min(most, n - start)
        rows, _ = smaller.sample(n_sets * n_rows)  # component by component
        sets = rows[random_state.permutation(len(rows))].reshape(n_sets, n_rows, d)
        if holes is not None:
            holes.punch(sets, random_state)
        likelihoods = [_likelihoods(model, sets) for model, _ in fitted]
        statistics.append(2 * (likelihoods[1] - likelihoods[0]))
    return np.concatenate(statistics)


def _likelihoods(model: Any, sets: np.ndarray) -> np.ndarray:
    arguments = model.get_params(deep=False)
    arguments.pop("random_state")
    report = fit_many(sets, estimator=type(model), random_state=0, **arguments)
    likelihoods: np.ndarray = report.log_likelihood_
    return likelihoods
