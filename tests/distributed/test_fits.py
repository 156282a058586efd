"""Fits of dask collections, and of files by a cluster: the bits of local fits."""

import gc
import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client, Future, worker_client

from fastgmm import open_source
from fastgmm.distributed import place
from fastgmm.distributed.files import ReopenedReader
from fastgmm.distributed.held import sums_of_leaves
from fastgmm.passes.cells import CellPass
from fastgmm.passes.dense import SumsOfChunks
from fastgmm.sources.array import ArrayReader
from tests.distributed.data import MODELS, assert_same_bits, blobs, fitted

X = blobs()
WEIGHTS = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
NAMES = ["a", "b", "c"]


def frame_of(X, npartitions=5):
    return dd.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=npartitions, sort=False)


def local(X, weights=None, **arguments):
    """A fit of the same rows, opened as files would be."""
    return fitted(open_source(X, weight=weights), **arguments)


PARTITIONS = {
    "one": 60_000,
    "many": 3_000,
    "odd": 7_777,
    "uneven": (1, 20_000, 9_999, 30_000),
}


@pytest.mark.parametrize("chunks", PARTITIONS.values(), ids=list(PARTITIONS))
def test_the_bits_do_not_depend_on_partitions(client, chunks):
    assert_same_bits(fitted(da.from_array(X, chunks=(chunks, 3))), local(X))


@pytest.mark.parametrize(
    ("kind", "covariance_type"),
    [*itertools.product(MODELS, ["full", "tied", "diag", "spherical"]), ("likelihood", "VVI")],
)
def test_families_and_structures(client, kind, covariance_type):
    arguments = {"kind": kind, "covariance_type": covariance_type, "max_iter": 2}
    model = fitted(da.from_array(X, chunks=(9_000, 2)), **arguments)
    assert_same_bits(model, local(X, **arguments))


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_few_rows_of_many_features(client, covariance_type):
    """They come here, once."""
    rows = np.random.default_rng(2).normal(size=(90, 801))
    arguments = {"n_components": 2, "covariance_type": covariance_type, "reg_covar": 0.01}
    assert_same_bits(
        fitted(da.from_array(rows, chunks=(40, 801)), **arguments), fitted(rows, **arguments)
    )


@pytest.mark.parametrize(
    "init_params", ["kmeans", "k-means++", "random", "random_from_data", "k-means||"]
)
def test_starts(client, init_params):
    arguments = {"init_params": init_params, "max_iter": 2, "n_init": 2}
    model = fitted(da.from_array(X, chunks=(9_000, 3)), **arguments)
    assert_same_bits(model, local(X, **arguments))


def test_a_start_from_a_sample(client, monkeypatch):
    monkeypatch.setattr("fastgmm.estimator.starting.START_ROWS", 5_000)
    weights = da.from_array(WEIGHTS, chunks=9_000)
    model = fitted(da.from_array(X, chunks=(9_000, 3)), sample_weight=weights)
    assert_same_bits(model, local(X, WEIGHTS))


@pytest.mark.parametrize(
    "weights",
    [WEIGHTS, da.from_array(WEIGHTS, chunks=9_000), da.from_array(WEIGHTS, chunks=7_000)],
    ids=["array", "same chunks", "other chunks"],
)
def test_weights_beside_an_array(client, weights):
    model = fitted(da.from_array(X, chunks=(9_000, 3)), sample_weight=weights)
    assert_same_bits(model, local(X, WEIGHTS))


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_other_types(client, dtype):
    rows = (10 * X).astype(dtype)
    assert_same_bits(fitted(da.from_array(rows, chunks=(9_000, 3))), local(rows))


def test_frames(client):
    model = fitted(frame_of(X))
    assert_same_bits(model, local(X))
    assert model.feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("kind", ["Float32", "Float64", "double[pyarrow]", "category"])
def test_kinds_of_columns(client, kind):
    rows = np.round(X) if kind == "category" else X
    frame = pd.DataFrame(rows, columns=NAMES).astype(kind)
    lazy = dd.from_pandas(frame, npartitions=5, sort=False)
    model = fitted(lazy)
    assert_same_bits(model, local(frame))
    expected = model.score_samples(frame)
    found = model.score_samples(lazy)
    assert found.dtype == found.compute().dtype == expected.dtype
    assert np.array_equal(found.compute(), expected)


def test_a_column_of_weights(client):
    frame = frame_of(X).assign(w=dd.from_pandas(pd.Series(WEIGHTS), npartitions=5, sort=False))
    model = fitted(frame, sample_weight="w")
    assert_same_bits(model, local(X, WEIGHTS))
    assert model.feature_names_in_.tolist() == NAMES


