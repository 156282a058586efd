"""A run that was stopped at any moment goes on, and ends with the same bits."""

import dataclasses
import functools
import os

import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.covariance import STRUCTURES
from fastgmm.em import EMResult, RunState
from fastgmm.files.container import Contents, ModelFileError, pack, read_file
from fastgmm.saved.checkpoints import Checkpoint
from fastgmm.saved.codec import encode
from fastgmm.saved.fingerprints import Fingerprint, fingerprint_of
from fastgmm.saved.models import load, save_model
from fastgmm.saved.states import RECORDS
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowGrid
from tests.saved.models import assert_same, fitted
from tests.saved.runs import MAX_ITER, N_INIT, rows, run


def parameters_of(model):
    return model._family.parameters_of(model)


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def undisturbed():
    return run(None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "job.npz"


def assert_same_result(one, other):
    assert one.converged == other.converged
    assert_same(one.lower_bounds, other.lower_bounds)
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        assert_same(getattr(one.parameters, name), getattr(other.parameters, name))


def stop_after(n):
    """What to do after an iteration: stop the run after the n-th."""
    count = iter(range(n - 1))

    def stop(state):
        if next(count, None) is None:
            raise Stop

    return stop


def iterations(path=None):
    """Iterations of all restarts of a run."""
    count = []
    run(path, after_iteration=count.append)
    return len(count)


def test_a_checkpoint_changes_nothing(path, undisturbed):
    assert_same_result(run(path), undisturbed)


def test_stopped_after_every_iteration(tmp_path, undisturbed):
    total = iterations()
    assert 3 * N_INIT < total < N_INIT * MAX_ITER
    for n in range(1, total + 1):
        path = tmp_path / f"{n}.npz"
        with pytest.raises(Stop):
            run(path, after_iteration=stop_after(n))
        assert iterations(path) == total - n
        assert_same_result(run(path), undisturbed)


def test_stopped_again_and_again(path, undisturbed):
    for n in (1, 1, 2, 3, 1, 5, 1):
        with pytest.raises(Stop):
            run(path, after_iteration=stop_after(n))
    assert_same_result(run(path), undisturbed)


def test_what_is_not_yet_written_is_done_again(path, undisturbed):
    with pytest.raises(Stop):
        run(path, every_seconds=1e6, after_iteration=stop_after(9))
    # The first state alone was written.
    assert iterations(path) == iterations() - 1
    assert_same_result(run(path), undisturbed)


def test_a_finished_run_ends_at_once(path, undisturbed):
    run(path)
    assert iterations(path) == 0
    assert_same_result(run(path), undisturbed)


# -- another run -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"reg_covar": 1e-3}, "reg_covar was 1e-06 and is 0.001"),
        ({"max_iter": 1}, "max_iter was 100 and is 1, but 2 iterations have been made"),
        ({"covariance_type": "diag"}, "covariance_type was 'full' and is 'diag'"),
        ({"means_init": np.ones((4, 3))}, "means_init was None and is 'array of shape"),
        ({"init_params": lambda: None}, "init_params was 'kmeans' and is 'function"),
        ({"X": rows()[:-1]}, "rows was 2000 and is 1999"),
        ({"X": rows()[:, :2]}, "features was 3 and is 2"),
        ({"X": rows().astype(np.float32)}, "dtype was 'float64' and is 'float32'"),
        ({"X": rows() + 1}, "digest of the rows"),
    ],
)
def test_another_run_is_refused(path, change, text):
    with pytest.raises(Stop):
        run(path, after_iteration=stop_after(2))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=text) as caught:
        run(path, **change)
    assert not isinstance(caught.value, ModelFileError)
    assert f"{path} is the checkpoint of another run" in str(caught.value)
    assert path.read_bytes() == before


def test_threads_and_messages_make_no_other_run(path, undisturbed):
    with pytest.raises(Stop):
        run(path, after_iteration=stop_after(2))
    assert_same_result(run(path, n_jobs=2, verbose=1), undisturbed)


def test_fingerprints_tell_random_states_apart():
    source = array_source(rows())
    grid = RowGrid.of(2000, 3, 2)
    prints = [
        fingerprint_of(GaussianMixture(random_state=state), source, grid)
        for state in (0, 1, None, np.random.RandomState(0), np.random.RandomState(1))
    ]
    assert all(a != b for i, a in enumerate(prints) for b in prints[:i])
    weighted = fingerprint_of(GaussianMixture(), array_source(rows(), np.full(2000, 2.0)), grid)
    assert weighted != prints[2]


def test_fingerprints_of_arrays_of_objects():
    """Arrays of the same numbers are the same, wherever these stand in memory."""
    source = array_source(rows())
    grid = RowGrid.of(2000, 3, 2)
    same, again, other = (
        fingerprint_of(
            GaussianMixture(weights_init=np.array(text.split()).astype(object)), source, grid
        )
        for text in ("0.25 0.75", "0.25 0.75", "0.5 0.5")
    )
    assert same == again
    assert same != other


# -- files -----------------------------------------------------------------------------------------
def test_the_random_state_is_restored(path):
    states = []
    with pytest.raises(Stop):
        run(path, after_iteration=stop_after(2))
    fingerprint = Fingerprint({"run": 1}, {})
    one = np.random.RandomState(5)
    one.standard_normal(3)
    parameters = run(None).parameters
    Checkpoint(path, fingerprint, one).update(RunState(0, parameters, [], None))
    other = np.random.RandomState()
    state = Checkpoint(path, fingerprint, other).resume(STRUCTURES["full"])
    assert state is not None
    states = [one.standard_normal(5), other.standard_normal(5)]
    np.testing.assert_array_equal(*states)


