"""`select` and `fit_many` over a cluster: a task per fit or group, and the bits of local calls."""

import os
import pickle
import threading
import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from fastgmm import fit_many, open_source, select
from fastgmm.distributed.spreading import _done
from tests.distributed.data import blobs

#: Dask restarts workers in this process, and must not fail over what it warns of itself.
pytestmark = pytest.mark.filterwarnings("default")

X = blobs(600, d=2)
WEIGHTS = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
SEARCH = {"n_components": (1, 2, 3), "covariance_type": ("full", "diag"), "random_state": 0}


def assert_same_search(found, expected):
    left_out = ["seconds"]
    table, its = (selection.to_frame().drop(columns=left_out) for selection in (found, expected))
    pd.testing.assert_frame_equal(table, its, check_exact=True)
    assert found.best_index_ == expected.best_index_
    for key, model in expected.fits.items():
        assert np.array_equal(found.fits[key].means_, model.means_)
        assert np.array_equal(found.fits[key].covariances_, model.covariances_)
        assert found.fits[key].n_jobs == model.n_jobs


def assert_same_reports(found, expected):
    assert found.keys == expected.keys
    assert found.errors == expected.errors
    for name in ("means_", "covariances_", "n_iter_", "converged_", "log_likelihood_", "bic_"):
        assert np.array_equal(
            getattr(found, name), getattr(expected, name), equal_nan=name != "converged_"
        )
    assert found.lower_bounds_ == expected.lower_bounds_


class DiesOnce:
    """A start whose worker dies, the first time that it is asked."""

    def __init__(self, path):
        self.path = str(path)
        self.home = os.getpid()

    def __call__(self, X, n_components, random_state):
        if os.getpid() != self.home and not os.path.exists(self.path):
            open(self.path, "x").close()
            os._exit(1)
        return np.arange(len(X)) % n_components


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sample_weight": WEIGHTS, "n_jobs": 2},
        {"criterion": "cv", "cv": 3},
        {"share_starts": "split"},
        {"criterion": lambda model, X: -model.score(X)},
    ],
    ids=["plain", "weights", "cv", "split", "callable"],
)
def test_select(client, arguments):
    expected = select(X, **SEARCH, **arguments)
    assert_same_search(select(X, **SEARCH, **arguments, engine="dask"), expected)


def test_select_of_a_collection(client):
    expected = select(open_source(X), **SEARCH)
    array = da.from_array(X, chunks=(200, 2))
    assert_same_search(select(array, **SEARCH), expected)
    assert_same_search(select(array, **SEARCH, engine="dask"), expected)


def test_select_of_files(client, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    expected = select(tmp_path / "rows.npy", **SEARCH)
    assert_same_search(select(tmp_path / "rows.npy", **SEARCH, engine="dask"), expected)


def test_select_goes_on_from_a_checkpoint(client, tmp_path):
    path = tmp_path / "search.npz"
    expected = select(X, **SEARCH)
    assert_same_search(select(X, **SEARCH, checkpoint=path, engine="dask"), expected)
    assert_same_search(select(X, **SEARCH, checkpoint=path), expected)


def test_a_cell_that_fails_is_lost_alone(client):
    search = {**SEARCH, "n_components": (1, 700)}
    with pytest.raises(ValueError, match="700"):
        select(X, **search, on_error="raise", engine="dask")
    found = select(X, **search, engine="dask")
    assert [cell.error is None for cell in found.cells] == [True, True, False, False]


def test_fit_many(client):
    sets = [X[i::20] for i in range(20)]
    sets[3] = np.full_like(sets[3], np.nan)
    sets[5] = sets[5][:, :1]
    sets[7] = X.astype(np.float32)
    expected = fit_many(sets, 2, random_state=0)
    found = fit_many(sets, 2, random_state=0, engine="dask")
    assert found.failed.tolist() == [3, 5]
    assert_same_reports(found, expected)
    found[0].means_[:] = 0  # may be written to
    with pytest.raises(ValueError, match=r"data set [35] failed"):
        fit_many(sets, 2, random_state=0, on_error="raise", engine="dask")


def test_fit_many_of_files_and_collections(client, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    path = str(tmp_path / "rows.npy")
    found = fit_many(
        [path, da.from_array(X, chunks=(200, 2)), open_source(X)], 2, random_state=0, engine="dask"
    )
    expected = fit_many([path, open_source(X), open_source(X)], 2, random_state=0)
    assert_same_reports(found, expected)


def test_fit_many_of_a_dask_frame(client):
    frame = pd.DataFrame(X, columns=["a", "b"]).assign(group=np.arange(len(X)) % 7)
    found = fit_many(dd.from_pandas(frame, npartitions=3), 2, by="group", random_state=0)
    assert_same_reports(found, fit_many(frame, 2, by="group", random_state=0))


def test_a_worker_that_dies_loses_nothing(client, tmp_path):
    arguments = {"init_params": DiesOnce(tmp_path / "select"), "random_state": 0}
    expected = select(X, (1, 2), "full", **arguments)
    found = select(X, (1, 2), "full", **arguments, engine="dask")
    assert (tmp_path / "select").exists()
    assert found.best_index_ == expected.best_index_
    for key, model in expected.fits.items():
        assert np.array_equal(found.fits[key].means_, model.means_)


class Dies:
    """A start whose worker dies of some rows."""

    def __init__(self):
        self.home = os.getpid()

    def __call__(self, X, n_components, random_state):
        if os.getpid() != self.home and X[0, 0] == 77:
            os._exit(1)
        return np.arange(len(X)) % n_components


def test_what_kills_its_workers_is_lost_alone(client):
    sets = [X[i::20] for i in range(20)]
    sets[3] = np.full_like(sets[3], 77.0) + sets[4][: len(sets[3])] * (np.arange(2) == 1)
    client.run_on_scheduler(_allow_failures, 0)
    found = fit_many(sets, 2, init_params=Dies(), random_state=0, engine="dask")
    client.run_on_scheduler(_allow_failures, 2)
    assert found.failed.tolist() == [3]
    assert "Data set 3: every worker that took up the work died" in found.errors[3]


def _allow_failures(n, dask_scheduler=None):
    dask_scheduler.allowed_failures = n


def test_silence_is_of_a_thread():
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *arguments, **named: shown.append(str(arguments[0]))
        inside, done = threading.Event(), threading.Event()

        def silent(_):
            inside.set()
            done.wait(10)
            warnings.warn("of a fit", stacklevel=1)
            return 1

        thread = threading.Thread(target=_done, args=(silent, pickle.dumps(0)))
        thread.start()
        inside.wait(10)
        warnings.warn("of the user", stacklevel=1)
        done.set()
        thread.join()
        warnings.warn("again", stacklevel=1)
    assert shown == ["of the user", "again"]


@pytest.mark.parametrize("engine", ["spark", 3, ["dask"]])
def test_the_engine_is_one_that_there_is(engine):
    with pytest.raises(ValueError, match="engine should be None or 'dask', but got"):
        select(X, engine=engine)
    with pytest.raises(ValueError, match="engine should be None or 'dask', but got"):
        fit_many([X], engine=engine)
