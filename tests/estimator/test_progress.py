"""scikit-learn's callbacks, and what a listener may do to a run."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.em import Listener
from tests.estimator.helpers import (
    SKLEARN_VERSION,
    assert_identical_fit,
    parse_version,
    quiet_fit,
)

needs_callbacks = pytest.mark.skipif(
    parse_version("1.9") > SKLEARN_VERSION, reason="scikit-learn has callbacks since 1.9"
)
ESTIMATORS = [GaussianMixture, BayesianGaussianMixture]


def make_rows(n_rows=300):
    random = np.random.RandomState(0)
    return random.standard_normal((n_rows, 2)) + 3.0 * random.randint(0, 3, (n_rows, 1))


X = make_rows()


class Recorder:
    """Keeps what it is told; may ask to stop at the end of tasks of a name."""

    def __init__(self, stop_at=None, fail_at=None):
        self.stop_at, self.fail_at = stop_at, fail_at
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(("begin", context.task_name, context.task_id, X, y, metadata))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(("end", context.task_name, context.task_id, fitted_estimator))
        if self.fail_at == context.task_name:
            raise RuntimeError("the callback failed")
        return self.stop_at == context.task_name

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))

    def ends(self, name):
        return [call for call in self.calls if call[:2] == ("end", name)]


class Propagated(Recorder):
    max_propagation_depth = None


def make(cls=GaussianMixture, *callbacks, **params):
    params = {"n_components": 3, "random_state": 0, "init_params": "random_from_data", **params}
    return cls(**params).set_callbacks(*callbacks)


@needs_callbacks
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_task_per_restart_and_iteration(cls):
    recorder = Recorder()
    model = quiet_fit(make(cls, recorder, n_init=2, max_iter=4, tol=0.0), X)
    assert_identical_fit(model, quiet_fit(make(cls, n_init=2, max_iter=4, tol=0.0), X))
    names = [call[:3] for call in recorder.calls]
    iterations = [(when, "iteration", i) for i in range(4) for when in ("begin", "end")]
    restarts = [
        [("begin", "initialization", r), *iterations, ("end", "initialization", r)] for r in (0, 1)
    ]
    assert names == [
        ("setup", "fit"),
        ("begin", "fit", 0),
        *restarts[0],
        *restarts[1],
        ("end", "fit", 0),
        ("teardown", "fit"),
    ]


@needs_callbacks
@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_as_if_the_fit_ended_there(cls, dtype):
    recorder = Recorder()
    rows = X.astype(dtype)
    model = quiet_fit(make(cls, recorder, max_iter=5, tol=0.0), rows)
    for n, (*_, fitted) in enumerate(recorder.ends("iteration"), 1):
        ended = quiet_fit(make(cls, max_iter=n, tol=0.0), rows)
        assert_identical_fit(fitted, ended)
        np.testing.assert_array_equal(fitted.predict_proba(rows), ended.predict_proba(rows))
    for name in ("initialization", "fit"):
        ((*_, fitted),) = recorder.ends(name)
        assert_identical_fit(fitted, model)


@needs_callbacks
def test_what_callbacks_may_ask_for():
    recorder, weights = Recorder(), np.ones(len(X))
    make(GaussianMixture, recorder).fit(X, sample_weight=weights)
    assert all(call[3] is X and call[5]["sample_weight"] is weights for call in begins(recorder))
    recorder, y = Recorder(), np.zeros(len(X))
    make(GaussianMixture, recorder).fit_predict(X, y)
    assert all(call[4] is y and call[5] is None for call in begins(recorder))


def begins(recorder):
    calls = [call for call in recorder.calls if call[0] == "begin"]
    assert calls
    return calls


@needs_callbacks
@pytest.mark.parametrize("given", [None, np.zeros(len(X))])
def test_scoring_monitor(given):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring={"bound": lambda model, X, y: model.score(X)})
    model = quiet_fit(make(GaussianMixture, monitor, max_iter=6, tol=0.0), X, y=given)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    # A lower bound is the score before its iteration's M-step.
    np.testing.assert_allclose([row["bound"] for row in rows[:-1]], model.lower_bounds_[1:])
    assert rows[-1]["bound"] == model.score(X)


@needs_callbacks
def test_progress_bar(capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    quiet_fit(make(GaussianMixture, ProgressBar(), n_init=2), X)
    out = capsys.readouterr().out
    assert "GaussianMixture - fit" in out
    assert "GaussianMixture - initialization #1" in out
    assert "100%" in out


@needs_callbacks
def test_callbacks_may_stop():
    recorder = Recorder(stop_at="iteration")
    model = quiet_fit(make(GaussianMixture, recorder, n_init=3, tol=0.0), X)
    assert (model.n_iter_, model.converged_) == (1, False)
    assert len(recorder.ends("initialization")) == 3
    recorder = Recorder(stop_at="initialization")
    model = make(GaussianMixture, recorder, n_init=3).fit(X)
    assert len(recorder.ends("initialization")) == 1
    assert_identical_fit(model, make(n_init=1).fit(X))


@needs_callbacks
@pytest.mark.parametrize("name", ["fit", "initialization", "iteration"])
def test_a_callback_that_fails_is_torn_down(name):
    recorder = Recorder(fail_at=name)
    model = make(GaussianMixture, recorder)
    with pytest.raises(RuntimeError, match="the callback failed"):
        model.fit(X)
    assert recorder.calls[-1] == ("teardown", "fit")
    assert not hasattr(model, "_callback_fit_ctx")


@needs_callbacks
def test_a_bad_fit_is_torn_down():
    recorder = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        make(GaussianMixture, recorder).fit(np.full((9, 2), np.nan))
    assert [call[:2] for call in recorder.calls] == [
        ("setup", "fit"),
        ("begin", "fit"),
        ("teardown", "fit"),
    ]


@needs_callbacks
def test_no_iterations_and_warm_starts():
    recorder = Recorder()
    model = make(GaussianMixture, recorder, max_iter=0, warm_start=True).fit(X)
    assert len(recorder.ends("initialization")) == 1
    assert not recorder.ends("iteration")
    quiet_fit(model.set_params(max_iter=2, n_init=5), X)
    assert [call[2] for call in recorder.ends("iteration")] == [0, 1]


@needs_callbacks
def test_rows_from_files_and_checkpoints(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    recorder = Recorder()
    model = make(GaussianMixture, recorder, max_iter=50)
    model.fit(tmp_path / "rows.npy", checkpoint=tmp_path / "job.npz")
    assert len(recorder.ends("iteration")) == model.n_iter_
    again = make(GaussianMixture, Recorder(), max_iter=50)
    assert_identical_fit(again.fit(X, checkpoint=tmp_path / "job.npz"), model)


@needs_callbacks
def test_scikit_learns_own_fits_tell_nothing():
    class Overriding(GaussianMixture):
        def _e_step(self, X, **namespace):
            return super()._e_step(X, **namespace)

    recorder = Recorder()
    assert make(Overriding, recorder).fit(X).converged_
    assert recorder.calls == []


@needs_callbacks
def test_clones_and_pickles_keep_callbacks(tmp_path):
    recorder = Recorder()
    model = make(GaussianMixture, recorder)
    assert clone(model)._skl_callbacks == [recorder]
    restored = pickle.loads(pickle.dumps(model.fit(X)))
    before = len(restored._skl_callbacks[0].calls)
    restored.fit(X)
    assert len(restored._skl_callbacks[0].calls) == 2 * before
    model.save(tmp_path / "model.npz")
    assert not hasattr(model.to_sklearn(), "_skl_callbacks")
    assert not hasattr(model.set_callbacks(), "_skl_callbacks")
    with pytest.raises(TypeError, match="FitCallback protocol"):
        model.set_callbacks(Recorder)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_searches_and_pipelines_hand_callbacks_on(n_jobs):
    grid = {"n_components": [1, 2, 3]}
    inner, outer = Recorder(), Propagated()
    search = GridSearchCV(make(GaussianMixture, inner), grid, cv=2)
    search.set_callbacks(outer).fit(X)
    fits = len(inner.ends("fit"))
    assert fits == 7  # three candidates, two splits each, and the best again
    assert len(outer.ends("initialization")) == fits
    assert len(outer.ends("iteration")) == len(inner.ends("iteration"))
    outer = Propagated()
    pipeline = make_pipeline(StandardScaler(), make(n_jobs=n_jobs)).set_callbacks(outer)
    labels = pipeline.fit_predict(X)
    assert len(outer.ends("iteration")) == pipeline[-1].n_iter_
    np.testing.assert_array_equal(labels, pipeline.predict(X))


def test_without_scikit_learns_support_there_is_no_method():
    supported = parse_version("1.9") <= SKLEARN_VERSION
    assert hasattr(GaussianMixture(), "set_callbacks") is supported


class Stopping(Listener):
    def __init__(self):
        self.heard = []

    def iteration_begins(self, number):
        self.heard.append(number)

    def iteration_ends(self, result, change):
        assert result.n_iter == self.heard[-1]
        return result.n_iter == 2


def test_a_listener_may_stop():
    model = GaussianMixture(3, random_state=0, n_init=2, tol=0.0, init_params="random")
    model._listener = Stopping()
    quiet_fit(model, X)
    assert model._listener.heard == [1, 2, 1, 2]
    assert model.n_iter_ == 2
