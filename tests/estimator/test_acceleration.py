"""Accelerated runs: where they end, what they count, and how they go on."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from fastgmm import GaussianMixture, fit_many, load
from fastgmm.acceleration.chart import Chart, is_unconstrained
from fastgmm.convergence import aitken, convergence_rate, distance_to_limit
from fastgmm.covariance import STRUCTURES
from fastgmm.covariance.algebra import precisions
from fastgmm.em import Listener
from fastgmm.em_step import Model, em_step
from fastgmm.engines.threads import ThreadEngine
from fastgmm.families.frozen import Frozen
from fastgmm.families.maximum_likelihood import GivenParameters, MaximumLikelihood
from fastgmm.families.noise import Noise
from fastgmm.passes import open_pass
from fastgmm.saved.checkpoints import read_checkpoint
from fastgmm.saved.states import check_state_of_run
from fastgmm.sources.array import array_source
from tests import mixtures, structures
from tests.compound import CompoundSymmetry

OWN = ("full", "tied", "diag", "spherical")


def overlapping(n=600, seed=0):
    """Three clusters in the plane that overlap."""
    random = np.random.RandomState(seed)
    means = [[0.0, 0.0], [1.8, 1.8], [2.0, -1.5]]
    return np.concatenate([random.normal(mean, 1.0, (n // 3, 2)) for mean in means])


X = overlapping()


def fitted(rows=X, **arguments):
    given = {"n_components": 3, "random_state": 0, "max_iter": 4000, "tol": 1e-9, "n_jobs": 1}
    return GaussianMixture(**{**given, **arguments}).fit(rows)


def assert_same_bits(one, other):
    assert one.lower_bounds_ == other.lower_bounds_
    for name in ("weights_", "means_", "covariances_", "convergence_rate_", "converged_"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


# -- the chart -------------------------------------------------------------------------------------
def chart_and_model(name, reg_covar, seed=1, freeze=None, noise=None):
    structure = STRUCTURES[name]
    random = np.random.RandomState(seed)
    rows = mixtures.random_rows(200, 3, random)
    reference = mixtures.random_parameters(name, 2, 3, random)
    frozen = None
    if freeze is not None:
        given = GaussianMixture(
            2,
            freeze=freeze,
            weights_init=reference.weights,
            means_init=reference.means,
            precisions_init=precisions(structure, reference.precisions_cholesky),
        )
        frozen = Frozen.of(given, structure, 2, 3)
    family = MaximumLikelihood(structure, GivenParameters(), frozen, noise)
    if noise is not None:
        reference = replace(reference, weights=0.8 * reference.weights)
    model = Model(structure, family, reg_covar, rows.dtype)
    opened = open_pass(array_source(rows), structure.forms, ThreadEngine(1), 2)
    shares = shares_of(em_step(opened, model, reference))
    chart = Chart(structure, reference, reg_covar, shares, frozen, noise is not None)
    return chart, opened, model


def shares_of(iteration):
    return iteration.statistics.weight / iteration.statistics.total_weight


ONE = [True, False]
BESIDES = [
    {},
    {"noise": Noise(4000.0, np.eye(4, 3), given=True)},
    {"freeze": {"means": ONE}},
    {"freeze": {"weights": ONE, "covariances": True}},
    {"freeze": {"weights": True, "means": True}, "noise": Noise(4000.0, np.eye(4, 3), given=True)},
    {"freeze": {"weights": ONE}, "noise": Noise(4000.0, np.eye(4, 3), given=True)},
]


@pytest.mark.parametrize("besides", BESIDES)
@pytest.mark.parametrize("name", OWN)
def test_the_gradient_is_that_of_differences(name, besides):
    """With a regularisation that matters, of the penalised bound."""
    chart, rows, model = chart_and_model(name, np.array([0.3, 0.1, 0.2]), **besides)
    random = np.random.RandomState(2)
    position = 0.3 * random.normal(size=chart.n_coordinates)

    def height(at):
        point = chart.point(at)
        return em_step(rows, model, point).lower_bound - chart.penalty(point)

    point = chart.point(position)
    iteration = em_step(rows, model, point)
    gradient = chart.gradient(point, iteration.parameters, shares_of(iteration))
    for along in random.normal(size=(4, chart.n_coordinates)):
        slope = (height(position + 1e-5 * along) - height(position - 1e-5 * along)) / 2e-5
        assert slope == pytest.approx(gradient @ along, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("besides", BESIDES)
@pytest.mark.parametrize("name", OWN)
def test_a_unit_gradient_step_is_a_step_of_em(name, besides):
    """To first order: their difference shrinks with the square of the step."""
    chart, rows, model = chart_and_model(name, 0.0, **besides)
    after = chart.reference
    errors = []
    for _ in range(60):
        before, (statistics, after, _) = after, em_step(rows, model, after)
        shares = statistics.weight / statistics.total_weight
        about = replace(chart, reference=before, shares=shares)
        step, gradient = about.position(after), about.gradient(before, after, shares)
        errors.append((np.linalg.norm(step), np.linalg.norm(step - gradient)))
    (size, error), (late_size, late_error) = errors[0], errors[-1]
    assert late_size < size
    assert late_error < max(0.1 * late_size, 1e-12)
    assert late_error < max(error, 1e-12)


@pytest.mark.parametrize("name", structures.ALL)
def test_position_and_point_are_inverse(name):
    chart, rows, model = chart_and_model(name, 0.0)
    other = em_step(rows, model, chart.reference).parameters
    again = chart.point(chart.position(other))
    for part in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(again, part), getattr(other, part), rtol=1e-9, atol=1e-9)


def test_any_position_is_a_mixture_of_the_structure():
    structure = CompoundSymmetry()
    assert not is_unconstrained(structure)
    assert all(is_unconstrained(STRUCTURES[name]) for name in OWN)
    k, d = 2, 3
    reference = mixtures.random_parameters("full", k, d, np.random.RandomState(0))
    chart = Chart(structure, reference, 0.0)
    point = chart.point(np.random.RandomState(1).normal(size=chart.n_coordinates))
    assert np.isfinite(point.precisions_cholesky).all()
    for matrix in point.covariances:
        off = matrix[~np.eye(d, dtype=bool)]
        assert np.ptp(off) == 0
        assert np.ptp(np.diag(matrix)) == 0


# -- where runs end --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("method", ["lbfgs", "squarem"])
def test_fewer_passes_to_the_optimum_of_em(name, method):
    plain = fitted(covariance_type=name, tol=1e-13, tol_kind="aitken")
    fast = fitted(covariance_type=name, accelerate=method, tol=1e-9)
    assert fast.converged_
    assert abs(fast.lower_bound_ - plain.lower_bound_) < 3e-9
    long = fitted(covariance_type=name, tol=1e-9, tol_kind="aitken")
    assert fast.n_iter_ < long.n_iter_
    assert fast.n_iter_ == len(fast.lower_bounds_)
    bounds = np.array(fast.lower_bounds_)
    assert np.diff(bounds).min() > -1e-12
    # The result is a step of EM from the point that the bound is of.
    statistics = fast.accumulate(X)
    assert statistics.log_likelihood / len(X) >= fast.lower_bound_ - 1e-12
    means = fast.means_
    np.testing.assert_allclose(fast.update(statistics).means_, means, atol=1e-4)


def test_auto_is_lbfgs_where_that_has_coordinates():
    assert_same_bits(fitted(accelerate="auto"), fitted(accelerate="lbfgs"))


def test_a_structure_without_coordinates(monkeypatch):
    monkeypatch.setitem(STRUCTURES, "compound", CompoundSymmetry())
    with pytest.raises(ValueError, match="'compound', whose covariances are constrained"):
        fitted(covariance_type="compound", accelerate="lbfgs")
    plain = fitted(covariance_type="compound", tol=1e-12, tol_kind="aitken")
    fast = fitted(covariance_type="compound", accelerate="auto")
    assert abs(fast.lower_bound_ - plain.lower_bound_) < 3e-9
    assert fast.n_iter_ < plain.n_iter_


def test_plain_em_as_long_as_it_is_not_slow():
    """Where clusters lie apart, an accelerated run is EM."""
    random = np.random.RandomState(0)
    apart = np.concatenate([random.normal(m, 1.0, (100, 2)) for m in (0, 20, 40)])
    fast = fitted(apart, accelerate="lbfgs")
    plain = fitted(apart, tol_kind="aitken")
    assert fast.lower_bounds_ == plain.lower_bounds_
    assert fast.n_iter_ <= 8


def test_regularisation_that_matters():
    """Both methods end at the fixed point of EM with it, which is no maximum of the likelihood."""
    plain = fitted(tol=1e-13, tol_kind="aitken", reg_covar=0.2)
    for method in ("lbfgs", "squarem"):
        fast = fitted(accelerate=method, reg_covar=0.2, tol=1e-11)
        np.testing.assert_allclose(fast.covariances_, plain.covariances_, rtol=1e-3)
        np.testing.assert_allclose(fast.means_, plain.means_, atol=1e-3)
        assert fast.n_iter_ < plain.n_iter_


def test_collapsing_trials_are_refused():
    """Without regularisation, on rows that repeat, some trial or other is no mixture."""
    rows = np.round(overlapping(90, seed=3))
    fast = fitted(rows, accelerate="lbfgs", reg_covar=1e-3, n_components=6, tol=1e-7)
    assert np.isfinite(fast.lower_bound_)
    assert (fast.covariances_[:, 0, 0] > 0).all()


# -- tolerances ------------------------------------------------------------------------------------
def test_aitken_of_a_geometric_series():
    bounds = [1.0 - 0.5 * 0.9**i for i in range(60)]
    assert distance_to_limit(bounds) == pytest.approx(1.0 - bounds[-1], rel=1e-9)
    assert convergence_rate(bounds) == pytest.approx(np.sqrt(0.9), rel=1e-9)
    rule = aitken(1.0 - bounds[-1])
    assert not rule(None, bounds[:-1])
    assert rule(None, [*bounds, 1.0 - 0.5 * 0.9**60, 1.0 - 0.5 * 0.9**61])
    assert not aitken(0.0)(None, [1.0] * 9)


def test_rates_of_few_bounds_and_of_many_mixtures():
    assert np.isnan(convergence_rate([]))
    assert np.isnan(convergence_rate([1.0, 2.0]))
    assert np.isnan(convergence_rate([1.0, 1.0, 1.0]))
    many = [np.array([0.0, 0.0]), np.array([8.0, 1.0]), np.array([10.0, np.nan])]
    np.testing.assert_array_equal(convergence_rate(many), [0.5, np.nan])


def test_tol_is_the_distance_to_the_limit():
    limit = fitted(tol=1e-13, tol_kind="aitken").lower_bound_
    for arguments in ({"tol_kind": "aitken"}, {"accelerate": "lbfgs"}, {"accelerate": "squarem"}):
        for tol in (1e-4, 1e-6, 1e-8):
            assert limit - fitted(tol=tol, **arguments).lower_bound_ < 2 * tol
    assert limit - fitted(tol=1e-4).lower_bound_ > 1e-4  # scikit-learn's rule stops before
    assert fitted(tol=1e-4, accelerate="lbfgs", tol_kind="change").converged_


def test_a_rate_near_one_where_clusters_overlap():
    plain = fitted(tol=1e-11, tol_kind="aitken").convergence_rate_
    assert 0.9 < plain < 1.0
    assert fitted(accelerate="lbfgs").convergence_rate_ == pytest.approx(plain, abs=0.03)


# -- together with all else ------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["lbfgs", "squarem"])
def test_a_killed_run_goes_on_with_the_same_bits(method, tmp_path):
    undisturbed = fitted(accelerate=method, tol=1e-6)
    path = tmp_path / "run.npz"
    for max_iter in [1, *range(9, undisturbed.n_iter_ + 1)]:
        model = GaussianMixture(
            3, accelerate=method, max_iter=max_iter, tol=1e-6, random_state=0, n_jobs=1
        )
        if max_iter < undisturbed.n_iter_:
            with pytest.warns(Warning, match="did not converge"):
                model.fit(X, checkpoint=path)
        else:
            model.fit(X, checkpoint=path)
    assert_same_bits(model, undisturbed)


@pytest.mark.parametrize("method", ["lbfgs", "squarem"])
@pytest.mark.parametrize(
    "freeze",
    [
        {"weights": [True, False, False]},
        {"means": [True, False, True]},
        {"covariances": True},
        {"weights": True, "means": [False, True, False], "covariances": [False, False, True]},
    ],
)
def test_what_is_frozen_stays(freeze, method):
    given = {
        "weights_init": [0.5, 0.3, 0.2],
        "means_init": [[0.0, 0], [1, 1], [2, -1]],
        "precisions_init": 1.1 * np.stack([np.eye(2)] * 3),
        "freeze": freeze,
    }
    plain = fitted(tol=1e-13, tol_kind="aitken", max_iter=20_000, **given)
    fast = fitted(accelerate=method, tol=1e-10, max_iter=20_000, **given)
    assert abs(fast.lower_bound_ - plain.lower_bound_) < 3e-9
    long = fitted(tol=1e-10, tol_kind="aitken", max_iter=20_000, **given)
    assert fast.n_iter_ <= long.n_iter_
    for name, mask in freeze.items():
        for one, other in ((fast, given),):
            mask = np.broadcast_to(mask, 3)
            kept = getattr(one, f"{name}_")[mask]
            if name == "covariances":
                np.testing.assert_allclose(kept, np.linalg.inv(other["precisions_init"])[mask])
            else:
                np.testing.assert_allclose(kept, np.array(other[f"{name}_init"])[mask])


@pytest.mark.parametrize("method", ["lbfgs", "squarem"])
@pytest.mark.parametrize("name", ["full", "tied", "spherical", "VVE"])
def test_noise_has_a_coordinate(name, method):
    if name == "VVE" and method == "lbfgs":
        method = "auto"
    rows = np.r_[X, np.random.RandomState(1).uniform(-6, 8, (80, 2))]
    given = {"covariance_type": name, "noise": "box", "rows": rows, "max_iter": 20_000}
    plain = fitted(tol=1e-12, tol_kind="aitken", **given)
    fast = fitted(accelerate=method, tol=1e-10, **given)
    assert fast.lower_bound_ - plain.lower_bound_ > -1e-8
    assert fast.n_iter_ < plain.n_iter_
    if abs(fast.lower_bound_ - plain.lower_bound_) < 1e-8:
        assert fast.noise_weight_ == pytest.approx(plain.noise_weight_, abs=1e-3)
    assert fast.noise_weight_ + fast.weights_.sum() == pytest.approx(1.0)


def test_recovery_has_the_same_bits_as_long_as_nothing_fails():
    for method in ("lbfgs", "squarem"):
        mended = fitted(accelerate=method, on_failure="recover")
        assert_same_bits(mended, fitted(accelerate=method))
        assert mended.diagnostics_ == []


@pytest.mark.parametrize("method", ["lbfgs", "squarem"])
def test_what_fails_is_mended_and_the_run_goes_on(method, tmp_path):
    """Rows that repeat: components collapse on them, in the start or in the midst of the run."""
    repeated = np.repeat(overlapping(12, seed=5), 12, axis=0)
    rows = np.r_[overlapping(300, seed=4), repeated]
    given = {"on_failure": "recover", "reg_covar": 0.0, "n_components": 9, "rows": rows}
    given |= {"accelerate": method, "tol": 1e-7, "init_params": "k-means++"}
    model = fitted(**given)
    assert model.diagnostics_
    assert model.converged_
    assert np.isfinite(model.lower_bound_)
    assert {record["action"] for record in model.diagnostics_} & {"reseed", "prune", "regularize"}
    assert all(record["iteration"] <= model.n_iter_ for record in model.diagnostics_)
    path = tmp_path / "run.npz"
    for max_iter in (*range(2, model.n_iter_, 21), 4000):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arguments = {**given, "max_iter": max_iter}
            del arguments["rows"]
            other = GaussianMixture(random_state=0, n_jobs=1, **arguments).fit(
                rows, checkpoint=path
            )
    assert_same_bits(other, model)
    assert other.diagnostics_ == model.diagnostics_


def test_a_killed_run_with_noise_and_frozen_parts_goes_on(tmp_path):
    rows = np.r_[X, np.random.RandomState(1).uniform(-6, 8, (80, 2))]
    given = {
        "n_components": 3,
        "accelerate": "lbfgs",
        "noise": "box",
        "freeze": {"means": [True, False, False]},
        "means_init": [[0.0, 0], [1, 1], [2, -1]],
        "random_state": 0,
        "tol": 1e-8,
        "n_jobs": 1,
    }
    undisturbed = GaussianMixture(max_iter=2000, **given).fit(rows)
    path = tmp_path / "run.npz"
    for max_iter in (*range(5, undisturbed.n_iter_, 7), 2000):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = GaussianMixture(max_iter=max_iter, **given).fit(rows, checkpoint=path)
    assert_same_bits(model, undisturbed)


def test_starts_weights_types_and_sources(tmp_path):
    weights = np.random.RandomState(0).uniform(0.5, 2.0, len(X))
    weighted = fitted_with(weights, accelerate="lbfgs")
    slow = fitted_with(weights, tol=1e-12, tol_kind="aitken")
    assert abs(weighted.lower_bound_ - slow.lower_bound_) < 3e-9
    np.save(tmp_path / "rows.npy", X)
    assert_same_bits(
        fitted(str(tmp_path / "rows.npy"), accelerate="lbfgs"), fitted(accelerate="lbfgs")
    )
    single = fitted(X.astype(np.float32), accelerate="lbfgs", tol=1e-6)
    assert single.means_.dtype == np.float32
    assert single.converged_
    several = fitted(accelerate="lbfgs", n_init=3, init_params="random_from_data")
    assert several.converged_


def fitted_with(weights, **arguments):
    given = {"random_state": 0, "max_iter": 4000, "tol": 1e-9, "n_jobs": 1, **arguments}
    return GaussianMixture(3, **given).fit(X, sample_weight=weights)


def test_what_is_left_to_scikit_learn_is_not_accelerated():
    class Subclass(GaussianMixture):
        def _m_step(self, *arguments, **more):
            return super()._m_step(*arguments, **more)

    with pytest.raises(NotImplementedError, match="accelerate is not supported in a subclass"):
        Subclass(3, accelerate="auto").fit(X)


def test_warm_starts_go_on():
    model = GaussianMixture(3, accelerate="lbfgs", tol=1e-4, warm_start=True, random_state=0)
    first = model.fit(X).lower_bound_
    assert model.set_params(tol=1e-9, max_iter=500).fit(X).lower_bound_ > first


def test_many_are_fitted_one_by_one():
    sets = [overlapping(150, seed) for seed in range(2)]
    arguments = {"accelerate": "lbfgs", "tol": 1e-6, "max_iter": 500}
    report = fit_many(sets, 2, random_state=0, **arguments)
    alone = GaussianMixture(2, random_state=int(report.seeds[1]), **arguments).fit(sets[1])
    assert_same_bits(report[1], alone)
    aitken_too = fit_many(sets, 2, random_state=0, tol_kind="aitken")
    plain = fit_many(sets, 2, random_state=0)
    assert aitken_too.n_iter_.shape == plain.convergence_rate_.shape == (2,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"accelerate": "newton"}, "accelerate"),
        ({"tol_kind": "gap"}, "tol_kind"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        fitted(**arguments)


def test_saved_models_keep_the_rate(tmp_path):
    model = fitted(accelerate="lbfgs")
    model.save(tmp_path / "model.npz")
    assert_same_bits(load(tmp_path / "model.npz"), model)


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "off"},
        {"rate": 1},
        {"position": np.zeros(3)},
        {"moves": np.zeros((2, 5))},
        {"gradient": np.zeros(17, np.float32)},
        {"n_refused": 0.5},
        {"reference": None},
        {"settled": "no"},
        {"shares": np.ones(2)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_states_that_no_run_left(change, tmp_path, killed):
    """A checkpoint whose memory is damaged is refused, not run."""
    state = read_checkpoint(killed).state
    parameters = replace(state.parameters, **change)
    assert state.parameters.phase == "lbfgs"
    facts = read_checkpoint(killed).facts
    with pytest.raises(ValueError, match=r"its|it has"):
        check_state_of_run(replace(state, parameters=parameters), STRUCTURES["full"], facts, 1)
    check_state_of_run(state, STRUCTURES["full"], facts, 1)
    with pytest.raises(ValueError, match="accelerated"):
        check_state_of_run(state, STRUCTURES["full"], {**facts, "accelerate": None}, 1)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The checkpoint of a run that is in the midst of L-BFGS."""

    class Stop(Listener):
        def iteration_ends(self, result, change):
            if result.n_iter == 14:
                raise KeyboardInterrupt

    path = tmp_path_factory.mktemp("killed") / "run.npz"
    model = GaussianMixture(3, accelerate="lbfgs", tol=1e-9, random_state=0, n_jobs=1)
    model._listener = Stop()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, checkpoint=path)
    return path


def test_an_interrupted_run_goes_on(killed):
    model = GaussianMixture(3, accelerate="lbfgs", tol=1e-9, random_state=0, n_jobs=1)
    assert_same_bits(model.fit(X, checkpoint=killed), fitted(accelerate="lbfgs"))
    other = GaussianMixture(3, accelerate="squarem", tol=1e-9, random_state=0, n_jobs=1)
    with pytest.raises(ValueError, match="accelerate was 'lbfgs' and is 'squarem'"):
        other.fit(X, checkpoint=killed)