@pytest.mark.parametrize("name", ["dirichlet process", "dirichlet distribution"])
@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_variational_parameters_come_back(path, name, structure):
    model = fitted(name, structure)
    assert isinstance(model, BayesianGaussianMixture)
    parameters = parameters_of(model)
    result = EMResult(parameters, [-1.5, -np.inf], True)
    facts = {"weight_concentration_prior_type": model.weight_concentration_prior_type}
    checkpoint = Checkpoint(path, Fingerprint(facts, {}), np.random.RandomState(0))
    checkpoint.update(RunState(1, parameters, [1.0], result))
    state = checkpoint.resume(STRUCTURES[structure], n_starts=2)
    assert state.best.lower_bounds == [-1.5, -np.inf]
    again = state.parameters
    assert type(again) is type(parameters)
    assert type(again.weight_posterior) is type(parameters.weight_posterior)
    assert_same(again.weight_posterior.concentration, parameters.weight_posterior.concentration)
    for field in ("means", "covariances", "mean_precision", "degrees_of_freedom"):
        assert_same(getattr(again, field), getattr(parameters, field))


def test_interruptions_may_flush(path):
    parameters = run(None).parameters
    checkpoint = Checkpoint(path, Fingerprint({}, {}), np.random.RandomState(0), every_seconds=1e6)
    for n in range(3):
        checkpoint.update(RunState(n, parameters, [], None))
    assert checkpoint.resume(STRUCTURES["full"], n_starts=3).restart == 0
    checkpoint.flush()
    assert checkpoint.resume(STRUCTURES["full"], n_starts=3).restart == 2
    before = os.stat(path).st_mtime_ns
    checkpoint.flush()
    assert os.stat(path).st_mtime_ns == before


def test_a_missing_folder_is_noticed_before_the_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        Checkpoint(tmp_path / "missing" / "job.npz", Fingerprint({}, {}), np.random.RandomState(0))


def test_a_folder_that_vanishes_stops_the_run(tmp_path):
    (tmp_path / "folder").mkdir()

    def remove(state):
        for file in (tmp_path / "folder").iterdir():
            file.unlink()
        (tmp_path / "folder").rmdir()

    with pytest.raises(FileNotFoundError, match=r"in writing: '.*job\.npz'"):
        run(tmp_path / "folder" / "job.npz", after_iteration=remove)


def test_a_checkpoint_is_no_model(path):
    run(path)
    with pytest.raises(ModelFileError, match=r"holds a checkpoint, not a model or statistics"):
        load(path)
    save_model(fitted(), path)
    with pytest.raises(ModelFileError, match=r"holds a model, not a checkpoint"):
        run(path)


def damaged_states():
    good = run(None)
    parameters = good.parameters
    changed = functools.partial(dataclasses.replace, parameters)
    return {
        "no state": None,
        "a result": good,
        "restart": RunState("0", parameters, [], None),
        "negative": RunState(-1, parameters, [], None),
        "bounds": RunState(0, parameters, 3, None),
        "text in bounds": RunState(0, parameters, ["a"], None),
        "no number in bounds": RunState(0, parameters, [np.nan], None),
        "no parameters": RunState(0, None, [], None),
        "best": RunState(0, parameters, [], parameters),
        "best parameters": RunState(0, parameters, [], EMResult(None, [], True)),
        "no result": RunState(0, parameters, [], None, finished=True),
        "shape": RunState(0, parameters_of(fitted(structure="tied")), [], None),
        "other start": RunState(N_INIT, parameters, [], None),
        "other components": RunState(0, parameters_of(fitted()), [1.0], None),
        "variational": RunState(0, parameters_of(fitted("dirichlet process")), [1.0], None),
        "converged": RunState(0, parameters, [], EMResult(parameters, [1.0], 1)),
        "mended": RunState(0, parameters, [], None, diagnostics=[mended(component=17)]),
        "float32": RunState(0, changed(means=parameters.means.astype("f4")), [1.0], None),
        "sum": RunState(0, changed(weights=parameters.weights / 2), [1.0], None),
        "missing": RunState(0, changed(weights=None), [1.0], None),
        "covariances": RunState(0, changed(covariances=-parameters.covariances), [1.0], None),
    }


def mended(component):
    texts = {"action": "reseed", "detail": "", "reason": ""}
    return {"restart": 0, "iteration": 1, "component": component, **texts}


DAMAGED_STATES = damaged_states()


@pytest.mark.parametrize("kind", DAMAGED_STATES)
def test_states_that_are_no_use(path, kind):
    with pytest.raises(Stop):
        run(path, after_iteration=stop_after(2))
    contents = read_file(path, ("checkpoint",))
    arrays = dict(contents.arrays)
    state = encode(DAMAGED_STATES[kind], "other", arrays, RECORDS)
    header = {**contents.header, "state": state}
    path.write_bytes(pack(Contents("checkpoint", header, arrays)))
    with pytest.raises(ModelFileError, match=r"job\.npz holds no usable checkpoint"):
        run(path)


def test_damaged_checkpoints_are_refused(path):
    with pytest.raises(Stop):
        run(path, after_iteration=stop_after(2))
    good = path.read_bytes()
    for at in range(1, len(good), 97):
        path.write_bytes(good[:at])
        with pytest.raises(ModelFileError):
            run(path)
        path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        with pytest.raises(ModelFileError):
            run(path)
