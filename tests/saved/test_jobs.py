"""`fit` with a checkpoint: killed, interrupted, out of disk, or asked for another run."""

import contextlib
import multiprocessing
import random
import shutil
import signal
import time
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastgmm import BayesianGaussianMixture, GaussianMixture, ModelFileError, load
from tests.saved.jobs import (
    WEIGHTS,
    Stop,
    Stopper,
    X,
    fit,
    make,
    no_iterations,
    state_in,
    stop,
    stopped,
)
from tests.saved.models import assert_same_model
from tests.systems import START_METHOD, largest_file, unix_only

PROCESSES = multiprocessing.get_context(START_METHOD)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "job.npz"


# -- killed ----------------------------------------------------------------------------------------
def as_array(folder):
    return X


def as_npy(folder):
    np.save(folder / "rows.npy", X)
    return folder / "rows.npy"


def as_parquet(folder):
    pq.write_table(
        pa.table({f"x{j}": column for j, column in enumerate(X.T)}), folder / "x.parquet"
    )
    return str(folder / "x.parquet")


JOBS = [
    (GaussianMixture, as_array, None, {}),
    (GaussianMixture, as_parquet, None, {"init_params": "random", "covariance_type": "tied"}),
    (GaussianMixture, as_npy, WEIGHTS, {"init_params": "random_from_data"}),
    (BayesianGaussianMixture, as_array, WEIGHTS, {"init_params": "k-means++"}),
    (BayesianGaussianMixture, as_parquet, None, {"covariance_type": "diag"}),
]


@pytest.mark.parametrize(
    "job", JOBS, ids=lambda job: f"{job[0].__name__}-{job[1].__name__}-{len(job[3])}"
)
def test_killed_at_any_moment(tmp_path, path, job):
    cls, make_thing, weights, arguments = job
    arguments = {"max_iter": 60, **arguments}  # long enough to be killed
    thing = make_thing(tmp_path)
    undisturbed = fit(make(cls, **arguments), thing, weights)
    chance, kills, exitcode = random.Random(0), 0, None
    while exitcode != 0:
        process = PROCESSES.Process(
            target=fit,
            args=(make(cls, **arguments), thing, weights),
            kwargs={"checkpoint": path, "checkpoint_every": 0.0},
        )
        before = written(path)
        process.start()
        if kills < 6:
            # First during the first start, and then with something to go on from.
            while kills > 0 and written(path) == before and process.is_alive():
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, 0.1))
            process.kill()
            kills += 1
        process.join()
        exitcode = process.exitcode
        assert exitcode <= 0  # done, or killed; an error would make it 1
    assert kills > 1
    with no_iterations():
        found = fit(make(cls, **arguments), thing, weights, checkpoint=path)
    assert_same_model(found, undisturbed)


