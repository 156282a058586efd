"""``on_failure="recover"``: fits that go on where scikit-learn's raise."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, fit_many, load
from fastgmm.em import Listener, RestartFailed, best_of_restarts
from fastgmm.recovery import LEVELS
from tests import structures
from tests.estimator.helpers import (
    PARAMETERS,
    STARTS,
    assert_identical_fit,
    assert_same_parameters,
    quiet_fit,
)

ESTIMATORS = [GaussianMixture, BayesianGaussianMixture]
KEYS = ["restart", "iteration", "component", "action", "detail", "reason"]
pytestmark = pytest.mark.filterwarnings("ignore:Number of distinct clusters")


def blobs(n_rows=200):
    random = np.random.RandomState(0)
    return random.standard_normal((n_rows, 2)) + 4.0 * random.randint(0, 3, (n_rows, 1))


#: Rows on which fits without regularisation fail, one way or another.
BAD_ROWS = {
    "one point": np.tile([[1.5, -2.0]], (40, 1)),
    "fewer points than components": np.repeat([[0.0, 1.0], [3.0, 3.0], [5.0, 1.0]], 15, axis=0),
    "a constant feature": np.c_[blobs(), np.full(200, 1 / 3)],
    "a feature that is the sum of others": np.c_[blobs(), blobs().sum(axis=1)],
    "a row far away": np.r_[blobs(), [[1e12, 3e11]]],
    "a row on its own": np.r_[blobs(), [[50.0, 50.0]]],
    "features of all sizes": blobs() * [1e-9, 1e9],
    "far from zero": blobs() + 1e9,
}
every_bad_row = pytest.mark.parametrize("rows", BAD_ROWS.values(), ids=list(BAD_ROWS))


def make(cls=GaussianMixture, **params):
    params = {"n_components": 5, "reg_covar": 0.0, "random_state": 0, "max_iter": 30, **params}
    return cls(on_failure="recover", **params)


def actions(model):
    return [record["action"] for record in model.diagnostics_]


def assert_sound(model, X):
    """All is finite, shapes belong together, and predictions follow."""
    k = len(model.weights_)
    assert 1 <= k <= model.n_components
    assert model.means_.shape == (k, X.shape[1])
    assert all(np.isfinite(getattr(model, name)).all() for name in PARAMETERS)
    np.testing.assert_allclose(model.weights_.sum(), 1.0, rtol=1e-6)
    assert np.isfinite(model.lower_bounds_).all()
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), k)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    for record in model.diagnostics_:
        assert list(record) == KEYS
    assert json.loads(json.dumps(model.diagnostics_)) == model.diagnostics_


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("structure", structures.SHARED)
@every_bad_row
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_rows_are_fitted(cls, structure, rows, dtype):
    X = rows.astype(dtype)
    params = {"covariance_type": structure, "n_init": 2}
    if cls is BayesianGaussianMixture:
        # The default has the covariance of all rows, which one row at 1e12 makes singular.
        one = np.eye(X.shape[1])
        params["covariance_prior"] = {"diag": one[0] + 1, "spherical": 1.0}.get(structure, one)
    for start in ("kmeans", "random_from_data"):
        assert_sound(quiet_fit(make(cls, init_params=start, **params), X), X)


def test_raising_is_the_default_and_what_scikit_learn_does():
    rows = BAD_ROWS["one point"]
    assert GaussianMixture().on_failure == "raise"
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        clone(make()).set_params(on_failure="raise").fit(rows)
    with pytest.raises(ValueError, match="'on_failure' parameter of GaussianMixture must be"):
        GaussianMixture(on_failure="ignore").fit(rows)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(ESTIMATORS),
    st.sampled_from(structures.SHARED),
    st.sampled_from(STARTS),
    st.integers(0, 10),
)
def test_where_nothing_fails_the_bits_are_those_of_raise(cls, structure, start, seed):
    params = {"covariance_type": structure, "init_params": start, "random_state": seed}
    params = {**params, "n_components": 3, "n_init": 2, "reg_covar": 1e-6}
    model = quiet_fit(make(cls, **params), blobs())
    assert model.diagnostics_ == []
    raising = quiet_fit(cls(max_iter=30, **params), blobs())
    assert_identical_fit(model, raising)
    assert raising.diagnostics_ == []


def test_a_component_is_moved_then_pruned():
    """The row on its own takes its component, and then the same component at a new row."""
    X = BAD_ROWS["a row on its own"]
    model = make(covariance_type="full", max_iter=200).fit(X)
    assert model.converged_
    assert actions(model) == ["widen", "reseed", "prune"]
    assert len(model.weights_) == 4
    widened, moved, pruned = model.diagnostics_
    assert (widened["iteration"], widened["component"]) == (0, moved["component"])
    assert moved["detail"].startswith("at row ")
    assert pruned["component"] == moved["component"]
    assert pruned["iteration"] >= moved["iteration"] > 0
    assert pruned["reason"] == "its covariance is not positive definite, after it was re-seeded"
    # What is left is a stationary point of EM for the components that are left.
    params = {"weights_init": model.weights_, "means_init": model.means_, "reg_covar": 0.0}
    params = {**params, "precisions_init": model.precisions_, "n_components": 4, "tol": 1e-3}
    assert GaussianMixture(**params).fit(X).n_iter_ == 2
    assert model.n_parameters() == 4 * 2 + 4 * 3 + 3
    assert np.isfinite(model.bic(X))
    assert model.sample(50)[0].shape == (50, 2)


def test_regularisation_follows_the_features():
    X = np.c_[blobs() * [1.0, 100.0], np.zeros(200)]
    model = make(n_components=1, covariance_type="diag").fit(X)
    assert actions(model) == ["widen", "regularize"]
    plain = GaussianMixture(1, covariance_type="diag", reg_covar=0.0).fit(X[:, :2])
    variances = plain.covariances_[0]
    added = model.covariances_[0] - [*variances, 0.0]
    np.testing.assert_allclose(
        added, LEVELS[0] * np.array([*variances, variances.mean()]), rtol=1e-6
    )
    assert model.diagnostics_[-1]["detail"] == "to 1e-06 of each feature's variance"


@pytest.mark.parametrize("rows", ["a constant feature", "a feature that is the sum of others"])
def test_components_are_kept_where_the_rows_are_to_blame(rows):
    for start in ("kmeans", "random_from_data"):
        model = quiet_fit(make(init_params=start), BAD_ROWS[rows])
        assert len(model.weights_) == 5
        assert set(actions(model)) <= {"widen", "regularize"}
        assert actions(model)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_same_bits_for_any_number_of_threads_and_for_files(cls, tmp_path, monkeypatch):
    monkeypatch.setattr("fastgmm.sources.base._LEAST_WORK", 1 << 10)
    X = np.r_[blobs(3000), [[90.0, 90.0], [-80.0, 70.0]]]
    np.save(tmp_path / "rows.npy", X)
    models = [quiet_fit(make(cls, n_jobs=n, n_init=2), X) for n in (1, 2, 3)]
    models.append(quiet_fit(make(cls, n_init=2), tmp_path / "rows.npy"))
    if cls is GaussianMixture:
        assert {"reseed", "prune"} <= set(actions(models[0]))
    for model in models[1:]:
        assert_identical_fit(model, models[0])
        assert model.diagnostics_ == models[0].diagnostics_


def test_weights_and_absent_rows():
    X = BAD_ROWS["a row on its own"]
    weights = np.random.RandomState(1).randint(0, 3, len(X))
    weights[-1] = 1
    model = quiet_fit(make(), X, sample_weight=weights)
    assert actions(model)
    present = quiet_fit(make(), X[weights > 0], sample_weight=weights[weights > 0])
    assert_identical_fit(model, present)


def test_given_parameters():
    """Means that the caller gives stay; their covariances are widened until they serve."""
    X, means = BAD_ROWS["fewer points than components"], np.array([[0.0, 1.0], [3, 3], [5, 1]])
    model = make(n_components=3, means_init=means, covariance_type="diag", max_iter=0).fit(X)
    np.testing.assert_array_equal(model.means_, means)
    assert set(actions(model)) == {"widen"}
    assert_sound(quiet_fit(model.set_params(max_iter=20), X), X)


def test_starts_of_samples(tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", BAD_ROWS["fewer points than components"])
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 20)
    for start in ("kmeans", "k-means++"):
        model = quiet_fit(make(init_params=start), tmp_path / "rows.npy")
        assert_sound(model, BAD_ROWS["fewer points than components"])


def test_an_argument_like_any_other(tmp_path):
    model = make(n_components=5)
    assert clone(model).get_params()["on_failure"] == "recover"
    quiet_fit(model, BAD_ROWS["a row on its own"])
    model.save(tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert loaded.on_failure == "recover"
    assert loaded.diagnostics_ == model.diagnostics_
    assert_identical_fit(loaded, model)
    assert_same_parameters(model.to_sklearn(), model, 0)

    class Overriding(GaussianMixture):
        def _e_step(self, X, **namespace):
            return super()._e_step(X, **namespace)

    with pytest.raises(NotImplementedError, match="on_failure='recover' is not supported in a sub"):
        Overriding(on_failure="recover").fit(blobs())


def test_warm_starts_go_on_with_the_components_that_are_left():
    X = BAD_ROWS["a row on its own"]
    model = make(warm_start=True, max_iter=15, tol=1e-9)
    quiet_fit(model, X)
    assert len(model.weights_) == 4
    quiet_fit(model, X)
    assert (len(model.weights_), actions(model)) == (4, [])
    with pytest.raises(ValueError, match="warm_start=True goes on from means of shape"):
        model.set_params(on_failure="raise").fit(X)


def test_many_mixtures():
    rows = [blobs(), BAD_ROWS["a row on its own"], BAD_ROWS["one point"]]
    params = {"reg_covar": 0.0, "on_failure": "recover", "max_iter": 200}
    report = fit_many(rows, n_components=5, random_state=0, n_jobs=1, **params)
    for i, X in enumerate(rows):
        alone = quiet_fit(make(random_state=int(report.seeds[i]), max_iter=200), X)
        assert_identical_fit(report[i], alone)
        assert report[i].diagnostics_ == alone.diagnostics_
    assert actions(report[2])
    assert len(report[1].weights_) < 5


# --- restarts that fail -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_error_lists_what_was_tried(monkeypatch):
    X = blobs() * 1e200
    with pytest.raises(ValueError, match="variance of feature 0 is not a finite number"):
        make(init_params="random_from_data").fit(X)
    monkeypatch.setattr("fastgmm.recovery.LEVELS", ())
    with pytest.raises(ValueError, match="on_failure='recover' has tried:\n  init") as caught:
        make(n_init=2).fit(BAD_ROWS["one point"])
    text = str(caught.value)
    assert "initialization 0, iteration 1: give up" in text
    assert "initialization 1, iteration 1: give up" in text


class Steps:
    """Steps of numbers: one step adds 1, and some numbers fail."""

    def __init__(self, *failing):
        self.failing = failing

    def __call__(self, number, running):
        if number in self.failing:
            raise RestartFailed(f"{number} fails")
        return number + 1, float(number)


class Heard(Listener):
    def __init__(self):
        self.words = []

    def restart_begins(self, number):
        self.words.append(number)

    def restart_ends(self, result):
        self.words.append("ends")

    def restart_fails(self):
        self.words.append("fails")


def run(step, starts, listener=None, **arguments):
    arguments = {"tol": 0.0, "max_iter": 3, "lower_bound": -np.inf, **arguments}
    return best_of_restarts(step, starts, listener=listener or Heard(), **arguments)


def test_restarts_that_fail_leave_the_others():
    heard, states = Heard(), []
    result = run(Steps(21, 30), [10, 20, 30, 5], heard, observe=states.append)
    assert heard.words == [0, "ends", 1, "fails", 2, "fails", 3, "ends"]
    assert result.lower_bounds == [10.0, 11.0, 12.0]
    assert [state.restart for state in states] == [0, 0, 0, 1, 3, 3, 3]
    # On from the state before the failure, to the same end.
    again = run(Steps(21, 30), [30, 5], resume=states[3])
    assert again == result


def test_if_all_restarts_fail_the_last_failure_stands():
    with pytest.raises(RestartFailed, match="30 fails"):
        run(Steps(21, 30), [20, 30])


# --- jobs that go on ----------------------------------------------------------------------
class Interrupting(Listener):
    """Ends the run at some iteration, counted over all restarts."""

    def __init__(self, left):
        self.left = left

    def iteration_begins(self, number):
        self.left -= 1
        if self.left < 0:
            raise InterruptedError


@pytest.mark.parametrize("left", [1, 5, 12, 20])
def test_interrupted_jobs_go_on_to_the_same_bits_and_records(tmp_path, left):
    X, params = BAD_ROWS["a row on its own"], {"n_init": 3, "tol": 1e-9, "max_iter": 8}
    undisturbed = quiet_fit(make(**params), X)
    assert {0, 1, 2} <= {record["restart"] for record in undisturbed.diagnostics_}
    model = make(**params)
    model._listener = Interrupting(left)
    with pytest.raises(InterruptedError):
        model.fit(X, checkpoint=tmp_path / "job.npz", checkpoint_every=0)
    for _ in range(2):  # to the end; and again, from its file
        model = quiet_fit(make(**params), X, checkpoint=tmp_path / "job.npz")
        assert_identical_fit(model, undisturbed)
        assert model.diagnostics_ == undisturbed.diagnostics_


def test_no_warning_beyond_scikit_learns():
    with pytest.warns(ConvergenceWarning, match="did not converge") as caught:
        make(max_iter=2, tol=0.0).fit(BAD_ROWS["a row on its own"])
    assert len(caught) == 1