def test_weights_of_a_frame_from_elsewhere(client):
    series = [dd.from_pandas(pd.Series(WEIGHTS), npartitions=n, sort=False) for n in (5, 7)]
    for weights in (WEIGHTS, da.from_array(WEIGHTS, chunks=7_777), *series):
        assert_same_bits(fitted(frame_of(X), sample_weight=weights), local(X, WEIGHTS))


def test_weights_of_another_length(client):
    weights = da.from_array(WEIGHTS[1:], chunks=7_777)
    with pytest.raises(ValueError, match=r"60000 rows, but the weights have the shape of \(5999"):
        fitted(frame_of(X), sample_weight=weights)


def test_unknown_chunks_and_empty_partitions(client):
    array = frame_of(X).to_dask_array()
    assert_same_bits(fitted(array), local(X))
    frame = frame_of(X)
    some = frame[frame["a"] > 3]
    assert_same_bits(fitted(some), local(X[X[:, 0] > 3]))
    by_value = dd.concat([frame[frame["a"] > 1e9], frame])
    assert_same_bits(fitted(by_value), local(X))


def test_scale_and_noise(client):
    arguments = {"reg_covar": "scale", "noise": "box"}
    model = fitted(da.from_array(X, chunks=(9_000, 3)), **arguments)
    assert_same_bits(model, local(X, **arguments))


HOLED = X.copy()
HOLED[::7, 1] = HOLED[::11] = np.nan
FEW_COMPLETE = np.where(np.arange(3) == (np.arange(len(X)) % 3)[:, np.newaxis], np.nan, X)
EM = {"missing_values": "em"}
STAY = {
    "weights": (X, WEIGHTS, {}),
    "random": (X, WEIGHTS, {"init_params": "random", "n_init": 2}),
    "rows": (X, None, {"init_params": "random_from_data"}),
    "noise": (X, WEIGHTS, {"noise": "box"}),
    "freeze": (X, None, {"means_init": X[:3], "freeze": {"means": [True, False, False]}}),
    "bayesian": (X.astype(np.float32), WEIGHTS, {"kind": "bayesian"}),
    "missing": (HOLED, WEIGHTS, EM),
    "missing, single": (HOLED.astype(np.float32), None, EM),
    "missing, tied": (HOLED, None, {**EM, "covariance_type": "tied"}),
    "missing, diag": (HOLED, WEIGHTS, {**EM, "covariance_type": "diag"}),
    "missing, noise": (HOLED, None, {**EM, "noise": "box"}),
    "missing, random": (FEW_COMPLETE, WEIGHTS, {**EM, "init_params": "random"}),
}


@pytest.mark.parametrize("case", STAY.values(), ids=list(STAY))
def test_rows_and_weights_stay_with_the_workers(client, case, monkeypatch):
    monkeypatch.setattr("fastgmm.passes.missing._SMALL", 0)
    rows, weights, arguments = case
    arguments = {**arguments, "max_iter": 2}
    missing = arguments.get("missing_values", "error")
    given = open_source(rows, weight=weights, missing_values=missing)
    expected = fitted(given, **arguments)

    def come_home(*arguments):
        raise AssertionError

    for method in ("read", "weights"):
        monkeypatch.setattr(f"fastgmm.distributed.collections.PartitionsReader.{method}", come_home)
    array = da.from_array(rows, chunks=(9_000, 3))
    if weights is not None:
        weights = da.from_array(weights, chunks=9_000)
    model = fitted(array, sample_weight=weights, **arguments)
    assert_same_bits(model, expected)
    assert model.score(array, sample_weight=weights) == expected.score(given)


@pytest.mark.parametrize(
    ("covariance_type", "weights"),
    [("full", None), ("full", WEIGHTS), ("tied", WEIGHTS), ("diag", None)],
    ids=["full-plain", "full-weighted", "tied-weighted", "diag-plain"],
)
def test_components_that_lie_apart(client, monkeypatch, covariance_type, weights):
    monkeypatch.setattr("fastgmm.passes.cells._BLOCK_ROWS", 7_000)
    random = np.random.default_rng(0)
    rows = random.normal(random.uniform(0, 100, (80, 1, 3)), 1, (80, 500, 3)).reshape(-1, 3)
    random.shuffle(rows)
    arguments = {"n_components": 80, "covariance_type": covariance_type, "init_params": "k-means||"}
    passes = []
    by_cells = CellPass._by_cells
    monkeypatch.setattr(CellPass, "_by_cells", lambda *a: passes.append(a) or by_cells(*a))
    weights = None if weights is None else weights[: len(rows)]
    array = da.from_array(rows, chunks=(9_000, 3))
    model = fitted(array, sample_weight=weights, **arguments)
    assert passes
    assert_same_bits(model, fitted(open_source(rows, weight=weights), **arguments))