def written(path):
    """When a file was written; None if it is not there."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime_ns


class Drawn:
    """A callable as `init_params`: random responsibilities; an error after the second draw."""

    def __init__(self, error=None):
        self.error, self.calls = error, 0

    def __call__(self, rows, n_components, random_state):
        shares = random_state.dirichlet(np.ones(n_components), len(rows))
        self.calls += 1
        if self.error is not None and self.calls == 2:
            raise self.error
        return shares


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_stopped_during_a_start(path, error):
    undisturbed = fit(make(init_params=Drawn()))
    with pytest.raises(error):
        fit(make(init_params=Drawn(error)), checkpoint=path, checkpoint_every=1e6)
    done = 12 if error is KeyboardInterrupt else 1  # iterations of the first restart
    assert len(state_in(path).lower_bounds) == done
    found = fit(make(init_params=Drawn()), checkpoint=path)
    np.testing.assert_array_equal(found.means_, undisturbed.means_)
    assert found.lower_bounds_ == undisturbed.lower_bounds_


# -- interrupted -----------------------------------------------------------------------------------
def test_interruptions_are_written(path):
    undisturbed, model = fit(make(n_init=1)), make(n_init=1)
    model._listener = Stopper(7, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        fit(model, checkpoint=path, checkpoint_every=1e6)
    # Without the last write, it would be the first iteration.
    assert len(state_in(path).lower_bounds) >= 6
    assert_same_model(fit(make(n_init=1), checkpoint=path), undisturbed)


# -- the disk --------------------------------------------------------------------------------------
@unix_only
def test_a_full_disk(path):
    undisturbed = fit(make())
    stopped(path)
    before = path.read_bytes()
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=send_error_of_full_disk, args=(sender, path))
    process.start()
    process.join()
    name, text = receiver.recv()
    assert name == "OSError"
    assert f"in writing: '{path}'" in text
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert_same_model(fit(make(), checkpoint=path), undisturbed)


def send_error_of_full_disk(sender, path):
    try:
        with largest_file(1000):
            fit(make(), checkpoint=path, checkpoint_every=0.0)
    except Exception as error:
        sender.send((type(error).__name__, str(error)))


def test_a_folder_that_vanishes(tmp_path):
    (tmp_path / "folder").mkdir()
    model = make()
    model._listener = Stopper(3, lambda: shutil.rmtree(tmp_path / "folder"))
    with pytest.raises(FileNotFoundError, match=r"in writing: '.*job\.npz'"):
        fit(model, checkpoint=tmp_path / "folder" / "job.npz", checkpoint_every=0.0)


def test_an_empty_file_is_a_new_start(path):
    """As ``mktemp`` makes them."""
    path.touch()
    undisturbed = fit(make())
    stopped(path)
    assert len(state_in(path).lower_bounds) == 4
    assert_same_model(fit(make(), checkpoint=path), undisturbed)
    path.write_bytes(b"")
    assert_same_model(fit(make(), checkpoint=path), undisturbed)


@unix_only
def test_a_folder_where_names_cannot_be_replaced(path, monkeypatch):
    """It shows before the first iteration."""

    def refuse(*paths):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.replace", refuse)
    with no_iterations(), pytest.raises(PermissionError, match=r"in writing: .*job\.npz"):
        fit(make(), checkpoint=path)


@pytest.mark.parametrize(
    ("name", "error"), [("missing/job.npz", FileNotFoundError), (".", IsADirectoryError)]
)
def test_places_where_no_file_can_be(tmp_path, name, error):
    with no_iterations(), pytest.raises(error, match="in writing"):
        fit(make(), checkpoint=tmp_path / name)


@pytest.mark.parametrize("every", [-1.0, np.nan, "30s", None])
def test_times_between_writes(path, every):
    with pytest.raises(ValueError, match="number of seconds, not negative, but got"):
        fit(make(), checkpoint=path, checkpoint_every=every)
    assert not path.exists()


def test_damaged_checkpoints(path):
    stopped(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"job\.npz is damaged"):
        fit(make(), checkpoint=path)


# -- another run -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "rows", "weights", "text"),
    [
        ({"n_components": 5}, X, None, "n_components was 4 and is 5"),
        ({"random_state": 1}, X, None, "random_state was 0 and is 1"),
        ({"cls": BayesianGaussianMixture}, X, None, "class was 'GaussianMixture' and is 'Bayes"),
        ({}, X[:-1], None, "rows was 9000 and is 8999"),
        ({}, X[::-1], None, "digest of the rows"),
        ({}, np.where(np.arange(len(X)) == 5000, X.T + 1, X.T).T, None, "digest of the rows"),
        ({}, X, np.full(len(X), 2.0), "sum of weights was 9000.0 and is 18000.0"),
        ({}, X.astype(np.float32), None, "dtype was 'float64' and is 'float32'"),
    ],
)
def test_another_run_is_refused(path, change, rows, weights, text):
    stopped(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"checkpoint of another run: .*{text}"):
        fit(make(**change), rows, weights, checkpoint=path)
    assert path.read_bytes() == before


def test_threads_and_messages_make_no_other_run(path, capsys):
    stopped(path)
    found = fit(make(n_jobs=1, verbose=2), checkpoint=path)
    assert "Initialization" in capsys.readouterr().out
    np.testing.assert_array_equal(found.means_, fit(make()).means_)


def test_the_same_rows_from_elsewhere_are_the_same_run(tmp_path, path):
    stopped(path)
    assert_same_model(fit(make(), as_npy(tmp_path), checkpoint=path), fit(make()))


# -- what goes with it -----------------------------------------------------------------------------
@pytest.mark.parametrize("cls", [GaussianMixture, BayesianGaussianMixture])
def test_warm_starts_go_on_too(path, cls):
    def warm():
        return fit(make(cls, warm_start=True, max_iter=2), X[:5000])

    undisturbed = fit(warm().set_params(max_iter=9))
    model = warm().set_params(max_iter=9)
    model._listener = Stopper(4, stop)
    with pytest.raises(Stop):
        fit(model, checkpoint=path, checkpoint_every=0.0)
    assert len(state_in(path).lower_bounds) == 3
    assert_same_model(fit(warm().set_params(max_iter=9), checkpoint=path), undisturbed)
    # What it goes on from is part of the run.
    with pytest.raises(ValueError, match=r"the model to go on from was '.*' and is '"):
        fit(undisturbed, checkpoint=path)
    with pytest.raises(ValueError, match=r"the model to go on from was '.*' and is None"):
        fit(make(cls, warm_start=True, max_iter=9), checkpoint=path)


def test_fit_predict(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = make().fit_predict(X)
        stopped(path)
        np.testing.assert_array_equal(make().fit_predict(X, checkpoint=path), expected)
        with no_iterations():
            np.testing.assert_array_equal(make().fit_predict(X, checkpoint=path), expected)


def test_a_finished_run_warns_again(path):
    model = make(max_iter=1)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            model.fit(X, checkpoint=path)


def test_a_checkpoint_is_no_model(path):
    fit(make(), checkpoint=path)
    with pytest.raises(ModelFileError, match="holds a checkpoint, not a model"):
        load(path)


def test_a_subclass_may_need_arguments(path):
    class Mine(GaussianMixture):
        def __init__(self, n_components):
            super().__init__(n_components, random_state=0)

    for _ in range(2):
        assert fit(Mine(2), checkpoint=path).converged_
    with pytest.raises(ValueError, match="n_components was 2 and is 3"):
        fit(Mine(3), checkpoint=path)


def test_overridden_steps_have_no_checkpoint(path):
    class Mine(GaussianMixture):
        def _m_step(self, X, log_resp, xp=None):
            raise AssertionError

    for method in (Mine(2).fit, Mine(2).fit_predict):
        with pytest.raises(NotImplementedError, match="checkpoint is not supported"):
            method(X, checkpoint=path)
