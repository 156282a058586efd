"""Which restart is kept: the first of those whose bounds differ by rounding alone."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_iris

from fastgmm import GaussianMixture, em, fit_many
from fastgmm.em import Listener, best_of_restarts

ULP = np.finfo(np.float64).eps


@dataclass
class Numbered:
    """Parameters that say which restart they are of."""

    number: np.ndarray


def kept(bounds, max_iter=1):
    """Numbers of the restarts that are kept, whose bounds (restarts,) or (restarts, sets) are."""
    bounds = np.array(bounds)
    many = bounds.ndim == 2

    def step(parameters, running):
        if not many:
            return parameters, float(bounds[parameters.number.item()])
        return parameters, np.array([bounds[n, i] for i, n in enumerate(parameters.number)])

    starts = [Numbered(np.full(bounds.shape[1:], number)) for number in range(len(bounds))]
    result = best_of_restarts(
        step,
        starts,
        tol=np.zeros(bounds.shape[1:]) if many else 0.0,
        max_iter=max_iter,
        lower_bound=-np.inf,
        listener=Listener(),
    )
    return result.parameters.number.tolist()


@pytest.mark.parametrize("scale", [1e-3, 1.0, -3.0, 1e6, -1e6])
def test_rounding_does_not_choose(scale):
    last_digit = ULP * max(abs(scale), 1.0)
    assert kept([scale, scale + 4 * last_digit]) == 0
    assert kept([scale, scale + 200 * last_digit]) == 1
    assert kept([scale, scale - 1.0, scale + 4 * last_digit, scale - 4 * last_digit]) == 0
    assert kept([scale - 1.0, scale, scale + 4 * last_digit]) == 1


def test_each_of_many_chooses_for_itself():
    first = [1.0, 1.0, -2e6, np.nan]
    second = [1.0 + 4 * ULP, 1.0 + 1e-12, -2e6 + 1e-9, 1.0]
    assert kept([first, second]) == [0, 1, 0, 1]


def test_without_a_bound_the_last_start_stands():
    assert kept([3.0, 2.0, 1.0], max_iter=0) == 2
    assert kept([[3.0, 3.0], [2.0, 2.0]], max_iter=0) == [1, 1]


def test_fits_keep_the_first_of_equals(monkeypatch):
    """Several restarts end in the same optimum, with components in another order."""
    X, run_em, runs = load_iris().data, em.run_em, []

    def noted(*arguments, **options):
        runs.append(run_em(*arguments, **options))
        return runs[-1]

    monkeypatch.setattr(em, "run_em", noted)
    n_ties = 0
    for seed in range(6):
        runs.clear()
        options = {"covariance_type": "tied", "n_init": 4}
        model = GaussianMixture(3, random_state=seed, **options)
        model._listener = Listener()  # else compiled code may make all iterations
        model.fit(X)
        bounds = np.array([run.lower_bound for run in runs])
        equal = np.flatnonzero(bounds > bounds.max() - 1e-12)
        n_ties += len(equal) > 1
        for means in (model.means_, GaussianMixture(3, random_state=seed, **options).fit(X).means_):
            np.testing.assert_array_equal(means, runs[equal[0]].parameters.means)
    assert n_ties > 2
    report = fit_many([X, X], 3, random_state=0, **options)
    for seed, found in zip(report.seeds.tolist(), report, strict=True):
        alone = GaussianMixture(3, random_state=seed, **options).fit(X)
        np.testing.assert_array_equal(found.means_, alone.means_)