@pytest.mark.parametrize("missing_values", ["error", "em"])
def test_labels(client, missing_values):
    labels = np.where(np.arange(len(X)) % 3 == 0, (X[:, 0] > 4).astype(int), -1)
    arguments = {"missing_values": missing_values, "labels": labels}
    rows = X if missing_values == "error" else HOLED
    model = fitted(da.from_array(rows, chunks=(9_000, 3)), **arguments)
    source = open_source(rows, missing_values=missing_values)
    assert_same_bits(model, fitted(source, **arguments))


@pytest.fixture
def files(tmp_path):
    for number, part in enumerate(np.array_split(np.column_stack([X, WEIGHTS]), 5)):
        table = pa.table(dict(zip([*NAMES, "w"], part.T, strict=True)))
        pq.write_table(table, tmp_path / f"part{number}.parquet")
    return sorted(tmp_path.glob("*.parquet"))


def test_files_that_workers_read(client, files):
    opened = {"columns": NAMES, "weight": "w"}
    model = fitted(open_source(files, **opened, engine="dask"))
    assert_same_bits(model, fitted(open_source(files, **opened)))
    assert model.feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("weight", [None, "w"])
def test_rows_of_files_stay_with_the_workers(client, files, monkeypatch, weight):
    calls = []
    call = SumsOfChunks.__call__

    def watched(self, *arguments):
        calls.append(self)
        return call(self, *arguments)

    source = open_source(files, columns=NAMES, weight=weight, engine="dask")
    monkeypatch.setattr(SumsOfChunks, "__call__", watched)
    fitted(source, n_components=2, init_params="random_from_data")
    assert not calls


def test_workers_let_rows_of_files_go_after_a_fit(client, files):
    _wait_until_none_are_open(client)
    source = open_source(files, columns=NAMES, engine="dask")
    fitted(source)
    assert all(client.run(_open_files).values())
    del source
    _wait_until_none_are_open(client)


def _wait_until_none_are_open(client):
    deadline = time.monotonic() + 30
    while any(client.run(_open_files).values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _open_files():
    gc.collect()
    return sum(type(thing) is ReopenedReader for thing in gc.get_objects())


def test_workers_keep_what_there_is_room_for(client):
    assert -1e9 < client.submit(_room_for_rows).result() < 0.6e9  # of 1 GB, less what is taken
    assert _room_for_rows() == math.inf


def _room_for_rows():
    rooms = []

    def opens(at_most):
        rooms.append(at_most)
        return ArrayReader(X[:9])

    ReopenedReader(opens, None)
    return rooms[0]


def test_the_engine_is_one_that_there_is(files):
    with pytest.raises(ValueError, match="engine should be None or 'dask', but got 'spark'"):
        open_source(files, engine="spark")


def test_checkpoints_are_those_of_local_fits(client, tmp_path):
    array, path = da.from_array(X, chunks=(9_000, 3)), tmp_path / "run.ckpt"
    fitted(array, checkpoint=path, max_iter=2)
    model = fitted(open_source(X), checkpoint=path, max_iter=4)
    assert_same_bits(model, local(X))


def test_data_that_a_user_persists_is_not_computed_again(client):
    array = dask.persist(da.from_array(X, chunks=(9_000, 3)))[0]
    before = {key for key, value in client.who_has().items() if value}
    assert_same_bits(fitted(array), local(X))
    assert before <= set(client.who_has())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fits_at_the_same_time(client):
    """Of two threads on one client, and of a task of the same cluster."""
    array = da.from_array(X, chunks=(9_000, 3))

    def within(rows):
        with worker_client():
            return fitted(da.from_array(rows, chunks=(9_000, 3)))

    task = client.submit(within, X, pure=False)

    def fit(rows):
        return MODELS["likelihood"](3, max_iter=4, tol=0, random_state=0).fit(rows)

    with ThreadPoolExecutor(2) as pool:
        models = list(pool.map(fit, [array, array[::-1]]))
    assert_same_bits(models[0], local(X))
    assert_same_bits(models[1], local(X[::-1]))
    assert_same_bits(task.result(timeout=60), local(X))


def test_an_iteration_asks_for_few_things(client, monkeypatch):
    """A task depends on the source and on its rows as one, however many partitions there are."""
    depends_on, asked = [], []
    submit, nthreads = Client.submit, Client.nthreads

    def submitted(self, function, *args, **kwargs):
        if function is sums_of_leaves:
            depends_on.append(sum(isinstance(given, Future) for given in args))
        return submit(self, function, *args, **kwargs)

    def asked_for(self, *args, **kwargs):
        asked.append(self)
        return nthreads(self, *args, **kwargs)

    monkeypatch.setattr(Client, "submit", submitted)
    monkeypatch.setattr(Client, "nthreads", asked_for)
    monkeypatch.setattr(place, "_ASKED_EVERY", math.inf)
    assert_same_bits(fitted(da.from_array(X, chunks=(1_000, 3))), local(X))
    assert set(depends_on) == {2}
    assert len(asked) == 1
