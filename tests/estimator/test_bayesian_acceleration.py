"""Accelerated runs of variational Bayes: SQUAREM on posteriors."""

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, fit_many, load
from fastgmm.acceleration.posteriors import PosteriorChart
from fastgmm.families.variational_bayes import VariationalBayes
from tests import structures
from tests.estimator.helpers import quiet_fit
from tests.estimator.test_acceleration import X, assert_same_bits

TYPES = ("dirichlet_process", "dirichlet_distribution")


def fitted(rows=X, **arguments):
    given = {"n_components": 5, "random_state": 0, "max_iter": 20_000, "tol": 1e-5, "n_jobs": 1}
    given["tol_kind"] = "aitken"
    return quiet_fit(BayesianGaussianMixture(**{**given, **arguments}), rows)


@pytest.mark.parametrize("prior_type", TYPES)
@pytest.mark.parametrize("name", structures.SHARED)
def test_position_and_point_are_inverse(name, prior_type):
    model, later = (
        fitted(covariance_type=name, weight_concentration_prior_type=prior_type, max_iter=n)
        for n in (2, 9)
    )
    family = VariationalBayes.of_fitted(model, model._structure, 1.0)
    reference, other = VariationalBayes.parameters_of(model), VariationalBayes.parameters_of(later)
    chart = PosteriorChart(family, reference)
    again = chart.point(chart.position(other))
    parts = ("weights", "means", "covariances", "mean_precision", "degrees_of_freedom")
    for part in parts:
        np.testing.assert_allclose(getattr(again, part), getattr(other, part), rtol=1e-8, atol=1e-9)
    concentrations = again.weight_posterior.concentration, other.weight_posterior.concentration
    np.testing.assert_allclose(*concentrations, rtol=1e-8)
    far = chart.point(50.0 * np.random.RandomState(0).normal(size=len(chart.position(other))))
    assert (far.mean_precision >= family.priors.mean_precision).all()


@pytest.mark.parametrize("prior_type", TYPES)
@pytest.mark.parametrize("name", structures.SHARED)
def test_fewer_passes_to_the_optimum(name, prior_type):
    given = {"covariance_type": name, "weight_concentration_prior_type": prior_type}
    plain, fast = fitted(X[::2], **given), fitted(X[::2], accelerate="auto", **given)
    assert fast.converged_
    assert abs(fast.lower_bound_ - plain.lower_bound_) < 1e-3  # a sum over 300 rows
    assert 2 * fast.n_iter_ < plain.n_iter_
    assert fast.n_iter_ == len(fast.lower_bounds_)
    assert np.diff(fast.lower_bounds_).min() > -1e-9


def test_a_bound_no_worse_in_any_pass_while_components_run_empty():
    rows = np.r_[X, X + 9.0]
    fast = fitted(rows, n_components=12, accelerate="squarem", weight_concentration_prior=1e-3)
    assert (fast.weights_ < 1e-3).any()
    assert np.diff(fast.lower_bounds_).min() > -1e-9


def test_a_killed_run_goes_on_with_the_same_bits(tmp_path):
    undisturbed = fitted(accelerate="squarem", tol=1e-3)
    path = tmp_path / "run.npz"
    for max_iter in (*range(9, undisturbed.n_iter_, 2), 20_000):
        arguments = {**undisturbed.get_params(), "max_iter": max_iter}
        model = quiet_fit(BayesianGaussianMixture(**arguments), X, checkpoint=path)
    assert_same_bits(model, undisturbed)


def test_together_with_all_else(tmp_path):
    plain = fitted(accelerate="auto")
    assert_same_bits(fitted(accelerate="auto", on_failure="recover"), plain)
    plain.save(tmp_path / "model.npz")
    assert load(tmp_path / "model.npz").accelerate == "auto"
    arguments = {"accelerate": "auto", "tol": 1e-3, "max_iter": 500}
    many = fit_many(
        [X, X + 1], 5, estimator=BayesianGaussianMixture, random_state=0, n_jobs=1, **arguments
    )
    alone = fitted(X + 1, tol_kind=None, random_state=int(many.seeds[1]), **arguments)
    assert_same_bits(many[1], alone)
    single = fitted(X.astype(np.float32), accelerate="auto", tol=1e-3)
    assert single.means_.dtype == np.float32
    assert single.converged_


def test_l_bfgs_has_no_gradient_of_it():
    with pytest.raises(ValueError, match=r"'accelerate' parameter .* must be a str among"):
        fitted(accelerate="lbfgs")
